"""How long a property is tried: a few examples in the default tests, so many seconds with `make fuzz`."""

import os
from collections.abc import Callable
from functools import wraps
from time import monotonic
from typing import Any

from hypothesis import HealthCheck, Phase, settings

SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
"""For each property; 0 is the short form."""
LAP = 200
"""Examples after which the long form looks at the clock."""


def fuzzed(examples: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Stands above `@given`: the short form has so many examples, always the same; the long form is new each time."""
    few = settings(
        max_examples=LAP if SECONDS else examples,
        deadline=None,
        database=None,
        derandomize=not SECONDS,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    return lambda tried: _repeated(few(tried)) if SECONDS else few(tried)


def _repeated(lap: Callable[..., None]) -> Callable[..., None]:
    @wraps(lap)
    def repeat(*arguments: Any, **named: Any) -> None:
        end = monotonic() + SECONDS
        while monotonic() < end:
            lap(*arguments, **named)

    return repeat
