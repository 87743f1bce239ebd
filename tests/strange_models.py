"""Model files as anyone may make them, from the frozen run of 0.1.0: without torch and without a training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file, save_file

from tumorline.model_file import METADATA_KEY, STAMP_KEY, compute_stamp
from tumorline.onnx_file import NETWORK_KEY, hash_network

FROZEN = Path(__file__).with_name("frozen") / "0.1.0"
RUN = FROZEN / "run"

Weights = dict[str, npt.NDArray[Any]]
Change = Callable[[dict[str, Any]], None]


def metadata_of(path: Path) -> dict[str, Any]:
    """The metadata of a model file, without any check."""
    content = path.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    values: dict[str, Any] = json.loads(header["__metadata__"][METADATA_KEY])
    return values


def write_pair(folder: Path, change: Change | None = None, text: str = "", weights: Weights | None = None) -> Path:
    """A model file and its twin with the right stamp in both, whatever else they say; returns the model file."""
    folder.mkdir(parents=True, exist_ok=True)
    values = metadata_of(RUN / "model.safetensors")
    if change:
        change(values)
    text = text or json.dumps(values)
    kept = weights or load_file(RUN / "model.safetensors")
    stamp = compute_stamp(kept, text)
    save_file(kept, folder / "model.safetensors", metadata={METADATA_KEY: text, STAMP_KEY: stamp})
    shutil.copyfile(RUN / "model.onnx", folder / "model.onnx")
    texts = {METADATA_KEY: text, STAMP_KEY: stamp, NETWORK_KEY: hash_network(folder / "model.onnx")}
    write_properties(folder / "model.onnx", texts)
    return folder / "model.safetensors"


def write_properties(path: Path, properties: dict[str, str]) -> None:
    """Replace the texts of an ONNX file."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    onnx.helper.set_model_props(model, properties)
    path.write_bytes(model.SerializeToString())


def picture(seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(1, 40, 40)).astype(np.float32)
