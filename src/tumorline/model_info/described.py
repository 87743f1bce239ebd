"""What a model file describes for people and later programs: data, split, and how choices came out."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_serializer

from tumorline.model_info.bounds import Hashes, Look, Text
from tumorline.own_files import Count, Written
from tumorline.results import PointFigures


class Described(BaseModel):
    """A part whose further keys, of other versions, are kept, and in which nothing is written that was not stated."""

    model_config = ConfigDict(extra="allow", frozen=True)

    def stated(self) -> dict[str, Any]:
        """What was given, in the order in which it is written."""
        return {name: value for name, value in self if name in self.model_fields_set}

    @model_serializer
    def publishes_what_is_stated(self) -> dict[str, Any]:
        return {name: _published(value) for name, value in self.stated().items()}


def _published(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_unset=True)
    if isinstance(value, dict):
        return {key: _published(one) for key, one in value.items()}
    return [_published(one) for one in value] if isinstance(value, list | tuple) else value


class KnownCases(Described):
    """What a model keeps of what it has seen: a model knows its cases. Each by its part (train, validation, test)."""

    patients: dict[str, Hashes]
    """Hashed patient groups."""
    contents: dict[str, Hashes]
    """Content hashes of the images."""
    looks: dict[str, list[Look]] = {}
    """What the images look like (`data.near.looks`), by which resized and newly saved copies are known."""


class TrainingSource(Described):
    """One of several sources that a model was trained on, with its terms."""

    name: Text = ""
    licence: Text = ""
    attribution: Text = ""
    cases: int = Field(default=0, ge=0)
    patients_unknown: bool = False


class TrainingData(Described):
    """What a model was trained on."""

    name: Text
    simulated: bool
    cases: int = Field(default=0, ge=0)
    channel: Text = ""
    label: Text = ""
    attribution: Text = ""
    corrected: int = Field(default=0, ge=0)
    """Cases whose masks were replaced by corrected ones."""
    forbids_passing_on: list[Text] = []
    """Names of the sources whose terms forbid it."""
    forbids_commerce: list[Text] = []
    sources: list[TrainingSource] = []
    """Where there were several."""


class TrainingSplit(Described):
    """Who trained, validated and tested."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    trains_on_all: bool = False
    """Whether nobody was left to validate or test."""
    by: Text
    seed: int | None
    """None of an ensemble whose members were split by several."""
    origin: Text
    leaking: bool
    patients_unknown: bool
    parts: dict[str, Count]

    @property
    def validated(self) -> bool:
        """Whether there were cases on which something could be chosen."""
        return self.parts.get("validation", 0) > 0


MEAN_CHANGE, LARGE_CHANGE, LARGE_SHARE = 0.005, 0.1, 0.001
"""Up to here a precision may take the place of float32: the mean change of Dice, and of the cases that change by more
than `LARGE_CHANGE` the share, so that a verdict does not turn with how many are looked at."""


class PrecisionChange(Written):
    """By how much the Dice of cases changes where the network computes in another precision than float32."""

    cases: int = Field(ge=1)
    """Cases and regions with a tumour of which it was measured."""
    mean: float = Field(ge=-1, le=1)
    """Of the signed changes."""
    largest: float = Field(ge=0, le=1)
    """Of their absolute values."""
    large: int | None = Field(default=None, ge=0)
    """Those that change by more than `LARGE_CHANGE`; None of files that were written before this was counted."""
    unanswered: int = Field(default=0, ge=0)
    """Those to which the network has no finite answer, which have no change."""
    runtime: Text = ""
    processor: Text = ""

    @classmethod
    def of(cls, changes: Sequence[float | None], runtime: str, processor: str) -> Self:
        """Of the signed changes of Dice of cases, at least one; None where there was no answer."""
        answered = [change for change in changes if change is not None]
        return cls(
            cases=len(changes),
            mean=fmean(answered or [0.0]),
            largest=max(map(abs, answered), default=0.0),
            large=sum(abs(change) > LARGE_CHANGE for change in answered),
            unanswered=len(changes) - len(answered),
            runtime=runtime,
            processor=processor,
        )

    @property
    def verified(self) -> bool:
        is_rare = self.largest <= LARGE_CHANGE if self.large is None else self.large <= LARGE_SHARE * self.cases
        return abs(self.mean) <= MEAN_CHANGE and is_rare and not self.unanswered


class ChosenLimits(Described):
    """How the limits of the post-processing were come by."""

    chosen: Text = ""
    dice: dict[str, tuple[float, float]] = {}
    """By region, without and with them."""


class ChosenGate(Described):
    """How the gate of a presence head was come by, and what it did to the validation windows."""

    probability: float
    chosen: str | float
    dice: tuple[float, float]
    """By patient, without and with it."""
    left_empty: tuple[float, float]
    """Of the images without the region, or any other label, the share whose mask is empty, without and with it."""


VALIDATION_DICE = "validation Dice by patient"


class ModelMetrics(Described):
    """How the choices for a model came out, and the figures of its evaluation."""

    selected_by: Text = VALIDATION_DICE
    """By what the weights were chosen among those of all epochs."""
    operating_point: PointFigures = PointFigures()
    operating_points: dict[str, PointFigures] = {}
    """By region, of a model of several."""
    presence_gate: dict[str, ChosenGate] = {}
    """By region."""
    postprocessing: ChosenLimits | None = None
    """None where no limits were chosen."""
    precisions: dict[str, PrecisionChange] = {}
    """By precision."""
    headline: dict[str, Any] | None = None
    """Its figures, as `with_figures` keeps them; None before there are any."""
