"""Depthwise convolutions in float32 on the processor: their bfloat16 gradients are slow there."""

from functools import partial

import torch
from torch import Tensor, nn


def compute_depthwise_in_float32(network: nn.Module) -> None:
    """Take the depthwise convolutions of `network` out of autocast; their results are rounded to bfloat16 again."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d) and 1 < module.groups == module.in_channels:
            module.forward = partial(_forward, module)  # type: ignore[method-assign]


def _forward(convolution: nn.Module, image: Tensor) -> Tensor:
    with torch.autocast(image.device.type, enabled=False):
        exact: Tensor = type(convolution).forward(convolution, image.float())
    return exact.to(image.dtype)
