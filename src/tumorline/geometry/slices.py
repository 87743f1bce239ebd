"""The slices of a volume, whatever way it is cut.

Space `(D, H, W)` are axial slices from the feet up, each as radiologists see it. Coronal ones go from front to back,
sagittal ones from the patient's right to the left; in both the top of the head is up.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", bound=np.generic)

AXES = {"axial": -3, "coronal": -2, "sagittal": -1}
"""Which axis of `(..., D, H, W)` the slices follow one another along."""


def to_slices(array: npt.NDArray[T], axis: str) -> npt.NDArray[T]:
    """`(..., D, H, W)` as `(..., N, A, B)`, of which each `[..., n, :, :]` is a slice; a view."""
    if axis == "axial":
        return array
    return np.moveaxis(array[..., ::-1, :, :], AXES[axis], -3)


def from_slices(slices: npt.NDArray[T], axis: str) -> npt.NDArray[T]:
    """The way back from `to_slices`; a view."""
    if axis == "axial":
        return slices
    return np.moveaxis(slices, -3, AXES[axis])[..., ::-1, :, :]
