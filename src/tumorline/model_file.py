"""A model is one `.safetensors` file whose JSON metadata rebuilds the network; nothing is unpickled.

The ONNX file beside it is the same network for runtimes that have no torch.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tumorline.errors import UserError
from tumorline.files import atomic_path

METADATA_KEY = "tumorline"
LISTED = Path(__file__).with_name("weights")
BUILTIN = "builtin"
WEIGHTS_NAME = "model.safetensors"
ONNX_NAME = "model.onnx"

Weights = Mapping[str, npt.NDArray[Any]]


class Architecture(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    options: dict[str, Any]
    channels: int


class KnownCases(BaseModel):
    """Hashes of what a model has seen: a model knows its cases."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patients: dict[str, list[str]]
    """Part (train, validation, test) -> hashed patient groups."""
    contents: dict[str, list[str]]
    """Part -> content hashes of the images."""


class Member(BaseModel):
    """One of the networks of an ensemble; its weights have the prefix `members.<position>.`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    architecture: Architecture
    threshold: float
    temperature: float
    config: dict[str, Any]


class ModelInfo(BaseModel):
    """All that is needed to use a model and to judge it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    name: str
    architecture: Architecture
    members: list[Member] = []
    """The networks whose probabilities an ensemble averages; empty where the model is one network."""
    regions: list[str]
    image_size: int
    preprocessing: int
    """Version of `data.preprocess`."""
    threshold: float = 0.5
    """Probability from which a pixel is tumour."""
    temperature: float = 1.0
    """The logits are divided by it before the sigmoid; fitted on validation cases."""
    constant_mask: str = ""
    """The best constant answer to the training cases (`baselines.constant_mask`) as text; empty where unknown."""
    mean_image: str = ""
    """The mean of the training pictures (`data.describe.mean_picture`) as text; empty where unknown."""
    data: dict[str, Any]
    split: dict[str, Any]
    known_cases: KnownCases
    config: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, str]
    licence: str
    intended_use: str = "Research on brain tumour segmentation in MRI. Not a medical device."


def stored(weights: Weights, storage: str) -> Weights:
    """Weights as the file keeps them: 'float16' rounds those of convolutions, not those of norms and biases."""
    if storage == "float32":
        return weights
    return {name: value.astype(np.float16) if value.ndim > 1 else value for name, value in weights.items()}


def save_model(path: Path, weights: Weights, info: ModelInfo) -> None:
    """Write weights and metadata, whole or not at all."""
    arrays = {name: np.ascontiguousarray(value) for name, value in weights.items()}
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={METADATA_KEY: info.model_dump_json()})


def with_figures(info: ModelInfo, summary: Mapping[str, Any]) -> ModelInfo:
    """The same with the headline figures of its evaluation."""
    regions = {
        region: {name: figures[name] for name in ("dice", "hd95_detected", "volume_ratio", "missed", "tumour_cases")}
        for region, figures in summary["regions"].items()
    }
    headline = {key: summary[key] for key in ("headline_status", "cases", "patients")} | {"regions": regions}
    return info.model_copy(update={"metrics": {**info.metrics, "headline": headline}})


def read_info(path: Path) -> ModelInfo:
    """Metadata of a model file. Raises UserError where it is none of ours or cut off."""
    try:
        with safe_open(path, "numpy") as file:
            metadata = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not a readable model file ({error})") from None
    if METADATA_KEY not in metadata:
        raise UserError(f"{path}: a .safetensors file, but not of Tumorline (no '{METADATA_KEY}' metadata)")
    try:
        return ModelInfo.model_validate(json.loads(metadata[METADATA_KEY]))
    except (ValidationError, json.JSONDecodeError) as error:
        raise UserError(f"{path}: its metadata is not understood by this version ({error})") from None


def weights_file(source: Path) -> Path:
    """The file of weights that `model.start_from` means: as `find_model`, or another framework's file."""
    return source if source.suffix in (".pth", ".pt") else find_model(source)


def listed_models() -> list[str]:
    """Names of the models that come with the package."""
    return sorted(path.stem for path in LISTED.glob("*.safetensors"))


def model_name(path: Path) -> str:
    """What a model file is called: by its run folder, else by its own name."""
    path = path.resolve()
    return path.parent.name if path.name == WEIGHTS_NAME else path.stem


def find_model(model: Path) -> Path:
    """The `.safetensors` file that a listed name, a run folder or a path stands for.

    Raises UserError where there is none.
    """
    if str(model) in listed_models():
        return LISTED / f"{model}.safetensors"
    path = model / WEIGHTS_NAME if model.is_dir() else model
    if path.suffix == ".onnx":
        path = path.with_suffix(".safetensors")
    if not path.is_file():
        what = "run folder without a finished model" if model.is_dir() else "no such model"
        listed = ", ".join(listed_models())
        raise UserError(
            f"{model}: {what}; MODEL is a run folder, a .safetensors file with its .onnx beside it, or one of: {listed}"
        )
    return path
