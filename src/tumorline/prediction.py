"""From a picture to a mask in the picture's own geometry, without torch."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tumorline.data import near, preprocess
from tumorline.data.case import ImageArray, MaskArray, read_image
from tumorline.data.decode import PICTURE_SUFFIXES, without_suffix
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.selection import select_images
from tumorline.data.source import open_picture
from tumorline.errors import UserError, WriteError, did_you_mean
from tumorline.files import fit_file_name, write_csv, write_json
from tumorline.journal import hash_file, hash_settings
from tumorline.metrics.calibration import confidence
from tumorline.model_file import ModelInfo, find_model, read_info
from tumorline.output_folder import OutputFolder
from tumorline.runtime import FloatArray, Runtime
from tumorline.twins import open_twin
from tumorline.write.images import write_mask, write_overlay

SCHEMA_VERSION = 1
TTA: dict[str, tuple[int, ...]] = {"none": (0,), "flips": (0, 2, 4, 6), "all": tuple(range(8))}
"""Test-time augmentation: which of `near.TRANSFORMS` of its input a network answers as well."""
KINDS = ("mask", "overlay")
COLUMNS = ("input", "mask", "overlay", "tumour_px", "tumour_share", "confidence", "note", "error")
BLANK_NOTE = "blank: the image shows nothing, so that the mask is empty"


class Answer(NamedTuple):
    """What a model says of an image: probability of each region `(R, H, W)`, 0 where the image is blank."""

    probability: FloatArray
    blank: bool


@dataclass(frozen=True)
class Model:
    """A model ready to predict."""

    path: Path
    info: ModelInfo
    runtime: Runtime
    tta: str = "none"
    """Test-time augmentation, one of `TTA`."""

    @property
    def channel(self) -> str:
        """The sequence that it was trained on; empty where its pictures were one sequence."""
        return str(self.info.data.get("channel", ""))

    @cached_property
    def fingerprint(self) -> str:
        """Hash of its two files."""
        return hash_settings(files=[hash_file(path) for path in (self.path, self.path.with_suffix(".onnx"))])

    def logits(self, image: ImageArray) -> tuple[FloatArray, preprocess.Placement]:
        """The network's answer `(R, S, S)` to an image `(C, H, W)` in file values, and where in it the image lies."""
        square, placement = self._to_network(image, "image")
        return self._run(square[None], "image")[0], placement

    def probability(self, image: ImageArray) -> FloatArray:
        """Probability of each region, `(C, H, W)` in file values to `(R, H, W)`, at the image's own size."""
        return self.answer(image).probability

    def answer(self, image: ImageArray, name: Path | str = "image") -> Answer:
        """As `probability`, and whether the image is blank. Raises UserError, which bears the name, for no answer."""
        square, placement = self._to_network(image, name)
        if preprocess.is_blank(image, square, placement):
            return Answer(np.zeros((len(self.info.regions), *placement.native), np.float32), blank=True)
        copies = TTA[self.tta]
        logits = self._run(np.stack([near.transformed(square, copy) for copy in copies]), name)
        answers = zip(to_probability(logits, self.info.temperature), copies, strict=True)
        mean = np.mean([near.transformed(answer, int(near.INVERSE[copy])) for answer, copy in answers], axis=0)
        return Answer(preprocess.to_native(mean, placement), blank=False)

    def mask(self, image: ImageArray) -> npt.NDArray[np.bool_]:
        """Mask of each region, `(C, H, W)` to `(R, H, W)`."""
        return self.probability(image) >= self.info.threshold

    def _to_network(self, image: ImageArray, name: Path | str) -> tuple[FloatArray, preprocess.Placement]:
        expected = self.info.architecture.channels
        if image.ndim != 3 or len(image) != expected or 0 in image.shape:
            raise UserError(f"{name} has shape {image.shape}; this model takes ({expected}, height, width)")
        return preprocess.to_network(image, self.info.image_size)

    def _run(self, squares: FloatArray, name: Path | str) -> FloatArray:
        """Logits of a batch; what is not finite must not pass for "no tumour"."""
        logits = self.runtime(squares)
        if not np.isfinite(logits).all():
            raise UserError(f"{name}: the model's answer is not finite (NaN or infinite), which is no answer")
        return logits


def load(model: str | Path, tta: str = "none") -> Model:
    """Open a listed model, a run folder or a `.safetensors` file that has its ONNX file beside it.

    `tta` averages the probabilities over copies of the picture: 'flips' (4) or 'all' flips and quarter turns (8).
    """
    if tta not in TTA:
        raise UserError(f"tta is '{tta}'; {did_you_mean(tta, TTA)}")
    path = find_model(Path(model))
    info = read_info(path)
    if info.preprocessing != preprocess.VERSION:
        raise UserError(f"{path}: made with preprocessing {info.preprocessing}, this version has {preprocess.VERSION}")
    return Model(path, info, open_twin(path, info).run, tta)


