"""`summary.json` of an evaluated folder: what its readers rely on."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from tumorline.own_files import EVALUATE_AGAIN, Count, Limits, Number, Written, read_own_json


class Figure(Written):
    """Over patients; None where no case has a value."""

    mean: Number | None
    median: Number | None
    range: Limits | None
    ci95: Limits | None
    mean_over_cases: Number | None
    patients: Count
    warning: str | None
    unit: str = ""

    @model_validator(mode="after")
    def has_all_or_nothing(self) -> Self:
        if len({value is None for value in (self.mean, self.median, self.range, self.mean_over_cases)}) > 1:
            raise ValueError("mean, median and range are there together, or none of them")
        return self


class Lesions(Written):
    """Counts over all cases."""

    truth: Count
    detected: Count
    invented: Count
    cases_with_invented: Count | None = None


class Group(Written):
    """Part of a region's cases."""

    dice: Figure
    nsd: Figure
    hd95_detected: Figure
    volume_ratio: Figure
    cases: Count
    patients: Count
    tumour_cases: Count
    missed: Count


class SizeGroup(Group):
    limits_px: Annotated[list[Count], Field(min_length=2, max_length=2)]


class Totals(Group):
    """What is known of every set of cases."""

    iou: Figure
    precision: Figure
    recall: Figure
    hd95: Figure
    accuracy: Figure
    accuracy_background: Figure
    average_surface_distance_detected: Figure | None = None
    signed_offset: Figure | None = None
    lesion_dice: Figure | None = None
    false_positive: Figure | None = None
    lesions: Lesions | None = None
    tumour_free_cases: Count
    invented: Count
    volume_ratio_undefined: Count
    false_positive_rate: Number | None

    @model_validator(mode="after")
    def has_a_rate_where_it_is_defined(self) -> Self:
        if self.tumour_free_cases and self.false_positive_rate is None:
            raise ValueError("false_positive_rate is missing beside cases without a tumour")
        return self


class Region(Totals):
    by_class: dict[str, Group]
    by_size: dict[str, SizeGroup]
    by_attribute: dict[str, dict[str, Group]] = Field(default={})


class Fold(Region):
    fold: str


class Origin(Written):
    known_as: str | None


class Source(Origin):
    layout: str
    channel: str | None = None
    label: str | None = None
    simulated: bool


class Honesty(Written):
    """Of a split: what its figures may be used for."""

    leaking: bool
    training_cases_included: bool
    parts: dict[str, Count] = Field(default={})


class Split(Honesty):
    by: str = ""
    seed: int = 0
    origin: str = ""
    patients_unknown: bool


class Baseline(Written):
    dice: Number | None
    ci95: Limits | None
    missed: Count
    volume_ratio: Number | None
    accuracy: Number | None


class CurvePoint(Written):
    threshold: Number
    dice: Number
    volume_ratio: Number | None


class OperatingPoint(Written):
    threshold: Annotated[Number, Field(ge=0, le=1)]
    temperature: Annotated[Number, Field(gt=0)]
    tta: str = "none"
    threshold_curve: list[CurvePoint] = Field(default=[])


class Bin(Written):
    share: Number
    probability: Number
    tumour: Number


class RiskCoverage(Written):
    area: Number
    area_random: Number
    area_best: Number
    coverage: Annotated[list[Number], Field(min_length=1)]
    risk: Annotated[list[Number], Field(min_length=1)]

    @model_validator(mode="after")
    def covers_all(self) -> Self:
        if len(self.coverage) != len(self.risk) or self.coverage[-1] != 1:
            raise ValueError("the curve of risk has to end where all cases are kept")
        return self


class Calibration(Written):
    expected_calibration_error: Number | None
    margin_px: Number
    reliability: list[Bin]
    risk_coverage: RiskCoverage | None
    without_confidence: Count
    dice_lost_to_area: Figure


class StressLevel(Written):
    dice: Figure
    missed: Count


class StrongerLevel(StressLevel):
    strength: Number


class StressChange(Written):
    unit: str
    levels: Annotated[list[StrongerLevel], Field(min_length=1)]


class Stress(Written):
    unchanged: StressLevel
    changes: dict[str, StressChange]


class Comparable(Written):
    """What a comparison and a leaderboard need."""

    schema_version: Literal[1] = 1
    source: Origin
    split: Honesty
    headline_status: list[str]
    warnings: list[str]
    regions: Annotated[dict[str, Totals], Field(min_length=1, max_length=1)]


class Summary(Written):
    """What the report, the folds and the model card need."""

    schema_version: Literal[1]
    model: str
    source: Source
    split: Split
    cases: Count
    patients: Count
    case_status: dict[str, Count]
    left_out: dict[str, Count] = Field(default={})
    headline_status: list[str]
    regions: Annotated[dict[str, Region], Field(min_length=1, max_length=1)]
    validation: dict[str, Totals] | None = None
    baselines: dict[str, dict[str, Baseline]]
    operating_point: OperatingPoint | None = None
    conventions: dict[str, str]
    warnings: list[str]
    calibration: dict[str, Calibration] = Field(default={})
    stress: Stress | None = None
    folds: list[Fold] = Field(default=[])

    @model_validator(mode="after")
    def speaks_of_one_region(self) -> Self:
        (region,) = self.regions
        if any(region not in scored for scored in self.baselines.values()):
            raise ValueError(f"a baseline says nothing of '{region}'")
        return self


def read_summary(path: Path, kind: type[Written] = Summary) -> dict[str, Any]:
    """The content of a `summary.json`. Raises UserError where it is cut off, changed or of another version."""
    found: dict[str, Any] = read_own_json(path, kind, EVALUATE_AGAIN)
    return found
