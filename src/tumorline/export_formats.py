"""A model's network in the formats of other programs: ONNX, OpenVINO, TorchScript, each held against torch first."""

import json
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from tumorline.arrays import Float32Array
from tumorline.errors import UserError, did_you_mean
from tumorline.export import SUFFIX, export_onnx, is_exported, require_parity
from tumorline.files import write_bytes
from tumorline.model_file import METADATA_KEY, STAMP_KEY, read_content
from tumorline.network_file import load_network
from tumorline.runtime.openvino import get_core, read_network, save_network


class ExportFormat(NamedTuple):
    """How a network is written, and how a file is known that was written so."""

    suffix: str
    write: Callable[[Path, Path], Path]
    is_ours: Callable[[Path], bool]


def export_openvino(path: Path, target: Path) -> Path:
    """Write OpenVINO's own format: `target` and beside it the weights, as `.bin`; model's metadata and stamp within."""
    network, info = load_network(path)
    content = read_content(path)
    with tempfile.TemporaryDirectory() as folder:
        model = read_network(export_onnx(path, Path(folder) / f"network{SUFFIX}"))
        for key, text in ((METADATA_KEY, content.text), (STAMP_KEY, content.stamp)):
            model.set_rt_info(text, [key])
        draft = Path(folder) / target.name
        save_network(model, draft)
        compiled = get_core().compile_model(draft, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        require_parity(lambda image: np.asarray(compiled(image)[0], np.float32), network, info, target)
        write_bytes(target.with_suffix(".bin"), draft.with_suffix(".bin").read_bytes())
        write_bytes(target, draft.read_bytes())
    return target


def is_openvino_of_ours(path: Path) -> bool:
    try:
        return f"<{STAMP_KEY} ".encode() in path.read_bytes()
    except OSError:
        return False


def export_torchscript(path: Path, target: Path) -> Path:
    """Write TorchScript, which torch runs without Tumorline; the model's metadata and stamp go along as extra files."""
    network, info = load_network(path)
    content = read_content(path)
    image = torch.zeros(1, info.architecture.channels, *info.network_size)
    extra = {f"{METADATA_KEY}.json": content.text, STAMP_KEY: content.stamp}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        draft = str(Path(folder) / "network.pt")
        torch.jit.save(torch.jit.trace(network, image), draft, _extra_files=extra)
        loaded = torch.jit.load(draft)

        def run(batch: Float32Array) -> Float32Array:
            return np.asarray(loaded(torch.from_numpy(batch)).numpy(), np.float32)

        require_parity(run, network, info, target)
        write_bytes(target, Path(draft).read_bytes())
    return target


def is_torchscript_of_ours(path: Path) -> bool:
    extra = {f"{METADATA_KEY}.json": ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.load(str(path), _extra_files=extra)
        return isinstance(json.loads(extra[f"{METADATA_KEY}.json"]), dict)
    except (RuntimeError, ValueError, OSError):
        return False


FORMATS = {
    "onnx": ExportFormat(SUFFIX, export_onnx, is_exported),
    "openvino": ExportFormat(".xml", export_openvino, is_openvino_of_ours),
    "torchscript": ExportFormat(".pt", export_torchscript, is_torchscript_of_ours),
}


def find_format(name: str) -> ExportFormat:
    """Raises UserError for a format that is unknown."""
    if name not in FORMATS:
        raise UserError(f"--format is '{name}'; {did_you_mean(name, FORMATS)}")
    return FORMATS[name]
