"""How people say it: a number with its noun, a p, a few of many; and what is said several times, once."""

import re
from collections.abc import Iterable, Sequence

LEVEL = 0.05
"""Of a test; a difference counts where p is below it."""
LEAST_P = 0.001
"""Of a test, that is told by its number."""
MOST_DIGITS = 17
"""That a number of double precision has."""
NOT_STATED = "not stated"
"""What stands for whatever nobody says: an attribute that a case lacks, what a folder does not know of its study."""


def numbered(number: int, noun: str) -> str:
    """`1 patient`, `2 patients`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def in_words(name: str) -> str:
    """`whole tumour` of `whole_tumour`."""
    return name.replace("_", " ")


def percent(share: float) -> str:
    """`15%` of 0.15, `0.5%` of 0.005: with the digits that somebody gave."""
    return f"{100 * share:.6g}%"


def short_p(p: float) -> str:
    """The p of a test to two digits, more where they would put it on the other side of `LEVEL`; it never says 0."""
    if p < LEAST_P:
        return f"< {LEAST_P:g}"
    told = (f"{p:.{digits}g}" for digits in range(2, MOST_DIGITS + 1))
    return next(text for text in told if (float(text) < LEVEL) == (p < LEVEL))


def tell_p(p: float) -> str:
    """`p = 0.03`, `p < 0.001`."""
    return f"p {short_p(p)}" if p < LEAST_P else f"p = {short_p(p)}"


def some_of(names: Sequence[str], most: int = 10) -> str:
    """The first of the names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def in_sentence(names: Iterable[str]) -> str:
    """One name, or several with commas and an "and" between them."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def said_once(lines: Sequence[str]) -> list[str]:
    """Lines 'fold-1: ...' that say the same of several folds as one, where the first of them stands."""
    who: dict[str, list[str]] = {}
    for line in lines:
        fold = re.match(r"fold-\d+(?=: )", line)
        who.setdefault(line[fold.end() + 2 :] if fold else line, []).append(fold[0] if fold else "")
    return [f"{', '.join(filter(None, folds))}: {text}" if any(folds) else text for text, folds in who.items()]


def is_or_are(number: int) -> str:
    return "is" if number == 1 else "are"
