"""NIfTI volumes along the patient's axes, whatever way round the file keeps them."""

import gzip
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from contextlib import suppress
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array
from tumorline.errors import ReadError, UserError
from tumorline.formats.boundary import decode_one, max_pixels, read_head, require_regular, require_size
from tumorline.geometry.grid import Grid, grid_of

SUFFIXES = (".nii", ".nii.gz")
GZIP = b"\x1f\x8b"
"""How packed files begin."""
KEPT, KEPT_BYTES = 8, 1 << 29
"""Decoded volumes that are held at most, and their bytes where there is more than one."""

LONGEST_HEADER = 540
"""Bytes of NIfTI-2's, the longer one."""
NIFTI2_SIZES = ((540).to_bytes(4, "little"), (540).to_bytes(4, "big"))
HEADER_SIZES = ((348).to_bytes(4, "little"), (348).to_bytes(4, "big"), *NIFTI2_SIZES)
MOST_EXTENSIONS = 1 << 24
"""Bytes that may lie between header and voxels."""
DEFLATED_MOST = 1032
"""Times that gzip can shrink anything."""
FLAT = 1e-6
"""Of an affine whose axes all but lie in a plane: the volume of a voxel as a share of that of its sides."""
UNITS_MM = {"meter": 1000.0, "micron": 0.001}

Voxels = npt.NDArray[Any]


def load_nibabel() -> Any:
    """The library, imported only where there are volumes: that takes as long as decoding fifty images."""
    import nibabel

    nibabel.imageglobals.logger.setLevel(logging.CRITICAL)  # what it finds it does not say of which file
    return nibabel


