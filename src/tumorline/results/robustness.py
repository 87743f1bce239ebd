"""Figures under changes of the images, and with subsets of the channels."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tumorline.own_files import Count
from tumorline.results.figures import Figure
from tumorline.results.result import Result


class RobustnessLevel(Result):
    dice: Figure
    missed: Count


class ChangedLevel(Result):
    strength: Annotated[int | float, Field(ge=-1e15, le=1e15)]
    dice: Figure
    missed: Count


NAMES_OF_NUMBERS = ("gamma", "quality", "log of the largest factor")
"""Units that stand before the number."""


class RobustnessChange(Result):
    unit: str
    levels: Annotated[list[ChangedLevel], Field(min_length=1)]

    def in_words(self, strength: float) -> str:
        """Number and unit; of a unit such as "1 left-right, 2 top-bottom", what the number stands for."""
        kinds = dict(kind.partition(" ")[::2] for kind in self.unit.split(", ")) if ", " in self.unit else {}
        number = f"{strength:g}"
        return kinds.get(number) or " ".join(
            [self.unit, number] if self.unit in NAMES_OF_NUMBERS else [number, self.unit]
        )


class Robustness(Result):
    unchanged: RobustnessLevel
    changes: dict[str, RobustnessChange]
    cases_lost: Count = 0
    """Cases in no level, since a change turns or cuts all of their tumour away: each level is of the same cases."""

    def levels(self) -> Iterator[tuple[str, str, RobustnessLevel | ChangedLevel]]:
        """Name of the change, strength with its unit, and what is reached; the images as they are first."""
        yield "unchanged", "", self.unchanged
        for name, change in self.changes.items():
            yield from ((name, change.in_words(level.strength), level) for level in change.levels)


class SubsetLevel(Result):
    """With some of a model's channels."""

    channels: Annotated[list[str], Field(min_length=1)]
    cases: Count
    dice: Figure
    missed: Count
