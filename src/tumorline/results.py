"""What an evaluation found, as types: made by whoever measures, read by whoever shows it, published as `summary.json`.

Fields stand in the order in which they are published. What was not stated is not written: a file of an older version
that is read and written again gets no keys that it never had, but for `warning_codes`.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from tumorline.own_files import EVALUATE_AGAIN, Count, Limits, Number, Written, read_own_model
from tumorline.regions import REGION_NAME

RegionName = Annotated[str, Field(pattern=REGION_NAME)]


class Result(Written):
    """A part of what was found. Never changed: `model_copy(update=...)` makes another."""

    model_config = ConfigDict(frozen=True, populate_by_name=True, defer_build=True)

    def to_json(self) -> dict[str, Any]:
        """As it is published."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)

    def stated(self) -> dict[str, Any]:
        """The fields that were given, for another part that takes them over: what was not stated stays so."""
        return {name: getattr(self, name) for name in self.model_fields_set}


# ---------------------------------------------------------------- warnings


class WarningCode(StrEnum):
    """What a warning is about; the program decides by it, never by the sentence."""

    SIMULATED = "simulated"
    LEAKING = "leaking"
    TRAINING_CASES = "training_cases"
    ONE_PATIENT = "one_patient"
    PATIENTS_UNKNOWN = "patients_unknown"
    MASKS_THRESHOLDED = "masks_thresholded"
    MASKS_CORRECTED = "masks_corrected"
    FEW_VALIDATION_PATIENTS = "few_validation_patients"
    TEMPERATURE_AT_LIMIT = "temperature_at_limit"
    THRESHOLD_AT_LIMIT = "threshold_at_limit"
    OTHER_SEQUENCE = "other_sequence"
    OTHER_MEANING = "other_meaning"
    TRAINED_ON_SIMULATED = "trained_on_simulated"
    BASELINE_NOT_BEATEN = "baseline_not_beaten"
    ONE_FOLD = "one_fold"
    """What holds for the model of one fold, in a summary of all."""
    FOLDS_MISSING = "folds_missing"
    OTHER = "other"
    """Of a later version."""


WORDS = {
    "SIMULATED DATA": WarningCode.SIMULATED,
    "LEAKING": WarningCode.LEAKING,
    "TRAINING CASES INCLUDED": WarningCode.TRAINING_CASES,
    "ONE PATIENT": WarningCode.ONE_PATIENT,
    "PATIENTS UNKNOWN": WarningCode.PATIENTS_UNKNOWN,
    "masks were thresholded": WarningCode.MASKS_THRESHOLDED,
    "MASKS CORRECTED": WarningCode.MASKS_CORRECTED,
    "FEW VALIDATION PATIENTS": WarningCode.FEW_VALIDATION_PATIENTS,
    "TEMPERATURE AT ITS LIMIT": WarningCode.TEMPERATURE_AT_LIMIT,
    "THRESHOLD AT ITS LIMIT": WarningCode.THRESHOLD_AT_LIMIT,
    "OTHER SEQUENCE": WarningCode.OTHER_SEQUENCE,
    "OTHER MEANING": WarningCode.OTHER_MEANING,
    "the model was trained on simulated images": WarningCode.TRAINED_ON_SIMULATED,
    "BASELINE NOT BEATEN": WarningCode.BASELINE_NOT_BEATEN,
    r"fold-\d+": WarningCode.ONE_FOLD,
    r"\d+ OF \d+ FOLDS": WarningCode.FOLDS_MISSING,
}
"""First words of the sentences -> code, for files from before there were codes."""


class ResultWarning(Result):
    """What a reader has to know before quoting a figure."""

    code: WarningCode
    text: str


def guess_code(text: str) -> WarningCode:
    """The code of a sentence that was written without one."""
    return next((code for words, code in WORDS.items() if re.match(words, text)), WarningCode.OTHER)


def _known_code(code: str) -> WarningCode:
    return WarningCode(code) if code in set(WarningCode) else WarningCode.OTHER


