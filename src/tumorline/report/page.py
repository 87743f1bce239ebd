"""Gathers what a run folder holds and renders the page. Missing optional parts leave their section out."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from tumorline.config import parse_config, read_toml
from tumorline.errors import UserError
from tumorline.escaping import for_markdown, one_line
from tumorline.evaluation.tables import ATTRIBUTE, read_records
from tumorline.files import write_text
from tumorline.metrics.headline import count_cases, count_false_lesions, count_false_positives
from tumorline.report import certainty, charts
from tumorline.report.cases import CaseReader, Picture, Row, choose, draw
from tumorline.results import (
    Figure,
    GroupSummary,
    RegionSummary,
    ResultWarning,
    Robustness,
    SizeGroup,
    WarningCode,
    read_summary,
)
from tumorline.run_folder import ENVIRONMENT_NAME, REPORT_NAME, read_environment, read_history, read_split

COSTLY = 0.05
"""A change that costs more Dice than this at every strength is named."""
MARKS = {
    WarningCode.SIMULATED: "simulated data",
    WarningCode.LEAKING: "leaking split",
    WarningCode.TRAINING_CASES: "training cases included",
    WarningCode.PATIENTS_UNKNOWN: "patients unknown",
    WarningCode.OTHER_SEQUENCE: "another sequence",
    WarningCode.OTHER_MEANING: "another meaning of the mask",
    WarningCode.BASELINE_NOT_BEATEN: "does not beat a trivial baseline",
    WarningCode.ONE_PATIENT: "one patient",
    WarningCode.FEW_VALIDATION_PATIENTS: "few validation patients",
    WarningCode.TEMPERATURE_AT_LIMIT: "temperature at its limit",
    WarningCode.THRESHOLD_AT_LIMIT: "threshold at its limit",
}


def write_report(run: Path, read_case: CaseReader | None = None) -> Path:
    """Write `report.html` of an evaluated run folder and return its path.

    `read_case` gives image and truth of a case; without it, or where it fails, the page says that the pictures are
    missing. Raises UserError where the folder holds no evaluation.
    """
    if not (run / "summary.json").is_file():
        raise UserError(f"{run}: not evaluated yet (no summary.json); finish it with: tumorline train --resume {run}")
    page = template("template.html").render(**_page_content(run, read_case))
    write_text(run / REPORT_NAME, page)
    return run / REPORT_NAME


def template(name: str) -> Any:
    """A page of this package, with its filters."""
    environment = Environment(
        loader=PackageLoader("tumorline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=harmless(for_markdown if name.endswith(".md") else one_line),
    )
    environment.filters |= {"number": _shown_number, "signed": _signed, "percent": _percent, "words": _words}
    return environment.get_template(name)


def harmless(escape: Callable[[str], str]) -> Callable[[Any], Any]:
    """What a template is to do with each value before it is written: texts are escaped, our own markup is not."""
    return lambda value: escape(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _page_content(run: Path, read_case: CaseReader | None) -> dict[str, Any]:
    summary = read_summary(run / "summary.json")
    rows = read_records(run)
    region, figures = next(iter(summary.regions.items()))
    headline = [row for row in rows if row["status"] in summary.headline_status and row["region"] == region]
    point, calibration = summary.operating_points.get(region), summary.calibration.get(region)
    return {
        "title": run.resolve().name,
        "summary": summary,
        "region": region,
        "figures": figures,
        "validation": (summary.validation or {}).get(region),
        "marks": _marks(summary.warnings, figures),
        "counted": count_cases(summary),
        "false_lesions": count_false_lesions(figures),
        "false_positives": count_false_positives(figures),
        "below_background": _below_background(figures),
        "headline_bar": _headline_bar(figures.dice),
        "curves": _curves(read_history(run)),
        "pictures": _pictures(run, headline, read_case),
        **_figure_charts(headline, figures),
        "folds": summary.folds,
        "baselines": {name: scored[region] for name, scored in summary.baselines.items()},
        "over_segmentation": certainty.over_segmentation(figures, point, calibration),
        "calibration": certainty.calibration(calibration, point),
        "confidence": certainty.confidence(calibration),
        "stress": _stress(summary.robustness.get(region)),
        "parts": _parts(read_split(run)),
        "configuration": escape(_text(run / "config.toml")),
        "environment": _environment(run),
    }


def _marks(warnings: Sequence[ResultWarning], figures: RegionSummary) -> list[str]:
    """The badges: what a reader has to know before the first figure."""
    codes = {warning.code for warning in warnings}
    marks = [mark for code, mark in MARKS.items() if code in codes]
    if _below_background(figures):
        marks.append("accuracy below predicting nothing")
    return marks


def _below_background(figures: RegionSummary) -> bool:
    return (figures.accuracy.mean or 0) < (figures.accuracy_background.mean or 0)


def _headline_bar(dice: Figure) -> Markup:
    return Markup(charts.interval_bar(dice.mean, dice.ci95) if dice.mean is not None else "")


def _curves(rows: Sequence[Row]) -> dict[str, Any] | None:
    if not rows:
        return None
    losses = {"training": _column(rows, "train_loss"), "validation": _column(rows, "validation_loss")}
    dice = _column(rows, "validation_dice")
    best = max((epoch for epoch, row in enumerate(rows, 1) if row.get("best") == "1"), default=None)
    rate = {"learning rate × 1000": [1000 * value for value in _column(rows, "learning_rate")]}
    return {
        "loss": Markup(charts.curves(losses, "loss", best)),
        "dice": Markup(charts.curves({"validation Dice by patient": dice}, "Dice", best)),
        "rate": Markup(charts.curves(rate, "rate", height=150)),
        "best": best,
        "best_dice": dice[best - 1] if best else None,
        "epochs": len(rows),
        "minutes": float(np.nansum(_column(rows, "seconds"))) / 60,
        "images_per_second": _column(rows, "images_per_second")[-1],
    }


def _column(rows: Sequence[Row], name: str) -> list[float]:
    """A column of numbers; NaN where a cell is empty or the column is not there."""
    return [float(row.get(name) or "nan") for row in rows]


def _pictures(run: Path, rows: Sequence[Row], read_case: CaseReader | None) -> dict[str, list[Picture]]:
    if read_case is None:
        return {}
    drawn = {
        name: [picture for row in members if (picture := draw(row, run / "predictions", read_case))]
        for name, members in choose(rows).items()
    }
    return {name: pictures for name, pictures in drawn.items() if pictures}


def _figure_charts(rows: Sequence[Row], figures: RegionSummary) -> dict[str, Any]:
    """Dice by class, by attribute and by size, areas, and the distribution of Dice."""
    scored = [row for row in rows if row["dice"]]
    classes: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        classes[row["class_name"] or "not stated"].append(row)
    areas = {
        name: [(float(row["truth_px"]), float(row["predicted_px"])) for row in members]
        for name, members in sorted(classes.items())
    }
    by_class = {name: (_dice(classes[name]), group.dice) for name, group in figures.by_class.items()}
    by_attribute = {
        name.replace("_", " "): Markup(charts.strips(strips, "Dice"))
        for name, groups in figures.by_attribute.items()
        if (strips := _attribute_strips(scored, name, groups))
    }
    by_size = _size_strips(scored, figures.by_size)
    return {
        "by_class": Markup(charts.strips(by_class, "Dice") if by_class else ""),
        "by_attribute": by_attribute,
        "by_size": Markup(charts.strips(by_size, "Dice") if by_size else ""),
        "areas": Markup(charts.scatter(areas, "true area in px", "predicted area in px") if rows else ""),
        "distribution": Markup(charts.histogram(_dice(scored), "Dice") if scored else ""),
    }


def _stress(stress: Robustness | None) -> dict[str, Any] | None:
    """A chart for each change, and the changes whose mildest strength costs more than `COSTLY`."""
    if not stress or stress.unchanged.dice.mean is None:
        return None
    unchanged = stress.unchanged.dice
    panels, fragile = [], []
    for name, change in stress.changes.items():
        levels = {f"{level.strength:g}": level.dice for level in change.levels}
        title = name.replace("_", " ").replace("jpeg", "JPEG")
        chart = Markup(charts.levels({"as it is": unchanged, **levels}, "Dice"))
        panels.append({"title": title, "unit": change.unit, "chart": chart})
        if stress.unchanged.dice.mean - max(figure.mean or 0.0 for figure in levels.values()) > COSTLY:
            fragile.append(title)
    return {"panels": panels, "fragile": fragile, "costly": COSTLY}


def _dice(rows: Sequence[Row]) -> list[float]:
    return [float(row["dice"]) for row in rows if row["dice"]]


def _attribute_strips(scored: Sequence[Row], name: str, groups: Mapping[str, GroupSummary]) -> dict[str, charts.Strip]:
    values: dict[str, list[float]] = defaultdict(list)
    for row in scored:
        values[row[ATTRIBUTE + name] or "not stated"].append(float(row["dice"]))
    return {value: (values[value], group.dice) for value, group in groups.items() if values[value]}


def _size_strips(scored: Sequence[Row], groups: Mapping[str, SizeGroup]) -> dict[str, charts.Strip]:
    """The slices of each third by true area, in the order in which the summary cut them."""
    ranked = iter(sorted(scored, key=lambda row: (int(row["truth_px"]), row["case"])))
    strips: dict[str, charts.Strip] = {}
    for name, group in groups.items():
        low, high = group.limits_px
        strips[f"{name}, {low}–{high} px"] = (_dice(list(islice(ranked, group.cases))), group.dice)
    return strips


def _parts(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Patients and cases of each part and class."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["part"], row["class_name"]].append(row)
    order = {"train": 0, "validation": 1, "test": 2, "excluded": 3}
    return [
        {
            "part": part,
            "class_name": class_name or "not stated",
            "patients": len({row["patient"] or row["case"] for row in members}),
            "cases": len(members),
        }
        for (part, class_name), members in sorted(groups.items(), key=lambda item: (order.get(item[0][0], 4), item[0]))
    ]


def _text(path: Path) -> str:
    """The configuration without its paths, which are this machine's."""
    if not path.is_file():
        return ""
    config = read_toml(path)
    parse_config(config, str(path))
    for key in ("source", "cache"):
        config.get("data", {}).pop(key, None)
    return tomli_w.dumps(config)


def _environment(run: Path) -> dict[str, str]:
    if not (run / ENVIRONMENT_NAME).exists():
        return {}
    flat: dict[str, str] = {}
    for key, value in read_environment(run).items():
        nested = value if isinstance(value, dict) else {key: value}
        flat |= {name.replace("_", " "): str(text) for name, text in nested.items()}
    return flat


def _shown_number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _words(name: str) -> str:
    """The name of a region, to be read."""
    return name.replace("_", " ")


def _signed(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:+.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"
