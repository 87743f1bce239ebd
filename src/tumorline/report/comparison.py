"""The page of a comparison: what differs, whether it is noise, and where the contenders disagree."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from tumorline.compared_results import ComparedPair, Comparison, Disagreement
from tumorline.files import write_text
from tumorline.report import charts
from tumorline.report.cases import CaseReader, Picture, draw
from tumorline.report.charts import linear_axis
from tumorline.report.page import template

PAGE_NAME = "compare.html"
NAMES = {
    "dice": "Dice",
    "nsd": "NSD",
    "hd95": "HD95",
    "hd95_detected": "HD95 detected",
    "signed_offset": "boundary offset",
    "volume_ratio": "area ratio",
}
MOST_PAIRS = 10
"""Pairs in the picture of differences; the table has all."""


@dataclass(frozen=True)
class ShownDifference:
    mean: float
    ci95: Sequence[float] | None
    patients: int


def write_comparison(result: Comparison, folders: Sequence[Path], output: Path, read_case: CaseReader | None) -> Path:
    """Write `compare.html`; `folders` hold the predictions of the contenders, in their order."""
    content = {
        **dict(result),
        "contender_names": result.names,
        "several": len(result.regions) > 1,
        "by_region": {region: result.of_region(region) for region in result.regions},
        "names": NAMES,
        "differences": _differences(result),
        "pictures": _pictures(result, folders, read_case) if read_case else [],
        "classes": sorted({name for contender in result.contenders for name in contender.by_class}),
    }
    write_text(output / PAGE_NAME, template("comparison.html").render(**content))
    return output / PAGE_NAME


def _differences(result: Comparison) -> Markup:
    """A dot for each patient: the difference of its Dice."""
    shown = [pair for pair in result.pairs if pair.metric == "dice"][:MOST_PAIRS]
    largest = max((abs(value) for pair in shown for value in pair.by_patient or ()), default=0) or 0.1
    several = len(result.regions) > 1
    strips = {_pair_name(pair, several): _strip(pair) for pair in shown}
    return Markup(charts.strips(strips, "difference of Dice", linear_axis(-largest, largest, "")))


def _pair_name(pair: ComparedPair, several_regions: bool) -> str:
    return f"{pair.first} − {pair.second}" + (f", {pair.region}" if several_regions else "")


def _strip(pair: ComparedPair) -> charts.Strip:
    values = pair.by_patient or []
    return values, ShownDifference(pair.difference.mean, pair.difference.ci95, len(values))


def _pictures(result: Comparison, folders: Sequence[Path], read_case: CaseReader) -> list[list[tuple[str, Picture]]]:
    """For each case one picture a contender; a case without all of them is left out."""
    drawn = [_side_by_side(one, folders, read_case) for one in result.disagreements]
    return [pictures for pictures in drawn if len(pictures) == len(folders)]


def _side_by_side(one: Disagreement, folders: Sequence[Path], read_case: CaseReader) -> list[tuple[str, Picture]]:
    drawn = [
        (shown.name, draw({**dict(one), **dict(shown), "patient": ""}, folder / "predictions", read_case))
        for shown, folder in zip(one.shown, folders, strict=True)
    ]
    return [(name, picture) for name, picture in drawn if picture]
