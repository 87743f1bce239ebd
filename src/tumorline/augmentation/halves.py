"""Heads made of one half and its mirror image: whole heads without a tumour out of those that have one.

Where a tumour lies in one half, the other half and its mirror image are a head without a tumour of the same scanner,
sequence and size, and the halves fit by themselves. As many are made of the half with the tumour, which then has two,
so that being symmetric tells nothing. Heads that are not nearly symmetric (as seen from the side) and those whose
tumour crosses the middle stay as they are. Pictures of two axes; a sample's draws depend on (seed, epoch, sample)
alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tumorline.arrays import BoolArray
from tumorline.augmentation.draws import sample_generator, stack_samples
from tumorline.augmentation.greys import standardise
from tumorline.augmentation.heads import find_box, find_head
from tumorline.config import AugmentConfig

DRAWS = 0xA1_F5_E5
"""Sets these draws apart from others."""
OFF_MIDDLE = 0.05
"""How far from the middle of the head's box the line may lie, as a share of the picture."""
COARSE = 4
"""Pixels between the places that are compared."""
LEAST_ALIKE = 0.5
"""Correlation of a head's grey values with their mirror image from which it counts as symmetric."""
BESIDE_PX = 2
"""A line that lies nearer to a tumour cuts it."""


@dataclass(frozen=True)
class Halves:
    """One batch's draws; the first axis is the sample."""

    mirror: BoolArray
    hide: BoolArray
    """Keep the half without the tumour; of a head without one either half."""


@dataclass(frozen=True)
class Line:
    """What a picture is mirrored at: pixel p of an axis goes to `total - p`."""

    axis: Tensor
    """`(B,)`: 0 for rows, 1 for columns."""
    total: Tensor
    """`(B,)`, whole numbers."""


def draw_halves(settings: AugmentConfig, seed: int, epoch: int, numbers: Sequence[int]) -> Halves:
    """Draw for the samples `numbers` of an epoch."""
    samples = [sample_generator(seed ^ DRAWS, epoch, number).random(2) for number in numbers]
    return stack_samples(
        Halves,
        [Halves(np.asarray(sample[0] < settings.mirror_half), np.asarray(sample[1] < 0.5)) for sample in samples],
    )


def mirror_halves(image: Tensor, target: Tensor, drawn: Halves) -> tuple[Tensor, Tensor]:
    """Image `(B, C, H, W)`, standardised, and target `(B, R, H, W)` in {0, 1}, mirrored in the chosen samples."""
    chosen = np.flatnonzero(drawn.mirror)
    if len(chosen):
        image, target = image.clone(), target.clone()
        hide = torch.from_numpy(drawn.hide[chosen]).to(image.device)
        image[chosen], target[chosen] = _mirror(image[chosen], target[chosen], hide)
    return image, target


def _mirror(image: Tensor, target: Tensor, hide: Tensor) -> tuple[Tensor, Tensor]:
    tumour = target.amax(1, keepdim=True)
    line, alike = find_middle(image, tumour)
    distance = _twice_from(line, image.shape[-2:])  # (B, 1, H, W)
    tumour_comes_first = (tumour * (distance <= 0)).any((1, 2, 3))
    kept = (distance <= 0) == (tumour_comes_first != hide)[:, None, None, None]
    low = image.amin((2, 3), keepdim=True)
    mirrored, mask = (torch.where(kept, values, _flip(values, line)) for values in (image - low, target))
    done = (alike >= LEAST_ALIKE)[:, None, None, None]
    return torch.where(done, standardise(mirrored + low), image), torch.where(done, mask, target)


def find_middle(image: Tensor, tumour: Tensor) -> tuple[Line, Tensor]:
    """Of the lines near the middles of heads `(B, C, H, W)` those at which they are most alike.

    Beside them `(B,)` the correlation of each head with its mirror image, -1 where every line cuts the tumour.
    """
    head = find_head(image)
    plane, coarse = _coarsened(image[:, :1]), _coarsened(head)
    lines = list(_lines(find_box(head), image.shape[-2:]))
    alike = [torch.where(_cuts(line, tumour), -1, _correlation(plane, coarse, line)) for line in lines]
    most, best = torch.stack(alike).max(0)
    sample = torch.arange(len(image), device=image.device)
    axis, total = (
        torch.stack(ends)[best, sample]
        for ends in zip(*((candidate.axis, candidate.total) for candidate in lines), strict=True)
    )
    return Line(axis, total), most


def _coarsened(values: Tensor) -> Tensor:
    """`(B, 1, H / COARSE, W / COARSE)`: means of overlapping squares around those of `COARSE`."""
    return functional.avg_pool2d(values, 3 * COARSE, COARSE, COARSE, count_include_pad=False)


def _lines(box: Tensor, size: Sequence[int]) -> Iterator[Line]:
    """Along rows and columns around the middles of the boxes `(B, 4)`, where coarse pixels are mirrored to such."""
    for axis, side in enumerate(size):
        middle = (box[:, 2 * axis : 2 * axis + 2].sum(1) / COARSE).round().long() * COARSE - 1
        reach = round(2 * OFF_MIDDLE * side / COARSE)
        for shift in range(-reach, reach + 1):
            yield Line(torch.full_like(middle, axis), middle + COARSE * shift)


def _cuts(line: Line, tumour: Tensor) -> Tensor:
    ends: Tensor = find_box(tumour).unflatten(1, (2, 2))[torch.arange(len(tumour)), line.axis]  # (B, 2)
    first, last = (2 * end for end in ends.unbind(1))
    return (first - 2 * BESIDE_PX < line.total) & (line.total < last + 2 * BESIDE_PX) & tumour.any((1, 2, 3))


def _correlation(plane: Tensor, head: Tensor, line: Line) -> Tensor:
    """Of the coarse heads with their mirror image, `(B,)`."""
    line = Line(line.axis, torch.div(line.total - COARSE + 1, COARSE, rounding_mode="floor"))
    within = torch.maximum(head, _flip(head, line))
    count = within.sum((1, 2, 3), keepdim=True).clamp_min(1)
    centred, mirrored = (
        (one - (one * within).sum((1, 2, 3), keepdim=True) / count) * within for one in (plane, _flip(plane, line))
    )
    sums = [
        (one * another).sum((1, 2, 3))
        for one, another in ((centred, mirrored), (centred, centred), (mirrored, mirrored))
    ]
    return sums[0] / (sums[1] * sums[2]).sqrt().clamp_min(1e-6)


def _flip(values: Tensor, line: Line) -> Tensor:
    """`(B, C, H, W)` mirrored; what comes from outside of the picture is 0."""
    rows, columns = (_flip_along(axis, values, line.total) for axis in (2, 3))
    return torch.where((line.axis == 0)[:, None, None, None], rows, columns)


def _flip_along(axis: int, values: Tensor, total: Tensor) -> Tensor:
    size = values.shape[axis]
    places = total[:, None] - torch.arange(size, device=values.device)  # (B, size)
    places = places[:, None, :, None] if axis == 2 else places[:, None, None]
    inside = (places >= 0) & (places < size)
    return values.gather(axis, places.clamp(0, size - 1).expand_as(values)) * inside


def _twice_from(line: Line, size: Sequence[int]) -> Tensor:
    """`(B, 1, H, W)`: twice the distance in pixels from the line, below 0 before it."""
    rows, columns = (torch.arange(side, device=line.total.device) for side in size)
    total = line.total[:, None, None]
    along = torch.where(
        (line.axis == 0)[:, None, None], 2 * rows[None, :, None] - total, 2 * columns[None, None, :] - total
    )
    return along[:, None]
