"""Swin-UNet (Cao et al. 2021, arXiv:2105.05537): a U-Net of Swin Transformer blocks, with torchvision's blocks.

Embedding 96, depths 2-2-2-2, heads 3-6-12-24, window 7. The encoder is a Swin-T with two blocks in its third stage, and
takes torchvision's ImageNet weights of Swin-T, as the authors do; they also start the decoder from them, we do not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tumorline.models.any_size import AnySize
from tumorline.models.pretrained import check_file, check_hub, fit_weights, from_hub, read_weights
from tumorline.models.torchvision_cure import cure_torchvision

PATCH, WINDOW = 4, 7
IMAGENET = "https://download.pytorch.org/models/swin_t-704ceda3.pth"


class SwinUNet(nn.Module):
    """`(B, C, H, W)` to `(B, R, H, W)`, H and W multiples of 32; windows that do not fit are padded in attention."""

    def __init__(
        self,
        channels: int,
        regions: int,
        embed: int = 96,
        depths: Sequence[int] = (2, 2, 2, 2),
        heads: Sequence[int] = (3, 6, 12, 24),
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        rates = torch.linspace(0, drop_path, sum(depths)).tolist()
        widths = [embed * 2**level for level in range(len(depths))]
        self.encoder = Encoder(channels, widths, depths, heads, rates)
        self.expand = nn.ModuleList(PatchExpand(width, 2) for width in widths[:0:-1])
        self.concat = nn.ModuleList(nn.Linear(2 * width, width) for width in widths[-2::-1])
        self.decoder = nn.ModuleList(
            _stage(widths[level], depths[level], heads[level], rates[sum(depths[:level]) :])
            for level in range(len(depths) - 2, -1, -1)
        )
        self.norm = nn.LayerNorm(embed)
        self.enlarge = PatchExpand(embed, PATCH)
        self.head = nn.Conv2d(embed, regions, 1)

    def forward(self, image: Tensor) -> Tensor:
        *skips, feature = self.encoder(image)
        for expand, concat, stage in zip(self.expand, self.concat, self.decoder, strict=True):
            feature = stage(concat(torch.cat([expand(feature), skips.pop()], dim=-1)))
        logits: Tensor = self.head(self.enlarge(self.norm(feature)).permute(0, 3, 1, 2))
        return logits


class Encoder(nn.Module):
    """Features `(B, H/4, W/4, C)` to `(B, H/32, W/32, 8 C)`; parameters are named as in torchvision's Swin."""

    def __init__(
        self, channels: int, widths: Sequence[int], depths: Sequence[int], heads: Sequence[int], rates: Sequence[float]
    ) -> None:
        super().__init__()
        swin = _swin()
        embedding = nn.Conv2d(channels, widths[0], PATCH, PATCH), swin.Permute([0, 2, 3, 1]), nn.LayerNorm(widths[0])
        features: list[nn.Module] = [nn.Sequential(*embedding)]
        for level, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            if level:
                features.append(swin.PatchMerging(width // 2))
            features.append(_stage(width, depth, heads[level], rates[sum(depths[:level]) :]))
        self.features = nn.Sequential(*features)
        self.norm = nn.LayerNorm(widths[-1])

    def forward(self, image: Tensor) -> list[Tensor]:
        features, feature = [], image
        for number, layer in enumerate(self.features):
            feature = layer(feature)
            if number % 2:
                features.append(feature)
        features[-1] = self.norm(features[-1])
        return features


class PatchExpand(nn.Module):
    """Enlarges `(B, H, W, C)` by a factor; the width halves for the factor 2 and stays for 4."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        after = width // 2 if factor == 2 else width
        self.factor = factor
        self.linear = nn.Linear(width, after * factor**2, bias=False)
        self.norm = nn.LayerNorm(after)

    def forward(self, feature: Tensor) -> Tensor:
        batch, height, width, _ = feature.shape
        f = self.factor
        parts = self.linear(feature).view(batch, height, width, f, f, -1)
        enlarged = parts.permute(0, 1, 3, 2, 4, 5).reshape(batch, height * f, width * f, -1)
        normed: Tensor = self.norm(enlarged)
        return normed


def _stage(width: int, depth: int, heads: int, rates: Sequence[float]) -> nn.Sequential:
    """Blocks with and without shifted windows in turn."""
    block = _swin().SwinTransformerBlock
    return nn.Sequential(
        *(
            block(
                width,
                heads,
                window_size=[WINDOW, WINDOW],
                shift_size=[0, 0] if number % 2 == 0 else [WINDOW // 2, WINDOW // 2],
                stochastic_depth_prob=rates[number],
            )
            for number in range(depth)
        )
    )


def _swin() -> Any:
    cure_torchvision()
    from torchvision.models import swin_transformer

    return swin_transformer


def swin_unet(channels: int, regions: int, weights: str = "imagenet", drop_path: float = 0.1) -> nn.Module:
    """Swin-UNet (Cao et al. 2021, arXiv:2105.05537): Swin Transformer blocks, from ImageNet weights of Swin-T."""
    check_swin_weights(weights)
    network = SwinUNet(channels, regions, drop_path=drop_path)
    if weights != "none":
        fit_weights(network.encoder, from_hub(IMAGENET) if weights == "imagenet" else read_weights(Path(weights)))
    return AnySize(network, 32, backbone="network.encoder")


def check_swin_weights(weights: str) -> None:
    """Raise UserError where the weights are neither on this machine nor within reach, before anything is built."""
    if weights == "imagenet":
        check_hub(IMAGENET)
    elif weights != "none":
        check_file(weights, "imagenet, none")
