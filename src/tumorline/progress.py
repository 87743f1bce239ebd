"""How long work tells its caller how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
Notify = Callable[[str], None]


def silent(_message: str) -> None:
    """The default: a function call prints nothing."""
