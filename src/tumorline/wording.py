"""A number with its noun, as people say it."""


def numbered(number: int, noun: str) -> str:
    """`1 patient`, `2 patients`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def is_or_are(number: int) -> str:
    return "is" if number == 1 else "are"
