"""Figures under changes of the images, and with subsets of the channels."""

from collections.abc import Iterator
from typing import Annotated, Self

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


class RobustnessChange(Result):
    unit: str
    levels: Annotated[list[ChangedLevel], Field(min_length=1)]


class Robustness(Result):
    unchanged: RobustnessLevel
    changes: dict[str, RobustnessChange]
    cases_lost: Count = 0
    """Cases in no level, since a change turns or cuts all of their tumour away: each level is of the same cases."""

    def levels(self) -> Iterator[tuple[str, str, RobustnessLevel | ChangedLevel]]:
        """Name of the change, strength with its unit, and what is reached; the images as they are first."""
        yield "unchanged", "", self.unchanged
        for name, change in self.changes.items():
            yield from ((name, f"{level.strength:g} {change.unit}", level) for level in change.levels)


class SubsetLevel(Result):
    """With some of a model's channels."""

    channels: Annotated[list[str], Field(min_length=1)]
    cases: Count
    dice: Figure
    missed: Count

    def lost_against(self, whole: Self) -> float | None:
        """How much lower the mean Dice is than with all channels; None where there is none."""
        return None if whole.dice.mean is None or self.dice.mean is None else whole.dice.mean - self.dice.mean
