"""From a picture to a mask in the picture's own geometry, without torch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tumorline.arrays import MaskArray
from tumorline.data.case import read_image
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.selection import select_images
from tumorline.data.source import open_picture
from tumorline.errors import UserError, WriteError
from tumorline.files import fit_file_name, write_csv, write_json
from tumorline.formats.decode import PICTURE_SUFFIXES, without_suffix
from tumorline.formats.nifti import is_volume
from tumorline.inference.model import Model
from tumorline.inference.volumes import answer_volume, sequence_note
from tumorline.metrics.calibration import confidence
from tumorline.output_folder import OutputFolder
from tumorline.runtime import FloatArray
from tumorline.write.images import write_mask, write_overlay, write_three_planes
from tumorline.write.nifti import write_label_map

SCHEMA_VERSION = 1
KINDS = ("mask", "overlay")
COLUMNS = ("input", "mask", "overlay", "tumour_px", "tumour_share", "tumour_ml", "confidence", "note", "error")
BLANK_NOTE = "blank: the image shows nothing, so that the mask is empty"


@dataclass(frozen=True)
class PredictionJob:
    """One file to predict and the path, without suffix, under which its results go below the output folder."""

    path: Path
    target: Path
    problem: str = ""
    """Why it cannot be predicted; empty where it may be."""


def predict(
    jobs: Sequence[PredictionJob],
    model: Model,
    folder: OutputFolder,
    progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Predict pictures and volumes; one row per file, with `error` set where one failed.

    Writes `<stem>_mask.png` (0/255), of a volume `<stem>_mask.nii.gz` (0/1), `<stem>_overlay.png`, `predictions.json`
    and `predictions.csv` below the folder, keeping relative folders. What an earlier try has finished there is not done
    again. Raises WriteError where nothing more can be written; the tables of what was done until then are written where
    there is room.
    """
    rows: list[dict[str, Any]] = []
    try:
        for done, job in enumerate(jobs, start=1):
            rows.append(_recalled(job, folder) or _predict_file(job, model, folder))
            if progress:
                progress(done, len(jobs))
    except WriteError:
        with suppress(WriteError):
            _write_tables(rows, model, folder)
        raise
    _write_tables(rows, model, folder)
    return rows


def _write_tables(rows: Sequence[Mapping[str, Any]], model: Model, folder: OutputFolder) -> None:
    """Earlier results that were to be overwritten stay where there is nothing to take their place."""
    if folder.replaces and all(row["error"] for row in rows):
        return
    about = {"model": model.info.name, "threshold": model.info.thresholds[0], "tta": model.tta}
    write_json(folder.path / "predictions.json", {"schema_version": SCHEMA_VERSION, **about, "predictions": rows})
    write_csv(folder.path / "predictions.csv", COLUMNS, rows)


def _recalled(job: PredictionJob, folder: OutputFolder) -> dict[str, Any] | None:
    """The row that an earlier try has kept, as long as both of its files are there."""
    row = folder.recall(job.target.as_posix())
    if not isinstance(row, dict) or set(row) != set(COLUMNS):
        return None
    paths = _mask_and_overlay(job, folder.path)
    return {**row, **_as_text(paths)} if all(path.is_file() for path in paths) else None


def list_jobs(
    inputs: Iterable[Path], notify: Callable[[str], None] | None = None, channel: str = ""
) -> list[PredictionJob]:
    """The images to predict, without earlier results; `notify` hears what of a folder is left out, and why.

    Of a folder's volumes those of `channel` are predicted, and those whose names do not say what they are.

    Raises UserError where an input does not exist or holds no image, and where two would have the same results.
    """
    jobs: dict[Path, PredictionJob] = {}
    for job in (job for given in inputs for job in _jobs_of(given, notify, channel)):
        target = job.target
        if target in jobs:
            target = target.with_name(job.path.name.replace(".", "_"))
        if target in jobs:
            raise UserError(f"{job.path}: its results would overwrite those of {jobs[target].path}; predict them apart")
        jobs[target] = replace(job, target=target)
    return list(jobs.values())


