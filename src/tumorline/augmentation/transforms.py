"""Random changes of a batch on its device: parameters are drawn first, then applied.

A sample's parameters depend on (seed, epoch, sample) alone, not on its batch, its process or a resumed run. All
geometry is one sampling grid and one interpolation for image and target together. Images have two axes or three; of a
volume (D, H, W) the quarter turns are those of its slices.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from tumorline.arrays import Float32Array, Float64Array
from tumorline.augmentation.draws import sample_generator, shows_anything, stack_samples
from tumorline.config import ABSENT, MOST_CHANNELS, AugmentConfig

ELASTIC_POINTS = 6
"""Control points along each side of the elastic displacement."""

SMOOTH = {2: "bicubic", 3: "trilinear"}
LINEAR = {2: "bilinear", 3: "trilinear"}
CONVOLUTION = {2: functional.conv2d, 3: functional.conv3d}
"""By the number of axes."""


@dataclass(frozen=True)
class Parameters:
    """One batch's draws; the first axis is the sample."""

    matrix: Float32Array
    """`(B, n, n + 1)` from output to input coordinates in [-1, 1], of which x, along the last axis, is the first."""
    displacement: Float32Array
    """`(B, n, K, ...)` elastic displacement at control points, in the same coordinates."""
    gamma: Float32Array
    contrast: Float32Array
    noise: Float32Array
    """Standard deviation; 0 leaves the sample alone."""
    blur: Float32Array
    """Standard deviation in pixels; 0 leaves the sample alone."""
    resolution: Float32Array
    """Factor; 1 leaves the sample alone."""
    noise_seed: npt.NDArray[np.int64]
    fate: Float32Array
    """`(B, MOST_CHANNELS)` in [0, 1), of which those below `channel_dropout` make their channel an absent one."""
    channel_dropout: Float32Array
    """The same for all samples."""


def draw(settings: AugmentConfig, seed: int, epoch: int, numbers: Sequence[int], extent: Sequence[float]) -> Parameters:
    """Draw for the samples `numbers` of an epoch.

    `extent` are the sides of the images in one unit, `(H, W)` or `(D, H, W)`; quarter turns only where H is W.
    """
    samples = [_draw_one(settings, sample_generator(seed, epoch, number), tuple(extent)) for number in numbers]
    return stack_samples(Parameters, samples)


def apply(image: Tensor, target: Tensor, parameters: Parameters, slices: int = 1) -> tuple[Tensor, Tensor]:
    """Change image `(B, C, *space)` and target `(B, R, *space)` in {0, 1}; the target stays in {0, 1}.

    Of the channels, those of so many neighbouring `slices` follow one another.
    """
    image, target = _move(image, target, parameters)
    image = _lower_resolution(image, parameters.resolution)
    image = _blur(image, parameters.blur)
    image = _contrast_and_gamma(image, parameters)
    image = _add_noise(image, parameters)
    return _leave_channels_out(image, parameters, slices), target


# ---------------------------------------------------------------- drawing


@dataclass(frozen=True)
class _Motion:
    """What is drawn for the geometry of one sample, from -1 to 1 unless said."""

    chosen: bool
    """Whether the sample is rotated, scaled and shifted; quarter turns and flips are of all."""
    turned: float
    scaled: float
    shifts: Float64Array
    """Along x, y and, of a volume, z."""
    tilts: Float64Array
    """Of a volume."""
    quarter_turns: int
    flips: npt.NDArray[np.int64]
    """Horizontal and vertical, 0 or 1."""


def _draw_one(settings: AugmentConfig, random: np.random.Generator, extent: tuple[float, ...]) -> Parameters:
    """As many draws whatever the settings, so that switching one transform off leaves the others as they were."""
    turned, scaled, shifted_x, shifted_y, *intensities = random.uniform(-1, 1, 9)
    moved = random.random() < settings.geometry_probability
    changed = random.random(5) < settings.intensity_probability
    quarter_turns, flips = int(random.integers(4)), random.integers(2, size=2)
    bend = random.uniform(-1, 1, (2, ELASTIC_POINTS, ELASTIC_POINTS))
    noise_seed = random.integers(1 << 62)
    is_turned = random.random() < settings.quarter_turns
    shifts, tilts = np.array([shifted_x, shifted_y]), np.zeros(0)
    if len(extent) == 3:
        shifts, tilts = np.append(shifts, random.uniform(-1, 1)), random.uniform(-1, 1, 2)
        bend = random.uniform(-1, 1, (3, *[ELASTIC_POINTS] * 3))
    fate = random.random(MOST_CHANNELS)

    motion = _Motion(moved, turned, scaled, shifts, tilts, quarter_turns * is_turned, flips)
    gamma, contrast, noise, blur, resolution = np.array(intensities) * changed
    return Parameters(
        matrix=_float(_matrix(settings, motion, extent)),
        displacement=_float(2 * settings.elastic * moved * bend),
        gamma=_float(math.exp(math.log1p(settings.gamma) * gamma)),
        contrast=_float(1 + settings.contrast * contrast),
        noise=_float(settings.noise * abs(noise)),
        blur=_float(settings.blur * abs(blur)),
        resolution=_float(1 - (1 - (settings.low_resolution or 1.0)) * abs(resolution)),
        noise_seed=np.asarray(noise_seed),
        fate=_float(fate),
        channel_dropout=_float(settings.channel_dropout),
    )


