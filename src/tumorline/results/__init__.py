"""What an evaluation found, as types: made by whoever measures, read by whoever shows it, published as `summary.json`.

Fields stand in the order in which they are published. What was not stated is not written: a file of an older version
that is read and written again gets no keys that it never had, but for `warning_codes`.
"""

from tumorline.results.certainty import (
    Bin,
    Calibration,
    CurvePoint,
    MemberPoint,
    OperatingPoint,
    PointFigures,
    PointValues,
    RiskCoverage,
)
from tumorline.results.figures import (
    Baseline,
    Figure,
    Fold,
    FoldName,
    GroupSummary,
    Lesions,
    Metrics,
    Presence,
    RegionSummary,
    SizeGroup,
    mean_dice_over_regions,
)
from tumorline.results.result import RegionName, Result
from tumorline.results.robustness import ChangedLevel, Robustness, RobustnessChange, RobustnessLevel, SubsetLevel
from tumorline.results.summary import (
    Comparable,
    Honesty,
    Origin,
    OwnParts,
    Provenance,
    SourceDescription,
    SplitDescription,
    Summary,
    read_comparable,
    read_summary,
)
from tumorline.results.warned import ResultWarning, Warned, WarningCode, guess_code, warnings_of_all

__all__ = [
    "Baseline",
    "Bin",
    "Calibration",
    "ChangedLevel",
    "Comparable",
    "CurvePoint",
    "Figure",
    "Fold",
    "FoldName",
    "GroupSummary",
    "Honesty",
    "Lesions",
    "MemberPoint",
    "Metrics",
    "OperatingPoint",
    "Origin",
    "OwnParts",
    "PointFigures",
    "PointValues",
    "Presence",
    "Provenance",
    "RegionName",
    "RegionSummary",
    "Result",
    "ResultWarning",
    "RiskCoverage",
    "Robustness",
    "RobustnessChange",
    "RobustnessLevel",
    "SizeGroup",
    "SourceDescription",
    "SplitDescription",
    "SubsetLevel",
    "Summary",
    "Warned",
    "WarningCode",
    "guess_code",
    "mean_dice_over_regions",
    "read_comparable",
    "read_summary",
    "warnings_of_all",
]