@dataclass(frozen=True)
class Job:
    """One file to predict and the path, without suffix, under which its results go below the output folder."""

    path: Path
    target: Path
    problem: str = ""
    """Why it cannot be predicted; empty where it may be."""


def predict(
    jobs: Sequence[Job], model: Model, folder: OutputFolder, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """Predict pictures; one row per file, with `error` set where one failed.

    Writes `<stem>_mask.png` (0/255), `<stem>_overlay.png`, `predictions.json` and `predictions.csv` below the folder,
    keeping relative folders. What an earlier try has finished there is not done again. Raises WriteError where nothing
    more can be written; the tables of what was done until then are written where there is room.
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
    about = {"model": model.info.name, "threshold": model.info.threshold, "tta": model.tta}
    write_json(folder.path / "predictions.json", {"schema_version": SCHEMA_VERSION, **about, "predictions": rows})
    write_csv(folder.path / "predictions.csv", COLUMNS, rows)


def _recalled(job: Job, folder: OutputFolder) -> dict[str, Any] | None:
    """The row that an earlier try has kept, as long as both of its files are there."""
    row = folder.recall(job.target.as_posix())
    if not isinstance(row, dict) or set(row) != set(COLUMNS):
        return None
    paths = _mask_and_overlay(job, folder.path)
    return {**row, **_as_text(paths)} if all(path.is_file() for path in paths) else None


def list_jobs(inputs: Iterable[Path], notify: Callable[[str], None] | None = None) -> list[Job]:
    """The images to predict, without earlier results; `notify` hears what of a folder is left out, and why.

    Raises UserError where an input does not exist or holds no image, and where two would have the same results.
    """
    jobs: dict[Path, Job] = {}
    for job in (job for given in inputs for job in _jobs_of(given, notify)):
        target = job.target
        if target in jobs:
            target = target.with_name(job.path.name.replace(".", "_"))
        if target in jobs:
            raise UserError(f"{job.path}: its results would overwrite those of {jobs[target].path}; predict them apart")
        jobs[target] = replace(job, target=target)
    return list(jobs.values())


def _jobs_of(given: Path, notify: Callable[[str], None] | None) -> list[Job]:
    """The images of an input, and its folders that cannot be listed, each with the name of its results."""
    if given.is_file():
        return [Job(given, without_suffix(Path(given.name)))]
    if not given.is_dir():
        raise UserError(f"{given}: no such file or folder")
    selection = select_images(Contents(given))
    images = selection.images
    if not images and not selection.problems:
        accepted = f"{', '.join(sorted(PICTURE_SUFFIXES))}, .mat and DICOM without a suffix"
        seen = f" ({selection.remark})" if selection.remark else ""
        raise UserError(f"{given}: no image in this folder{seen}; accepted are {accepted}")
    if notify and selection.remark:
        notify(f"{given}: images only, {len(images)} of them; left out are {selection.remark}")
    locked = [Job(path, path.relative_to(given), problem) for path, problem in selection.problems.items()]
    return [*(Job(path, without_suffix(path.relative_to(given))) for path in images), *locked]


def _mask_and_overlay(job: Job, output: Path) -> tuple[Path, Path]:
    mask, overlay = (output / job.target.with_name(fit_file_name(job.target.name, f"_{what}.png")) for what in KINDS)
    return mask, overlay


def _as_text(paths: tuple[Path, Path]) -> dict[str, str]:
    return dict(zip(KINDS, map(str, paths), strict=True))


def _predict_file(job: Job, model: Model, folder: OutputFolder) -> dict[str, Any]:
    try:
        if job.problem:
            raise UserError(job.problem)
        image = read_image(open_picture(job.path, model.channel))
        answer = model.answer(image, job.path)
    except UserError as error:
        return _failed(job, error)
    probability = answer.probability[0]
    mask: MaskArray = probability >= model.info.threshold
    mask_path, overlay_path = _mask_and_overlay(job, folder.path)
    try:
        write_mask(mask_path, mask)
        write_overlay(overlay_path, image[0], mask)
    except WriteError as error:
        if not error.only_this:
            raise
        return _failed(job, error)
    row = {
        "input": str(job.path),
        **_as_text((mask_path, overlay_path)),
        "tumour_px": int(mask.sum()),
        "tumour_share": float(mask.mean()),
        "confidence": confidence(probability, mask),
        "note": BLANK_NOTE if answer.blank else None,
        "error": None,
    }
    folder.keep(job.target.as_posix(), row)
    return row


def _failed(job: Job, error: UserError) -> dict[str, Any]:
    return {**dict.fromkeys(COLUMNS), "input": str(job.path), "error": str(error)}


def to_probability(logits: FloatArray, temperature: float) -> FloatArray:
    """Sigmoid of the logits divided by the temperature (Guo et al. 2017, ICML)."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits / temperature)), np.float32)
