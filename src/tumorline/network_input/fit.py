"""The one way an image reaches a network and its answer comes back: the same in training and prediction."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.formats.grey import grey_range, without_gaps
from tumorline.geometry.slices import SQUARE, Pixel

VERSION = 1
UNUSUAL = (1e-6, 1e18)
"""Values whose largest lies beyond are scaled: single precision would lose them in what is computed."""
LEAST_DIFFERENT = 0.01
"""An image is blank where a smaller share of its pixels differs from the darkest, or from the brightest."""
BLANK_SIDE, LEAST_LIKENESS = 64, 0.3
"""At this side neighbouring pixels of a head correlate by 0.5 and more, and those of noise by 0.1 and less."""


@dataclass(frozen=True)
class Placement:
    """Where an image of `native` size (H, W) lies within the network's square of side `size`."""

    native: tuple[int, int]
    size: int
    pixel: Pixel = SQUARE

    @property
    def inner(self) -> tuple[int, int]:
        """Height and width of the scaled image within the square, where its pixels are square."""
        sides = [count * side for count, side in zip(self.native, self.pixel, strict=True)]
        scale = self.size / max(sides)
        height, width = (max(1, round(side * scale)) for side in sides)
        return height, width

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the square that the image covers, centred."""
        top, left = ((self.size - side) // 2 for side in self.inner)
        return slice(top, top + self.inner[0]), slice(left, left + self.inner[1])


def to_network(image: ImageArray, size: int, pixel: Pixel = SQUARE) -> tuple[Float32Array, Placement]:
    """Scale `(C, H, W)` to `(C, size, size)` with the shape of the head kept; clip, and give mean 0 and deviation 1.

    Clipping is at the 0.5 and 99.5 percentile of each channel; the rest of the square is filled with the
    channel's lowest value. A constant image becomes zeros. NaN and infinite values are as `without_gaps` says.
    """
    placement = Placement((image.shape[1], image.shape[2]), size, pixel)
    square = np.empty((len(image), size, size), np.float32)
    for channel, out in zip(image, square, strict=True):
        channel = usual(without_gaps(channel))
        low, high = grey_range(channel)
        small = resize(np.clip(channel, np.float32(low), np.float32(high)), placement.inner)
        deviation = float(small.std())
        small = (small - small.mean()) / deviation if deviation > 1e-6 * max(1.0, abs(float(high))) else 0 * small
        out.fill(float(small.min()))
        out[placement.window] = small
    return square, placement


def usual(channel: Float32Array) -> Float32Array:
    """The channel, by a power of two larger or smaller where its values are unusually small or large."""
    peak = max(abs(float(channel.max())), abs(float(channel.min())))
    return channel if not peak or UNUSUAL[0] < peak < UNUSUAL[1] else np.ldexp(channel, -int(np.frexp(peak)[1]))


def is_blank(image: ImageArray, square: Float32Array, placement: Placement) -> bool:
    """Whether an image `(C, H, W)`, of which `to_network` made the square, shows nothing at all in any channel."""
    return all(
        _is_uniform(channel) or _is_noise(plane[placement.window], placement.native)
        for channel, plane in zip(image, square, strict=True)
    )


def _is_uniform(channel: Float32Array) -> bool:
    least = LEAST_DIFFERENT * channel.size
    return any(np.count_nonzero(channel != end) < least for end in (channel.min(), channel.max()))


def _is_noise(plane: Float32Array, native: tuple[int, int]) -> bool:
    """Whether neighbouring pixels do not resemble one another, at a size to which scaling has spread none of them."""
    side = min(BLANK_SIDE, max(native) // 2, max(plane.shape) // 2)
    if side < 2:
        return False
    small = resize(plane, Placement(native, side).inner, Image.Resampling.BOX)
    small = small - small.mean()
    neighbours = (small[1:] * small[:-1], small[:, 1:] * small[:, :-1])
    likeness = np.mean([float(products.mean()) for products in neighbours if products.size])
    return bool(likeness <= LEAST_LIKENESS * float((small**2).mean()))


def mask_to_network(mask: MaskArray, placement: Placement) -> MaskArray:
    """Scale a mask `(H, W)` to `(size, size)`: a pixel is foreground where at least half of it is."""
    square = np.zeros((placement.size, placement.size), np.bool_)
    square[placement.window] = resize(mask.astype(np.float32), placement.inner) >= 0.5
    return square


def to_native(probability: Float32Array, placement: Placement) -> Float32Array:
    """Bring probabilities `(R, size, size)` back to the image's own geometry `(R, H, W)`."""
    rows, columns = placement.window
    regions = [resize(region[rows, columns], placement.native) for region in probability]
    return regions[0][None] if len(regions) == 1 else np.stack(regions)


def resize(
    plane: Float32Array, shape: tuple[int, int], how: Image.Resampling = Image.Resampling.BILINEAR
) -> Float32Array:
    """Bilinear, area-weighted when shrinking."""
    if plane.shape == shape:
        return np.asarray(plane, np.float32)
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), how))
