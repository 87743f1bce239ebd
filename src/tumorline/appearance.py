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

from tumorline.config import AugmentConfig

DRAWS = 0x50_0C_E5
"""Sets these draws apart from those of the augmentation."""
DARK = 0.15
"""Share of the brightness from which a pixel is head."""
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
KNOTS = 6
COARSEST = 0.4
QUALITY = (15.0, 95.0)
SATURATED = (0.75, 1.0)
DARKEST = 0.06
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

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Chosen = npt.NDArray[np.intp]
"""Numbers of the samples of a batch that are changed."""


@dataclass(frozen=True)
class Appearance:
    """One batch's draws; the first axis is the sample, numbers are from 0 to 1 unless said."""

    strip: Flags
    stripped: Floats
    """`(B, 2)`: how much is taken off, and where a tumour would lie in a head that has none."""
    crop: Flags
    view: Floats
    """`(B, 3)`: side, and shift down and right from -1 to 1."""
    bars: Floats
    """`(B, 4)`: top, bottom, left, right; below 0 there is none."""
    change: Flags
    curve: Floats
    """`(B, KNOTS)` rising from 0 to 1."""
    grey: Floats
    """`(B, 4)`: saturation, darkness, noise, coarseness; the last three below 0 are none."""
    quality: Floats
    """Of JPEG, from 1 to 100; 0 is none."""
    noise_seed: npt.NDArray[np.int64]


def is_asked_for(settings: AugmentConfig) -> bool:
    return max(settings.skull_strip, settings.crop, settings.appearance) > 0


def draw_appearance(settings: AugmentConfig, seed: int, epoch: int, numbers: Sequence[int]) -> Appearance:
    """Draw for the samples `numbers` of an epoch."""
    samples = [_draw_one(settings, sample_generator(seed ^ DRAWS, epoch, number)) for number in numbers]
    return Appearance(*(np.stack(column) for column in zip(*samples, strict=True)))


def sample_generator(seed: int, epoch: int, number: int) -> np.random.Generator:
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, (epoch << 32) | number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def _draw_one(settings: AugmentConfig, random: np.random.Generator) -> tuple[npt.NDArray[np.generic], ...]:
    """As many draws whatever the settings."""
    chosen = random.random(3) < (settings.skull_strip, settings.crop, settings.appearance)
    stripped, view, bars = random.random(2), random.random(3), random.random(4)
    rises = np.exp(0.7 * random.standard_normal(KNOTS - 1))
    curve = np.concatenate([[0], np.cumsum(rises) / rises.sum()])
    grey, quality, noise_seed = random.random(4), random.random(), random.integers(1 << 62)
    has_bars, (dark, noisy, coarse, compressed) = random.random() < 0.5, random.random(4) < 0.5
    view = np.array([view[0], 2 * view[1] - 1, 2 * view[2] - 1])
    grey = np.where([True, dark, noisy, coarse], grey, -1)
    values = (
        chosen[0],
        stripped.astype(np.float32),
        chosen[1],
        view.astype(np.float32),
        (bars if has_bars else np.full(4, -1)).astype(np.float32),
        chosen[2],
        curve.astype(np.float32),
        grey.astype(np.float32),
        np.float32(_between(QUALITY, quality) if compressed else 0),
        np.int64(noise_seed),
    )
    return tuple(np.asarray(value) for value in values)


def _between(limits: tuple[float, float], share: float) -> float:
    return limits[0] + (limits[1] - limits[0]) * share


def change_appearance(image: Tensor, target: Tensor, drawn: Appearance) -> tuple[Tensor, Tensor]:
    """Change image `(B, C, H, W)` and target `(B, R, H, W)` in {0, 1} of the chosen samples, which are standardised."""
    changes = ((drawn.strip, _strip_skulls), (drawn.crop, _cut_out), (drawn.change, _change_greys))
    for flags, change in changes:
        chosen = np.flatnonzero(flags)
        if len(chosen):
            image, target = image.clone(), target.clone()
            image[chosen], target[chosen] = change(image[chosen], target[chosen], drawn, chosen)
    return image, target


# ---------------------------------------------------------------- heads


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
    found = turned.cummax(axis).values
    return found.flip(axis) if reverse else found


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


def standardise(image: Tensor) -> Tensor:
    """Mean 0 and deviation 1 of each channel, as every picture has before the network."""
    image = image - image.mean((2, 3), keepdim=True)
    return image / image.std((2, 3), keepdim=True).clamp_min(1e-6)


def _strip_skulls(image: Tensor, target: Tensor, drawn: Appearance, chosen: Chosen) -> tuple[Tensor, Tensor]:
    """Take away what lies around the brain, more or less of it, but never of a tumour."""
    head, tumour = find_head(image), target.amax(1, keepdim=True)
    size = head.sum((1, 2, 3)).sqrt()
    depth = _rough_depth(head, math.ceil(STRIPPED[1] * image.shape[-1]) + 1)
    beside = torch.where(tumour > 0, depth, torch.full_like(depth, math.inf)).amin((1, 2, 3)) - BEYOND_TUMOUR_PX
    share, place = torch.from_numpy(drawn.stripped[chosen]).to(image).T
    imagined = torch.stack([_depth_of_share(one, inside, q) for one, inside, q in zip(depth, head, place, strict=True)])
    beside = torch.where(beside.isinf(), imagined - IMAGINED * size, beside)
    wanted = size * (STRIPPED[0] + (STRIPPED[1] - STRIPPED[0]) * share)
    margin = torch.minimum(wanted, beside)
    margin = torch.where(margin >= LEAST_STRIPPED * size, margin, torch.zeros_like(margin))[:, None, None, None]
    low = image.amin((2, 3), keepdim=True)
    bare = torch.where(depth > margin, image, low)
    return standardise(torch.where(margin > 0, bare, image)), target


