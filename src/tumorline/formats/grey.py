"""From the colours of a picture to grey values."""

from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.arrays import ImageArray

LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue, as Pillow weighs them."""


def without_gaps(channel: ImageArray) -> ImageArray:
    """A channel `(*space)` whose NaN and infinite values are as dark as the darkest of the others; 0 where all are."""
    finite = np.isfinite(channel)
    if finite.all():
        return channel
    return np.where(finite, channel, channel[finite].min() if finite.any() else np.float32(0))


def to_grey(pixels: npt.NDArray[Any]) -> ImageArray:
    if pixels.ndim == 2:
        grey = pixels
    elif channels_agree(pixels):
        grey = pixels[..., 0]
    elif pixels.dtype == np.uint8:
        grey = np.asarray(Image.fromarray(pixels).convert("L"))
    else:
        grey = pixels @ np.array(LUMINANCE)
    with np.errstate(over="ignore"):
        return without_gaps(grey.astype(np.float32))


def channels_agree(pixels: npt.NDArray[Any]) -> bool:
    return bool((pixels == pixels[..., :1]).all())


RANGE_PERCENTILES = (0.5, 99.5)
ENOUGH_PIXELS = 1 << 23
"""Of a larger image every n-th row and column is looked at, which tells the percentiles as well."""


def grey_range(plane: npt.NDArray[np.float32]) -> tuple[np.floating, np.floating]:
    """The 0.5 and the 99.5 percentile of a plane `(H, W)`, which leave out what is only a few pixels."""
    step = max(1, ceil((plane.size / ENOUGH_PIXELS) ** 0.5))
    low, high = np.percentile(plane[::step, ::step], RANGE_PERCENTILES)
    return low, high
