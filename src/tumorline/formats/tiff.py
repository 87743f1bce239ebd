"""TIFF of the kinds that Pillow refuses: numbers with a point of 16 and 64 bit, whole ones of 64 bit, such colours."""

import logging
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile
from PIL import Image

from tumorline.errors import UserError
from tumorline.formats.boundary import require_size
from tumorline.formats.raster import MANY_FRAMES, MIN_IS_WHITE, invert, without_alpha

PLAIN, DEFLATED, UNPACKED_BY_PILLOW = 1, (8, 32946), (5, 32773)
"""Compressions that need no further library; the last are LZW and PackBits."""
COMPRESSIONS = (PLAIN, *DEFLATED, *UNPACKED_BY_PILLOW)
NO_PREDICTOR, DIFFERENCE = 1, 2
AXES = ("YX", "YXS", "SYX")
ORIENTATION = 274
TURNS = {
    1: (0, False),
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}
"""Orientation -> quarter turns counter-clockwise, and whether left and right are swapped after them."""
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # what is wrong is said once, by the boundary

Array = npt.NDArray[Any]


def read_tiff(path: Path) -> Array:
    """Pixels `(H, W)` or `(H, W, 3)`. Raises UserError for more than one page, and for what is not read here either."""
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        _require_one_page(path, file)
        _require_readable(path, page)
        if page.compression in UNPACKED_BY_PILLOW:
            codecs: dict[int, Any] = vars(tifffile.TIFF.DECOMPRESSORS)["_codecs"]
            codecs[int(page.compression)] = _unpack_by_pillow(int(page.compression))
        values = np.asarray(page.asarray())
        values = invert(values) if page.photometric == MIN_IS_WHITE else values
        return _upright(_colours_last(values, page.axes), page.tags.valueof(ORIENTATION, default=1))


def _require_one_page(path: Path, file: Any) -> None:
    """But for smaller copies of the first."""
    if not all(page.is_reduced for page in islice(file.pages, 1, MANY_FRAMES)):
        raise UserError(f"{path}: holds several frames, one is expected; save each as a file of its own")


def _require_readable(path: Path, page: Any) -> None:
    require_size(path, *page.shape)
    require_size(path, *page.chunks)
    numbers = page.dtype is not None and page.dtype.kind in "biuf" and page.axes in AXES
    packed = page.compression in COMPRESSIONS and page.predictor in (NO_PREDICTOR, DIFFERENCE)
    if not (numbers and packed):
        encoding = f"{page.dtype} numbers, compressed by {getattr(page.compression, 'name', page.compression)}"
        raise UserError(
            f"{path}: TIFF with {encoding}, which is not read; save it uncompressed, in grey of 8 or 16 bit"
        )
    if not all(page.databytecounts):
        raise UserError(f"{path}: a strip or tile holds nothing; get the file again")
    if page.compression in DEFLATED:
        _require_no_bomb(path, page)


def _require_no_bomb(path: Path, page: Any) -> None:
    """tifffile inflates without a bound."""
    expected = prod(page.chunks) * page.dtype.itemsize
    for start, size in zip(page.dataoffsets, page.databytecounts, strict=True):
        page.parent.filehandle.seek(start)
        stream = zlib.decompressobj()
        if len(stream.decompress(page.parent.filehandle.read(size), expected + 1)) > expected:
            raise UserError(f"{path}: a strip or tile inflates to more than its {expected:,} bytes")


def _unpack_by_pillow(compression: int) -> Callable[..., bytes]:
    """A decoder of strips and tiles: each becomes a picture of bytes, which Pillow reads whatever numbers they make."""

    def unpack(packed: bytes, out: int) -> bytes:
        with Image.open(_as_picture(packed, out, compression), formats=["TIFF"]) as image:
            return image.tobytes()

    return unpack


def _as_picture(packed: bytes, length: int, compression: int) -> BytesIO:
    """A TIFF of one row of bytes."""
    tags = {256: length, 257: 1, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1, 278: 1, 279: len(packed)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    head = b"II*\0" + struct.pack("<I", 8 + len(packed))
    return BytesIO(head + packed + struct.pack("<H", len(tags)) + entries + bytes(4))


def _colours_last(values: Array, axes: str) -> Array:
    """Grey `(H, W)` or colours `(H, W, 3)`, without alpha."""
    if axes == "YX":
        return values
    colours = values if axes == "YXS" else np.moveaxis(values, 0, -1)
    if colours.shape[-1] == len("RGBA"):
        return without_alpha(colours)
    return colours[..., :3] if colours.shape[-1] >= 3 else colours[..., 0]


def _upright(values: Array, orientation: int) -> Array:
    quarters, swapped = TURNS.get(orientation, TURNS[1])
    turned = np.rot90(values, quarters)
    return turned[:, ::-1] if swapped else turned
