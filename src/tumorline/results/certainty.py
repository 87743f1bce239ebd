"""What is told of probabilities: calibration, confidence, and how the operating point was chosen."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from tumorline.own_files import Count, Number
from tumorline.results.figures import Figure
from tumorline.results.result import Result


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
    """Of the cases with a tumour, which the risk is over."""
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
    """Before and after the temperature, over pixels near a tumour; cases count alike, whosesoever they are."""
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
