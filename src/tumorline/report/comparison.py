"""The page of a comparison: what differs, whether it is noise, and where the contenders disagree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

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


def write_comparison(
    result: Mapping[str, Any], folders: Sequence[Path], output: Path, read_case: CaseReader | None
) -> Path:
    """Write `compare.html`; `folders` hold the predictions of the contenders, in their order."""
    content = {
        **result,
        "names": NAMES,
        "differences": _differences(result["pairs"], result["patients"]),
        "pictures": _pictures(result["disagreements"], folders, read_case) if read_case else [],
        "classes": sorted({name for contender in result["contenders"] for name in contender["by_class"]}),
    }
    write_text(output / PAGE_NAME, template("comparison.html").render(**content))
    return output / PAGE_NAME


def _differences(pairs: Sequence[Mapping[str, Any]], patients: int) -> Markup:
    """A dot for each patient: the difference of its Dice."""
    shown = [pair for pair in pairs if pair["metric"] == "dice"][:MOST_PAIRS]
    largest = max((abs(value) for pair in shown for value in pair["by_patient"]), default=0) or 0.1
    strips = {
        f"{pair['first']} − {pair['second']}": (
            pair["by_patient"],
            ShownDifference(pair["difference"]["mean"], pair["difference"]["ci95"], patients),
        )
        for pair in shown
    }
    return Markup(charts.strips(strips, "difference of Dice", linear_axis(-largest, largest, "")))


def _pictures(
    disagreements: Sequence[Mapping[str, Any]], folders: Sequence[Path], read_case: CaseReader
) -> list[list[tuple[str, Picture]]]:
    """For each case one picture a contender; a case without all of them is left out."""
    rows = []
    for disagreement in disagreements:
        drawn = [
            (shown["name"], draw({**disagreement, **shown, "patient": ""}, folder / "predictions", read_case))
            for shown, folder in zip(disagreement["shown"], folders, strict=True)
        ]
        pictures = [(name, picture) for name, picture in drawn if picture]
        if len(pictures) == len(folders):
            rows.append(pictures)
    return rows
