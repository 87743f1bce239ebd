"""DICOM files of one slice. Identifiers leave this module only as a hash."""

from functools import cache
from hashlib import scrypt
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom
from pydicom.pixels.processing import apply_rescale

from tumorline.data.patients import says_nothing
from tumorline.errors import UserError

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE  # its warnings quote identifiers

HEADER_TAGS = ["PatientID", "PixelSpacing"]


class Header(NamedTuple):
    """What a slice tells beside its pixels: a hash of the patient's id, the spacing of rows and columns."""

    patient: str | None = None
    spacing_mm: tuple[float, float] | None = None


def read_header(path: Path) -> Header:
    """The header of a slice; empty for a file that cannot be read, which decoding reports."""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=HEADER_TAGS)
        patient = str(dataset.get("PatientID") or "").strip()
        spacing = [float(value) for value in dataset.get("PixelSpacing") or ()]
    except Exception:  # a damaged header raises whatever its bytes lead to
        return Header()
    known = len(spacing) == 2 and min(spacing) > 0
    return Header(
        None if says_nothing(patient) else hash_identifier(patient), (spacing[0], spacing[1]) if known else None
    )


@cache
def hash_identifier(identifier: str) -> str:
    """A stable stand-in for a patient's id, slow to compute so that short ids are not found by trying all."""
    return "dicom-" + scrypt(identifier.encode(), salt=b"tumorline", n=2**12, r=8, p=1, dklen=8).hex()


def read_slice(path: Path) -> npt.NDArray[Any]:
    """Grey values `(H, W)` after rescale slope and intercept, bright as displayed (MONOCHROME1 is inverted).

    Raises UserError for a damaged file, for more than one frame, for colour, and for a compression that pydicom
    cannot decode here.
    """
    try:
        dataset = pydicom.dcmread(path)
        _check_kind(path, dataset)
        values = apply_rescale(dataset.pixel_array, dataset)
    except UserError:
        raise
    except (RuntimeError, NotImplementedError):
        raise UserError(f"{path}: {_compression(dataset)}; save it uncompressed (Explicit VR Little Endian)") from None
    except Exception as error:  # damaged bytes raise whatever they lead to; their text may quote the header
        raise UserError(f"{path}: unreadable or truncated DICOM ({type(error).__name__})") from None
    return _inverted(values) if dataset.PhotometricInterpretation == "MONOCHROME1" else np.asarray(values)


def _inverted(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    wide = values.astype(np.float64)
    return np.asarray(wide.max() + wide.min() - wide)


def _check_kind(path: Path, dataset: pydicom.Dataset) -> None:
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames > 1:
        raise UserError(f"{path}: holds {frames} frames, one is expected; save each as a file of its own")
    colours = str(dataset.get("PhotometricInterpretation", "")) or "no"
    if colours not in ("MONOCHROME1", "MONOCHROME2"):
        raise UserError(f"{path}: DICOM file with {colours} pixels; accepted are MONOCHROME1 and MONOCHROME2")


def _compression(dataset: pydicom.Dataset) -> str:
    return f"pixels in '{dataset.file_meta.TransferSyntaxUID.name}', which cannot be decoded here"
