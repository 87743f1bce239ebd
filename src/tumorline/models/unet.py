"""U-Net (Ronneberger et al. 2015, arXiv:1505.04597), plain or with residual blocks (He et al. 2016)."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

NORMS = ("instance", "group", "batch")


class Block(nn.Module):
    """Two 3 x 3 convolutions, each with norm and LeakyReLU; with `residual` the input is added before the last."""

    def __init__(self, channels: int, width: int, norm: str, residual: bool, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.first_norm = _norm(norm, width)
        self.second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.second_norm = _norm(norm, width)
        self.drop = nn.Dropout2d(dropout)
        self.shortcut = nn.Conv2d(channels, width, 1, bias=False) if residual else None

    def forward(self, image: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.first_norm(self.first(image)), 0.01)
        hidden = self.second_norm(self.second(self.drop(hidden)))
        if self.shortcut is not None:
            hidden = hidden + self.shortcut(image)
        return functional.leaky_relu(hidden, 0.01)


class UNet(nn.Module):
    """Encoder of `len(widths)` levels that halve the side, and a decoder that doubles it, with skips."""

    def __init__(
        self, channels: int, regions: int, widths: Sequence[int], norm: str, residual: bool, dropout: float
    ) -> None:
        super().__init__()
        inputs = (channels, *widths)
        self.down = nn.ModuleList(
            Block(before, width, norm, residual, dropout) for before, width in zip(inputs, widths, strict=False)
        )
        pairs = list(pairwise(widths))[::-1]
        self.up = nn.ModuleList(nn.ConvTranspose2d(below, width, 2, stride=2) for width, below in pairs)
        self.merge = nn.ModuleList(Block(2 * width, width, norm, residual, dropout) for width, _ in pairs)
        self.head = nn.Conv2d(widths[0], regions, 1)

    def forward(self, image: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            image = block(functional.max_pool2d(image, 2) if level else image)
            skips.append(image)
        image = skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            image = merge(torch.cat([skips.pop(), up(image)], dim=1))
        logits: Tensor = self.head(image)
        return logits


def _norm(name: str, width: int) -> nn.Module:
    if name == "instance":
        return nn.InstanceNorm2d(width, affine=True)
    if name == "group":
        return nn.GroupNorm(min(8, width), width)
    return nn.BatchNorm2d(width)
