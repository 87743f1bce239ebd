"""Images in the formats of Pillow, as a viewer shows them. No other format is tried, by whatever name."""

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from tumorline.errors import UserError
from tumorline.formats.boundary import read_head, require_size
from tumorline.formats.deep_colours import first_word, is_deep_png, is_deep_pnm, read_deep
from tumorline.formats.grey import channels_agree, is_black_and_one
from tumorline.formats.pillow_limit import own_limit
from tumorline.formats.unread import unread_file

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000")
"""Told from one another by their content; TGA, which has no signature, by its suffix."""
ACCEPTED = "PNG, JPEG, TIFF, BMP, GIF, WebP, PPM, JPEG 2000, TGA, DICOM, MATLAB v7.3, NIfTI as .nii or .nii.gz"
TIFF_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
TILE_SIDES, PHOTOMETRIC, MIN_IS_WHITE = (322, 323), 262, 0
BITS, SAMPLE_FORMAT, SIGNED = 258, 339, 2
SUBFILE, REDUCED = 254, 1
"""Numbers of TIFF's tags, and values."""
MANY_FRAMES, COUNTED_BYTES = 1000, 1 << 20
"""Frames are counted up to here, and those of a GIF up to this size of file."""
UPRIGHT = 1
"""EXIF's first orientation, as which a picture is shown as it is stored; there are eight."""
VISIBLE_MODES = ("L", "LA", "P", "PA", "RGB", "RGBA")

PictureOfPillow = Image.Image
Pixels = npt.NDArray[Any]
Part = Literal["image", "mask", "labels"]
"""What is read of a file: its picture, the mask in it, or the labels."""

warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")  # of broken headers; not of bombs


@own_limit()
def read_raster(path: Path, part: Part) -> Pixels:
    """Pixels `(H, W)` or `(H, W, 3)`: upright, and light where a viewer shows them light.

    Of a mask that lies in alpha, alpha; of a palette of black and one colour, that colour as foreground.
    Raises UserError for another format, for more than one frame and for more pixels than are accepted.
    """
    try:
        image = Image.open(path, formats=(*FORMATS, "TGA") if path.suffix.lower() == ".tga" else FORMATS)
    except UnidentifiedImageError:
        return _read_other(path)
    except Image.DecompressionBombError as error:  # of twice as many pixels; what it states is known by its text alone
        require_size(path, *map(int, re.findall(r"\d+", str(error))[:1]))
        raise
    with image:
        _require_one(path, image)
        if _is_read_whole_elsewhere(image):
            return _read_tiff(path)
        if is_deep_png(image) or is_deep_pnm(image):
            deep = read_deep(path, image, _upright)
            return deep if deep.shape[-1] == len("RGB") else without_alpha(deep)
        return READ_PART[part](_upright(image))


def decoded(image: Image.Image) -> Pixels:
    """Pixels of a picture that was opened."""
    return _pixels(_upright(image))


def count_bands(path: Path) -> int:
    """How many values a picture has for each pixel, by its header; 0 where that is not understood."""
    return _told_by_header(path, lambda image: len(image.getbands()), 0)


@own_limit()
def _told_by_header(path: Path, ask: Callable[[Image.Image], int], otherwise: int) -> int:
    try:
        with Image.open(path, formats=FORMATS) as image:
            return ask(image)
    except Exception:  # whatever is wrong is said where the file is decoded
        return otherwise


def _read_other(path: Path) -> Pixels:
    if read_head(path, 4) in TIFF_SIGNATURES:
        return _read_tiff(path)
    raise UserError(unread_file(path) or f"{path}: not a picture in a format that is read ({ACCEPTED})")


def _read_tiff(path: Path) -> Pixels:
    from tumorline.formats.tiff import read_tiff  # slow to import, seldom needed

    return read_tiff(path)


def _is_read_whole_elsewhere(image: Image.Image) -> bool:
    """Whether it is a TIFF of which Pillow keeps the upper bytes of colours alone, or takes signed bytes for others."""
    tags = getattr(image, "tag_v2", {})
    signed = tags.get(BITS, (1,))[0] == 8 and tags.get(SAMPLE_FORMAT, (1,))[0] == SIGNED
    return image.format == "TIFF" and (signed or (first_word(image).startswith("RGB") and ";16" in first_word(image)))


def _require_one(path: Path, image: Image.Image) -> None:
    require_size(path, *image.size)
    tags = getattr(image, "tag_v2", {})
    require_size(path, *(int(tags[side]) for side in TILE_SIDES if side in tags), len(image.getbands()))
    if frames := _further_frames(image):
        raise UserError(f"{path}: holds {frames} frames, one is expected; save each as a file of its own")


