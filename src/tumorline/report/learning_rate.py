"""The page of a learning-rate range test."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tumorline.file_names import LEARNING_RATE_PAGE_NAME, LEARNING_RATE_TABLE_NAME
from tumorline.files import write_csv, write_text
from tumorline.report import charts
from tumorline.report.templates import template

COLUMNS = ("step", "learning_rate", "loss", "smoothed")


def write_learning_rate(found: Mapping[str, Any], output: Path) -> Path:
    """Write `learning_rate.csv` and `learning_rate.html` from the fields of a range test."""
    columns = zip(found["rates"], found["losses"], found["smoothed"], strict=True)
    rows = [dict(zip(COLUMNS, (step, *values), strict=True)) for step, values in enumerate(columns, 1)]
    write_csv(output / LEARNING_RATE_TABLE_NAME, COLUMNS, rows)
    write_text(output / LEARNING_RATE_PAGE_NAME, template("learning_rate.html").render(**found, curve=_curve(found)))
    return output / LEARNING_RATE_PAGE_NAME


def _curve(found: Mapping[str, Any]) -> Markup:
    """Loss by rate; losses above the smoothed curve's highest point lie on the upper edge."""
    rates, smoothed = found["rates"], found["smoothed"]
    loss_axis = charts.linear_axis(min(found["losses"]), max(smoothed), "loss")
    axes = charts.logarithmic_axis(rates[0], rates[-1], "learning rate"), loss_axis
    batches = [(rate, min(loss, loss_axis.high)) for rate, loss in zip(rates, found["losses"], strict=True)]
    series = {"smoothed": list(zip(rates, smoothed, strict=True)), "of each batch": batches}
    suggestion = found["suggestion"]
    return Markup(charts.lines(series, axes, (suggestion, f"suggested {suggestion:.2g}") if suggestion else None))
