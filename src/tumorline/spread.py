"""Some of many, evenly."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def spread_evenly(items: Sequence[T], most: int | None) -> list[T]:
    """At most so many, in their order, from the first to the last at even steps; all where there is no limit."""
    if most is None or len(items) <= most:
        return [*items]
    if most < 2:
        return [*items[:most]]
    return [items[round(number * (len(items) - 1) / (most - 1))] for number in range(most)]
