"""Which part of a volume a network of patches sees at a step: a function of seed, epoch and sample, of nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tumorline.arrays import MaskArray

T = TypeVar("T", bound=np.generic)
MOST_PLACES = 2000
"""Voxels of a region that are kept to draw from."""

Places = npt.NDArray[np.int32]
"""Voxels `(N, axes)`."""


@dataclass(frozen=True)
class PatchPlan:
    """How patches are drawn."""

    window: tuple[int, ...]
    """Sides in voxels of the network."""
    region_share: float
    """Share of the patches that hold a voxel of a region; each region of a case has its turn alike."""


def region_places(truth: MaskArray) -> list[Places]:
    """Voxels of each region of `(R, *space)`, at most `MOST_PLACES`, spread evenly over it."""
    by_region = []
    for mask in truth:
        places = np.argwhere(mask).astype(np.int32)
        by_region.append(places[:: 1 + len(places) // MOST_PLACES] if len(places) else places)
    return by_region


def draw_patch(
    random: np.random.Generator, plan: PatchPlan, space: Sequence[int], places: Sequence[Places]
) -> tuple[int, ...]:
    """First voxel of a patch in a case of `space`, below 0 where the case is smaller than the patch.

    A patch that is drawn for a region holds one of its voxels anywhere but at its very border.
    """
    on_region, which, where = random.random(3)
    shares = random.random(len(space))
    present = [some for some in places if len(some)]
    rooms = [side - window for side, window in zip(space, plan.window, strict=True)]
    if not present or on_region >= plan.region_share:
        limits = [(0, room) for room in rooms]
    else:
        region = present[int(which * len(present))]
        limits = [
            _around(int(at), window) for at, window in zip(region[int(where * len(region))], plan.window, strict=True)
        ]
    return tuple(
        _fitting(low + int(share * (high - low + 1)), room)
        for share, (low, high), room in zip(shares, limits, rooms, strict=True)
    )


def _around(voxel: int, window: int) -> tuple[int, int]:
    """The first and the last start of a window that holds a voxel, not in its outer quarters."""
    return voxel - window + window // 4 + 1, voxel - window // 4


def _fitting(start: int, room: int) -> int:
    """A start within the case; where the case is smaller than the window, it lies in the middle."""
    return room // 2 if room < 0 else min(max(start, 0), room)


def cut_patch(image: npt.NDArray[T], start: Sequence[int], window: Sequence[int]) -> npt.NDArray[T]:
    """The part `(C, *window)` of `(C, *space)` from `start` on; beyond the case is each channel's lowest value."""
    patch = np.empty((len(image), *window), image.dtype)
    inside, target = [], []
    for first, side, extent in zip(start, window, image.shape[1:], strict=True):
        low, high = max(0, first), min(extent, first + side)
        inside.append(slice(low, high))
        target.append(slice(low - first, high - first))
    for channel, out in zip(image, patch, strict=True):
        part = channel[tuple(inside)]
        out.fill(channel.min() if part.shape != out.shape else 0)
        out[tuple(target)] = part
    return patch
