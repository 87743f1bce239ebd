"""The eight flips and quarter turns of an image."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

TRANSFORMS = (
    "identity",
    "rotate90",
    "rotate180",
    "rotate270",
    "mirror",
    "mirror_rotate90",
    "mirror_rotate180",
    "mirror_rotate270",
)
"""`rotate90` turns counter-clockwise, `mirror` swaps left and right, `mirror_rotate90` mirrors first, then turns."""
INVERSE = np.array([0, 3, 2, 1, 4, 5, 6, 7])
Scalar = TypeVar("Scalar", bound=np.generic)


def transformed(pictures: npt.NDArray[Scalar], number: int) -> npt.NDArray[Scalar]:
    """Apply `TRANSFORMS[number]` to `(..., H, W)`."""
    if number >= len(TRANSFORMS) // 2:
        pictures = pictures[..., ::-1]
    return np.rot90(pictures, number % 4, axes=(-2, -1))


def inverse_name(transform: str) -> str:
    """The name of the transform that undoes the named one."""
    return TRANSFORMS[INVERSE[TRANSFORMS.index(transform)]]
