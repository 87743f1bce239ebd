"""What the processes of the app tell one another, and their clients."""

from typing import Any

Record = dict[str, Any]
"""A JSON object; `answer_types` says what stands in those that clients get."""
