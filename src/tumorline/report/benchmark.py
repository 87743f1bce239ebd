"""The leaderboard of a benchmark: a page, the same as Markdown, and accuracy against speed as a picture."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tumorline.files import write_text
from tumorline.report import charts
from tumorline.report.page import template

PAGE_NAME, MARKDOWN_NAME, PICTURE_NAME = "leaderboard.html", "leaderboard.md", "pareto.svg"


def write_leaderboard(result: Mapping[str, Any], output: Path) -> Path:
    """Write `leaderboard.html`, `leaderboard.md` and, where an arm is finished, `pareto.svg`; returns the page."""
    picture = _pareto(result)
    content = {**result, "pareto": Markup(picture), "findings": findings(result)}
    write_text(output / PAGE_NAME, template("benchmark.html").render(**content))
    write_text(output / MARKDOWN_NAME, re.sub(r"\n{3,}", "\n\n", template("benchmark.md").render(**content)))
    if picture:
        write_text(output / PICTURE_NAME, charts.standalone(picture, _style()))
    return output / PAGE_NAME


def findings(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each difference of Dice; with a reference also for those of other metrics that are no noise."""
    units = {"hd95": 1, "hd95_detected": 1, "signed_offset": 2, "volume_ratio": 2}
    names = {"dice": "Dice", "nsd": "NSD", "hd95": "HD95", "hd95_detected": "HD95 detected"}
    names |= {"signed_offset": "boundary offset", "volume_ratio": "area ratio"}
    said = []
    for group in result["groups"]:
        for pair in group["pairs"]:
            if pair["metric"] != "dice" and (pair["noise"] or not result["reference"]):
                continue
            digits, difference = units.get(pair["metric"], 3), pair["difference"]
            limits = difference["ci95"] or difference["range"]
            verdict = "within noise" if pair["noise"] else f"{pair['better']} is better"
            said.append(
                f"{pair['first']} minus {pair['second']}: {names[pair['metric']]} {difference['mean']:+.{digits}f} "
                f"({limits[0]:+.{digits}f} to {limits[1]:+.{digits}f}), p = {pair['p_corrected']:.2g}: {verdict}"
            )
    return said


def _pareto(result: Mapping[str, Any]) -> str:
    """Dice against images a second; empty without a finished arm."""
    points = {
        group["initialisation"]: {
            row["name"]: (row["inference_images_per_second"], row["dice"]["mean"]) for row in group["rows"]
        }
        for group in result["groups"]
    }
    return charts.pareto(points, "images a second, inference", "Dice by patient") if points else ""


def _style() -> str:
    return re.sub(
        r"@media print.*", "", (Path(__file__).with_name("style.css")).read_text(encoding="utf-8"), flags=re.S
    )
