"""NIfTI volumes as axial slices, whatever way round the file keeps them.

A slice `(H, W)` is seen as radiologists look at it: the front of the head is up, the patient's right is left.
"""

from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import nibabel
import numpy as np
import numpy.typing as npt
from nibabel.filebasedimages import ImageFileError

from tumorline.errors import UserError

SUFFIXES = (".nii", ".nii.gz")
KEPT = 8
"""Decoded volumes that are held: the slices of one follow one another."""

nib: Any = nibabel
_loading = Lock()


class Header(NamedTuple):
    slices: int
    spacing_mm: tuple[float, float]
    """Of a slice, top to bottom and left to right."""


def is_volume(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def read_header(path: Path) -> Header:
    """Raises UserError where the file is no readable volume."""
    image, turn = _open(path)
    where = [int(axis) for axis in np.argsort(turn[:, 0])]  # of right, anterior, superior
    across, along, _ = (float(image.header.get_zooms()[axis]) for axis in where)
    return Header(image.shape[where[2]], (along, across))


def read_slice(path: Path, number: int) -> npt.NDArray[Any]:
    """Axial slice `(H, W)`, counted from the feet. Raises UserError for a file that cannot be read."""
    with _loading:
        voxels = _voxels(path, path.stat().st_mtime_ns if path.is_file() else 0)
    if number >= voxels.shape[2]:
        raise UserError(f"{path}: has {voxels.shape[2]} slices; slice {number} is not there")
    return voxels[::-1, ::-1, number].T


@lru_cache(maxsize=KEPT)
def _voxels(path: Path, _modified: int) -> npt.NDArray[Any]:
    """Right, anterior and superior increase along the axes."""
    image, turn = _open(path)
    try:
        return np.asarray(nib.apply_orientation(np.asanyarray(image.dataobj), turn))
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise UserError(f"{path}: unreadable or truncated ({error})") from None


def _open(path: Path) -> tuple[Any, npt.NDArray[np.float64]]:
    """The file, whose voxels are read when they are asked for, and how its axes lie to those of the patient."""
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        image = nib.load(path)
    except (OSError, EOFError, ValueError, ImageFileError) as error:
        raise UserError(f"{path}: unreadable or truncated ({error})") from None
    if len(image.shape) != 3:
        size = " x ".join(str(side) for side in image.shape)
        raise UserError(f"{path}: a volume of {size}; expected three dimensions")
    return image, nib.io_orientation(image.affine)
