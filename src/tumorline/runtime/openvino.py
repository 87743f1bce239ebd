"""OpenVINO on the processor, in float32 so that a figure does not depend on the machine."""

import mmap
import re
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from tumorline.errors import UserError
from tumorline.runtime import FloatArray, Twin

LARGEST_FILE = 1 << 31
"""Bytes; the limit of ONNX's own format."""
LARGEST_ARRAY = 1 << 30
"""Numbers in what one layer gives for one picture; for large pictures 256 a pixel."""
WITHOUT_BOUND = {"If", "Loop", "TensorIterator"}
EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")
"""The key of weights that lie in another file, with its tag and its length in any of their spellings."""


def compile_onnx(path: Path) -> Twin:
    """Compile `path`: a function from images `(B, C, *space)` to logits `(B, R, *space)`, its shapes and metadata."""
    if not path.is_file():
        raise UserError(f"{path}: the model's ONNX file is missing; write it with 'tumorline export'")
    _refuse_other_files(path)
    try:
        model = _core().read_model(path)
        _refuse_unbounded(path, model)
        network = _core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        raise UserError(f"{path}: OpenVINO cannot use this ONNX file ({_reason(error)})") from None

    def run(image: FloatArray) -> FloatArray:
        try:
            answer = np.array(network(image)[0], np.float32)
        except RuntimeError as error:
            raise UserError(f"{path}: OpenVINO cannot carry out this network ({_reason(error)})") from None
        if answer.ndim != image.ndim or (len(answer), *answer.shape[2:]) != (len(image), *image.shape[2:]):
            raise UserError(f"{path}: answers {image.shape} with {answer.shape}; its file belongs to no such model")
        return answer

    return Twin(run, _shape(model.input(0)), _shape(model.output(0)), _metadata(model))


def _reason(error: RuntimeError) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[-1][:200]


def _refuse_other_files(path: Path) -> None:
    """Raise UserError for a file whose weights lie elsewhere: it could name any file of this machine."""
    size = path.stat().st_size
    if not 0 < size <= LARGEST_FILE:
        raise UserError(f"{path}: {size} bytes, which no ONNX file has; write it with 'tumorline export'")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if EXTERNAL.search(content):
            raise UserError(f"{path}: keeps weights in other files, which is not read; Tumorline writes one file")


def _refuse_unbounded(path: Path, model: openvino.Model) -> None:
    """Raise UserError for what is no network from one picture to one: loops, several inputs, boundless arrays."""
    if (len(model.inputs), len(model.outputs)) != (1, 1):
        raise UserError(f"{path}: {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one of each")
    largest = max(LARGEST_ARRAY, 256 * prod(_shape(model.input(0))[2:]))
    for layer in model.get_ops():
        kind = layer.get_type_name()
        if kind in WITHOUT_BOUND:
            raise UserError(f"{path}: holds a layer '{kind}', whose work has no bound; no network of Tumorline has one")
        for output in layer.outputs():
            if prod(length or 1 for length in _shape(output)) > largest:
                raise UserError(f"{path}: a layer '{kind}' would give {_shape(output)} numbers; that is refused")


def _shape(port: Any) -> tuple[int, ...]:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(0 if length.is_dynamic else length.get_length() for length in shape)


def _metadata(model: openvino.Model) -> dict[str, str]:
    """The texts of the file, which the runtime keeps under 'framework'."""
    found = model.get_rt_info()["framework"] if model.has_rt_info(["framework"]) else {}
    return {name: str(value.value) for name, value in found.items()} if hasattr(found, "items") else {}


@cache
def _core() -> openvino.Core:
    """One for the process, never closed.

    Each core gives signal handlers a stack of its own (sigaltstack) and takes it away when it is closed. Of two that
    are closed in the order in which they were opened, the second puts back the stack that the first has already
    unmapped, and the next Ctrl-C is a segmentation fault.
    """
    return openvino.Core()
