"""A model file becomes a function from image array to logits array."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Runtime = Callable[[FloatArray], FloatArray]
"""Images `(B, C, S, S)` to logits `(B, R, S, S)`."""


def open_runtime(onnx: Path) -> Runtime:
    """Compile an ONNX file for this machine. Raises UserError where it is missing or broken."""
    from tumorline.runtime.openvino import compile_onnx

    return compile_onnx(onnx)
