"""From the colours of a picture to grey values."""

from math import ceil, floor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.arrays import Float32Array, ImageArray
from tumorline.errors import UserError

MOST = float(np.finfo(np.float32).max)
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue, as Pillow weighs them."""


def without_gaps(channel: ImageArray) -> ImageArray:
    """A channel `(*space)` whose NaN and infinite values are as dark as the darkest of the others; 0 where all are."""
    finite = np.isfinite(channel)
    if finite.all():
        return channel
    return np.where(finite, channel, channel[finite].min() if finite.any() else np.float32(0))


def is_black_and_one(pixels: npt.NDArray[Any]) -> bool:
    """Whether a picture `(H, W, 3)` has black pixels, and others that are all of one colour."""
    colours = pixels[pixels.any(-1)]
    return 0 < len(colours) < pixels[..., 0].size and bool((colours == colours[0]).all())


COLOURED = 0.1
"""Share of the range of its values by which the channels of a coloured pixel differ; lossy saving makes less."""


def is_coloured(pixels: npt.NDArray[Any]) -> bool:
    """Whether a picture shows colours, which grey values mix."""
    if pixels.ndim == 2 or channels_agree(pixels):
        return False
    values = pixels.astype(np.float32)
    return bool(np.ptp(values, axis=-1).max() > COLOURED * np.ptp(values))


def as_float32(values: npt.NDArray[Any], name: Path | str) -> ImageArray:
    """Raises UserError for numbers that float32 cannot hold: as infinite ones they would be background."""
    with np.errstate(over="ignore"):
        narrow = np.asarray(values, np.float32)
    if values.dtype.itemsize > narrow.dtype.itemsize and (np.isinf(narrow) & np.isfinite(values)).any():
        raise UserError(
            f"{name}: holds values beyond {MOST:.2g}, which no image has; it is damaged, or rescale it first"
        )
    return narrow


def to_grey(pixels: npt.NDArray[Any], name: Path | str = "image") -> ImageArray:
    """Raises UserError as `as_float32`."""
    if pixels.ndim == 2:
        grey = pixels
    elif channels_agree(pixels):
        grey = pixels[..., 0]
    elif pixels.dtype == np.uint8:
        grey = np.asarray(Image.fromarray(pixels).convert("L"))
    else:
        grey = pixels @ np.array(LUMINANCE)
    return without_gaps(as_float32(grey, name))


def channels_agree(pixels: npt.NDArray[Any]) -> bool:
    return bool((pixels == pixels[..., :1]).all())


RANGE_PERCENTILES = (0.5, 99.5)
ENOUGH_PIXELS = 1 << 23
"""Of a larger image every n-th row and column is looked at, which tells the percentiles as well."""


LEVELS_OF_A_BYTE, LEVELS = 1 << 8, 1 << 16
"""Values a step of 1 apart that are counted rather than sorted; of so few Pillow does it at a third of the cost."""


def grey_range(plane: Float32Array) -> tuple[np.floating, np.floating]:
    """The 0.5 and the 99.5 percentile of a plane `(H, W)`, which leave out what is only a few pixels."""
    step = max(1, ceil((plane.size / ENOUGH_PIXELS) ** 0.5))
    shown = plane[::step, ::step]
    low, high = _counted_percentiles(shown) or np.percentile(shown, RANGE_PERCENTILES)
    return low, high


def _counted_percentiles(plane: Float32Array) -> tuple[np.floating, np.floating] | None:
    """As `np.percentile` gives them, to the last bit, at a part of its cost; None where values are not levels."""
    lowest = plane.min()
    if not plane.max() - lowest < LEVELS:
        return None
    few = plane.max() - lowest < LEVELS_OF_A_BYTE
    levels = (plane - lowest).astype(np.uint8 if few else np.uint16)
    if not np.array_equal(levels + lowest, plane):
        return None
    counts = Image.fromarray(levels).histogram() if few else np.bincount(levels.ravel())
    reached = np.cumsum(counts)
    low, high = (_value_at(percentile / 100 * (plane.size - 1), reached, lowest) for percentile in RANGE_PERCENTILES)
    return low, high


def _value_at(rank: float, reached: npt.NDArray[np.intp], lowest: np.float32) -> np.floating:
    """The value at a place among the sorted ones, between two of them in proportion."""
    before = floor(rank)
    first, second = lowest + np.searchsorted(reached, [before, before + 1], side="right").astype(np.float32)
    share, apart = np.float64(rank - before), second - first
    return np.float64(first + apart * share if share < 0.5 else second - apart * (1 - share))
