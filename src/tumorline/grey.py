"""The range of an image's grey values."""

from math import ceil

import numpy as np
import numpy.typing as npt

RANGE_PERCENTILES = (0.5, 99.5)
ENOUGH_PIXELS = 1 << 23
"""Of a larger image every n-th row and column is looked at, which tells the percentiles as well."""


def grey_range(plane: npt.NDArray[np.float32]) -> tuple[np.floating, np.floating]:
    """The 0.5 and the 99.5 percentile of a plane `(H, W)`, which leave out what is only a few pixels."""
    step = max(1, ceil((plane.size / ENOUGH_PIXELS) ** 0.5))
    low, high = np.percentile(plane[::step, ::step], RANGE_PERCENTILES)
    return low, high
