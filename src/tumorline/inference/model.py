"""A model as a function from an image to probabilities on the image's own grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tumorline.arrays import ImageArray
from tumorline.errors import UserError, did_you_mean
from tumorline.geometry.symmetry import INVERSE, transformed
from tumorline.journal import hash_file, hash_settings
from tumorline.model_file import ModelInfo, find_model, read_info
from tumorline.network_input import fit
from tumorline.runtime import FloatArray, Runtime
from tumorline.twins import open_twin

TTA: dict[str, tuple[int, ...]] = {"none": (0,), "flips": (0, 2, 4, 6), "all": tuple(range(8))}
"""Test-time augmentation: which of `near.TRANSFORMS` of its input a network answers as well."""


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

    def logits(self, image: ImageArray) -> tuple[FloatArray, fit.Placement]:
        """The network's answer `(R, S, S)` to an image `(C, H, W)` in file values, and where in it the image lies."""
        square, placement = self._to_network(image, "image")
        return self._run(square[None], "image")[0], placement

    def probability(self, image: ImageArray) -> FloatArray:
        """Probability of each region, `(C, H, W)` in file values to `(R, H, W)`, at the image's own size."""
        return self.answer(image).probability

    def answer(self, image: ImageArray, name: Path | str = "image") -> Answer:
        """As `probability`, and whether the image is blank. Raises UserError, which bears the name, for no answer."""
        square, placement = self._to_network(image, name)
        if fit.is_blank(image, square, placement):
            return Answer(np.zeros((len(self.info.regions), *placement.native), np.float32), blank=True)
        copies = TTA[self.tta]
        logits = self._run(np.stack([transformed(square, copy) for copy in copies]), name)
        answers = zip(to_probability(logits, self.info.temperatures), copies, strict=True)
        mean = np.mean([transformed(answer, int(INVERSE[copy])) for answer, copy in answers], axis=0)
        return Answer(fit.to_native(mean, placement), blank=False)

    def mask(self, image: ImageArray) -> npt.NDArray[np.bool_]:
        """Mask of each region, `(C, H, W)` to `(R, H, W)`."""
        probability = self.probability(image)
        return np.asarray(probability >= for_regions(self.info.thresholds, probability.ndim))

    def _to_network(self, image: ImageArray, name: Path | str) -> tuple[FloatArray, fit.Placement]:
        expected = self.info.architecture.channels
        if image.ndim != 3 or len(image) != expected or 0 in image.shape:
            raise UserError(f"{name} has shape {image.shape}; this model takes ({expected}, height, width)")
        return fit.to_network(image, self.info.image_size)

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
    if info.preprocessing != fit.VERSION:
        raise UserError(f"{path}: made with preprocessing {info.preprocessing}, this version has {fit.VERSION}")
    return Model(path, info, open_twin(path, info).run, tta)


def to_probability(logits: FloatArray, temperatures: float | Sequence[float]) -> FloatArray:
    """Sigmoid of logits `(..., R, S, S)` divided by one temperature, or each region's own (Guo et al. 2017, ICML)."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits / for_regions(temperatures, 3))), np.float32)


def for_regions(values: float | Sequence[float], ndim: int) -> FloatArray:
    """A value, or one of each region, in the shape `(R, 1, ...)` of so many axes, to be held against `(R, *space)`."""
    return np.array(values, np.float32).reshape(-1, *[1] * (ndim - 1))
