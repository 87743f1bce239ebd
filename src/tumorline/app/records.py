"""What the processes of the app tell one another, and their clients."""

from collections.abc import Callable
from typing import Any

Record = dict[str, Any]
"""A JSON object; `answer_types` says what stands in those that clients get."""
Send = Callable[[Record], None]
