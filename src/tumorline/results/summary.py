"""All that an evaluation found: the content of `summary.json`."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tumorline.files import JsonObject
from tumorline.own_files import EVALUATE_AGAIN, Count, read_own_model
from tumorline.results.certainty import Calibration, OperatingPoint
from tumorline.results.figures import Baseline, Fold, Metrics, Presence, RegionSummary
from tumorline.results.result import RegionName, Result
from tumorline.results.robustness import Robustness, SubsetLevel
from tumorline.results.warned import ResultWarning, Warned, sentences_and_codes


class Origin(Result):
    """Of a source: all that is stated is kept, so that a comparison can hand it on."""

    model_config = ConfigDict(extra="allow")

    known_as: str | None


class SourceDescription(Origin):
    layout: str
    channel: str | None = None
    label: str | None = None
    simulated: bool


class Honesty(Result):
    """Of a split: what its figures may be used for."""

    leaking: bool
    training_cases_included: bool
    parts: dict[str, Count] = Field(default={})


class OwnParts(Result):
    """Of a model's own data: whether patients are, or may be, in several parts."""

    leaking: bool
    patients_unknown: bool


DRAWN = re.compile(r"(?:^|: |; )by (?:patient|slice), ")
"""In an origin; later in it only of some sources."""


class SplitDescription(Result):
    """How a model's own data were split, and what that means for the cases that were scored."""

    model_config = ConfigDict(extra="allow")

    by: str = ""
    seed: int | None = None
    """None for an ensemble whose members were split by several."""
    origin: str = ""
    leaking: bool
    patients_unknown: bool
    parts: dict[str, Count] = Field(default={})
    training_cases_included: bool
    own: OwnParts | None = None
    """Stated where it differs from `leaking` and `patients_unknown`, which are of the cases that were scored."""

    @property
    def drawn(self) -> Literal["all", "some", ""]:
        """Whose parts were drawn: those of all cases, of the cases of some sources, or of none."""
        match = DRAWN.search(self.origin)
        return "" if match is None else "some" if match.start() else "all"

    @property
    def is_one_part(self) -> bool:
        """Whether all of the model's own data are in one part, as of a model that has trained on all patients."""
        return sum(count > 0 for count in self.parts.values()) == 1

    @property
    def own_parts(self) -> "OwnParts | SplitDescription":
        return self.own or self


class Provenance(Result):
    """What an evaluation was made with. A run's own has none: its model lies beside it."""

    version: str
    """Of Tumorline."""
    fingerprint: str
    """Of the model: the hash of its files that `predict_one` and the service give."""
    data: str
    """Hash of the contents of images and masks, of what is stated of the cases and of how they were read."""


class Comparable(Warned):
    """What a comparison and a leaderboard need of a summary."""

    schema_version: Literal[1, 2] = 1
    source: Origin
    split: Honesty
    headline_status: list[str]
    warnings: list[ResultWarning]
    regions: Annotated[dict[RegionName, Metrics], Field(min_length=1)]


OF_ONE_REGION = {"operating_point": "operating_points", "stress": "robustness"}
"""The keys under which a file of one region says of it what a file of several says by region."""


class Summary(Warned):
    """The content of `summary.json`; version 1 had one region."""

    schema_version: Literal[1, 2]
    model: str
    source: SourceDescription
    split: SplitDescription
    cases: Count
    patients: Count
    case_status: dict[str, Count]
    left_out: dict[str, Count] = Field(default={})
    headline_status: list[str]
    regions: Annotated[dict[RegionName, RegionSummary], Field(min_length=1)]
    validation: dict[str, Metrics] | None = None
    baselines: dict[str, dict[str, Baseline]]
    operating_points: dict[str, OperatingPoint] = Field(default={})
    conventions: dict[str, str]
    warnings: list[ResultWarning]
    calibration: dict[str, Calibration] = Field(default={})
    robustness: dict[str, Robustness] = Field(default={})
    subsets: dict[str, Annotated[list[SubsetLevel], Field(min_length=1)]] = Field(default={})
    """By region, from all channels down to each alone; of a model that may do without some."""
    presence: dict[str, dict[str, Presence]] = Field(default={})
    """By region and source, "all" for all together; of volumes, and of several sources."""
    folds: list[Fold] = Field(default=[])
    made_with: Provenance | None = None

    @model_validator(mode="before")
    @classmethod
    def reads_what_is_said_of_one_region(cls, values: Any) -> Any:
        regions = values.get("regions") if isinstance(values, dict) else None
        if not isinstance(regions, dict) or len(regions) != 1:
            return values
        (region,) = regions
        stated = {by_region: values[key] for key, by_region in OF_ONE_REGION.items() if key in values}
        return {**values, **{key: {} if value is None else {region: value} for key, value in stated.items()}}

    @model_validator(mode="after")
    def has_baselines_of_all_regions(self) -> Self:
        for region in self.regions:
            if any(region not in scored for scored in self.baselines.values()):
                raise ValueError(f"a baseline says nothing of '{region}'")
        return self

    @model_serializer(mode="wrap")
    def publishes(self, handler: SerializerFunctionWrapHandler) -> JsonObject:
        published = sentences_and_codes(handler(self))
        if not self.subsets:
            published.pop("subsets", None)
        return published if len(self.regions) > 1 else _said_of_one_region(published)

    def folds_of(self, region: str) -> list[Fold]:
        return [fold for fold in self.folds if fold.region in ("", region)]


def _said_of_one_region(published: JsonObject) -> JsonObject:
    keys = {by_region: key for key, by_region in OF_ONE_REGION.items()}
    return {
        keys.get(key, key): next(iter(value.values()), None) if key in keys else value
        for key, value in published.items()
    }


def read_summary(path: Path) -> Summary:
    """A `summary.json`. Raises UserError where it is cut off, changed or of another version."""
    return read_own_model(path, Summary, EVALUATE_AGAIN)


def read_comparable(path: Path) -> Comparable:
    """As `read_summary`, of what a comparison needs."""
    return read_own_model(path, Comparable, EVALUATE_AGAIN)
