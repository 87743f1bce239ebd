"""Free options of networks and losses: whatever they mean, no number in them is infinite or absurd."""

from collections.abc import Mapping
from typing import Any

LARGEST_COUNT = 16_384
"""Of channels, layers, heads and the like."""
LARGEST, SMALLEST = 1e6, 1e-30
MOST_VALUES = 256
LONGEST_TEXT = 4096
DEEPEST = 8


def checked_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options without negative zeros. Raises ValueError, with the option's name, for what is no setting."""
    return {name: _check_option(value, name) for name, value in options.items()}


def _check_option(value: Any, name: str, depth: int = 0) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _check_option(one, f"{name}.{key}", depth + 1) for key, one in _limited(value, name, depth).items()
        }
    if isinstance(value, (list, tuple)):
        return [_check_option(one, name, depth + 1) for one in _limited(value, name, depth)]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, (int, float)):
        return _checked_number(value, name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is {value!r}; expected a number, a text, true or false, a list or a table")
    if len(value) > LONGEST_TEXT:
        raise ValueError(f"{name} is a text of {len(value)} characters; expected at most {LONGEST_TEXT}")
    return value


def _limited(values: Any, name: str, depth: int) -> Any:
    if len(values) > MOST_VALUES or depth >= DEEPEST:
        raise ValueError(f"{name} holds {len(values)} values in level {depth + 1}; expected at most {MOST_VALUES}")
    return values


def _checked_number(value: int | float, name: str) -> int | float:
    if isinstance(value, int):
        if abs(value) > LARGEST_COUNT:
            raise ValueError(f"{name} is {value:.4g}; expected a whole number of at most {LARGEST_COUNT}")
        return value
    if value and not SMALLEST <= abs(value) <= LARGEST:
        raise ValueError(f"{name} is {value}; expected a finite number of at most {LARGEST:g}")
    return value + 0.0
