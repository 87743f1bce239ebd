"""Random changes that take away by what pictures of one source are told from those of another.

Whether the skull is there, how tightly the head was cut out, resolution, compression and grey values say where a
picture comes from. A network that may learn the source learns that instead of the tumour. Pictures of two axes; a
sample's draws depend on (seed, epoch, sample) alone.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tumorline.arrays import BoolArray, Float32Array
from tumorline.augmentation.draws import between, sample_generator, shows_anything, stack_samples
from tumorline.augmentation.greys import KNOTS, add_background_noise, coarsen, compress, follow_curve, standardise
from tumorline.augmentation.heads import depth_of_share, find_box, find_head, rough_depth
from tumorline.config import AugmentConfig

DRAWS = 0x50_0C_E5
"""Sets these draws apart from those of the augmentation."""

STRIPPED = (0.05, 0.12)
"""How much is taken off around the head, as a share of the root of its area."""

LEAST_STRIPPED = 0.03
BEYOND_TUMOUR_PX = 2.0
IMAGINED = 0.08
"""A head without a tumour is stripped as if it had one of this radius somewhere, as a share of the root of its area:
else one that was stripped would more often be one without."""

VIEW = (0.9, 1.6)
"""Side of what is seen, as a share of the head's longer side."""

OFF_CENTRE = 0.1
_MIDDLE = torch.tensor([[0.75, 0.25, 0, 0], [0.25, 0.75, 0, 0], [0, 0, 0.75, 0.25], [0, 0, 0.25, 0.75]])
"""From a box to the middle of it, which is always seen where there is no tumour that has to be."""

BARS = (-0.03, 0.12)
"""Where black bars begin beside the head, as a share of its sides."""

QUALITY = (15.0, 95.0)
SATURATED = (0.75, 1.0)
DARKEST = 0.06
Chosen = npt.NDArray[np.intp]
"""Numbers of the samples of a batch that are changed."""


@dataclass(frozen=True)
class Appearance:
    """One batch's draws; the first axis is the sample, numbers are from 0 to 1 unless said."""

    strip: BoolArray
    stripped: Float32Array
    """`(B, 2)`: how much is taken off, and where a tumour would lie in a head that has none."""
    crop: BoolArray
    view: Float32Array
    """`(B, 3)`: side, and shift down and right from -1 to 1."""
    bars: Float32Array
    """`(B, 4)`: top, bottom, left, right; below 0 there is none."""
    change: BoolArray
    curve: Float32Array
    """`(B, KNOTS)` rising from 0 to 1."""
    grey: Float32Array
    """`(B, 4)`: saturation, darkness, noise, coarseness; the last three below 0 are none."""
    quality: Float32Array
    """Of JPEG, from 1 to 100; 0 is none."""
    noise_seed: npt.NDArray[np.int64]


def is_asked_for(settings: AugmentConfig) -> bool:
    return max(settings.skull_strip, settings.crop, settings.appearance) > 0


def draw_appearance(settings: AugmentConfig, seed: int, epoch: int, numbers: Sequence[int]) -> Appearance:
    """Draw for the samples `numbers` of an epoch."""
    samples = [_draw_one(settings, sample_generator(seed ^ DRAWS, epoch, number)) for number in numbers]
    return stack_samples(Appearance, samples)


def _draw_one(settings: AugmentConfig, random: np.random.Generator) -> Appearance:
    """As many draws whatever the settings."""
    chosen = random.random(3) < (settings.skull_strip, settings.crop, settings.appearance)
    stripped, view, bars = random.random(2), random.random(3), random.random(4)
    rises = np.exp(0.7 * random.standard_normal(KNOTS - 1))
    curve = np.concatenate([[0], np.cumsum(rises) / rises.sum()])
    grey, quality, noise_seed = random.random(4), random.random(), random.integers(1 << 62)
    has_bars, (dark, noisy, coarse, compressed) = random.random() < 0.5, random.random(4) < 0.5
    view = np.array([view[0], 2 * view[1] - 1, 2 * view[2] - 1])
    grey = np.where([True, dark, noisy, coarse], grey, -1)
    return Appearance(
        strip=np.asarray(chosen[0]),
        stripped=stripped.astype(np.float32),
        crop=np.asarray(chosen[1]),
        view=view.astype(np.float32),
        bars=(bars if has_bars else np.full(4, -1)).astype(np.float32),
        change=np.asarray(chosen[2]),
        curve=curve.astype(np.float32),
        grey=grey.astype(np.float32),
        quality=np.asarray(between(QUALITY, quality) if compressed else 0, np.float32),
        noise_seed=np.asarray(noise_seed, np.int64),
    )


def change_appearance(image: Tensor, target: Tensor, drawn: Appearance) -> tuple[Tensor, Tensor]:
    """Change image `(B, C, H, W)` and target `(B, R, H, W)` in {0, 1} of the chosen samples, which are standardised."""
    changes = ((drawn.strip, _strip_skulls), (drawn.crop, _cut_out), (drawn.change, _change_greys))
    for flags, change in changes:
        chosen = np.flatnonzero(flags)
        if len(chosen):
            image, target = image.clone(), target.clone()
            image[chosen], target[chosen] = change(image[chosen], target[chosen], drawn, chosen)
    return image, target