def _float(value: npt.ArrayLike) -> Float32Array:
    return np.asarray(value, np.float32)


def _matrix(settings: AugmentConfig, motion: _Motion, extent: tuple[float, ...]) -> Float64Array:
    """`(n, n + 1)` from output to input coordinates; quarter turns only where height is width."""
    turns = motion.quarter_turns if extent[-2] == extent[-1] else 0
    angle = math.radians(settings.rotation_degrees * motion.turned * motion.chosen) + turns * math.pi / 2
    zoom = math.exp(-math.log1p(settings.scale) * motion.scaled * motion.chosen)
    shift = 2 * settings.shift * motion.chosen * motion.shifts
    mirror = 1 - 2 * motion.flips * np.isin(("horizontal", "vertical"), _axes(settings.flips))
    rotation = _rotation(angle, extent[-2] / extent[-1])
    if len(extent) == 3:
        rotation = _tilted(rotation, np.radians(settings.rotation_degrees * motion.tilts * motion.chosen), extent)
        mirror = np.append(mirror, 1)
    return np.concatenate([rotation * (zoom * mirror), shift[:, None]], axis=1)


def _axes(flips: bool | str) -> list[str]:
    return [flips] if isinstance(flips, str) else ["horizontal", "vertical"] * flips


def _rotation(angle: float, aspect: float) -> Float64Array:
    """Rotation `(2, 2)` in coordinates of [-1, 1], where `aspect` is height over width; exact at quarter turns."""
    cosine, sine = (round(value, 12) for value in (math.cos(angle), math.sin(angle)))
    return np.array([[cosine, -sine * aspect], [sine / aspect, cosine]])


def _tilted(rotation: Float64Array, angles: Float64Array, extent: tuple[float, ...]) -> Float64Array:
    """A rotation `(3, 3)` of (x, y, z): that of the slices, then nodding and leaning by two angles."""
    depth, height, width = extent
    tilted = np.eye(3)
    tilted[:2, :2] = rotation
    for angle, axis, side in zip(angles, (0, 1), (width, height), strict=True):
        tilt = np.eye(3)
        tilt[np.ix_((axis, 2), (axis, 2))] = _rotation(float(angle), depth / side)
        tilted = tilted @ tilt
    return tilted


# ---------------------------------------------------------------- applying


