"""Norms that a batch is too small for."""

from collections.abc import Iterator
from contextlib import contextmanager

from tumorline.errors import UserError

TOO_FEW = "Expected more than 1 "
"""How torch begins to say that a norm has one value alone of a channel."""


@contextmanager
def enough_for_norms(name: str) -> Iterator[None]:
    """Raise UserError where the network `name` normalises over the images of a batch, and there is one alone."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(TOO_FEW):
            raise
        raise UserError(
            f"model.name is '{name}', whose norms cannot learn from batches of one image; give two training images or "
            "more and train.batch_size=2 or more, or take another network"
        ) from None