def _strip_skulls(image: Tensor, target: Tensor, drawn: Appearance, chosen: Chosen) -> tuple[Tensor, Tensor]:
    """Take away what lies around the brain, more or less of it, but never of a tumour."""
    head, tumour = find_head(image), target.amax(1, keepdim=True)
    size = head.sum((1, 2, 3)).sqrt()
    depth = rough_depth(head, math.ceil(STRIPPED[1] * image.shape[-1]) + 1)
    beside = torch.where(tumour > 0, depth, torch.full_like(depth, math.inf)).amin((1, 2, 3)) - BEYOND_TUMOUR_PX
    share, quantile = torch.from_numpy(drawn.stripped[chosen]).to(image).T
    imagined = torch.stack(
        [depth_of_share(sample, inside, q) for sample, inside, q in zip(depth, head, quantile, strict=True)]
    )
    beside = torch.where(beside.isinf(), imagined - IMAGINED * size, beside)
    wanted = size * between(STRIPPED, share)
    margin = torch.minimum(wanted, beside)
    margin = torch.where(margin >= LEAST_STRIPPED * size, margin, torch.zeros_like(margin))[:, None, None, None]
    low = image.amin((2, 3), keepdim=True)
    bare = torch.where(depth > margin, image, low)
    return standardise(torch.where(margin > 0, bare, image)), target


def _cut_out(image: Tensor, target: Tensor, drawn: Appearance, chosen: Chosen) -> tuple[Tensor, Tensor]:
    """See more or less around the head, with black bars or without; a tumour is always within."""
    head, tumour = find_box(find_head(image)), target.amax(1, keepdim=True)
    has, box = tumour.any((1, 2, 3))[:, None], find_box(tumour)
    middle = head @ _MIDDLE.to(head)
    inner = torch.where(has, box, middle)
    low = image.amin((2, 3), keepdim=True)
    image = torch.where(_beside_bars(image, head, inner, torch.from_numpy(drawn.bars[chosen]).to(image)), image, low)
    view = torch.from_numpy(drawn.view[chosen]).to(image)
    matrix = _view_matrix(image.shape[-2:], (head, inner), view)
    grid = functional.affine_grid(matrix, list(image.shape), align_corners=False)
    both = functional.grid_sample(torch.cat([image - low, target], 1), grid, align_corners=False)
    seen, mask = both.split([image.shape[1], target.shape[1]], 1)
    return standardise(seen + low), (mask >= 0.5).to(target)


def _beside_bars(image: Tensor, head: Tensor, inner: Tensor, bars: Tensor) -> Tensor:
    """`(B, 1, H, W)`: what no black bar covers."""
    lengths = torch.stack([head[:, 1] - head[:, 0], head[:, 3] - head[:, 2]], 1).repeat_interleave(2, 1)
    off = lengths * between(BARS, bars)
    off = torch.where(bars < 0, torch.full_like(off, math.inf), off)
    rows, columns = (torch.arange(side, device=image.device) for side in image.shape[-2:])
    first = torch.minimum(head[:, ::2] - off[:, ::2], inner[:, ::2])
    last = torch.maximum(head[:, 1::2] + off[:, 1::2], inner[:, 1::2])
    down = (rows >= first[:, :1]) & (rows <= last[:, :1])
    right = (columns >= first[:, 1:]) & (columns <= last[:, 1:])
    return (down[:, :, None] & right[:, None, :])[:, None]


def _view_matrix(size: Sequence[int], boxes: tuple[Tensor, Tensor], view: Tensor) -> Tensor:
    """From what is seen to the image, `(B, 2, 3)` in coordinates of [-1, 1]."""
    head, inner = boxes
    spans = [torch.stack([box[:, 1] - box[:, 0], box[:, 3] - box[:, 2]], 1) + 1 for box in boxes]
    side = spans[0].amax(1) * between(VIEW, view[:, 0])
    side = torch.maximum(side, spans[1].amax(1) + 2)[:, None]
    centre = (head[:, ::2] + head[:, 1::2]) / 2 + OFF_CENTRE * side * view[:, 1:]
    centre = torch.maximum(torch.minimum(centre, inner[:, ::2] - 1 + side / 2), inner[:, 1::2] + 1 - side / 2)
    limits = torch.tensor(size, device=head.device, dtype=head.dtype)
    zoom, shift = side / limits, (2 * centre + 1) / limits - 1  # rows, columns
    zero = torch.zeros_like(zoom[:, 0])
    return torch.stack(
        [torch.stack([zoom[:, 1], zero, shift[:, 1]], 1), torch.stack([zero, zoom[:, 0], shift[:, 0]], 1)], 1
    )


def _change_greys(image: Tensor, target: Tensor, drawn: Appearance, chosen: Chosen) -> tuple[Tensor, Tensor]:
    """Another curve of grey values, darkness, resolution, noise and compression, of channels that show anything."""
    saturation, dark, noise, coarse = (torch.from_numpy(column).to(image) for column in drawn.grey[chosen].T)
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    top = between(SATURATED, saturation[:, None, None, None])
    grey = ((image - low) / ((high - low) * top).clamp_min(1e-6)).clamp(0, 1)
    grey = follow_curve(grey, torch.from_numpy(drawn.curve[chosen]).to(image))
    floor = DARKEST * dark.clamp_min(0)[:, None, None, None]
    grey = (grey - floor).clamp_min(0) / (1 - floor)
    grey = coarsen(grey, coarse.tolist())
    grey = add_background_noise(grey, noise.tolist(), drawn.noise_seed[chosen].tolist())
    changed = standardise(compress(grey, torch.from_numpy(drawn.quality[chosen]).to(image)))
    return torch.where(shows_anything(image), changed, image), target
