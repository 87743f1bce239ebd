"""Grey values of a whole image or volume, judged together."""

from itertools import product

import numpy as np

from tumorline.arrays import Float32Array, ImageArray
from tumorline.formats.grey import RANGE_PERCENTILES, without_gaps
from tumorline.network_input.fit import usual

ENOUGH_VOXELS = 1 << 21
"""Of a larger head every n-th voxel is looked at, which tells the percentiles as well."""


def normalise_volume(channel: ImageArray) -> ImageArray:
    """A channel `(*space)` with mean 0 and deviation 1 over its head, which is what is not background.

    Clipped at the 0.5 and 99.5 percentile of the head; the background gets the lowest value of the head. A channel
    without a head, or with a constant one, becomes zeros. NaN and infinite values are as `without_gaps` says.
    """
    channel = usual(without_gaps(channel))
    head = channel != _background(channel)
    values = channel[head]
    if not values.size:
        return np.zeros_like(channel)
    low, high = np.percentile(values[:: 1 + values.size // ENOUGH_VOXELS], RANGE_PERCENTILES)
    values = np.clip(values, low, high)
    mean, deviation = float(values.mean(dtype=np.float64)), float(values.std(dtype=np.float64))
    if deviation <= 1e-6 * max(1.0, abs(float(high))):
        return np.zeros_like(channel)
    normalised = np.full_like(channel, (float(values.min()) - mean) / deviation)
    normalised[head] = (values - mean) / deviation
    return normalised


def _background(channel: Float32Array) -> np.float32:
    """The value that all corners share, as they do around a skull-stripped head; otherwise the lowest."""
    corners = {float(channel[corner]) for corner in product((0, -1), repeat=channel.ndim)}
    return np.float32(corners.pop()) if len(corners) == 1 else channel.min()
