"""How long work tells its caller how far it is."""

import time
from collections.abc import Callable

Progress = Callable[[int, int], None]
Notify = Callable[[str], None]
LINE_SECONDS = 60.0
"""How often a line says how far work is, where no line can be written over."""


def silent(_message: str) -> None:
    """The default: a function call prints nothing."""


def minutely(what: str, notify: Notify) -> Progress:
    """A line a minute, with about how long the rest takes; none of work that is done sooner.

    Where the count begins anew, as with the next cell of a matrix, so does the time that the rest is reckoned from.
    """
    began = said = time.monotonic()
    before = 0

    def show(done: int, total: int) -> None:
        nonlocal began, said, before
        now = time.monotonic()
        if done <= before:
            began = now
        before = done
        if now - said >= LINE_SECONDS and began < now and done < total:
            said = now
            notify(f"{what} {done}/{total}, {left_in_words((now - began) / max(1, done) * (total - done))}")

    return show


def left_in_words(seconds: float) -> str:
    minutes = round(seconds / 60)
    return "about a minute left" if minutes <= 1 else f"about {minutes} minutes left"
