"""From a picture to a mask in the picture's own geometry, without torch."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.data import near, preprocess
from tumorline.data.case import ImageArray, MaskArray, read_image
from tumorline.data.decode import PICTURE_SUFFIXES, without_suffix
from tumorline.data.layouts.contents import Contents
from tumorline.data.source import open_picture
from tumorline.errors import UserError, did_you_mean
from tumorline.files import write_csv, write_json
from tumorline.metrics.calibration import confidence
from tumorline.model_file import ModelInfo, find_model, read_info
from tumorline.runtime import FloatArray, Runtime, open_runtime
from tumorline.write.images import write_mask, write_overlay

SCHEMA_VERSION = 1
TTA: dict[str, tuple[int, ...]] = {"none": (0,), "flips": (0, 2, 4, 6), "all": tuple(range(8))}
"""Test-time augmentation: which of `near.TRANSFORMS` of its input a network answers as well."""
COLUMNS = ("input", "mask", "overlay", "tumour_px", "tumour_share", "confidence", "error")


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

    def logits(self, image: ImageArray) -> tuple[FloatArray, preprocess.Placement]:
        """The network's answer `(R, S, S)` to an image `(C, H, W)` in file values, and where in it the image lies."""
        square, placement = self._to_network(image)
        return self.runtime(square[None])[0], placement

    def probability(self, image: ImageArray) -> FloatArray:
        """Probability of each region, `(C, H, W)` in file values to `(R, H, W)`, at the image's own size."""
        square, placement = self._to_network(image)
        copies = TTA[self.tta]
        logits = self.runtime(np.stack([near.transformed(square, copy) for copy in copies]))
        answers = zip(to_probability(logits, self.info.temperature), copies, strict=True)
        mean = np.mean([near.transformed(answer, int(near.INVERSE[copy])) for answer, copy in answers], axis=0)
        return preprocess.to_native(mean, placement)

    def mask(self, image: ImageArray) -> npt.NDArray[np.bool_]:
        """Mask of each region, `(C, H, W)` to `(R, H, W)`."""
        return self.probability(image) >= self.info.threshold

    def _to_network(self, image: ImageArray) -> tuple[FloatArray, preprocess.Placement]:
        expected = self.info.architecture.channels
        if image.ndim != 3 or len(image) != expected:
            raise UserError(f"image has shape {image.shape}; this model takes ({expected}, height, width)")
        return preprocess.to_network(image, self.info.image_size)


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
    return Model(path, info, open_runtime(path.with_suffix(".onnx")), tta)


@dataclass(frozen=True)
class Job:
    """One file to predict and the path, without suffix, under which its results go."""

    path: Path
    target: Path


def predict(
    inputs: Sequence[Path], model: Model, output: Path, progress: Callable[[int, int], None] | None = None
) -> list[dict[str, Any]]:
    """Predict pictures and folders of pictures; one row per file, with `error` set where one failed.

    Writes `<stem>_mask.png` (0/255), `<stem>_overlay.png`, `predictions.json` and `predictions.csv` under
    `output`, keeping relative folders. Raises UserError where an input does not exist or names no picture.
    """
    jobs = list(_jobs(inputs, output))
    rows = []
    for done, job in enumerate(jobs, start=1):
        rows.append(_predict_file(job, model))
        if progress:
            progress(done, len(jobs))
    about = {"model": model.info.name, "threshold": model.info.threshold, "tta": model.tta}
    write_json(output / "predictions.json", {"schema_version": SCHEMA_VERSION, **about, "predictions": rows})
    write_csv(output / "predictions.csv", COLUMNS, rows)
    return rows


def _jobs(inputs: Iterable[Path], output: Path) -> Iterator[Job]:
    taken: dict[Path, Path] = {}
    for given in inputs:
        for path, relative in _files(given, output):
            target = output / without_suffix(relative)
            if target in taken:
                target = target.with_name(relative.name.replace(".", "_"))
            if target in taken:
                raise UserError(f"{path}: its results would overwrite those of {taken[target]}; predict them apart")
            taken[target] = path
            yield Job(path, target)


def _files(given: Path, output: Path) -> list[tuple[Path, Path]]:
    """Pictures of an input with their relative paths, without hidden files, earlier results and the `x_mask` of `x`."""
    if given.is_file():
        return [(given, Path(given.name))]
    if not given.is_dir():
        raise UserError(f"{given}: no such file or folder")
    contents = Contents(given)
    masks = {mask for pair in contents.pairs.values() for mask in pair.masks}
    found = [
        path
        for path in (*contents.pictures, *contents.matlab_files)
        if path not in masks and not path.resolve().is_relative_to(output.resolve())
    ]
    if not found:
        accepted = f"{', '.join(sorted(PICTURE_SUFFIXES))}, .mat and DICOM without a suffix"
        raise UserError(f"{given}: no picture in this folder; accepted are {accepted}")
    return [(path, path.relative_to(given)) for path in found]


def _predict_file(job: Job, model: Model) -> dict[str, Any]:
    try:
        image = read_image(open_picture(job.path, model.channel))
        probability = model.probability(image)[0]
    except UserError as error:
        return {**dict.fromkeys(COLUMNS), "input": str(job.path), "error": str(error)}
    mask: MaskArray = probability >= model.info.threshold
    mask_path = job.target.with_name(job.target.name + "_mask.png")
    overlay_path = job.target.with_name(job.target.name + "_overlay.png")
    write_mask(mask_path, mask)
    write_overlay(overlay_path, image[0], mask)
    return {
        "input": str(job.path),
        "mask": str(mask_path),
        "overlay": str(overlay_path),
        "tumour_px": int(mask.sum()),
        "tumour_share": float(mask.mean()),
        "confidence": confidence(probability, mask),
        "error": None,
    }


def to_probability(logits: FloatArray, temperature: float) -> FloatArray:
    """Sigmoid of the logits divided by the temperature (Guo et al. 2017, ICML)."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits / temperature)), np.float32)
