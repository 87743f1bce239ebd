"""Let torchvision import beside a torch without CUDA.

PyPI's torchvision is built for CUDA; beside CPU torch its compiled part does not load and its import stops at
"operator torchvision::nms does not exist". Networks and transforms do not need these operators, so that declaring
their schemas is enough.
"""

import importlib.util
from functools import cache
from pathlib import Path

import torch

MISSING = ("nms", "qnms")
SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def cure_torchvision() -> torch.library.Library | None:
    """Declare what torchvision's import asks for; None, and nothing done, where torchvision is whole or absent."""
    spec = importlib.util.find_spec("torchvision")
    if spec is None or spec.origin is None or _is_whole(Path(spec.origin).parent):
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in MISSING:
        library.define(name + SCHEMA)
    return library


def _is_whole(package: Path) -> bool:
    """Whether torchvision's compiled operators load into this torch."""
    compiled = sorted(package.glob("_C*.so")) + sorted(package.glob("_C*.pyd"))
    try:
        for file in compiled:
            torch.ops.load_library(file)
    except OSError:
        return False
    return bool(compiled)
