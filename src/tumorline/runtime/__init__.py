"""A model file becomes a function from image array to logits array."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Runtime = Callable[[FloatArray], FloatArray]
"""Images `(B, C, S, S)` to logits `(B, R, S, S)`."""


@dataclass(frozen=True)
class Twin:
    """A compiled ONNX file with what it says of itself."""

    run: Runtime
    input_shape: tuple[int, ...]
    """0 where a length is open."""
    output_shape: tuple[int, ...]
    metadata: Mapping[str, str]


def open_runtime(onnx: Path) -> Twin:
    """Compile an ONNX file for this machine. Raises UserError where it is missing, broken or of no such network."""
    from tumorline.runtime.openvino import compile_onnx

    return compile_onnx(onnx)