def _move(image: Tensor, target: Tensor, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """One grid, one linear interpolation. Outside the image is its lowest value and no tumour."""
    if _is_identity(parameters):
        return image, target
    matrix = torch.from_numpy(parameters.matrix).to(image.device)
    grid = functional.affine_grid(matrix, list(image.shape), align_corners=False)
    if parameters.displacement.any():
        bend = torch.from_numpy(parameters.displacement).to(image.device)
        space = image.shape[2:]
        grid = grid + functional.interpolate(bend, space, mode=SMOOTH[len(space)], align_corners=True).movedim(1, -1)
    lowest = image.amin(_space(image), keepdim=True)
    both = torch.cat([image - lowest, target], dim=1)
    both = functional.grid_sample(both, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    moved, moved_target = both.split([image.shape[1], target.shape[1]], dim=1)
    return moved + lowest, (moved_target >= 0.5).to(target.dtype)


def _is_identity(parameters: Parameters) -> bool:
    unit = np.eye(*parameters.matrix.shape[1:], dtype=np.float32)
    return bool((parameters.matrix == unit).all() and not parameters.displacement.any())


def _lower_resolution(image: Tensor, factors: Float32Array) -> Tensor:
    """Shrink and enlarge the chosen samples."""
    image = image.clone() if (factors < 1).any() else image
    for sample in np.flatnonzero(factors < 1):
        side = [max(2, round(length * float(factors[sample]))) for length in image.shape[2:]]
        small = functional.interpolate(image[sample : sample + 1], side, mode="area")
        linear = LINEAR[len(side)]
        image[sample : sample + 1] = functional.interpolate(small, image.shape[2:], mode=linear)
    return image


def _blur(image: Tensor, deviations: Float32Array) -> Tensor:
    """Gaussian blur of the chosen samples, each with a separable kernel that ends at three deviations of its own."""
    chosen = np.flatnonzero(deviations > 0.1)
    if not len(chosen):
        return image
    radius = math.ceil(3 * float(deviations.max()))
    offsets = torch.arange(-radius, radius + 1, dtype=image.dtype, device=image.device)
    widths = torch.from_numpy(deviations[chosen]).to(image.device)[:, None]
    outside = offsets.abs() > (3 * widths).ceil()
    kernel = torch.softmax((-0.5 * (offsets / widths) ** 2).masked_fill(outside, -torch.inf), dim=1)
    samples, channels = len(chosen), image.shape[1]
    kernel = kernel.repeat_interleave(channels, dim=0)
    space = image.shape[2:]
    stack = image[chosen].reshape(1, samples * channels, *space)
    stack = functional.pad(stack, [radius] * (2 * len(space)), mode="replicate")
    for axis in range(len(space)):
        along = kernel.reshape(len(kernel), 1, *[-1 if dimension == axis else 1 for dimension in range(len(space))])
        stack = CONVOLUTION[len(space)](stack, along, groups=samples * channels)
    image = image.clone()
    image[chosen] = stack.reshape(samples, channels, *space)
    return image


def _contrast_and_gamma(image: Tensor, parameters: Parameters) -> Tensor:
    """Contrast about the mean; gamma on the range of each sample, its mean and deviation kept."""
    for values, change in ((parameters.gamma, _gamma), (parameters.contrast, _contrast)):
        chosen = np.flatnonzero(values != 1)
        if len(chosen):
            image = image.clone()
            each = torch.from_numpy(values[chosen]).to(image.device).reshape(-1, *[1] * (image.ndim - 1))
            image[chosen] = change(image[chosen], each)
    return image


def _contrast(image: Tensor, factor: Tensor) -> Tensor:
    mean = image.mean(_space(image), keepdim=True)
    return mean + (image - mean) * factor


def _gamma(image: Tensor, exponent: Tensor) -> Tensor:
    space = _space(image)
    low, high = image.amin(space, keepdim=True), image.amax(space, keepdim=True)
    curved = ((image - low) / (high - low).clamp_min(1e-6)).clamp_min(1e-6) ** exponent
    deviation = curved.std(space, keepdim=True).clamp_min(1e-6)
    standard = (curved - curved.mean(space, keepdim=True)) / deviation
    return standard * image.std(space, keepdim=True) + image.mean(space, keepdim=True)


def _add_noise(image: Tensor, parameters: Parameters) -> Tensor:
    """Gaussian noise in units of the image's deviation, each sample from a seed of its own.

    A channel that shows nothing stays as it is: absent ones are never noisy when a model is used.
    """
    chosen = np.flatnonzero(parameters.noise > 0)
    image = image.clone() if len(chosen) else image
    for sample in chosen:
        generator = torch.Generator(image.device).manual_seed(int(parameters.noise_seed[sample]))
        noise = torch.randn(image.shape[1:], generator=generator, device=image.device)
        shows = shows_anything(image[sample : sample + 1])[0]
        image[sample] += noise * shows * image[sample].std() * float(parameters.noise[sample])
    return image


def _leave_channels_out(image: Tensor, parameters: Parameters, slices: int) -> Tensor:
    """Some channels become what stands for an absent one, all slices alike; of those that show anything one stays."""
    if not parameters.channel_dropout.any():
        return image
    fate = parameters.fate[:, : image.shape[1] // slices]
    shows = np.any(shows_anything(image).cpu().numpy().reshape(len(fate), slices, -1), axis=1)  # (B, C)
    eligible = np.where(shows | ~np.any(shows, axis=1, keepdims=True), fate, -1.0)
    stays = (fate >= parameters.channel_dropout[:, None]) | (eligible == eligible.max(1, keepdims=True))
    kept = torch.from_numpy(np.tile(stays, slices)).to(image.device)
    return image.masked_fill(~kept.reshape(*kept.shape, *[1] * (image.ndim - 2)), ABSENT)


def _space(image: Tensor) -> tuple[int, ...]:
    """The axes behind sample and channel."""
    return tuple(range(2, image.ndim))
