"""Whatever bytes a file holds: its pixels, its header, or a UserError that names it in one line."""

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
import tifffile
from hypothesis import given, strategies
from PIL import Image
from pydicom import uid

from tests.fuzz.budget import fuzzed
from tests.sources import nib, save_dicom, save_mat
from tumorline.data.case import Case, read_image
from tumorline.data.masks.read import read_mask, split_labels
from tumorline.errors import UserError
from tumorline.formats import nifti
from tumorline.formats.cjdata import read_folds, read_patient
from tumorline.formats.decode import is_picture
from tumorline.formats.dicom import read_dicom_header
from tumorline.geometry.upright import upright
from tumorline.regions import Labels

PIXELS = (np.arange(16 * 12).reshape(16, 12) * 7 % 251).astype(np.uint8)
SUFFIXES = (".png", ".jpg", ".tif", ".gif", ".webp", ".pgm", ".jp2", ".tga", ".dcm", ".mat", ".nii", ".nii.gz", "")
LABELS = Labels(((1, 4),), (0, 1, 2, 4))


def by_pillow(kind: str, **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(PIXELS).save(content, kind, **options)
    return content.getvalue()


def by_tifffile(dtype: str, **options: Any) -> bytes:
    content = io.BytesIO()
    tifffile.imwrite(content, PIXELS.astype(dtype), **options)
    return content.getvalue()


def as_dicom(folder: Path, syntax: uid.UID) -> bytes:
    path = save_dicom(folder / "seed.dcm", PIXELS)
    dataset = pydicom.dcmread(path)
    if syntax in (uid.RLELossless, uid.JPEGLSLossless):
        dataset.compress(syntax, generate_instance_uid=False)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    return path.read_bytes()


def as_nifti(dtype: str) -> bytes:
    return bytes(nib.Nifti1Image(np.stack([PIXELS, PIXELS], -1).astype(dtype), np.eye(4)).to_bytes())


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A small file of each kind."""
    folder = tmp_path_factory.mktemp("seeds")
    return {
        **{f"{kind}{number}": by_pillow(kind, **options) for number, (kind, options) in enumerate(PILLOW)},
        **{f"tiff {dtype} {options}": by_tifffile(dtype, **options) for dtype, options in TIFFS},
        **{f"dicom {syntax}": as_dicom(folder, syntax) for syntax in SYNTAXES},
        **{f"nifti {dtype}": as_nifti(dtype) for dtype in ("i2", "f4")},
        "nifti gz": gzip.compress(as_nifti("u1")),
        "mat": save_mat(folder / "1.mat", PIXELS, PIXELS > 99).read_bytes(),
    }


PILLOW: list[tuple[str, dict[str, Any]]] = [
    ("PNG", {}),
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("GIF", {}),
    ("BMP", {}),
    ("WEBP", {"lossless": True}),
    ("PPM", {}),
    ("JPEG2000", {}),
    ("TGA", {}),
]
TIFFS: list[tuple[str, dict[str, Any]]] = [("f8", {}), ("f8", {"compression": "zlib"}), ("u8", {"tile": (16, 16)})]
SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.RLELossless,
    uid.JPEGLSLossless,
)


def damaged(data: strategies.DataObject, content: bytes) -> bytes:
    """Some bytes replaced, a piece cut out or put in, or the end cut off."""
    mutable = bytearray(content)
    early = min(len(content) - 1, 700)
    for _ in range(data.draw(strategies.integers(0, 6))):
        at = data.draw(strategies.integers(0, data.draw(strategies.sampled_from([early, len(content) - 1]))))
        mutable[at] = data.draw(strategies.sampled_from([0, 1, 0x7F, 0x80, 0xFE, 0xFF]) | strategies.integers(0, 255))
    if data.draw(strategies.booleans()):
        at, length = data.draw(strategies.integers(0, len(mutable))), data.draw(strategies.integers(0, 9))
        mutable[at : at + length] = data.draw(strategies.binary(max_size=9))
    return bytes(
        mutable[: data.draw(strategies.integers(1, len(mutable)))] if data.draw(strategies.booleans()) else mutable
    )


READERS: tuple[Callable[[Path], object], ...] = (
    lambda path: read_image(Case("x", (path,))),
    read_mask,
    is_picture,
    read_dicom_header,
    read_patient,
    read_folds,
    nifti.read_volume_header,
    lambda path: upright(nifti.read_volume(path)),
    lambda path: split_labels(nifti.read_volume(path), LABELS, f"{path}:"),
)


def try_readers(path: Path) -> None:
    for read in READERS:
        try:
            read(path)
        except UserError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert str(path) in str(error)  # noqa: PT017


@fuzzed(examples=60)
@given(data=strategies.data())
def test_a_damaged_file_gives_pixels_or_one_line(
    seeds: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory, data: strategies.DataObject
) -> None:
    content = damaged(data, seeds[data.draw(strategies.sampled_from(sorted(seeds)))])
    path = tmp_path_factory.getbasetemp() / f"fuzzed{data.draw(strategies.sampled_from(SUFFIXES))}"
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    try_readers(path)


@fuzzed(examples=30)
@given(
    head=strategies.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"II*\0", b"\x89HDF\r\n\x1a\n", b"GIF89a", b"P5\n"]),
    data=strategies.data(),
)
def test_any_bytes_give_pixels_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, data: strategies.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any{data.draw(strategies.sampled_from(SUFFIXES))}"
    path.write_bytes(head + data.draw(strategies.binary(max_size=600)))
    try_readers(path)
