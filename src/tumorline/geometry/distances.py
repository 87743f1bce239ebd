"""Places and distances on a pixel grid."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array, MaskArray

PointArray = npt.NDArray[np.intp]


def bounding_box(mask: MaskArray) -> tuple[slice, ...]:
    """The smallest box that holds a mask of any dimension, as slices; of no size where the mask is empty."""
    window: list[slice] = []
    for axis in range(mask.ndim):
        other_axes = tuple(other_axis for other_axis in range(mask.ndim) if other_axis != axis)
        hit = np.flatnonzero(mask[tuple(window)].any(other_axes))
        window.append(slice(int(hit[0]), int(hit[-1]) + 1) if len(hit) else slice(0, 0))
    return tuple(window)


def nearest_distance(points: PointArray, others: PointArray, spacing: Sequence[float]) -> Float64Array:
    """Distance from each of `points (N, dims)` to the nearest of `others (M, dims)`, in units of `spacing`.

    Both are whole steps on a grid. A tree finds the neighbour and the distance comes from the difference in steps, so
    that two points four steps of 0.5 mm apart are 2 mm apart to the last bit. Infinite where there are no others.
    """
    if not len(others):
        return np.full(len(points), np.inf)
    from scipy.spatial import KDTree  # slow to import

    _, nearest = KDTree(others * np.asarray(spacing)).query(points * np.asarray(spacing))
    return np.asarray(np.sqrt((((points - others[nearest]) * np.asarray(spacing)) ** 2).sum(1)))


def signed_distance(mask: MaskArray) -> Float64Array:
    """Steps from each pixel to the nearest of the other kind, negative inside; 0 everywhere where there is none.

    Inside, the nearest pixel of the background is at most one step out of the bounding box: no more is searched.
    """
    if mask.all() or not mask.any():
        return np.zeros(mask.shape)
    from scipy.ndimage import distance_transform_edt  # slow to import

    distance: Float64Array = distance_transform_edt(~mask)
    window = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in bounding_box(mask))
    distance[window] -= distance_transform_edt(mask[window])
    return distance


def diagonal(shape: Sequence[int], spacing: Sequence[float]) -> float:
    """Length of an image's diagonal in units of `spacing`."""
    return float(np.linalg.norm(np.multiply(shape, spacing)))
