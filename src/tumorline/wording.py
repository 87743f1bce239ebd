"""A number with its noun, as people say it."""

from collections.abc import Sequence


def numbered(number: int, noun: str) -> str:
    """`1 patient`, `2 patients`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def some_of(names: Sequence[str], most: int = 10) -> str:
    """The first of the names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def is_or_are(number: int) -> str:
    return "is" if number == 1 else "are"
