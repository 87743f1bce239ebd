"""PNG and PNM with 16 bit in more than one channel, of which Pillow keeps the upper 8 alone."""

import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

ORDERS = "BL"
"""Byte orders as Pillow writes them: in that of the file it keeps the upper byte, in the other one the lower."""
HEADER, DEPTH, COLOUR_TYPE, CHECKSUM = slice(12, 29), 24, 25, slice(29, 33)
"""Where they stand in a PNG."""
RGBA = 6
GREY = "LA;16B"

Turned = Callable[[Image.Image], Image.Image]


def is_deep_png(image: Image.Image) -> bool:
    return image.format == "PNG" and first_word(image) in {GREY, "RGB;16B", "RGBA;16B"}


def is_deep_pnm(image: Image.Image) -> bool:
    return image.format == "PPM" and image.mode == "RGB" and _tile(image).codec_name == "ppm"


def first_word(image: Image.Image) -> str:
    """How Pillow calls the way in which numbers lie in a file."""
    args = _tile(image).args if getattr(image, "tile", ()) else ""
    return str(args if isinstance(args, str) else args[0] if args else "")


def read_deep(path: Path, image: Image.Image, upright: Turned) -> npt.NDArray[np.uint16]:
    """Grey or colours and how opaque they are, `(H, W, 2 to 4)`, of a picture of which only the header was read."""
    if first_word(image) == GREY:
        return _read_grey(path, upright)
    high, low = (_bytes_of(path, order, upright) for order in ORDERS)
    return _both_bytes(high, low)


def _bytes_of(path: Path, order: str, upright: Turned) -> npt.NDArray[np.uint8]:
    with Image.open(path, formats=("PNG", "PPM")) as image:
        form = f"{image.mode};16{order}"
        decoder = {"args": form} if image.format == "PNG" else {"codec_name": "raw", "args": (form, 0, 1)}
        setattr(image, "tile", [_tile(image)._replace(**decoder)])  # noqa: B010  # which Image.Image does not declare
        return np.asarray(upright(image))


def _read_grey(path: Path, upright: Turned) -> npt.NDArray[np.uint16]:
    """Pillow knows one order of these; as bytes they lie as four channels of 8 bit do."""
    content = bytearray(path.read_bytes())
    content[DEPTH], content[COLOUR_TYPE] = 8, RGBA
    content[CHECKSUM] = zlib.crc32(content[HEADER]).to_bytes(4, "big")
    with Image.open(BytesIO(content), formats=("PNG",)) as image:
        pixels = np.asarray(upright(image))
    return _both_bytes(pixels[..., ::2], pixels[..., 1::2])


def _both_bytes(high: npt.NDArray[np.uint8], low: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint16]:
    return np.asarray(high.astype(np.uint16) << 8 | low, dtype=np.uint16)


def _tile(image: Any) -> Any:
    return image.tile[0]