class Warned(Result):
    """Its `warnings` are published as sentences, with their codes in the same order as `warning_codes`."""

    @model_validator(mode="before")
    @classmethod
    def pairs_sentences_and_codes(cls, values: Any) -> Any:
        texts = values.get("warnings") if isinstance(values, dict) else None
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            return values
        codes = values.get("warning_codes") or [guess_code(text) for text in texts]
        if not isinstance(codes, list) or len(codes) != len(texts):
            raise ValueError("warning_codes: expected one for each of the warnings")
        found = [ResultWarning(code=_known_code(str(code)), text=text) for code, text in zip(codes, texts, strict=True)]
        return {**values, "warnings": found}

    @model_serializer(mode="wrap")
    def publishes(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return _sentences_and_codes(handler(self))


def _sentences_and_codes(values: Mapping[str, Any]) -> dict[str, Any]:
    published: dict[str, Any] = {}
    for key, value in values.items():
        published[key] = value
        if key == "warnings":
            published |= {"warnings": [one["text"] for one in value]}
            published |= {"warning_codes": [one["code"] for one in value]}
    return published


# ---------------------------------------------------------------- figures


class Figure(Result):
    """Over patients; None where no case has a value."""

    mean: Number | None
    median: Number | None
    quartiles: Limits | None = None
    range: Limits | None
    ci95: Limits | None
    mean_over_cases: Number | None
    patients: Count
    warning: str | None
    unit: str = ""
    """Of distances only."""

    @model_validator(mode="after")
    def has_all_or_nothing(self) -> Self:
        if len({value is None for value in (self.mean, self.median, self.range, self.mean_over_cases)}) > 1:
            raise ValueError("mean, median and range are there together, or none of them")
        return self


class Lesions(Result):
    """Counts over all cases."""

    truth: Count
    detected: Count
    invented: Count
    missed: Count | None = None
    cases_with_invented: Count | None = None
    invented_beside_tumours: Count | None = None
    """Those of the invented ones that lie in cases with a tumour, and the cases that have any."""
    tumour_cases_with_invented: Count | None = None


class Presence(Result):
    """Images, pictures and slices of volumes alike, and in how many of them a tumour is drawn or found."""

    tumour: Count
    found: Count
    free: Count
    """Without any label."""
    false_positives: Count
    other: Count
    """With other labels only."""
    other_drawn: Count
    false_positive: Figure
    """By patient, the share of his free images in which something is drawn."""


class GroupSummary(Result):
    """A few figures of some of a region's cases."""

    dice: Figure
    nsd: Figure
    hd95_detected: Figure
    volume_ratio: Figure
    signed_offset: Figure | None = None
    volume_error_ml: Figure | None = None
    cases: Count
    tumour_cases: Count
    patients: Count
    missed: Count


class SizeGroup(GroupSummary):
    limits_px: Annotated[list[Count], Field(min_length=2, max_length=2)]
    limits_ml: Limits | None = None
    """Of volumes, whose groups are by it."""


class Metrics(Result):
    """All figures of a region on some cases; those that may be None were not computed by every version.

    Those in ml are of volumes only.
    """

    dice: Figure
    iou: Figure
    precision: Figure
    recall: Figure
    nsd: Figure
    hd95: Figure
    hd95_detected: Figure
    average_surface_distance: Figure | None = None
    average_surface_distance_detected: Figure | None = None
    volume_ratio: Figure
    signed_offset: Figure | None = None
    lesion_dice: Figure | None = None
    lesion_hd95: Figure | None = None
    false_positive: Figure | None = None
    accuracy: Figure
    accuracy_background: Figure
    cases: Count
    patients: Count
    tumour_cases: Count
    tumour_free_cases: Count
    missed: Count
    invented: Count
    lesions: Lesions | None = None
    brats2023_lesions: Lesions | None = None
    volume_ratio_undefined: Count
    false_positive_rate: Number | None
    dice_all: Number | None = None
    truth_ml: Figure | None = None
    """Of cases with a tumour."""
    predicted_ml: Figure | None = None
    """Of cases with a tumour."""
    volume_error_ml: Figure | None = None
    """Predicted minus true volume, of cases with a tumour."""
    volume_error_absolute_ml: Figure | None = None
    predicted_ml_tumour_free: Figure | None = None
    """Of cases whose truth lacks the region."""
    brats2023_lesion_dice: Figure | None = None
    """By the rule of BraTS 2023 (`metrics.lesion`), over all cases."""
    brats2023_lesion_hd95: Figure | None = None

    @model_validator(mode="after")
    def has_a_rate_where_it_is_defined(self) -> Self:
        if self.tumour_free_cases and self.false_positive_rate is None:
            raise ValueError("false_positive_rate is missing beside cases without a tumour")
        return self


class RegionSummary(Metrics):
    by_class: dict[str, GroupSummary]
    by_size: dict[str, SizeGroup]
    by_attribute: dict[str, dict[str, GroupSummary]] = Field(default={})


def mean_dice_over_regions(regions: Mapping[str, Metrics]) -> float | None:
    """The one number where one is needed: the mean over regions of the patient means; None where none has one."""
    known = [figures.dice.mean for figures in regions.values() if figures.dice.mean is not None]
    return sum(known) / len(known) if known else None


class FoldName(Result):
    fold: str
    region: str = ""
    """Empty in files of version 1, which had one region."""


class Fold(RegionSummary, FoldName):
    """A region's figures in one fold. Of the classes that it is made of the last one's fields are published first."""


class Baseline(Result):
    """What a trivial answer reaches on the same cases."""

    dice: Number | None
    ci95: Limits | None
    missed: Count
    volume_ratio: Number | None
    accuracy: Number | None


# ---------------------------------------------------------------- calibration and operating point


class Bin(Result):
    """Pixels of like probability."""

    lowest: Number | None = Field(default=None, validation_alias="from", serialization_alias="from")
    highest: Number | None = Field(default=None, validation_alias="to", serialization_alias="to")
    share: Number
    probability: Number
    tumour: Number


class RiskCoverage(Result):
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


class Calibration(Result):
    expected_calibration_error: Number | None
    margin_px: Count
    reliability: list[Bin]
    risk_coverage: RiskCoverage | None
    without_confidence: Count
    dice_at_true_area: Figure | None = None
    dice_lost_to_area: Figure


class CurvePoint(Result):
    threshold: Number
    dice: Number
    volume_ratio: Number | None
    missed: Count | None = None


class MemberPoint(Result):
    """Of one network of an ensemble."""

    name: str
    threshold: Number
    temperature: Number


class PointFigures(Result):
    """The validation figures that an operating point was chosen by, as the model file keeps them."""

    threshold_curve: list[CurvePoint] = Field(default=[])
    chosen: Number | str = ""
    """The threshold that was given, or by what it was chosen."""
    calibration_error_before: Number | None = None
    calibration_error: Number | None = None
    validation_patients: Count | None = None
    members: list[MemberPoint] = Field(default=[])


class PointValues(Result):
    threshold: Annotated[Number, Field(ge=0, le=1)]
    temperature: Annotated[Number, Field(gt=0)]
    tta: str = "none"


class OperatingPoint(PointFigures, PointValues):
    """What turns logits into a mask, and why; see `Fold` for the order."""

    @property
    def figures(self) -> PointFigures:
        return PointFigures.model_validate(self.model_dump(include=set(PointFigures.model_fields), exclude_unset=True))


# ---------------------------------------------------------------- robustness


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


class SubsetLevel(Result):
    """With some of a model's channels."""

    channels: Annotated[list[str], Field(min_length=1)]
    cases: Count
    dice: Figure
    missed: Count

    def lost_against(self, whole: Self) -> float | None:
        """How much lower the mean Dice is than with all channels; None where there is none."""
        return None if whole.dice.mean is None or self.dice.mean is None else whole.dice.mean - self.dice.mean


# ---------------------------------------------------------------- the whole


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


class SplitDescription(Result):
    model_config = ConfigDict(extra="allow")

    by: str = ""
    seed: int | None = None
    """None for an ensemble whose members were split by several."""
    origin: str = ""
    leaking: bool
    patients_unknown: bool
    parts: dict[str, Count] = Field(default={})
    training_cases_included: bool


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

    @model_validator(mode="before")
    @classmethod
    def reads_what_is_said_of_one_region(cls, values: Any) -> Any:
        regions = values.get("regions") if isinstance(values, dict) else None
        if not isinstance(regions, dict) or len(regions) != 1:
            return values
        (region,) = regions
        said = {by_region: values[key] for key, by_region in OF_ONE_REGION.items() if key in values}
        return {**values, **{key: {} if value is None else {region: value} for key, value in said.items()}}

    @model_validator(mode="after")
    def has_baselines_of_all_regions(self) -> Self:
        for region in self.regions:
            if any(region not in scored for scored in self.baselines.values()):
                raise ValueError(f"a baseline says nothing of '{region}'")
        return self

    @model_serializer(mode="wrap")
    def publishes(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        published = _sentences_and_codes(handler(self))
        if not self.subsets:
            published.pop("subsets", None)
        return published if len(self.regions) > 1 else _said_of_one_region(published)

    def folds_of(self, region: str) -> list[Fold]:
        return [fold for fold in self.folds if fold.region in ("", region)]


def _said_of_one_region(published: Mapping[str, Any]) -> dict[str, Any]:
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
