"""Models by sets as one matrix: how much of a figure is left on data from elsewhere, and what is different there."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tumorline.assessment import known_reader
from tumorline.audit import describe
from tumorline.config import load_config
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.evaluation.presence import ALL
from tumorline.evaluation.status import case_status
from tumorline.evaluation.tables import read_rows
from tumorline.file_names import MATRIX_NAME, MATRIX_TABLE_NAME
from tumorline.files import fit_file_name, write_csv, write_json
from tumorline.metrics.figure import UNDEFINED
from tumorline.metrics.headline import count_false_lesions
from tumorline.metrics.summary import Row, of_region
from tumorline.model_info import ModelInfo
from tumorline.report.matrix import write_page
from tumorline.report.region import dice_of_patients
from tumorline.results import Metrics, Summary
from tumorline.results.compared import Matrix, MatrixCell, MatrixModel
from tumorline.source_spec import SetSpec

SCHEMA_VERSION = 1
NOT_IN_FILE_NAMES = frozenset("/\\\0")
VOLUME_COLUMNS = ("truth_ml", "predicted_ml", "volume_error_ml", "volume_error_absolute_ml", "predicted_ml_tumour_free")
"""Means by patient, of volumes."""
PRESENCE_COLUMNS = {
    "images_free": "free",
    "images_free_drawn": "false_positives",
    "images_other": "other",
    "images_other_drawn": "other_drawn",
    "images_tumour": "tumour",
    "images_found": "found",
}
"""Pictures and slices of volumes: without any label, with other labels only, with a tumour."""
COLUMNS = (
    "model",
    "set",
    "domain",
    "region",
    "cases",
    "patients",
    "dice",
    "dice_low",
    "dice_high",
    "dice_over_cases",
    "nsd",
    "hd95_detected",
    "unit",
    "tumour_cases",
    "missed",
    "false_lesions",
    "volume_ratio",
    "volume_ratio_median",
    "tumour_free_cases",
    "false_positive_rate",
    "false_positive_by_patient",
    "false_positive_low",
    "false_positive_high",
    *VOLUME_COLUMNS,
    *PRESENCE_COLUMNS,
    "error",
)
Evaluate = Callable[[str, Dataset, Path], Summary]
"""Model, set and folder to the summary of `tumorline.evaluate`."""


def checked(specs: Sequence[SetSpec]) -> list[SetSpec]:
    """The same.

    Raises UserError where two have one name, one that no file can have, where a setting has no such value, and where a
    path is not there.
    """
    names = [spec.name for spec in specs]
    if unfit := [name for name in names if not name or name.startswith(".") or NOT_IN_FILE_NAMES & {*name}]:
        raise UserError(f"a set is called '{unfit[0]}', as no folder of results can be; give a name without / and \\")
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"two sets are called '{twice[0]}'; give one another name: --data PATH,name=OTHER")
    for spec in specs:
        load_config(None, spec.settings)
        if not spec.path.exists():
            raise UserError(f"{spec.path}: no such file or folder")
    return list(specs)


def measure_matrix(
    models: Mapping[str, ModelInfo], sets: Mapping[tuple[str, str], Dataset], output: Path, evaluate: Evaluate
) -> Matrix:
    """Evaluate every model on every set into `output/<model>--<set>`; writes the matrix as JSON, CSV and a page.

    `sets` are by model and name, since a model reads the sequence that it was trained on. A cell that cannot be
    evaluated holds the reason as `error`, and the others go on.
    """
    cells = [
        cell
        for (model, name), dataset in sets.items()
        for cell in _cells(
            (model, name), models[model], dataset, output / fit_file_name(f"{model}--{name}", ""), evaluate
        )
    ]
    result = Matrix(
        schema_version=SCHEMA_VERSION,
        models={name: MatrixModel(data=info.data.stated(), threshold=info.threshold) for name, info in models.items()},
        sets={name: _describe_set(dataset) for name, dataset in _first_of_each(sets).items()},
        cells=cells,
        sentences=[sentence for cell in cells if (sentence := _sentence(cell, cells))],
    )
    write_json(output / MATRIX_NAME, result.to_json())
    write_csv(output / MATRIX_TABLE_NAME, COLUMNS, [_matrix_row(cell) for cell in cells])
    write_page(result, output, {names: known_reader(dataset, None) for names, dataset in sets.items()})
    return result


def _first_of_each(sets: Mapping[tuple[str, str], Dataset]) -> dict[str, Dataset]:
    """Each set as the first model reads it."""
    datasets: dict[str, Dataset] = {}
    for (_, name), dataset in sets.items():
        datasets.setdefault(name, dataset)
    return datasets


def _cells(
    names: tuple[str, str], info: ModelInfo, dataset: Dataset, folder: Path, evaluate: Evaluate
) -> list[MatrixCell]:
    """One for each region, or one that says why there is none."""
    model, name = names
    cell = MatrixCell(model=model, set=name, folder=folder.name, domain=_domain(info, dataset), error=None)
    try:
        summary = evaluate(model, dataset, folder)
    except UserError as error:
        return [cell.model_copy(update={"error": str(error)})]
    shared: dict[str, object] = {
        "cases": summary.cases,
        "patients": summary.patients,
        "warnings": summary.warnings,
        "orientation": _orientation(info, dataset),
    }
    rows = read_rows(folder)
    return [
        cell.model_copy(update=shared | _of_region(summary, region, of_region(rows, region)))
        for region in summary.regions
    ]


def _of_region(summary: Summary, region: str, rows: Sequence[Row]) -> dict[str, object]:
    """What the cell of a region says of it alone."""
    return {
        "region": region,
        "figures": summary.regions[region],
        "presence": summary.presence.get(region, {}).get(ALL),
        "dice_of_cases": [row.scores.dice for row in rows if row.scores.dice is not None],
        "dice_of_patients": list(dice_of_patients(rows).values()),
    }


def _orientation(info: ModelInfo, dataset: Dataset) -> str | None:
    """Which turn or mirroring would make the pictures lie as in training; None for models that keep no mean picture."""
    if not info.mean_images:
        return None
    return describe.orientation(map(describe.from_text, info.mean_images), describe.mean_picture(dataset.facts))


def _domain(info: ModelInfo, dataset: Dataset) -> str:
    """Whether the set is the one that the model was trained on: any of its cases is known from there."""
    return "in-domain" if {"train", "validation", "test"} & set(case_status(info, dataset).values()) else "external"


def _describe_set(dataset: Dataset) -> dict[str, object]:
    source = dataset.source
    return {
        "layout": source.layout,
        "known_as": source.known_as or None,
        "channel": source.channel or None,
        "label": source.label or None,
        "patients_unknown": source.patients_unknown,
        **describe.describe(dataset, [case.id for case in dataset.cases]),
    }


def _sentence(cell: MatrixCell, cells: Sequence[MatrixCell]) -> str | None:
    """How much of the model's in-domain Dice is left on an external set, and what else tells them apart."""
    if cell.figures is None or cell.domain == "in-domain":
        return None
    figures, phrases = cell.figures, []
    if (dice := figures.dice.mean) is not None:
        phrases.append(f"Dice {dice:.3f}{_against_home(dice, cell, cells)}")
    if figures.tumour_cases:
        phrases.append(f"{figures.missed} of {figures.tumour_cases} tumours missed")
    phrases.append(f"false lesions {count_false_lesions(figures)}")
    if (presence := cell.presence) and presence.free:
        phrases.append(f"a tumour drawn in {presence.false_positives} of {presence.free} slices without one")
    elif figures.tumour_free_cases:
        cases = "volumes" if figures.truth_ml else "slices"
        phrases.append(f"a tumour drawn in {figures.invented} of {figures.tumour_free_cases} {cases} without one")
    if cell.orientation not in (None, "identity"):
        turn = str(cell.orientation).replace("_", " and ")
        phrases.append(f"its pictures lie another way round than in training ({turn} would turn them)")
    where = f", {cell.region}" if any(one.region not in ("", cell.region) for one in cells) else ""
    return f"{cell.model} on {cell.set}{where}: {'; '.join(phrases)}."


