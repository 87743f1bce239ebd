"""From a file to its pixels, by the file's content: Pillow's formats, DICOM, figshare's MATLAB files."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.errors import UserError
from tumorline.formats import cjdata, nifti
from tumorline.formats.boundary import decode_one, read_head, require_regular
from tumorline.formats.raster import Part, read_raster

DICOM_SUFFIXES = {".dcm", ".dicom", ".ima"}
FEWEST_SLICES = 3
"""Slices of DICOM that are a volume."""
RASTER_SUFFIXES = {
    *{".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".jp2", ".j2k", ".tif", ".tiff", ".bmp", ".gif", ".webp"},
    *{".pgm", ".ppm", ".pbm", ".pnm", ".tga"},
}
PICTURE_SUFFIXES = RASTER_SUFFIXES | DICOM_SUFFIXES
MATLAB_SUFFIX = ".mat"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
WITHOUT_PREAMBLE = re.compile(rb"\x02\0\0\0UL\x04\0|\x08\0[\0-\x20]\0(?:UL|CS|UI|DA|SH)")
"""How a DICOM file begins that lacks the preamble: with its meta elements, or with those that identify it."""
SAVED_WITH_LOSS = re.compile(rb"\xff\xd8\xff|RIFF....WEBPVP8 ", re.DOTALL)
"""How JPEG begins, and WebP where it is not lossless; one with alpha or an animation does not tell."""
LONGEST_FIRST = 256
"""Bytes of the first value of such a file whose elements do not state their kinds."""
BEGINNING_OF_PICTURE = re.compile(
    rb"\x89PNG\r\n|\xff\xd8\xff|GIF8[79]a|II[*+]\0|MM\0[*+]|RIFF....WEBP|\0\0\0\x0cjP  ", re.DOTALL
)
"""Signatures of the formats that Pillow reads, which no DICOM file without a preamble begins with."""

SIGNED_WITHIN = 520
"""Bytes from the beginning, in which formats sign their names."""

Pixels = npt.NDArray[Any]


def is_picture(path: Path) -> bool:
    """Whether a file is meant as a picture: by its suffix, or a DICOM file of any name (but DICOMDIR, an index)."""
    return path.suffix.lower() in PICTURE_SUFFIXES or (path.name.upper() != "DICOMDIR" and is_dicom(path))


def without_suffix(path: Path) -> Path:
    """The path without a suffix that says what the file is; the numbers of a DICOM name are none."""
    if nifti.is_volume(path):
        return path.with_name(nifti.without_volume_suffix(path.name))
    return path.with_suffix("") if path.suffix.lower() in PICTURE_SUFFIXES | {MATLAB_SUFFIX} else path


def is_dicom(path: Path) -> bool:
    """By its content, or by its suffix where the content is not that of a picture."""
    return _is_dicom(path, read_head(path, SIGNED_WITHIN))


def _is_dicom(path: Path, head: bytes) -> bool:
    named = path.suffix.lower() in DICOM_SUFFIXES and not BEGINNING_OF_PICTURE.match(head)
    signed = head[128:132] == b"DICM" or WITHOUT_PREAMBLE.match(head) is not None
    return named or signed or _begins_without_kinds(head)


def is_lossy(path: Path) -> bool:
    """Whether a picture was saved so that its values are near those that were meant, and not these."""
    return SAVED_WITH_LOSS.match(read_head(path, SIGNED_WITHIN)) is not None


def read_pixels(path: Path, part: Part = "image") -> Pixels:
    """Decode one file: `(H, W)` for grey, `(H, W, 3)` for colour and palette; alpha is dropped.

    `part` says what is wanted of a file that holds image and mask. Raises UserError for a file that is missing,
    no regular file, truncated, of no known format, of more than one frame or of more pixels than are accepted.
    """
    with decode_one(path):
        require_regular(path)
        return _decode(path, part)


def _decode(path: Path, part: Part) -> Pixels:
    head = read_head(path, SIGNED_WITHIN)
    if _is_dicom(path, head):
        from tumorline.formats import dicom

        return dicom.read_dicom(path, as_seen=part == "image")
    if path.suffix.lower() == MATLAB_SUFFIX or HDF5_SIGNATURE in head:
        return np.asarray(cjdata.read_plane(path, "image" if part == "image" else "mask"))
    if nifti.is_volume(path):
        raise UserError(f"{path}: a NIfTI volume, where an image of one slice is expected; save its slices as images")
    return read_raster(path, part)


def _begins_without_kinds(head: bytes) -> bool:
    """Whether two elements of the group that identifies follow one another: tag, length in four bytes and value."""
    length = int.from_bytes(head[4:8], "little")
    is_first = head[:2] == b"\x08\0" and head[3:4] == b"\0" and head[2] <= 0x20
    return is_first and length <= LONGEST_FIRST and head[8 + length : 10 + length] == b"\x08\0"
