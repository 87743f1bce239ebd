"""What the report says of areas, the threshold, calibration and confidence."""

from markupsafe import Markup

from tumorline.metrics.headline import size_name
from tumorline.report import charts
from tumorline.report.charts import linear_axis, unit_axis
from tumorline.report.content import CalibrationContent, ConfidenceContent, SizeContent, ThresholdContent
from tumorline.results import Calibration, OperatingPoint, RegionSummary


def over_segmentation(
    figures: RegionSummary, point: OperatingPoint | None, calibration: Calibration | None
) -> SizeContent | None:
    """Area ratio, signed offset and what a wrong area costs; the threshold's curve on validation where it is known.

    None where the folder was evaluated before these figures were made, or without a tumour.
    """
    offset = figures.signed_offset
    if calibration is None or not offset or offset.mean is None or calibration.dice_lost_to_area.mean is None:
        return None
    return {
        "ratio": figures.volume_ratio,
        "offset": offset,
        "lost": calibration.dice_lost_to_area.mean,
        **_threshold(point, size_name(bool(figures.truth_ml))),
    }


def _threshold(point: OperatingPoint | None, size: str) -> ThresholdContent:
    if not point or not point.threshold_curve:
        return {"curve": "", "ratios": "", "threshold": None, "by_hand": False}
    dice = [(one.threshold, one.dice) for one in point.threshold_curve]
    ratio = [(one.threshold, one.volume_ratio) for one in point.threshold_curve if one.volume_ratio is not None]
    highest = linear_axis(0, max([value for _, value in ratio], default=1), f"predicted / true {size}")
    mark = (point.threshold, f"used: {point.threshold:g}")
    return {
        "curve": Markup(charts.lines({"Dice by patient": dice}, (unit_axis("threshold"), unit_axis("Dice")), mark)),
        "ratios": Markup(charts.lines({f"mean {size} ratio": ratio}, (unit_axis("threshold"), highest), mark)),
        "threshold": point.threshold,
        "by_hand": point.chosen != "validation",
    }


def calibration(figures: Calibration | None, point: OperatingPoint | None) -> CalibrationContent | None:
    """Reliability diagram and calibration error; None without a pixel near a tumour."""
    if figures is None or figures.expected_calibration_error is None:
        return None
    bins = [(one.probability, one.tumour) for one in figures.reliability]
    shares = [one.share for one in figures.reliability]
    return {
        "error": figures.expected_calibration_error,
        "margin": figures.margin_px,
        "temperature": point.temperature if point else None,
        "over": sum(share * (probability - tumour) for share, (probability, tumour) in zip(shares, bins, strict=True)),
        "chart": Markup(charts.reliability(bins, shares)),
    }


def confidence(figures: Calibration | None) -> ConfidenceContent | None:
    """Risk against coverage; None without a tumour."""
    if figures is None or figures.risk_coverage is None:
        return None
    risk = figures.risk_coverage
    points = list(zip(risk.coverage, risk.risk, strict=True))
    chance = [(0.0, risk.area_random), (1.0, risk.area_random)]
    half = next(value for share, value in points if share >= 0.5)
    top = linear_axis(0, max(risk.risk), "mean 1 − Dice of those kept")
    series = {"most confident first": points, "in any order": chance}
    return {
        "chart": Markup(charts.lines(series, (unit_axis("share of cases kept"), top))),
        "area": risk.area,
        "area_random": risk.area_random,
        "area_best": risk.area_best,
        "dice_of_half": 1 - half,
        "dice_of_all": 1 - risk.area_random,
        "without": figures.without_confidence,
    }
