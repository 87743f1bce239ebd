"""Parts of heads, with the tumour or without it: presence is then told neither by the source nor by where a head ends.

Sets of tumours have few slices without one, and those without are of other scanners and sequences. A part of a head in
which the tumour does not lie is a slice without a tumour that looks like those that have one, made of nothing but what
was there: neck, eyes, base and vertex as well. As many parts show the tumour, so that being cut tells nothing. Pictures
of two axes; a sample's draws depend on (seed, epoch, sample) alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from tumorline.arrays import BoolArray, Float32Array
from tumorline.augmentation.draws import between, sample_generator, stack_samples
from tumorline.augmentation.greys import standardise
from tumorline.augmentation.heads import dilate, find_box, find_head
from tumorline.config import AugmentConfig

DRAWS = 0x9A_27_55
"""Sets these draws apart from others."""
TRIES = 24
"""Parts that are drawn of a head; the first that fits is seen."""
SIDE = (0.4, 0.85)
"""Side of a part, as a share of the head's longer side."""
LEAST_HEAD = 0.5
"""Share of a part that has to be head."""
AROUND_PX = 2
"""Pixels around a tumour that belong to it: none of them is in a part without, all are in a part with it."""


@dataclass(frozen=True)
class Parts:
    """One batch's draws; the first axis is the sample."""

    cut: BoolArray
    hide: BoolArray
    """Where there is a tumour, show a part without it; else one with all of it."""
    places: Float32Array
    """`(B, TRIES, 3)`: side, row and column, from 0 to 1."""
    zoom: Float32Array
    """`(B,)`: 0 leaves a part as large as it is, with black around it; 1 fills the picture with it."""


def draw_parts(settings: AugmentConfig, seed: int, epoch: int, numbers: Sequence[int]) -> Parts:
    """Draw for the samples `numbers` of an epoch."""
    return stack_samples(
        Parts, [_draw_part(settings, sample_generator(seed ^ DRAWS, epoch, number)) for number in numbers]
    )


def _draw_part(settings: AugmentConfig, random: np.random.Generator) -> Parts:
    """As many draws whatever the settings."""
    cut, hide, zoom = random.random(3)
    return Parts(
        cut=np.asarray(cut < settings.part),
        hide=np.asarray(hide < 0.5),
        places=random.random((TRIES, 3)).astype(np.float32),
        zoom=np.asarray(zoom, np.float32),
    )


def show_parts(image: Tensor, target: Tensor, drawn: Parts) -> tuple[Tensor, Tensor]:
    """Image `(B, C, H, W)`, standardised, and target `(B, R, H, W)` in {0, 1}, cut to a part in the chosen samples.

    A sample of which no part fits stays whole.
    """
    chosen = np.flatnonzero(drawn.cut)
    if len(chosen):
        image, target = image.clone(), target.clone()
        parts = Parts(drawn.cut[chosen], drawn.hide[chosen], drawn.places[chosen], drawn.zoom[chosen])
        image[chosen], target[chosen] = _cut(image[chosen], target[chosen], parts)
    return image, target


def _cut(image: Tensor, target: Tensor, drawn: Parts) -> tuple[Tensor, Tensor]:
    head, tumour = find_head(image), dilate(target.amax(1, keepdim=True), AROUND_PX)
    places, hide, zoom = (torch.from_numpy(draws).to(image.device) for draws in (drawn.places, drawn.hide, drawn.zoom))
    boxes = _boxes(find_box(head), places)  # (B, TRIES, 4)
    within = count_within(tumour, boxes)
    wanted = torch.where(hide, 0, tumour.sum((1, 2, 3)))[:, None]
    fits = (within == wanted) & (count_within(head, boxes) >= LEAST_HEAD * _areas(boxes))
    box = boxes[torch.arange(len(boxes)), fits.int().argmax(1)]  # (B, 4)
    low = image.amin((2, 3), keepdim=True)
    seen = _inside(box, image.shape[-2:])
    both = torch.cat([(image - low) * seen, target * seen], 1)
    both = functional.grid_sample(both, _grid(box, zoom, both), align_corners=False)
    part, mask = both.split([image.shape[1], target.shape[1]], 1)
    done = fits.any(1)[:, None, None, None]
    return torch.where(done, standardise(part), image), torch.where(done, (mask >= 0.5).to(target), target)


def _boxes(head: Tensor, places: Tensor) -> Tensor:
    """First row and the one after the last, likewise columns, `(B, TRIES, 4)`, within the head's box `(B, 4)`."""
    head = head[:, None]
    lengths = torch.stack([head[..., 1] - head[..., 0], head[..., 3] - head[..., 2]], -1) + 1  # (B, 1, 2)
    side = lengths.amax(-1) * between(SIDE, places[..., 0])
    sides = torch.minimum(side[..., None], lengths).round().clamp_min(1)
    first = head[..., ::2] + ((lengths - sides) * places[..., 1:]).round()
    return torch.stack([first, first + sides], -1).flatten(-2).long()


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[..., 1] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 2])


def count_within(mask: Tensor, boxes: Tensor) -> Tensor:
    """Pixels of `(B, 1, H, W)` in {0, 1} within each box `(B, TRIES, 4)`."""
    table = functional.pad(mask[:, 0], [1, 0, 1, 0]).cumsum(1).cumsum(2)  # (B, H + 1, W + 1)
    sample = torch.arange(len(boxes), device=boxes.device)[:, None]
    top, bottom, left, right = boxes.unbind(-1)
    return (
        table[sample, bottom, right]
        - table[sample, top, right]
        - table[sample, bottom, left]
        + table[sample, top, left]
    )


def _inside(box: Tensor, size: Sequence[int]) -> Tensor:
    """`(B, 1, H, W)`: what lies in the box."""
    rows, columns = (torch.arange(side, device=box.device) for side in size)
    down = (rows >= box[:, :1]) & (rows < box[:, 1:2])
    right = (columns >= box[:, 2:3]) & (columns < box[:, 3:])
    return down[:, None, :, None] & right[:, None, None, :]


def _grid(box: Tensor, zoom: Tensor, both: Tensor) -> Tensor:
    """From what is seen to the picture: the middle of the box is that of what is seen."""
    size = torch.tensor(both.shape[-2:], device=both.device, dtype=both.dtype)
    longer = (box[:, 1::2] - box[:, ::2]).amax(1).to(both)
    side = (size.amax() + (longer - size.amax()) * zoom)[:, None]
    centre = (box[:, ::2] + box[:, 1::2]).to(both) / 2
    scale, shift = (side / size).expand(-1, 2), 2 * centre / size - 1  # rows, columns
    zero = torch.zeros_like(zoom)
    rows = [torch.stack([scale[:, 1], zero, shift[:, 1]], 1), torch.stack([zero, scale[:, 0], shift[:, 0]], 1)]
    return functional.affine_grid(torch.stack(rows, 1), list(both.shape), align_corners=False)
