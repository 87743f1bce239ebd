"""From a file to its pixels, by the file's content: Pillow's formats, DICOM, figshare's MATLAB files."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from tumorline.data import cjdata
from tumorline.errors import UserError

Image.MAX_IMAGE_PIXELS = 1 << 28  # a 16384 x 16384 slice; Pillow refuses files of twice that as bombs

DICOM_SUFFIXES = {".dcm", ".dicom", ".ima"}
PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm"} | DICOM_SUFFIXES
MATLAB_SUFFIX = ".mat"

Pixels = npt.NDArray[Any]
Part = Literal["image", "mask"]


def is_picture(path: Path) -> bool:
    """Whether a file is meant as a picture: by its suffix, or a DICOM file of any name (but DICOMDIR, an index)."""
    return path.suffix.lower() in PICTURE_SUFFIXES or (path.name.upper() != "DICOMDIR" and is_dicom(path))


def without_suffix(path: Path) -> Path:
    """The path without a suffix that says what the file is; the numbers of a DICOM name are none."""
    return path.with_suffix("") if path.suffix.lower() in PICTURE_SUFFIXES | {MATLAB_SUFFIX} else path


def is_dicom(path: Path) -> bool:
    return path.suffix.lower() in DICOM_SUFFIXES or _head(path)[128:132] == b"DICM"


def read_pixels(path: Path, part: Part = "image") -> Pixels:
    """Decode one file: `(H, W)` for grey, `(H, W, 3)` for colour and palette; alpha is dropped.

    `part` says what is wanted of a file that holds image and mask. Raises UserError for a file that is missing,
    truncated, of no known format or of more than one frame.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    if is_dicom(path):
        from tumorline.data import dicom  # pydicom is slow to import

        return dicom.read_slice(path)
    if path.suffix.lower() == MATLAB_SUFFIX or b"\x89HDF\r\n\x1a\n" in _head(path):
        return cjdata.read_plane(path, part)
    return _read_picture(path)


def _head(path: Path) -> bytes:
    """The first bytes of a file, where formats sign their names; none where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(520)
    except OSError:
        return b""


def _read_picture(path: Path) -> Pixels:
    try:
        with Image.open(path) as picture:
            frames = getattr(picture, "n_frames", 1)
            if frames > 1:
                raise UserError(f"{path}: holds {frames} frames, one is expected; save each as a file of its own")
            if picture.mode in ("P", "PA", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"):
                return np.asarray(picture.convert("RGB"))
            if picture.mode in ("LA", "La"):
                return np.asarray(picture.convert("L"))
            return np.asarray(picture)
    except UnidentifiedImageError:
        raise UserError(f"{path}: not a picture that Pillow can read") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: unreadable or truncated ({error})") from None
