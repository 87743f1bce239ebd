"""Volumes as radiologists look at them: slices from the feet up, the front of the head above, the patient's right left.

Voxels `(X, Y, Z)` lie along the patient's axes (right, front and head increase), upright ones are `(D, H, W)`.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.geometry.grid import Grid, grid_of

AS_SEEN = ((0.0, 0.0, -1.0, 0.0), (0.0, -1.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0))
"""From (d, h, w) of upright voxels whose size and place are unknown to (right, front, head)."""


def upright(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Voxels `(X, Y, Z)` as `(D, H, W)`; a view."""
    return voxels[::-1, ::-1].transpose(2, 1, 0)


def from_upright(slices: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The way back from `upright`; a view."""
    return slices.transpose(2, 1, 0)[::-1, ::-1]


def upright_grid(grid: Grid) -> Grid:
    """The grid of `upright` voxels `(D, H, W)`, of that of the voxels `(X, Y, Z)`."""
    across, along, up = grid.shape
    turn = np.array([[0, 0, -1, across - 1], [0, -1, 0, along - 1], [1, 0, 0, 0], [0, 0, 0, 1.0]])
    return grid_of((up, along, across), np.asarray(grid.affine) @ turn)
