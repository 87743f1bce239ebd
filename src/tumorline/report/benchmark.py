"""The leaderboard of a benchmark: a page, the same as Markdown, and accuracy against speed as a picture."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tumorline.files import write_text
from tumorline.report import charts
from tumorline.report.comparison import NAMES
from tumorline.report.page import template

DIGITS = {"hd95": 1, "hd95_detected": 1, "signed_offset": 2, "volume_ratio": 2}
PAGE_NAME, MARKDOWN_NAME, PICTURE_NAME = "leaderboard.html", "leaderboard.md", "pareto.svg"


def write_leaderboard(result: Mapping[str, Any], output: Path) -> Path:
    """Write `leaderboard.html`, `leaderboard.md` and, of several networks, `pareto.svg`; returns the page."""
    picture = _pareto(result)
    content = {**result, "pareto": Markup(picture), "findings": findings(result), "differences": differences(result)}
    write_text(output / PAGE_NAME, template("benchmark.html").render(**content))
    write_text(output / MARKDOWN_NAME, re.sub(r"\n{3,}", "\n\n", template("benchmark.md").render(**content)))
    if picture:
        write_text(output / PICTURE_NAME, charts.standalone(picture, _style()))
    return output / PAGE_NAME


def findings(result: Mapping[str, Any]) -> list[str]:
    """A sentence for each difference of Dice."""
    said = []
    for pair in (pair for group in result["groups"] for pair in group["pairs"] if pair["metric"] == "dice"):
        verdict = "within noise" if pair["noise"] else f"{pair['better']} is better"
        said.append(f"{pair['first']} minus {pair['second']}: Dice {_difference(pair)}: {verdict}")
    return said


def differences(result: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Arm -> metric -> difference from the reference, its interval and p; empty without a reference.

    All arms have the same metrics: a dash stands where a difference is undefined.
    """
    pairs = [pair for group in result["groups"] for pair in group["pairs"] if pair["second"] == result["reference"]]
    known = {(pair["first"], pair["metric"]): _difference(pair) for pair in pairs}
    metrics = {pair["metric"]: NAMES[pair["metric"]] for pair in pairs}
    arms = dict.fromkeys(pair["first"] for pair in pairs)
    return {arm: {name: known.get((arm, metric), "–") for metric, name in metrics.items()} for arm in arms}


def _difference(pair: Mapping[str, Any]) -> str:
    digits, values = DIGITS.get(pair["metric"], 3), pair["difference"]
    low, high = values["ci95"] or values["range"]
    limits = f"{low:+.{digits}f} to {high:+.{digits}f}"
    return f"{values['mean']:+.{digits}f} ({limits}), p = {pair['p_corrected']:.2g}"


def _pareto(result: Mapping[str, Any]) -> str:
    """Dice against images a second; empty where all arms are one network, or none is finished."""
    if len({row["multiply_adds"] for group in result["groups"] for row in group["rows"]}) < 2:
        return ""
    points = {
        group["initialisation"]: {
            row["name"]: (row["inference_images_per_second"], row["dice"]["mean"]) for row in group["rows"]
        }
        for group in result["groups"]
    }
    return charts.pareto(points, "images a second, inference", "Dice by patient")


def _style() -> str:
    return re.sub(
        r"@media print.*", "", (Path(__file__).with_name("style.css")).read_text(encoding="utf-8"), flags=re.S
    )
