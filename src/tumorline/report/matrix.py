"""The page of models by sets."""

from pathlib import Path

from markupsafe import Markup

from tumorline.compared_results import Matrix
from tumorline.files import write_text
from tumorline.report import charts
from tumorline.report.page import template

PAGE_NAME = "matrix.html"


def write_page(result: Matrix, output: Path) -> Path:
    """Write `matrix.html`, which links to the report of each cell beside it."""
    content = {
        **dict(result),
        "several": result.several_regions,
        "volumes": any(cell.figures and cell.figures.truth_ml for cell in result.cells),
        "cell": {(cell.model, cell.set): cell for cell in result.cells},
        "strips": strip_charts(result),
        "warnings": _warnings(result),
    }
    write_text(output / PAGE_NAME, template("matrix.html").render(**content))
    return output / PAGE_NAME


def strip_charts(result: Matrix) -> dict[str, Markup]:
    """A chart for each model."""
    return {name: _strips(result, name) for name in result.models}


def _strips(result: Matrix, model: str) -> Markup:
    """The Dice of every tumour slice, by set."""
    shown = {
        cell.set + (f", {cell.region}" if result.several_regions else ""): (cell.dice_of_cases, cell.figures.dice)
        for cell in result.cells
        if cell.model == model and cell.figures and cell.dice_of_cases
    }
    return Markup(charts.strips(shown, "Dice") if shown else "")


def _warnings(result: Matrix) -> list[str]:
    """Each once, with the cells that it holds for."""
    cells: dict[str, list[str]] = {}
    for cell in {cell.group: cell for cell in result.cells}.values():
        for warning in cell.warnings:
            cells.setdefault(warning.text, []).append(f"{cell.model} on {cell.set}")
    return [f"{', '.join(where)}: {warning}" for warning, where in cells.items()]
