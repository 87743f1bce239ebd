"""Distances on a pixel grid."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

MaskArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


def distance_to(mask: MaskArray, spacing: Sequence[float]) -> FloatArray:
    """Distance from each pixel to the nearest pixel of `mask`, in units of `spacing`; infinite where it is empty."""
    if not mask.any():
        return np.full(mask.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~mask, sampling=spacing), np.float64)


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of an image's diagonal in units of `spacing`."""
    return float(np.linalg.norm(np.multiply(shape, spacing)))
