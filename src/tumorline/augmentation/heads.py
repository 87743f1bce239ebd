"""Where the head is, and how deep in it a pixel lies, on the device."""

import math

import torch
from torch import Tensor
from torch.nn import functional

DARK = 0.15
"""Share of the brightness from which a pixel is head."""


def find_head(image: Tensor) -> Tensor:
    """Where the head is in `(B, C, H, W)`, as `(B, 1, H, W)` in {0, 1}, without holes; by its first channel."""
    plane = image[:, :1]
    low, high = plane.amin((2, 3), keepdim=True), plane.amax((2, 3), keepdim=True)
    bright = functional.avg_pool2d(plane, 3, 1, 1) > low + DARK * (high - low)
    core = dilate(erode(bright.to(plane.dtype), 1), 1)
    inside = [_since_first(core, axis, reverse) for axis in (2, 3) for reverse in (False, True)]
    return torch.stack(inside).amin(0)


def _since_first(mask: Tensor, axis: int, reverse: bool) -> Tensor:
    """1 from the first pixel of the mask on along an axis."""
    turned = mask.flip(axis) if reverse else mask
    filled = turned.cummax(axis).values
    return filled.flip(axis) if reverse else filled


def dilate(mask: Tensor, pixels: int) -> Tensor:
    """Of `(B, R, H, W)` in {0, 1}, by squares and diamonds in turns."""
    for step in range(pixels):
        mask = _by_square(mask) if step % 2 else _by_diamond(mask)
    return mask


def erode(mask: Tensor, pixels: int) -> Tensor:
    """The edge of the image takes nothing away."""
    return -dilate(-mask, pixels)


def _by_square(mask: Tensor) -> Tensor:
    """Side by side, which is faster than a window of nine."""
    return functional.max_pool2d(functional.max_pool2d(mask, (3, 1), 1, (1, 0)), (1, 3), 1, (0, 1))


def _by_diamond(mask: Tensor) -> Tensor:
    down = functional.max_pool2d(mask, (3, 1), 1, (1, 0))
    return torch.maximum(down, functional.max_pool2d(mask, (1, 3), 1, (0, 1)))


def depth_in(mask: Tensor, deepest: int) -> Tensor:
    """How many pixels deep each pixel lies in a mask `(B, 1, H, W)`, up to `deepest`."""
    depth = mask.clone()
    for step in range(deepest):
        mask = -_by_square(-mask) if step % 2 else -_by_diamond(-mask)
        depth += mask
    return depth


def find_box(mask: Tensor) -> Tensor:
    """First and last row, first and last column of `(B, 1, H, W)` in {0, 1}, `(B, 4)`; of an empty one all of it."""
    ends = []
    for axis in (3, 2):
        line = mask[:, 0].amax(axis - 1)  # (B, H) or (B, W)
        line = torch.where(line.any(1, keepdim=True), line, torch.ones_like(line))
        ends += [line.argmax(1), line.shape[1] - 1 - line.flip(1).argmax(1)]
    return torch.stack(ends, 1).to(mask.dtype)


def rough_depth(mask: Tensor, deepest: int) -> Tensor:
    """As `depth_in`, found at half the resolution, which takes an eighth of the time."""
    small = (functional.avg_pool2d(mask, 2, ceil_mode=True) >= 0.5).to(mask)
    depth = 2 * depth_in(small, math.ceil(deepest / 2))
    return functional.interpolate(depth, mask.shape[2:], mode="bilinear") * mask


def depth_of_share(depth: Tensor, head: Tensor, share: Tensor) -> Tensor:
    """The depth than which a share of a head's pixels is less deep."""
    depths = depth[head > 0].sort().values
    return depths[int(float(share) * (len(depths) - 1))] if len(depths) else depth.amax()
