"""OpenVINO on the processor, in float32 so that a figure does not depend on the machine."""

from functools import cache
from pathlib import Path

import numpy as np
import openvino

from tumorline.errors import UserError
from tumorline.runtime import FloatArray, Runtime


def compile_onnx(path: Path) -> Runtime:
    """Compile `path` and return a function from images `(B, C, S, S)` to logits `(B, R, S, S)`."""
    if not path.is_file():
        raise UserError(f"{path}: the model's ONNX file is missing; write it with 'tumorline export'")
    try:
        network = _core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UserError(f"{path}: OpenVINO cannot use this ONNX file ({reason})") from None

    def run(image: FloatArray) -> FloatArray:
        return np.array(network(image)[0], np.float32)

    return run


@cache
def _core() -> openvino.Core:
    """One for the process, never closed.

    Each core gives signal handlers a stack of its own (sigaltstack) and takes it away when it is closed. Of two that
    are closed in the order in which they were opened, the second puts back the stack that the first has already
    unmapped, and the next Ctrl-C is a segmentation fault.
    """
    return openvino.Core()
