"""Tumours put into pictures that have none, and taken out of those that have: presence is then not told by the source.

After CarveMix (Zhang et al. 2021, arXiv:2108.06883) and TumorCP (Yang et al. 2021, arXiv:2108.09692), with edges that
blend; what is taken out is filled from around it, and the same is done beside tumours that stay, so that the filling
tells nothing. Pictures of two axes; a sample's draws depend on (seed, epoch, sample) alone.
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
from tumorline.augmentation.draws import between, sample_generator, stack_samples
from tumorline.augmentation.greys import standardise
from tumorline.augmentation.heads import dilate, find_box, find_head
from tumorline.config import AugmentConfig

DRAWS = 0xCA_2B_E5
"""Sets these draws apart from others."""
EDGE_PX = 2
"""Beyond a tumour what is blended."""
RING_PX = 8
"""Beyond it what its brightness is matched by."""
ELSEWHERE = 0.08
"""How far from its own place a tumour may land, as a share of the head's sides."""
SIZES = (0.7, 1.3)
CONTRASTS = (0.5, 2.0)
BRIGHTER = 0.1
"""How far a pasted tumour may surpass the brightest of its new picture, as a share of its range."""
LEAST_PX = 6
"""A tumour of fewer pixels is not put in."""
LEAST_WITHIN = 0.6
"""Share of a tumour that has to lie within the head."""
LARGEST_HOLE = 0.1
"""Of a head: a larger tumour is not taken out, since nothing around it tells what was there."""
GRAIN_PX = 1.5


@dataclass(frozen=True)
class Transplants:
    """One batch's draws; the first axis is the sample."""

    paste: BoolArray
    """Into samples without a tumour, or all (`augment.paste_into`)."""
    donor: npt.NDArray[np.int64]
    """Number of the donor among all of them."""
    place: Float32Array
    """`(B, 5)`: down, right and size from -1 to 1; turn as an angle; mirrored as -1 or 1."""
    take_out: BoolArray
    """Of samples with a tumour."""
    fill_beside: BoolArray
    """Of samples with a tumour that stays: fill the same shape elsewhere."""


def is_asked_for(settings: AugmentConfig) -> bool:
    return max(settings.paste, settings.inpaint) > 0


def draw_transplants(
    settings: AugmentConfig, seed: int, epoch: int, numbers: Sequence[int], donors: int
) -> Transplants:
    """Draw for the samples `numbers` of an epoch, with so many donors."""
    samples = [_draw_one(settings, sample_generator(seed ^ DRAWS, epoch, number), donors) for number in numbers]
    return stack_samples(Transplants, samples)


def _draw_one(settings: AugmentConfig, random: np.random.Generator, donors: int) -> Transplants:
    """As many draws whatever the settings."""
    pasted, removed, beside = random.random(3)
    donor = int(random.random() * donors)
    down, right, size = random.uniform(-1, 1, 3)
    turn, mirror = random.integers(4) * math.pi / 2 + random.uniform(-0.35, 0.35), 1 - 2 * random.integers(2)
    take_out = removed < settings.inpaint
    return Transplants(
        paste=np.asarray(pasted < settings.paste),
        donor=np.asarray(donor, np.int64),
        place=np.array([down, right, size, turn, mirror], np.float32),
        take_out=np.asarray(take_out),
        fill_beside=np.asarray(not take_out and beside < settings.inpaint),
    )


def take_out_tumours(image: Tensor, target: Tensor, drawn: Transplants) -> tuple[Tensor, Tensor]:
    """Image `(B, C, H, W)` and target `(B, R, H, W)` in {0, 1} without the tumours of the chosen samples.

    Of others the same shape is filled where no tumour is.
    """
    for flags, elsewhere in ((drawn.take_out, False), (drawn.fill_beside, True)):
        chosen = np.flatnonzero(flags & target.any((1, 2, 3)).cpu().numpy())
        if len(chosen):
            image, target = image.clone(), target.clone()
            image[chosen], target[chosen] = _fill(image[chosen], target[chosen], elsewhere)
    return image, target


def _fill(image: Tensor, target: Tensor, elsewhere: bool) -> tuple[Tensor, Tensor]:
    tumour, head = target.amax(1, keepdim=True), find_head(image)
    hole = dilate(tumour, EDGE_PX)
    if elsewhere:
        hole = hole.flip(3) * head * (1 - dilate(tumour, EDGE_PX + 2))
    sizes = hole.sum((1, 2, 3)), head.sum((1, 2, 3))
    done = ((sizes[0] >= LEAST_PX) & (sizes[0] <= LARGEST_HOLE * sizes[1]))[:, None, None, None]
    filled = inpaint(image, hole)
    alpha = _soft(hole)
    image = torch.where(done, standardise(image + alpha * (filled - image)), image)
    return image, target if elsewhere else torch.where(done, torch.zeros_like(target), target)


def inpaint(image: Tensor, hole: Tensor) -> Tensor:
    """The image `(B, C, H, W)` with a hole `(B, 1, H, W)` in {0, 1} filled: smoothly from around, then with its grain.

    The grain is that of the mirrored place, or where that is a hole as well, none.
    """
    known = 1 - hole
    smooth = _pull_push(image * known, known)
    grain = image - _blur(image, GRAIN_PX)
    mirrored = (grain * (1 - dilate(hole, EDGE_PX))).flip(3)
    return torch.where(hole > 0, smooth + mirrored, image)


