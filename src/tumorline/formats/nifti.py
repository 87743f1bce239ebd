"""NIfTI volumes as axial slices, whatever way round the file keeps them.

A slice `(H, W)` is seen as radiologists look at it: the front of the head is up, the patient's right is left.
"""

import gzip
from functools import lru_cache
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import nibabel
import numpy as np
import numpy.typing as npt

from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one, max_pixels, require_regular, require_size

SUFFIXES = (".nii", ".nii.gz")
KEPT = 8
"""Decoded volumes that are held: the slices of one follow one another."""

LONGEST_HEADER = 540
"""Bytes of NIfTI-2's, the longer one."""
NIFTI2_SIZES = ((540).to_bytes(4, "little"), (540).to_bytes(4, "big"))
MOST_EXTENSIONS = 1 << 24
"""Bytes that may lie between header and voxels."""
DEFLATED_MOST = 1032
"""Times that gzip can shrink anything."""

nib: Any = nibabel
_loading = Lock()


class VolumeHeader(NamedTuple):
    slices: int
    spacing_mm: tuple[float, float]
    """Of a slice, top to bottom and left to right."""


def is_volume(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def read_volume_header(path: Path) -> VolumeHeader:
    """Raises UserError where the file is no readable volume."""
    with decode_one(path):
        image, turn = _open(path)
        where = [int(axis) for axis in np.argsort(turn[:, 0])]  # of right, anterior, superior
        across, along, _ = (float(image.header.get_zooms()[axis]) for axis in where)
        return VolumeHeader(image.shape[where[2]], (along, across))


def read_volume_slice(path: Path, number: int) -> npt.NDArray[Any]:
    """Axial slice `(H, W)`, counted from the feet. Raises UserError for a file that cannot be read."""
    with decode_one(path):
        require_regular(path)
        with _loading:
            voxels = _voxels(path, path.stat().st_mtime_ns, max_pixels())
        if isinstance(voxels, UserError):
            raise UserError(str(voxels)) from voxels
        if number >= voxels.shape[2]:
            raise UserError(f"{path}: has {voxels.shape[2]} slices; slice {number} is not there")
        return voxels[::-1, ::-1, number].T


@lru_cache(maxsize=KEPT)
def _voxels(path: Path, _modified: int, _limit: int) -> npt.NDArray[Any] | UserError:
    """Right, anterior and superior increase along the axes; what is wrong with a file is remembered as well."""
    try:
        with decode_one(path):
            image, turn = _open(path)
            image = _unpacked(path, image) if _is_packed(path) else image
            return np.asarray(nib.apply_orientation(np.asanyarray(image.dataobj), turn))
    except UserError as error:
        return error


def _open(path: Path) -> tuple[Any, npt.NDArray[np.float64]]:
    """The file, whose voxels are read when they are asked for, and how its axes lie to those of the patient."""
    require_regular(path)
    with gzip.open(path) if _is_packed(path) else path.open("rb") as file:
        start = file.read(LONGEST_HEADER)
    kind = nib.Nifti2Image if start[:4] in NIFTI2_SIZES else nib.Nifti1Image
    _require_plausible(path, kind.header_class(start[: kind.header_class.sizeof_hdr], check=False))
    image = kind.from_filename(path)
    turn = nib.io_orientation(image.affine)
    if not np.isfinite(turn).all():
        raise UserError(f"{path}: its affine gives an axis no direction; expected one that can be inverted")
    return image, turn


def _unpacked(path: Path, image: Any) -> Any:
    """The image read to the end of its file, where the checksum stands, and not beyond what its header promises."""
    promised = image.dataobj.offset + prod(image.shape) * image.dataobj.dtype.itemsize
    with gzip.open(path) as file:
        content = file.read(promised)
        if len(file.read(MOST_EXTENSIONS)) == MOST_EXTENSIONS:
            raise UserError(f"{path}: holds far more than the {promised:,} bytes that its header promises")
    return type(image).from_bytes(content)


def _require_plausible(path: Path, header: Any) -> None:
    """Hold what a header says against what is read here and what the file can hold, before nibabel believes it."""
    shape, offset = [int(side) for side in header.get_data_shape()], float(header["vox_offset"])
    if len(shape) != 3:
        size = " x ".join(str(side) for side in shape)
        raise UserError(f"{path}: a volume of {size}; expected three dimensions, others are not read yet")
    require_size(path, *shape)
    voxel = header.get_data_dtype()
    if voxel.kind not in "biuf":
        raise UserError(f"{path}: voxels of type {voxel}; expected whole or real numbers")
    needed, held = prod(shape) * voxel.itemsize, path.stat().st_size * (DEFLATED_MOST if _is_packed(path) else 1)
    if not 0 <= offset <= MOST_EXTENSIONS or needed > held:
        raise UserError(f"{path}: unreadable or truncated (its header promises {needed:,} bytes from {offset:g} on)")


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
