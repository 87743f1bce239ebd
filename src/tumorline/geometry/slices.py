"""The slices of a volume, whatever way it is cut.

Space `(D, H, W)` are axial slices from the feet up, each as radiologists see it. Coronal ones go from front to back,
sagittal ones from the patient's right to the left; in both the top of the head is up.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tumorline.geometry.grid import Grid

T = TypeVar("T", bound=np.generic)
Pixel = tuple[float, float]
"""Height and width of a pixel, of which the smaller is 1."""

AXES = {"axial": -3, "coronal": -2, "sagittal": -1}
"""Which axis of `(..., D, H, W)` the slices follow one another along."""
LONG = 2.0
"""A pixel more than so many times as long as wide shows no anatomy."""
SQUARE: Pixel = (1.0, 1.0)
DIGITS = 3
"""Of the proportions of a pixel: what is further off comes from rounding in headers."""


def plane_of(grid: Grid, wanted: str) -> str:
    """How a volume on a grid `(D, H, W)` is cut: as wanted, or as it was acquired. A picture is not cut.

    The second where it is one slice, or where the wanted slices would cross slices that lie far apart, and so have
    long pixels.
    """
    single = [name for name, count in zip(AXES, grid.shape, strict=False) if count == 1]
    if grid.ndim < len(AXES) or wanted in single:
        return wanted
    if single or grid.spacing_mm is None:
        return next(iter(single), wanted)
    sides = dict(zip(AXES, grid.spacing_mm, strict=True))
    within = [side for name, side in sides.items() if name != wanted]
    return wanted if max(within) <= LONG * min(within) else max(sides, key=sides.__getitem__)


def pixel_of(spacing_mm: Sequence[float] | None, plane: str) -> Pixel:
    """Of a picture of this spacing `(H, W)`, or of such slices of a volume `(D, H, W)`; square where it is unknown."""
    if spacing_mm is None:
        return SQUARE
    across = AXES[plane] if len(spacing_mm) == len(AXES) else None
    height, width = (side for number, side in enumerate(spacing_mm, -len(spacing_mm)) if number != across)
    smaller = min(height, width)
    return round(height / smaller, DIGITS), round(width / smaller, DIGITS)


def to_slices(array: npt.NDArray[T], axis: str) -> npt.NDArray[T]:
    """`(..., D, H, W)` as `(..., N, A, B)`, of which each `[..., n, :, :]` is a slice; a view."""
    if axis == "axial":
        return array
    return np.moveaxis(array[..., ::-1, :, :], AXES[axis], -3)


def slices_with_any(mask: npt.NDArray[np.bool_], axis: str) -> npt.NDArray[np.bool_]:
    """`(N,)`: which slices of `(D, H, W)` hold anything; a picture `(H, W)` is one."""
    slices = to_slices(mask, axis) if mask.ndim == 3 else mask[None]
    return np.asarray(slices.any((1, 2)))


def from_slices(slices: npt.NDArray[T], axis: str) -> npt.NDArray[T]:
    """The way back from `to_slices`; a view."""
    if axis == "axial":
        return slices
    return np.moveaxis(slices, -3, AXES[axis])[..., ::-1, :, :]