def _rough_depth(mask: Tensor, deepest: int) -> Tensor:
    """As `depth_in`, found at half the resolution, which takes an eighth of the time."""
    small = (functional.avg_pool2d(mask, 2, ceil_mode=True) >= 0.5).to(mask)
    depth = 2 * depth_in(small, math.ceil(deepest / 2))
    return functional.interpolate(depth, mask.shape[2:], mode="bilinear") * mask


def _depth_of_share(depth: Tensor, head: Tensor, share: Tensor) -> Tensor:
    """The depth than which a share of a head's pixels is less deep."""
    depths = depth[head > 0].sort().values
    return depths[int(float(share) * (len(depths) - 1))] if len(depths) else depth.amax()


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
    off = lengths * (BARS[0] + (BARS[1] - BARS[0]) * bars)
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
    side = spans[0].amax(1) * (VIEW[0] + (VIEW[1] - VIEW[0]) * view[:, 0])
    side = torch.maximum(side, spans[1].amax(1) + 2)[:, None]
    centre = (head[:, ::2] + head[:, 1::2]) / 2 + OFF_CENTRE * side * view[:, 1:]
    centre = torch.maximum(torch.minimum(centre, inner[:, ::2] - 1 + side / 2), inner[:, 1::2] + 1 - side / 2)
    limits = torch.tensor(size, device=head.device, dtype=head.dtype)
    zoom, shift = side / limits, (2 * centre + 1) / limits - 1  # rows, columns
    zero = torch.zeros_like(zoom[:, 0])
    return torch.stack(
        [torch.stack([zoom[:, 1], zero, shift[:, 1]], 1), torch.stack([zero, zoom[:, 0], shift[:, 0]], 1)], 1
    )


# ---------------------------------------------------------------- grey values


def _change_greys(image: Tensor, target: Tensor, drawn: Appearance, chosen: Chosen) -> tuple[Tensor, Tensor]:
    """Another curve of grey values, darkness, resolution, noise and compression."""
    saturation, dark, noise, coarse = (torch.from_numpy(column).to(image) for column in drawn.grey[chosen].T)
    low, high = image.amin((2, 3), keepdim=True), image.amax((2, 3), keepdim=True)
    top = SATURATED[0] + (SATURATED[1] - SATURATED[0]) * saturation[:, None, None, None]
    grey = ((image - low) / ((high - low) * top).clamp_min(1e-6)).clamp(0, 1)
    grey = _follow_curve(grey, torch.from_numpy(drawn.curve[chosen]).to(image))
    floor = DARKEST * dark.clamp_min(0)[:, None, None, None]
    grey = (grey - floor).clamp_min(0) / (1 - floor)
    grey = _coarsen(grey, coarse.tolist())
    grey = _add_background_noise(grey, noise.tolist(), drawn.noise_seed[chosen].tolist())
    return standardise(compress(grey, torch.from_numpy(drawn.quality[chosen]).to(image))), target


def _follow_curve(grey: Tensor, curve: Tensor) -> Tensor:
    """Grey values from 0 to 1 along straight lines between knots `(B, KNOTS)`."""
    place = grey * (KNOTS - 1)
    below = place.floor().clamp(0, KNOTS - 2).long()
    flat = below.flatten(1)
    first, second = curve.gather(1, flat), curve.gather(1, flat + 1)
    return (first + (second - first) * (place - below).flatten(1)).reshape(grey.shape)


def _coarsen(grey: Tensor, coarse: Sequence[float]) -> Tensor:
    for sample, share in enumerate(coarse):
        if share >= 0:
            factor = COARSEST + (1 - COARSEST) * share
            side = [max(2, round(length * factor)) for length in grey.shape[2:]]
            small = functional.interpolate(grey[sample : sample + 1], side, mode="area")
            grey[sample : sample + 1] = functional.interpolate(small, grey.shape[2:], mode="bilinear")
    return grey


def _add_background_noise(grey: Tensor, strengths: Sequence[float], seeds: Sequence[int]) -> Tensor:
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
    whole = functional.pad(grey[chosen], (0, -width % 8, 0, -height % 8), mode="replicate")
    rows, columns = whole.shape[2] // 8, whole.shape[3] // 8
    blocks = whole.reshape(*whole.shape[:2], rows, 8, columns, 8).transpose(3, 4) * 255 - 128
    cosines, steps = _cosines().to(grey), _steps(quality[chosen])
    frequencies = cosines @ blocks @ cosines.T
    blocks = cosines.T @ ((frequencies / steps).round() * steps) @ cosines
    back = ((blocks + 128) / 255).clamp(0, 1).transpose(3, 4).reshape(whole.shape)
    grey = grey.clone()
    grey[chosen] = back[:, :, :height, :width]
    return grey


def _cosines() -> Tensor:
    """The cosine transform of 8 values, orthonormal `(8, 8)`."""
    place = torch.arange(8, dtype=torch.float64)
    waves = torch.cos(math.pi / 8 * (place[None] + 0.5) * place[:, None]) / 2
    waves[0] /= math.sqrt(2)
    return waves.float()


def _steps(quality: Tensor) -> Tensor:
    """Steps of the frequencies `(B, 1, 1, 1, 8, 8)`, as libjpeg scales its table."""
    scale = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality).floor()
    table = torch.tensor(JPEG_TABLE, dtype=quality.dtype, device=quality.device)
    return ((table * scale[:, None, None] + 50) / 100).floor().clamp(1, 255)[:, None, None, None]
