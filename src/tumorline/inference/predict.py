"""From pictures and scans to masks in their own geometry, without torch."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tumorline.errors import UserError, WriteError
from tumorline.file_names import PREDICTED_NAME, PREDICTED_TABLE_NAME
from tumorline.files import JsonObject, fit_file_name, write_csv, write_json
from tumorline.inference.jobs import PredictionJob
from tumorline.inference.one import identify
from tumorline.inference.predictor import CaseRow, Predictor, segmentation_beside
from tumorline.output.folder import OutputFolder
from tumorline.progress import Progress
from tumorline.work_ahead import map_ahead

SCHEMA_VERSION = 1
FILES = ("mask", "overlay", "segmentation")
"""Columns that name what was written of a case."""
Rows = Callable[[Sequence[PredictionJob], Predictor, OutputFolder], Iterator[CaseRow]]
"""Gives the row of each case, in their order, with its files written and noted."""


def predict(
    jobs: Sequence[PredictionJob],
    predictor: Predictor,
    folder: OutputFolder,
    progress: Progress | None = None,
    rows_of: Rows | None = None,
) -> list[CaseRow]:
    """Predict pictures and volumes; one row per case, with `error` set where one failed.

    Writes `<stem>_mask.png` (0/255), of a volume `<stem>_mask.nii.gz` (0/1), of several regions the labels of
    `label_map.region_labels`; `<stem>_overlay.png`, `predictions.json` and `predictions.csv` below the folder, keeping
    relative folders. What an earlier try has finished there is not done again; what failed is tried again, by the same
    command. `rows_of` does the work, one after the other where it is None. Raises WriteError where nothing more can be
    written; the tables of what was done until then are written where there is room.
    """
    rows: list[CaseRow] = []
    try:
        for row in (rows_of or rows_by(0))(jobs, predictor, folder):
            rows.append(row)
            if progress:
                progress(len(rows), len(jobs))
    except WriteError:
        with suppress(WriteError):
            _write_tables(rows, predictor, folder)
        raise
    _write_tables(rows, predictor, folder)
    folder.lacks_cases = any(row["error"] for row in rows)
    return rows


def rows_by(workers: int) -> Rows:
    """By so many threads, each of which reads, asks and writes a case."""

    def rows(jobs: Sequence[PredictionJob], predictor: Predictor, folder: OutputFolder) -> Iterator[CaseRow]:
        def row_of(job: PredictionJob) -> CaseRow:
            return recalled(job, predictor, folder) or keep_row(job, predict_case(job, predictor, folder.path), folder)

        return map_ahead(row_of, jobs, workers)

    return rows


def _write_tables(rows: Sequence[CaseRow], predictor: Predictor, folder: OutputFolder) -> None:
    """Earlier results that were to be overwritten stay where there is nothing to take their place."""
    if folder.replaces and all(row["error"] for row in rows):
        return
    about = {"schema_version": SCHEMA_VERSION, **describe_predictor(predictor)}
    write_json(folder.path / PREDICTED_NAME, {**about, "predictions": rows})
    write_csv(folder.path / PREDICTED_TABLE_NAME, predictor.columns, rows)


def describe_predictor(predictor: Predictor) -> JsonObject:
    """What holds for all cases: the model, its thresholds and test-time augmentation, and what the labels mean."""
    model = predictor.model
    by_region = dict(zip(model.info.regions, model.info.thresholds, strict=True))
    how = {"tta": model.tta, "precision": model.precision, "runtime": model.runtime_name}
    if len(by_region) == 1:
        return {**identify(model), "threshold": model.info.thresholds[0], **how}
    return {**identify(model), "threshold": by_region, **how, "labels": predictor.labels}


def recalled(job: PredictionJob, predictor: Predictor, folder: OutputFolder) -> CaseRow | None:
    """The row that an earlier try has kept, as long as all of its files are there."""
    row = folder.recall(job.target.as_posix())
    if not isinstance(row, dict) or set(row) != set(predictor.columns):
        return None
    mask, overlay = _mask_and_overlay(job, folder.path, predictor.overlays)
    files = _as_text(mask, overlay, segmentation_beside(mask) if row.get("segmentation") else None)
    return {**row, **files} if all(Path(file).is_file() for file in files.values()) else None


def _mask_and_overlay(job: PredictionJob, output: Path, overlays: bool) -> tuple[Path, Path | None]:
    suffixes = ("_mask.nii.gz" if job.is_volume else "_mask.png", "_overlay.png")
    mask, overlay = (output / job.target.with_name(fit_file_name(job.target.name, suffix)) for suffix in suffixes)
    return mask, overlay if overlays else None


def _as_text(*paths: Path | None) -> dict[str, str]:
    return {name: str(path) for name, path in zip(FILES, paths, strict=False) if path}


def predict_case(job: PredictionJob, predictor: Predictor, output: Path) -> CaseRow:
    """The row of a case whose files are written below `output`. Raises WriteError where nothing can be written."""
    paths = _mask_and_overlay(job, output, predictor.overlays)
    try:
        if job.problem:
            raise UserError(job.problem)
        return _row(job, predictor, {**predictor.predict_case(job, *paths), **_as_text(*paths)})
    except WriteError as error:
        if not error.only_this:
            raise
        return failed_row(job, predictor, str(error))
    except UserError as error:
        return failed_row(job, predictor, str(error))


def failed_row(job: PredictionJob, predictor: Predictor, why: str) -> CaseRow:
    return _row(job, predictor, {"error": why})


def _row(job: PredictionJob, predictor: Predictor, figures: CaseRow) -> CaseRow:
    return {column: figures.get(column) for column in predictor.columns} | {"input": str(job.path)}


def keep_row(job: PredictionJob, row: CaseRow, folder: OutputFolder) -> CaseRow:
    """The row, noted as done where it is."""
    if not row["error"]:
        folder.keep(job.target.as_posix(), row)
    return row