def placed_image(voxels: npt.NDArray[Any], affine: Float64Array) -> Any:
    """Voxels in their order as nibabel has them, placed in mm by sform and qform.

    Programs that take no sheared axes, as those that rest on ITK, read what leans a little by its qform.
    """
    image = load_nibabel().Nifti1Image(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    return image


class VolumeHeader(NamedTuple):
    grid: Grid
    """Right, anterior and superior increase along its axes."""
    frames: int
    description: str = ""
    """What the file says of itself, in at most 80 characters."""
    contradiction: str = ""
    """How far the qform leads elsewhere than the sform, which is used, in words; empty where it does not."""
    is_placed: bool = True
    """Whether the file says how it lies, by one of the two."""

    @property
    def slices(self) -> int:
        return self.grid.shape[2]


class OpenVolume(NamedTuple):
    """A file whose voxels are read when they are asked for."""

    image: Any
    """As nibabel has it."""
    turn: Float64Array
    """How its axes lie to those of the patient."""
    shape: tuple[int, int, int]
    frames: int


def is_volume(path: Path) -> bool:
    return path.name.lower().endswith(SUFFIXES)


def without_volume_suffix(name: str) -> str:
    return name[: -len(next(suffix for suffix in SUFFIXES if name.lower().endswith(suffix)))]


def read_volume_header(path: Path) -> VolumeHeader:
    """Raises UserError where the file is no readable volume."""
    with decode_one(path):
        volume = open_volume(path)
        turned = volume.image.affine @ load_nibabel().orientations.inv_ornt_aff(volume.turn, volume.shape)
        turned[:3] *= _unit_mm(volume.image.header)
        sides = sorted(zip(volume.turn[:, 0], volume.shape, strict=True))
        grid, header = grid_of(tuple(side for _, side in sides), turned), volume.image.header
        is_placed = max(header["sform_code"], header["qform_code"]) > 0
        contradiction = _contradiction(header, volume.shape)
        return VolumeHeader(grid, volume.frames, _description(header), contradiction, bool(is_placed))


def _contradiction(header: Any, shape: tuple[int, int, int]) -> str:
    """Of the two affines that a header may state, both in use."""
    if header["sform_code"] <= 0 or header["qform_code"] <= 0:
        return ""
    with suppress(ValueError, load_nibabel().spatialimages.HeaderDataError):
        return grid_of(shape, header.get_sform()).difference(grid_of(shape, header.get_qform()))
    return ""


def _description(header: Any) -> str:
    return bytes(header["descrip"].item()).rstrip(b"\0").decode("latin-1")


def read_volume(path: Path) -> Voxels:
    """Voxels `(X, Y, Z)`; right, anterior and superior increase along the axes.

    Raises UserError for a file that cannot be read, and for one of several frames.
    """
    with decode_one(path):
        require_regular(path)
        voxels = _shelf.fetch((path, *_state_of(path), max_pixels()), lambda: _turned_voxels(path))
        if isinstance(voxels, UserError):
            raise UserError(str(voxels)) from voxels
        return one_frame(path, voxels, None)


def decode_volume(path: Path) -> Voxels:
    """Voxels `(X, Y, Z, frames)` of a file that is read once and not held. Raises UserError."""
    with decode_one(path):
        image, turn, shape, frames = open_volume(path)
        image = _unpacked(path, image) if _is_packed(path) else image
        voxels = np.asanyarray(image.dataobj).reshape(*shape, frames)
        return np.asarray(load_nibabel().apply_orientation(voxels, turn))


def one_frame(path: Path, voxels: Voxels, frame: int | None) -> Voxels:
    """One of the frames `(X, Y, Z, frames)`. Raises UserError where it is not there, or none of several is chosen."""
    frames = voxels.shape[3]
    if frame is None and frames > 1:
        raise UserError(f"{path}: holds {frames} frames; expected one volume, save the one that is meant by itself")
    if frame is not None and frame >= frames:
        raise UserError(f"{path}: holds {frames} frames; number {frame}, counted from 0, is not there")
    return voxels[..., frame or 0]


class _Shelf:
    """Volumes that were decoded last; no two threads decode the same one."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[Any, ...], Voxels | UserError] = OrderedDict()
        self._decoding: dict[tuple[Any, ...], Lock] = defaultdict(Lock)
        self._guard = Lock()

    def fetch(self, key: tuple[Any, ...], decode: Callable[[], Voxels | UserError]) -> Voxels | UserError:
        with self._guard:
            decoding = self._decoding[key]
        with decoding:
            with self._guard:
                if key in self._held:
                    self._held.move_to_end(key)
                    return self._held[key]
            voxels = decode()
            with self._guard:
                self._held[key] = voxels
                self._make_room()
        return voxels

    def _make_room(self) -> None:
        while len(self._held) > 1 and (len(self._held) > KEPT or self._bytes > KEPT_BYTES):
            key, _ = self._held.popitem(last=False)
            self._decoding.pop(key, None)

    @property
    def _bytes(self) -> int:
        return sum(held.nbytes for held in self._held.values() if not isinstance(held, UserError))


_shelf = _Shelf()


def _state_of(path: Path) -> tuple[int, ...]:
    """What tells that a file has changed, whatever time stamp a tool has set."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _turned_voxels(path: Path) -> Voxels | UserError:
    """Voxels `(X, Y, Z, frames)`, turned to the patient's axes; what is wrong with a file is kept as well.

    Raises ReadError for a file that is not read this time, of which nothing is kept.
    """
    try:
        return decode_volume(path)
    except ReadError:
        raise
    except UserError as error:
        return error


def open_volume(path: Path) -> OpenVolume:
    """Raises UserError where the header promises what the file cannot hold, or where the affine has no inverse."""
    require_regular(path)
    _require_named_as_packed(path)
    with gzip.open(path) if _is_packed(path) else path.open("rb") as file:
        start = file.read(LONGEST_HEADER)
    nib = load_nibabel()
    image_class = nib.Nifti2Image if start[:4] in NIFTI2_SIZES else nib.Nifti1Image
    shape, frames = _plausible_shape(
        path, image_class.header_class(start[: image_class.header_class.sizeof_hdr], check=False)
    )
    image = image_class.from_filename(path)
    _require_directions(path, image.affine)
    return OpenVolume(image, nib.io_orientation(image.affine), shape, frames)


def _require_named_as_packed(path: Path) -> None:
    start, name = read_head(path, 4), without_volume_suffix(path.name)
    if start.startswith(GZIP) and not _is_packed(path):
        raise UserError(f"{path}: is packed with gzip; call it {name}.nii.gz")
    if start in HEADER_SIZES and _is_packed(path):
        raise UserError(f"{path}: is not packed with gzip; call it {name}.nii")


def _require_directions(path: Path, affine: Float64Array) -> None:
    if not np.isfinite(affine).all():
        raise UserError(f"{path}: its affine holds what is no number; expected directions and a place in mm")
    axes = affine[:3, :3]
    room = float(np.linalg.norm(axes, axis=0).prod())
    if not room or abs(float(np.linalg.det(axes))) <= FLAT * room:
        raise UserError(f"{path}: its affine gives an axis no direction; expected one that can be inverted")


def _unit_mm(header: Any) -> float:
    try:
        return UNITS_MM.get(header.get_xyzt_units()[0], 1.0)
    except KeyError:
        return 1.0


def _unpacked(path: Path, image: Any) -> Any:
    """The image read to the end of its file, where the checksum stands, and not beyond what its header promises."""
    promised = image.dataobj.offset + prod(image.shape) * image.dataobj.dtype.itemsize
    with gzip.open(path) as file:
        content = file.read(promised)
        if len(file.read(MOST_EXTENSIONS)) == MOST_EXTENSIONS:
            raise UserError(f"{path}: holds far more than the {promised:,} bytes that its header promises")
    return type(image).from_bytes(content)


def _plausible_shape(path: Path, header: Any) -> tuple[tuple[int, int, int], int]:
    """Sides and frames, held against what is read here and what the file can hold, before nibabel believes them."""
    sides, offset = [int(side) for side in header.get_data_shape()], float(header["vox_offset"])
    if len(sides) < 2:
        size = " x ".join(str(side) for side in sides)
        raise UserError(f"{path}: a volume of {size or 'no size'}; expected three dimensions")
    require_size(path, *sides)
    voxel = header.get_data_dtype()
    if voxel.kind not in "biuf":
        raise UserError(f"{path}: voxels of type {voxel}; expected whole or real numbers")
    needed, held = prod(sides) * voxel.itemsize, path.stat().st_size * (DEFLATED_MOST if _is_packed(path) else 1)
    if not 0 <= offset <= MOST_EXTENSIONS or needed > held:
        raise UserError(f"{path}: unreadable or truncated (its header promises {needed:,} bytes from {offset:g} on)")
    return (sides[0], sides[1], prod(sides[2:3])), prod(sides[3:])


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
