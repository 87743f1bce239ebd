"""Grey values as if from another source: curve, resolution, noise and JPEG compression."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

KNOTS = 6
COARSEST = 0.4
NOISE = 0.03

JPEG_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Steps of the brightness at quality 50 (ITU-T T.81, annex K)."""


def standardise(image: Tensor) -> Tensor:
    """Mean 0 and deviation 1 of each channel, as every picture has before the network."""
    image = image - image.mean((2, 3), keepdim=True)
    return image / image.std((2, 3), keepdim=True).clamp_min(1e-6)


def follow_curve(grey: Tensor, curve: Tensor) -> Tensor:
    """Grey values from 0 to 1 along straight lines between knots `(B, KNOTS)`."""
    position = grey * (KNOTS - 1)
    below = position.floor().clamp(0, KNOTS - 2).long()
    flat = below.flatten(1)
    first, second = curve.gather(1, flat), curve.gather(1, flat + 1)
    return (first + (second - first) * (position - below).flatten(1)).reshape(grey.shape)


def coarsen(grey: Tensor, coarse: Sequence[float]) -> Tensor:
    for sample, share in enumerate(coarse):
        if share >= 0:
            factor = COARSEST + (1 - COARSEST) * share
            side = [max(2, round(length * factor)) for length in grey.shape[2:]]
            small = functional.interpolate(grey[sample : sample + 1], side, mode="area")
            grey[sample : sample + 1] = functional.interpolate(small, grey.shape[2:], mode="bilinear")
    return grey


def add_background_noise(grey: Tensor, strengths: Sequence[float], seeds: Sequence[int]) -> Tensor:
    """Of magnitude images: what is dark becomes a little brighter, never darker."""
    for sample, strength in enumerate(strengths):
        if strength > 0:
            generator = torch.Generator(grey.device).manual_seed(int(seeds[sample]))
            shape = (2, *grey.shape[1:])
            real, imaginary = NOISE * strength * torch.randn(shape, generator=generator, device=grey.device)
            grey[sample] = ((grey[sample] + real) ** 2 + imaginary**2).sqrt()
    return grey


def compress(grey: Tensor, quality: Tensor) -> Tensor:
    """Grey values `(B, C, H, W)` from 0 to 1 after JPEG of a quality `(B,)` from 1 to 100; 0 leaves a sample alone."""
    chosen = torch.nonzero(quality > 0)[:, 0]
    if not len(chosen):
        return grey
    height, width = grey.shape[2:]
    padded = functional.pad(grey[chosen], (0, -width % 8, 0, -height % 8), mode="replicate")
    rows, columns = padded.shape[2] // 8, padded.shape[3] // 8
    blocks = padded.reshape(*padded.shape[:2], rows, 8, columns, 8).transpose(3, 4) * 255 - 128
    cosines, steps = _cosines().to(grey), _steps(quality[chosen])
    frequencies = cosines @ blocks @ cosines.T
    blocks = cosines.T @ ((frequencies / steps).round() * steps) @ cosines
    back = ((blocks + 128) / 255).clamp(0, 1).transpose(3, 4).reshape(padded.shape)
    grey = grey.clone()
    grey[chosen] = back[:, :, :height, :width]
    return grey


def _cosines() -> Tensor:
    """The cosine transform of 8 values, orthonormal `(8, 8)`."""
    positions = torch.arange(8, dtype=torch.float64)
    waves = torch.cos(math.pi / 8 * (positions[None] + 0.5) * positions[:, None]) / 2
    waves[0] /= math.sqrt(2)
    return waves.float()


def _steps(quality: Tensor) -> Tensor:
    """Steps of the frequencies `(B, 1, 1, 1, 8, 8)`, as libjpeg scales its table."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).floor()
    table = torch.tensor(JPEG_TABLE, dtype=quality.dtype, device=quality.device)
    return ((table * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)[:, None, None, None]