def _jobs_of(given: Path, notify: Callable[[str], None] | None, channel: str) -> list[PredictionJob]:
    """The images of an input, and its folders that cannot be listed, each with the name of its results."""
    if given.is_file():
        return [PredictionJob(given, without_suffix(Path(given.name)))]
    if not given.is_dir():
        raise UserError(f"{given}: no such file or folder")
    selection = select_images(Contents(given), channel)
    images = selection.images
    if not images and not selection.problems:
        accepted = f"{', '.join(sorted(PICTURE_SUFFIXES))}, .mat, .nii, .nii.gz and DICOM without a suffix"
        seen = f" ({selection.remark})" if selection.remark else ""
        raise UserError(f"{given}: no image in this folder{seen}; accepted are {accepted}")
    if notify and selection.remark:
        notify(f"{given}: images only, {len(images)} of them; left out are {selection.remark}")
    locked = [PredictionJob(path, path.relative_to(given), problem) for path, problem in selection.problems.items()]
    return [*(PredictionJob(path, without_suffix(path.relative_to(given))) for path in images), *locked]


def _mask_and_overlay(job: PredictionJob, output: Path) -> tuple[Path, Path]:
    suffixes = ("_mask.nii.gz" if is_volume(job.path) else "_mask.png", "_overlay.png")
    mask, overlay = (output / job.target.with_name(fit_file_name(job.target.name, suffix)) for suffix in suffixes)
    return mask, overlay


def _as_text(paths: tuple[Path, Path]) -> dict[str, str]:
    return dict(zip(KINDS, map(str, paths), strict=True))


def _predict_file(job: PredictionJob, model: Model, folder: OutputFolder) -> dict[str, Any]:
    try:
        if job.problem:
            raise UserError(job.problem)
        predict_one = _predict_volume if is_volume(job.path) else _predict_picture
        figures = predict_one(job.path, model, *_mask_and_overlay(job, folder.path))
    except WriteError as error:
        if not error.only_this:
            raise
        return _failed(job, error)
    except UserError as error:
        return _failed(job, error)
    paths = _as_text(_mask_and_overlay(job, folder.path))
    found = {**dict.fromkeys(COLUMNS), **figures, "input": str(job.path), **paths}
    row = {column: found[column] for column in COLUMNS}
    folder.keep(job.target.as_posix(), row)
    return row


def _predict_picture(path: Path, model: Model, mask_path: Path, overlay_path: Path) -> dict[str, Any]:
    image = read_image(open_picture(path, model.channel))
    answer = model.answer(image, path)
    mask: MaskArray = model.masks(answer.probability)[0]
    write_mask(mask_path, mask)
    write_overlay(overlay_path, image[0], mask[None])
    return {**_figures_of(answer.probability[0], mask), "note": BLANK_NOTE if answer.blank else None}


def _predict_volume(path: Path, model: Model, mask_path: Path, overlay_path: Path) -> dict[str, Any]:
    answer = answer_volume(model, path)
    mask: MaskArray = model.masks(answer.probability, answer.grid)[0]
    write_label_map(mask_path, mask, answer.volume)
    right, front, up = answer.grid.spacing_mm or (1.0, 1.0, 1.0)
    write_three_planes(overlay_path, answer.image[0], mask[None], (up, front, right))
    notes = (BLANK_NOTE if answer.blank else "", sequence_note(path, model.channel))
    figures = {**_figures_of(answer.probability[0], mask), "tumour_ml": answer.tumour_ml(mask)}
    return {**figures, "note": "; ".join(filter(None, notes)) or None}


def _figures_of(probability: FloatArray, mask: MaskArray) -> dict[str, Any]:
    share = float(mask.mean())
    return {"tumour_px": int(mask.sum()), "tumour_share": share, "confidence": confidence(probability, mask)}


def _failed(job: PredictionJob, error: UserError) -> dict[str, Any]:
    return {**dict.fromkeys(COLUMNS), "input": str(job.path), "error": str(error)}