def _further_frames(image: Image.Image) -> str:
    """How many frames there are where there is more than one, counted as far as that is quick.

    What a camera keeps behind its JPEG (MPO: a smaller copy, a depth, another view) is none.
    """
    if image.format == "MPO":
        return ""
    if image.format == "TIFF":
        return _count_pages(image)
    if image.format == "GIF" and _is_long_animation(image):
        return "several"
    frames = int(getattr(image, "n_frames", 1))
    return str(frames) if frames > 1 else ""


def _is_long_animation(image: Any) -> bool:
    return bool(image.is_animated and Path(image.filename).stat().st_size > COUNTED_BYTES)


def _count_pages(image: Any) -> str:
    """Each page is looked for among those before it, so that counting all of millions would not end.

    A smaller copy of the first (a thumbnail) is none.
    """
    pages = 1
    for page in range(1, MANY_FRAMES):
        try:
            image.seek(page)
        except EOFError:
            image.seek(0)
            return str(pages) if pages > 1 else ""
        pages += not image.tag_v2.get(SUBFILE, 0) & REDUCED
    return f"{MANY_FRAMES} or more"


def _upright(image: Image.Image) -> Image.Image:
    """The image, decoded and turned as its EXIF block says."""
    if image.format == "TIFF":
        setattr(image, "filename", "")  # noqa: B010  # Pillow maps a file of this name by the size that it has once turned
    image.load()
    return image if _orientation(image) == UPRIGHT else ImageOps.exif_transpose(image)


def _orientation(image: Image.Image) -> int:
    """By its EXIF block; upright where that says nothing or cannot be read."""
    with suppress(Exception):
        orientation = int(image.getexif().get(ExifTags.Base.Orientation, UPRIGHT))
        return orientation if orientation in range(UPRIGHT, 9) else UPRIGHT
    return UPRIGHT


def stated_orientation(path: Path) -> int:
    """How a picture is to be turned, by its header; upright where that is not understood."""
    return _told_by_header(path, _orientation, UPRIGHT) if path.is_file() else UPRIGHT


def _pixels(image: Image.Image) -> Pixels:
    if image.mode in ("PA", "RGBA", "RGBa") or (image.mode == "P" and "transparency" in image.info):
        return without_alpha(np.asarray(image.convert("RGBA")))
    if image.mode in ("P", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"):
        return np.asarray(image.convert("RGB"))
    if image.mode in ("LA", "La"):
        return without_alpha(np.asarray(image.convert("LA")))
    values = np.asarray(image)
    photometric = getattr(image, "tag_v2", {}).get(PHOTOMETRIC)
    turned = photometric == MIN_IS_WHITE and values.dtype.itemsize > 1  # Pillow turns those of 8 bit and less
    return invert(values) if turned else values


def without_alpha(pixels: Pixels) -> Pixels:
    """Grey `(H, W)` or colours `(H, W, 3)` of pixels whose last channel says how opaque they are.

    What cannot be seen is black where it is all of one colour; elsewhere it is a picture, and stays.
    """
    colours, hidden = pixels[..., :-1], pixels[..., -1] == 0
    if not hidden.all() and _one_colour(colours[hidden]):
        colours = np.where(hidden[..., None], colours.dtype.type(0), colours)
    return colours if colours.shape[-1] > 1 else colours[..., 0]


def invert(values: Pixels) -> Pixels:
    """Light for dark: within the range of the type for whole numbers without a sign, else of the values."""
    if values.dtype.kind == "u":
        return np.asarray(np.iinfo(values.dtype).max - values)
    finite = values[np.isfinite(values)].astype(np.float64)
    return np.asarray(finite.max() + finite.min() - values) if finite.size else values


def _mask_pixels(image: Image.Image) -> Pixels:
    if image.mode in VISIBLE_MODES and (image.mode.endswith("A") or "transparency" in image.info):
        visible = np.asarray(image.convert("RGBA"))
        if _one_colour(visible[visible[..., 3] > 0][:, :3]) and np.ptp(visible[..., 3]):
            return np.asarray(visible[..., 3])
    pixels = _pixels(image)
    if image.mode in ("P", "PA") and is_black_and_one(pixels):
        return np.asarray(pixels.any(-1))
    return pixels


def _label_pixels(image: Image.Image) -> Pixels:
    """Of a palette of colours the place of each, which is the label; of a palette of greys these."""
    of_colours = image.mode == "P" and not channels_agree(np.reshape(image.getpalette() or [], (-1, 3)))
    return np.asarray(image) if of_colours else _pixels(image)


READ_PART = {"image": _pixels, "mask": _mask_pixels, "labels": _label_pixels}


def _one_colour(pixels: Pixels) -> bool:
    """Whether there are pixels `(N, C)`, and all are equal."""
    return bool(len(pixels) and (pixels == pixels[0]).all())
