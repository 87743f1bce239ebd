"""The page of a learning-rate range test."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from markupsafe import Markup

from tumorline.file_names import LEARNING_RATE_PAGE_NAME, LEARNING_RATE_TABLE_NAME
from tumorline.files import write_csv, write_text
from tumorline.report import charts
from tumorline.report.templates import template

COLUMNS = ("step", "learning_rate", "loss", "smoothed")


class ShownRangeTest(TypedDict):
    """What the page shows; the three lists have a value for each step."""

    name: str
    """Of the run."""
    rule: str
    """By which a rate is suggested."""
    rates: Sequence[float]
    losses: Sequence[float]
    smoothed: Sequence[float]
    suggestion: float | None
    diverged: bool


def write_learning_rate(test: ShownRangeTest, output: Path) -> Path:
    """Write `learning_rate.csv` and `learning_rate.html`."""
    columns = zip(test["rates"], test["losses"], test["smoothed"], strict=True)
    rows = [dict(zip(COLUMNS, (step, *values), strict=True)) for step, values in enumerate(columns, 1)]
    write_csv(output / LEARNING_RATE_TABLE_NAME, COLUMNS, rows)
    write_text(output / LEARNING_RATE_PAGE_NAME, template("learning_rate.html").render(**test, curve=_curve(test)))
    return output / LEARNING_RATE_PAGE_NAME


def _curve(test: ShownRangeTest) -> Markup:
    """Loss by rate; losses above the smoothed curve's highest point lie on the upper edge."""
    rates, smoothed = test["rates"], test["smoothed"]
    loss_axis = charts.linear_axis(min(test["losses"]), max(smoothed), "loss")
    axes = charts.logarithmic_axis(rates[0], rates[-1], "learning rate"), loss_axis
    batches = [(rate, min(loss, loss_axis.high)) for rate, loss in zip(rates, test["losses"], strict=True)]
    series = {"smoothed": list(zip(rates, smoothed, strict=True)), "of each batch": batches}
    suggestion = test["suggestion"]
    return Markup(charts.lines(series, axes, (suggestion, f"suggested {suggestion:.2g}") if suggestion else None))