def _against_home(dice: float, external: MatrixCell, cells: Sequence[MatrixCell]) -> str:
    for cell in cells:
        is_same = (cell.model, cell.region) == (external.model, external.region)
        if is_same and cell.domain == "in-domain" and cell.figures:
            at_home = cell.figures.dice.mean
            return "" if at_home is None else f" against {at_home:.3f} on {cell.set} ({dice - at_home:+.3f})"
    return ""


def _matrix_row(cell: MatrixCell) -> dict[str, object]:
    row: dict[str, object] = {
        "model": cell.model,
        "set": cell.set,
        "domain": cell.domain,
        "region": cell.region,
        "error": cell.error,
    }
    if cell.figures is None:
        return row
    counted = {"cases": cell.cases, "patients": cell.patients}
    images = {column: getattr(cell.presence, name) for column, name in PRESENCE_COLUMNS.items() if cell.presence}
    return row | counted | _matrix_figures(cell.figures) | images


def _matrix_figures(figures: Metrics) -> dict[str, object]:
    low, high = figures.dice.ci95 or (None, None)
    by_patient = figures.false_positive or UNDEFINED
    false_low, false_high = by_patient.ci95 or (None, None)
    return {
        "dice": figures.dice.mean,
        "dice_low": low,
        "dice_high": high,
        "dice_over_cases": figures.dice.mean_over_cases,
        "nsd": figures.nsd.mean,
        "hd95_detected": figures.hd95_detected.mean,
        "unit": figures.hd95.unit,
        "tumour_cases": figures.tumour_cases,
        "missed": figures.missed,
        "false_lesions": figures.lesions.invented if figures.lesions else None,
        "volume_ratio": figures.volume_ratio.mean,
        "volume_ratio_median": figures.volume_ratio.median,
        "tumour_free_cases": figures.tumour_free_cases,
        "false_positive_rate": figures.false_positive_rate,
        "false_positive_by_patient": by_patient.mean,
        "false_positive_low": false_low,
        "false_positive_high": false_high,
        **{name: figure.mean if (figure := getattr(figures, name)) else None for name in VOLUME_COLUMNS},
    }
