"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), plain or with residual blocks (He et al. 2016)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

NORMS = ("instance", "group", "batch")
CONVOLUTION: dict[int, Any] = {2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED: dict[int, Any] = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
DROPOUT: dict[int, Any] = {2: nn.Dropout2d, 3: nn.Dropout3d}
INSTANCE: dict[int, Any] = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
BATCH: dict[int, Any] = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
POOL: dict[int, Any] = {2: functional.max_pool2d, 3: functional.max_pool3d}


@dataclass(frozen=True)
class Style:
    """What all blocks have in common."""

    norm: str = "instance"
    residual: bool = False
    dropout: float = 0.0
    dims: int = 2

    def normalise(self, width: int) -> nn.Module:
        if self.norm == "group":
            return nn.GroupNorm(min(8, width), width)
        layer = INSTANCE[self.dims](width, affine=True) if self.norm == "instance" else BATCH[self.dims](width)
        assert isinstance(layer, nn.Module)
        return layer


class Block(nn.Module):
    """Two 3-wide convolutions, each with norm and LeakyReLU; with `residual` the input is added before the last."""

    def __init__(self, channels: int, width: int, style: Style) -> None:
        super().__init__()
        convolution = CONVOLUTION[style.dims]
        self.first = convolution(channels, width, 3, padding=1, bias=False)
        self.first_norm = style.normalise(width)
        self.second = convolution(width, width, 3, padding=1, bias=False)
        self.second_norm = style.normalise(width)
        self.drop = DROPOUT[style.dims](style.dropout)
        self.shortcut = convolution(channels, width, 1, bias=False) if style.residual else None

    def forward(self, image: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.first_norm(self.first(image)), 0.01)
        hidden = self.second_norm(self.second(self.drop(hidden)))
        if self.shortcut is not None:
            hidden = hidden + self.shortcut(image)
        return functional.leaky_relu(hidden, 0.01)


class UNet(nn.Module):
    """Encoder of `len(widths)` levels that halve the side, and a decoder that doubles it, with skips.

    With deep supervision each level of the decoder has a head of its own in training, whose logits follow, from the
    finest down, at the size of their level.
    """

    def __init__(
        self, channels: int, regions: int, widths: Sequence[int], style: Style, deep_supervision: bool = False
    ) -> None:
        super().__init__()
        inputs = (channels, *widths)
        self.down = nn.ModuleList(Block(before, width, style) for before, width in zip(inputs, widths, strict=False))
        pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(TRANSPOSED[style.dims](below, width, 2, stride=2) for width, below in pairs)
        self.merge = nn.ModuleList(Block(2 * width, width, style) for width, _ in pairs)
        convolution = CONVOLUTION[style.dims]
        self.head = convolution(widths[0], regions, 1)
        coarser = widths[1:-1] if deep_supervision else ()
        self.coarser_heads = nn.ModuleList(convolution(width, regions, 1) for width in coarser)
        self.pool = POOL[style.dims]

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            image = block(self.pool(image, 2) if level else image)
            skips.append(image)
        image = skips.pop()
        decoded: list[Tensor] = []
        for up, merge in zip(self.up, self.merge, strict=True):
            image = merge(torch.cat([skips.pop(), up(image)], dim=1))
            decoded.append(image)
        logits: Tensor = self.head(image)
        if not (self.training and self.coarser_heads):
            return logits
        levels = zip(self.coarser_heads, decoded[-2::-1], strict=True)
        return logits, *(head(level) for head, level in levels)
