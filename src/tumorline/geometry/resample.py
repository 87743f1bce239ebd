"""From one grid of three axes onto another."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array
from tumorline.geometry.grid import SAME_WITHIN, Grid, corners_of

SMOOTHING = 0.5
"""Deviation of the Gaussian along an axis for each voxel by which a step on the other grid is longer than one."""
LATTICE = 9
"""Positions along each axis at which it is asked whether two grids share room."""


def resample(values: npt.NDArray[Any], source: Grid, target: Grid, nearest: bool) -> npt.NDArray[Any]:
    """Values `(D, H, W)` of one grid as they lie on another: linear, or the nearest of labels; the lowest outside.

    A grid reaches half a voxel beyond the centres at its border. What is finer than the other grid can show is
    smoothed away first, but for labels.
    """
    leads = _leads(target, source)
    if nearest:
        return _moved(values, leads, target.shape, order=0)
    smooth = _smoothed(values, leads)
    resampled = _moved(smooth, leads, target.shape, order=1)
    resampled[_moved(np.ones(source.shape, np.uint8), leads, target.shape, order=0) == 0] = smooth.min()
    return resampled


def _smoothed(values: npt.NDArray[Any], leads: Float64Array) -> npt.NDArray[Any]:
    from scipy.ndimage import gaussian_filter  # slow to import

    deviations = SMOOTHING * np.maximum(np.linalg.norm(leads[:3, :3], axis=1) - 1, 0)
    return np.asarray(gaussian_filter(values, deviations)) if deviations.max() > 0 else values


def _moved(values: npt.NDArray[Any], leads: Float64Array, shape: tuple[int, ...], order: int) -> npt.NDArray[Any]:
    """The nearest values, 0 outside; or linear between them, outside that at the border."""
    from scipy.ndimage import affine_transform  # slow to import

    output = np.empty(shape, values.dtype if order == 0 else np.float32)
    mode = "nearest" if order else "grid-constant"
    affine_transform(values, leads[:3, :3], leads[:3, 3], shape, output, order, mode, prefilter=False)
    return output


def share_covered(target: Grid, source: Grid) -> float:
    """Share of a grid's room that lies within that of another one."""
    sides = [np.linspace(0, side - 1, LATTICE) for side in target.shape]
    indices = np.stack(np.meshgrid(*sides, indexing="ij")).reshape(3, -1)
    leads = _leads(target, source)
    return float(_are_inside(leads[:3, :3] @ indices + leads[:3, 3:], source).mean())


def is_on_lattice(source: Grid, target: Grid) -> bool:
    """Whether each voxel of a grid is one of the other, were that to go on without an end."""
    places = _places_on(corners_of(source), target)
    steps = np.abs(_leads(source, target)[:3, :3]).max(axis=0)[np.array(source.shape) > 1]
    off, longer = np.abs(places - np.rint(places)).max(), np.abs(steps - 1).max(initial=0)
    return bool(max(off, longer) <= SAME_WITHIN)


def share_outside(values: npt.NDArray[Any], source: Grid, target: Grid) -> float:
    """Of what is not 0 on a grid, the share that lies outside of another one."""
    if _are_inside(_places_on(corners_of(source), target), target).all():
        return 0.0
    affine = np.asarray(source.affine)
    there = affine[:3, :3] @ np.stack(np.nonzero(values)) + affine[:3, 3:]
    return 1 - float(_are_inside(_places_on(there, target), target).mean())


def _are_inside(places: Float64Array, grid: Grid) -> npt.NDArray[np.bool_]:
    """Which of some indices `(3, N)` lie no more than half a voxel beyond the centres at a grid's border."""
    return np.asarray(((places >= -0.5) & (places <= np.array(grid.shape)[:, None] - 0.5)).all(axis=0))


def _places_on(positions: Float64Array, grid: Grid) -> Float64Array:
    """Indices on a grid of positions `(3, N)` in mm."""
    affine = np.asarray(grid.affine)
    return np.asarray(np.linalg.solve(affine[:3, :3], positions - affine[:3, 3:]))


def _leads(start: Grid, end: Grid) -> Float64Array:
    """The affine from indices of one grid to those of another."""
    return np.asarray(np.linalg.solve(np.asarray(end.affine), np.asarray(start.affine)))