def _pull_push(values: Tensor, known: Tensor) -> Tensor:
    """What is not known from coarser and coarser means of what is; `values` are 0 where it is not."""
    if min(values.shape[2:]) < 2:
        return values / known.clamp_min(1e-6)
    size = values.shape[2:]
    less = [functional.avg_pool2d(pixels, 2, ceil_mode=True) for pixels in (values, known)]
    coarse = functional.interpolate(_pull_push(*less), size, mode="bilinear")
    return values / known.clamp_min(1e-6) * (known > 0) + coarse * (known <= 0)


def _blur(image: Tensor, deviation: float) -> Tensor:
    """Gaussian, of `(B, C, H, W)`."""
    radius = math.ceil(2.5 * deviation)
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    kernel = torch.softmax(-0.5 * (offsets / deviation) ** 2, 0)
    channels = image.shape[1]
    image = functional.pad(image, [radius] * 4, mode="replicate")
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        weights = kernel.reshape(shape).expand(channels, 1, *kernel.reshape(shape).shape[2:])
        image = functional.conv2d(image, weights, groups=channels)
    return image


def _soft(mask: Tensor) -> Tensor:
    """Weights of a mask that blends: 1 within it, falling to 0 just beyond."""
    return torch.maximum(mask, _blur(dilate(mask, EDGE_PX), 1.0))


def paste_tumours(
    image: Tensor, target: Tensor, donors: tuple[Tensor, Tensor], drawn: Transplants, chosen: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """The samples `chosen` with the tumour of a donor each: image and target `(len(chosen), ...)`.

    It lands about where it lies in the donor's head, and its brightness is that of its new surroundings. Where there is
    a tumour already both are the target.
    """
    if not len(chosen):
        return image, target
    into, mask = image[[*chosen]], target[[*chosen]]
    donor_image, donor_target = donors
    head = find_head(into)
    grid = _landing(into, head, donors, torch.from_numpy(drawn.place[[*chosen]]).to(image))
    low = donor_image.amin((2, 3), keepdim=True)
    both = functional.grid_sample(torch.cat([donor_image - low, donor_target], 1), grid, align_corners=False)
    landed, landed_target = both.split([into.shape[1], mask.shape[1]], 1)
    landed_mask = (landed_target >= 0.5).to(mask)
    kept = landed_mask * head
    tumour = kept.amax(1, keepdim=True)
    within, size = tumour.sum((1, 2, 3)), landed_mask.amax(1).sum((1, 2))
    done = ((within >= LEAST_PX) & (within >= LEAST_WITHIN * size))[:, None, None, None]
    matched = _match(landed + low, into, tumour, head)
    pasted = into + _soft(tumour) * head * (matched - into)
    image, target = image.clone(), target.clone()
    image[[*chosen]] = torch.where(done, standardise(pasted), into)
    target[[*chosen]] = torch.where(done, torch.maximum(kept, mask), mask)
    return image, target


def _landing(into: Tensor, head: Tensor, donors: tuple[Tensor, Tensor], place: Tensor) -> Tensor:
    """From the pixels of the new picture to those of the donor's, as a sampling grid."""
    boxes = find_box(head), find_box(find_head(donors[0]))
    tumour = find_box(donors[1].amax(1, keepdim=True))
    centres = [(box[:, ::2] + box[:, 1::2]) / 2 for box in (*boxes, tumour)]  # row, column
    sides = [box[:, 1::2] - box[:, ::2] + 1 for box in boxes]
    landing = centres[0] + ((centres[2] - centres[1]) / sides[1] + ELSEWHERE * place[:, :2]) * sides[0]
    ratio = (sides[1].prod(1) / sides[0].prod(1)).sqrt()
    grown = between(SIZES, (place[:, 2] + 1) / 2)
    scale = ratio / grown
    cosine, sine = torch.cos(place[:, 3]), torch.sin(place[:, 3])
    turned = torch.stack(
        [torch.stack([cosine, -sine], 1), torch.stack([sine * place[:, 4], cosine * place[:, 4]], 1)], 1
    )
    linear = turned * scale[:, None, None]  # (row, column) of the new picture to those of the donor
    height, width = into.shape[-2:]
    rows, columns = (torch.arange(side, device=into.device, dtype=into.dtype) for side in (height, width))
    pixels = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)  # (H, W, 2)
    moved = (pixels[None] - landing[:, None, None]) @ linear.transpose(1, 2)[:, None] + centres[2][:, None, None]
    limits = torch.tensor([height, width], device=into.device, dtype=into.dtype)
    return ((2 * moved + 1) / limits - 1).flip(-1)


def _match(landed: Tensor, into: Tensor, tumour: Tensor, head: Tensor) -> Tensor:
    """The donor's grey values with mean and deviation of what is around the tumour in the new picture."""
    ring = (dilate(tumour, RING_PX) - dilate(tumour, EDGE_PX)) * head
    weight = ring.sum((2, 3), keepdim=True).clamp_min(1)
    means = [(picture * ring).sum((2, 3), keepdim=True) / weight for picture in (landed, into)]
    spreads = [
        (((picture - mean) ** 2 * ring).sum((2, 3), keepdim=True) / weight).sqrt().clamp_min(1e-3)
        for picture, mean in zip((landed, into), means, strict=True)
    ]
    matched = (landed - means[0]) * (spreads[1] / spreads[0]).clamp(*CONTRASTS) + means[1]
    low, high = into.amin((2, 3), keepdim=True), into.amax((2, 3), keepdim=True)
    return torch.minimum(torch.maximum(matched, low), high + BRIGHTER * (high - low))
