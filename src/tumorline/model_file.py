"""A model is one `.safetensors` file whose JSON metadata rebuilds the network; nothing is unpickled.

The ONNX file beside it is the same network for runtimes that have no torch. Both hold one stamp, a hash of weights and
metadata, so that a file of another training is noticed.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.file_names import CONFIG_NAME, WEIGHTS_NAME
from tumorline.files import atomic_path, sort_metadata
from tumorline.metrics.headline import dice_of_sources
from tumorline.model_info import ModelInfo, parse_info, write_info
from tumorline.onnx_file import LARGEST_FILE
from tumorline.results import RegionSummary, Summary

METADATA_KEY, STAMP_KEY = "tumorline", "tumorline_stamp"
LISTED = Path(__file__).with_name("weights")
BUILTIN, BUILTIN_OF_SCANS = "builtin", "builtin-brats"

NUMBERS = "fiub"
"""Kinds of numpy's own types that weights and counters have."""

Weights = Mapping[str, npt.NDArray[Any]]


class Content(NamedTuple):
    """A model file as it was read."""

    weights: Weights
    text: str
    """Its metadata, as JSON."""
    stamp: str
    """Computed from the two; a file of version 0.1.0 holds none."""
    stamped: bool


def stored(weights: Weights, storage: str) -> Weights:
    """Weights as the file keeps them: 'float16' rounds those of convolutions, not those of norms and biases."""
    if storage == "float32":
        return weights
    return {name: value.astype(np.float16) if value.ndim > 1 else value for name, value in weights.items()}


def save_model(path: Path, weights: Weights, info: ModelInfo) -> None:
    """Write weights, metadata and stamp, whole or not at all; the ONNX file beside it needs the new stamp as well."""
    arrays = {name: np.ascontiguousarray(value) for name, value in weights.items()}
    text = write_info(info)
    with atomic_path(path) as temporary:
        save_file(arrays, temporary, metadata={METADATA_KEY: text, STAMP_KEY: compute_stamp(arrays, text)})
        sort_metadata(temporary)


def compute_stamp(weights: Weights, text: str) -> str:
    """SHA-256 over the metadata and over name, type, shape and bytes of each weight, as 64 hexadecimal digits."""
    total = hashlib.sha256(text.encode())
    for name in sorted(weights):
        value = weights[name]
        total.update(f"\0{name}\0{value.dtype.str}\0{value.shape}\0".encode())
        total.update(np.ascontiguousarray(value).data.cast("B") if value.size else b"")
    return total.hexdigest()


def with_figures(info: ModelInfo, summary: Summary) -> ModelInfo:
    """The same with the headline figures of its evaluation; of several sources with the Dice of each."""
    published = summary.to_json()
    sources = [source.name for source in info.data.sources]
    regions = {region: _headline(figures, sources) for region, figures in summary.regions.items()}
    headline = {key: published[key] for key in ("headline_status", "cases", "patients")} | {"regions": regions}
    return info.with_metrics(headline=headline)


def _headline(figures: RegionSummary, sources: Sequence[str]) -> dict[str, Any]:
    published, by_source = figures.to_json(), dice_of_sources(figures, sources)
    headline = {name: published[name] for name in ("dice", "hd95_detected", "volume_ratio", "missed", "tumour_cases")}
    return headline | (
        {"dice_of_sources": {name: dice.to_json() for name, dice in by_source.items()}} if by_source else {}
    )


def read_info(path: Path) -> ModelInfo:
    """Metadata of a model file. Raises UserError where it is none of ours, cut off, or beyond what a model states."""
    text = _read_metadata(path)[METADATA_KEY]
    try:
        return parse_info(text)
    except ValueError as error:
        raise UserError(f"{path}: its metadata is not understood by this version ({_first_words(error)})") from None


def known_images(run: Path) -> set[str]:
    """Hashes of the images that the model of a run, or those of its folds, were made and tested with."""
    paths = [path for path in (run, *run.glob("fold-*")) if (path / WEIGHTS_NAME).is_file()]
    known_contents = [read_info(path / WEIGHTS_NAME).known_cases.contents for path in paths]
    return {content for parts in known_contents for contents in parts.values() for content in contents}


def read_content(path: Path) -> Content:
    """Weights, metadata and stamp. Raises UserError as `read_info` does, and for damaged weights."""
    metadata = _read_metadata(path)
    try:
        with safe_open(path, "numpy") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise UserError(f"{path}: not a readable model file ({_first_words(error)})") from None
    for name, value in weights.items():
        if value.dtype.kind not in NUMBERS or not value.dtype.isbuiltin:
            raise UserError(f"{path}: its weight '{name:.100}' is of type {value.dtype}; float32 and float16 are read")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise UserError(f"{path}: its weight '{name:.100}' is not finite; the model cannot be used")
    text, held = metadata[METADATA_KEY], metadata.get(STAMP_KEY)
    stamp = compute_stamp(weights, text)
    if held not in (None, stamp):
        raise UserError(f"{path}: its weights or metadata were changed after it was written; get the file again")
    return Content(weights, text, stamp, held is not None)


def _read_metadata(path: Path) -> dict[str, str]:
    """The texts in the header, of which one is our metadata."""
    metadata = _read_header(path)
    if METADATA_KEY not in metadata:
        raise UserError(f"{path}: a .safetensors file, but not of Tumorline (no '{METADATA_KEY}' metadata)")
    return metadata


def _read_header(path: Path) -> dict[str, str]:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: larger than {LARGEST_FILE >> 30} GiB, more than a model file may have")
        with path.open("rb"):  # of all that the system refuses, safetensors says that there is no such file
            pass
        with safe_open(path, "numpy") as file:
            metadata: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path}: not a readable model file ({_first_words(error)})") from None
    return metadata


def _first_words(error: Exception) -> str:
    return " ".join(str(error).split())[:200]


def read_origin(source: Path) -> ModelInfo | None:
    """What the model that a training starts from says of itself; None for weights that are not Tumorline's.

    Raises UserError where it is Tumorline's and does not say, or not in words that are understood, what it has seen.
    """
    path = weights_file(source)
    if path.suffix != ".safetensors":
        return None
    if METADATA_KEY in _read_header(path):
        return read_info(path)
    if (path.parent / CONFIG_NAME).is_file():
        raise UserError(
            f"{path}: weights within a run, which do not say what cases they have seen; start from its "
            f"{WEIGHTS_NAME} after: tumorline train --resume {for_shell(path.parent)}"
        )
    return None


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
        reason = "run folder without a finished model" if model.is_dir() else "no such model"
        listed = ", ".join(listed_models())
        what = "MODEL is a run folder, a .safetensors file with its .onnx beside it, or one of"
        raise UserError(f"{model}: {reason}; {what}: {listed}")
    return path
