"""A range of values with its ticks."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tumorline.escaping import for_page

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Axis:
    """A range of values with its ticks; `label` is written along the axis."""

    low: float
    high: float
    ticks: Sequence[float]
    label: str = ""
    logarithmic: bool = False
    names: Sequence[str] = ()
    """What is written at the ticks, where that is not their number."""

    def words(self, number: int) -> str:
        """What is written at a tick."""
        return self.names[number] if self.names else f"{self.ticks[number]:g}"

    def name(self, number: int) -> str:
        return for_page(self.words(number))

    def position(self, value: float, start: float, end: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return start + (value - low) / ((high - low) or 1) * (end - start)


LETTER = 6.4
"""About how wide a letter of a tick is."""


def unit_axis(label: str) -> Axis:
    """From 0 to 1."""
    return Axis(0, 1, (0, 0.2, 0.4, 0.6, 0.8, 1), label)


def linear_axis(low: float, high: float, label: str, whole: bool = False) -> Axis:
    """An axis that begins and ends at round numbers around the values; a single value is shown against 0."""
    low, high = min(low, high), max(low, high)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0) or 1.0
    ticks = round_ticks(low, high, whole)
    return Axis(min(low, ticks[0]), max(high, ticks[-1]), ticks, label)


def logarithmic_axis(low: float, high: float, label: str) -> Axis:
    """An axis over positive values by their powers of ten."""
    low, high = (low / 2, high * 2) if low == high else (low, high)
    return Axis(low, high, logarithmic_ticks(low * 0.999, high * 1.001), label, logarithmic=True)


def whole_axis(low: int, high: int, label: str) -> Axis:
    """An axis over whole numbers that ends where they end."""
    return Axis(low, high, round_ticks(low, high, whole=True), label)


def named_axis(names: Sequence[str], label: str) -> Axis:
    """Equal places from left to right, numbered from 0, each with its name."""
    return Axis(-0.5, len(names) - 0.5, range(len(names)), label, names=names)


def apart_ticks(ticks: Sequence[tuple[float, str]]) -> list[int]:
    """Those of the ticks (place and text) from the left whose texts, set in their middle, do not touch."""
    kept, end = list[int](), -math.inf
    for number, (position, text) in enumerate(ticks):
        half = LETTER * len(text) / 2
        if position - half >= end + LETTER / 2:
            kept.append(number)
            end = position + half
    return kept


def round_ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """About five round numbers that lie around a range."""
    span = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    step = max(1, round(step)) if whole else step
    first, last = (
        (math.ceil(low / step), math.floor(high / step))
        if whole
        else (
            math.floor(low / step),
            math.ceil(high / step),
        )
    )
    return [round(number * step, 10) for number in range(first, last + 1)]


def logarithmic_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... within a range; the powers of ten alone where it is wide."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if high / low > 2000 else (1, 2, 5)
    return [factor * 10.0**decade for decade in decades for factor in factors if low <= factor * 10.0**decade <= high]
