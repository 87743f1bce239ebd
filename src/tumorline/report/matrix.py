"""The page of models by sets."""

from collections.abc import Mapping
from pathlib import Path

from markupsafe import Markup

from tumorline.data.sample import SampleReader
from tumorline.escaping import one_line
from tumorline.evaluation.tables import read_rows
from tumorline.file_names import EVALUATION_NAME, MATRIX_PAGE_NAME, PREDICTIONS_NAME
from tumorline.files import write_text
from tumorline.report import charts
from tumorline.report.browsing import picture_content
from tumorline.report.compared_cases import entries_of, key_of, model_notes, table_of_models
from tumorline.report.content import BrowserContent
from tumorline.report.templates import template
from tumorline.report.viewed import Predicted, ViewedSource, Wanted, gather_pictures
from tumorline.results.compared import Matrix


def write_page(result: Matrix, output: Path, readers: Mapping[tuple[str, str], SampleReader] | None = None) -> Path:
    """Write `matrix.html`, which links to the report of each cell beside it.

    `readers` give the images of each model and set; without them the table of cases has no pictures.
    """
    content = {
        **dict(result),
        "several": result.several_regions,
        "volumes": any(cell.figures and cell.figures.truth_ml for cell in result.cells),
        "cell": {(cell.model, cell.set): cell for cell in result.cells},
        "strips": strip_charts(result),
        "warnings": result.warned,
        "browsed": _browsed(result, output, readers or {}),
    }
    write_text(output / MATRIX_PAGE_NAME, template("matrix.html", browses=True).render(**content))
    return output / MATRIX_PAGE_NAME


def _browsed(result: Matrix, output: Path, readers: Mapping[tuple[str, str], SampleReader]) -> BrowserContent | None:
    """All cases of all sets with what each model reaches, and their pictures; None where none was scored."""
    cells = {cell.group: cell for cell in result.cells if (output / cell.folder / EVALUATION_NAME).exists()}
    entries = entries_of({group: read_rows(output / cell.folder) for group, cell in cells.items()})
    regions = list(dict.fromkeys(cell.region for cell in result.cells if cell.region))
    sources = {name: _viewed_source(name, result, output, readers) for name in result.sets}
    several = len({source for source, _ in entries}) > 1
    wanted = [
        Wanted(entry[1], source, model_notes(scored), one_line(key_of(entry, several)))
        if (source := sources[entry[0]])
        else None
        for entry, scored in entries.items()
    ]
    files = gather_pictures(output / MATRIX_PAGE_NAME, wanted)
    return picture_content(table_of_models(entries, list(result.models), regions), files) if entries else None


def _viewed_source(
    name: str, result: Matrix, output: Path, readers: Mapping[tuple[str, str], SampleReader]
) -> ViewedSource | None:
    """The images of a set as the first model reads it, in the regions of all models, else of the first."""
    regions: dict[str, list[str]] = {}
    for cell in result.cells:
        if cell.set == name and not cell.error and cell.group in readers:
            regions.setdefault(cell.model, []).append(cell.region)
    if not regions:
        return None
    first, first_regions = next(iter(regions.items()))
    shared = [region for region in first_regions if all(region in model_regions for model_regions in regions.values())]
    folders = {cell.model: output / cell.folder / PREDICTIONS_NAME for cell in result.cells if cell.set == name}
    predicted = [
        Predicted(one_line(model), folders[model], predicted_regions) for model, predicted_regions in regions.items()
    ]
    return ViewedSource(readers[first, name], first_regions, shared or first_regions, predicted)


def strip_charts(result: Matrix) -> dict[str, Markup]:
    """A chart for each model."""
    return {name: _strips(result, name) for name in result.models}


def _strips(result: Matrix, model: str) -> Markup:
    """The Dice of every patient, by set; of every case in files from before it was kept by patient."""
    shown = {
        cell.set + (f", {cell.region}" if result.several_regions else ""): (dice, cell.figures.dice)
        for cell in result.cells
        if cell.model == model and cell.figures and (dice := cell.dice_of_patients or cell.dice_of_cases)
    }
    return Markup(charts.strips(shown, "Dice") if shown else "")
