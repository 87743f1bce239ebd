"""A case and its two files: what is read from disk, under which rules, and what a mask may hold."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.data import volume
from tumorline.data.boundary import decode_one
from tumorline.data.decode import read_pixels
from tumorline.data.outlines import Outlines
from tumorline.errors import UserError

ImageArray = npt.NDArray[np.float32]
MaskArray = npt.NDArray[np.bool_]

REGION = "tumour"
NEAR_WHOLE = 0.01
"""So far from a whole number a label with a point may lie."""
LUMINANCE = (0.299, 0.587, 0.114)
"""Of red, green and blue, as Pillow weighs them."""


class NotBinaryError(UserError):
    """A mask holds other values than background and one foreground."""


@dataclass(frozen=True)
class Labels:
    """Values of a mask of several labels: those that are the region, and those that may be there at all."""

    wanted: tuple[int, ...]
    allowed: tuple[int, ...]
    unread: tuple[tuple[int, str], ...] = ()
    """Values that are known and not read, with what they mean."""


@dataclass(frozen=True)
class Case:
    """One image with its truth. `images` has one path per channel; `patient` is None where unknown."""

    id: str
    images: tuple[Path, ...]
    mask: Path | None = None
    """The file of the truth; None where there is no tumour."""
    patient: str | None = None
    class_name: str = ""
    part: str = ""
    """Part of the split as the source states it; empty where it states none."""
    fold: str = ""
    """Fold of a cross-validation as the source states it; empty where it states none."""
    spacing_mm: tuple[float, ...] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    planes: tuple[int, ...] = ()
    """For each path in `images` the colour channel that is meant; empty: each file is one grey picture."""
    transposed: bool = False
    """Whether rows and columns are swapped when image and mask are read."""
    slice: int | None = None
    """The files are volumes, and this axial slice of them is the picture."""
    labels: Labels | None = None
    """Which values of the mask are the tumour; None: any but 0, of one kind."""
    more_masks: tuple[Path, ...] = ()
    """Further masks of the same image: the tumour is what any of them marks."""
    outlines: Outlines | None = None
    """The truth as polygons or runs that stood in `mask`; None where `mask` holds pixels."""
    patient_written: str = ""
    """The name from which `patient` was read, as the source writes it: a visit may stand in it."""

    @property
    def files(self) -> tuple[Path, ...]:
        return self.images if self.mask is None else (*self.images, self.mask, *self.more_masks)


def read_image(case: Case) -> ImageArray:
    """Read a case's channels as float32 `(C, H, W)` in the file's own grey values.

    Colour files are reduced to luminance, unless the case names planes of them. Raises UserError for an unreadable
    or truncated file, for more than one frame and for channels of different size.
    """
    with decode_one(case.images[0]):
        pixels = {path: _pixels(path, case.slice) for path in set(case.images)}
        planes = [_plane(path, pixels[path], plane) for path, plane in zip_longest(case.images, case.planes)]
        channels = [_to_grey(plane.T if case.transposed else plane) for plane in planes]
        shapes = {channel.shape for channel in channels}
        if len(shapes) > 1:
            raise UserError(f"{case.id}: the channels differ in size: {_sizes(shapes)}")
        return np.ascontiguousarray(channels[0])[None] if len(channels) == 1 else np.stack(channels)


def without_gaps(channel: ImageArray) -> ImageArray:
    """A channel `(H, W)` whose NaN and infinite values are as dark as the darkest of the others; 0 where all are."""
    finite = np.isfinite(channel)
    if finite.all():
        return channel
    return np.where(finite, channel, channel[finite].min() if finite.any() else np.float32(0))


def _pixels(path: Path, number: int | None) -> npt.NDArray[Any]:
    return read_pixels(path) if number is None else volume.read_slice(path, number)


def read_labels(path: Path, number: int, labels: Labels) -> MaskArray:
    """One slice of a volume of labels as boolean `(H, W)`. Raises NotBinaryError for a label that is not allowed."""
    with decode_one(path):
        values = _rounded(volume.read_slice(path, number))
        for label, meaning in labels.unread:
            if (values == label).any():
                raise NotBinaryError(f"{path}: holds the label {label}, {meaning}")
        if not np.isin(values, labels.allowed).all():
            found, allowed = _some(np.unique(values)), ", ".join(map(str, labels.allowed))
            what = f"slice {number} holds the labels {found}"
            raise NotBinaryError(f"{path}: {what}; files of these names have {allowed}")
        return np.isin(values, labels.wanted)


def read_mask(path: Path, threshold: float | None = None) -> MaskArray:
    """Read a mask as boolean `(H, W)`.

    A mask holds at most two values, one of them 0: {0,1}, {0,255}, boolean, a palette by its colours, RGB(A)
    whose channels agree, or alpha where what is visible is of one colour. Labels with a point are rounded within
    `NEAR_WHOLE`. With `threshold`, foreground is every value above it.
    Raises NotBinaryError with the file and the values found for anything else.
    """
    with decode_one(path):
        return _binary(path, read_pixels(path, "mask"), threshold)


def _binary(path: Path, pixels: npt.NDArray[Any], threshold: float | None) -> MaskArray:
    if pixels.dtype.kind == "f" and not np.isfinite(pixels).all():
        raise NotBinaryError(
            f"{path}: mask holds values that are no numbers (NaN or infinite); save it as 0/1 or 0/255"
        )
    if threshold is not None:
        return np.asarray(_to_grey(pixels) > threshold)
    if pixels.ndim == 3 and not _channels_agree(pixels):
        raise NotBinaryError(_coloured(path, pixels))
    values = pixels if pixels.ndim == 2 else pixels[..., 0]
    for candidate in (values, _rounded(values)):
        found = np.unique(candidate)
        if found[0] == 0 and len(found) <= 2 and candidate.any() == values.any():
            return np.asarray(candidate != 0)
    raise NotBinaryError(
        f"{path}: mask holds the values {_some(np.unique(values))}; accepted are two values at most, the lower one 0. "
        "Save it as 0/1 or 0/255, or set data.mask_threshold"
    )


def image_hash(image: ImageArray) -> str:
    """Content hash of a decoded image `(C, H, W)`, the same for every lossless encoding of it."""
    size = "x".join(str(side) for side in image.shape)
    return hashlib.sha256(f"{size}:".encode() + np.ascontiguousarray(image, "<f4").tobytes()).hexdigest()[:16]


def mask_hash(mask: MaskArray) -> str:
    """First 16 hex digits of SHA-256 over `f"{height}x{width}:"` and the packed bits of the boolean mask."""
    height, width = mask.shape
    return hashlib.sha256(f"{height}x{width}:".encode() + np.packbits(mask).tobytes()).hexdigest()[:16]


def _plane(path: Path, pixels: npt.NDArray[Any], plane: int | None) -> npt.NDArray[Any]:
    if plane is None:
        return pixels
    if pixels.ndim != 3:
        raise UserError(f"{path}: a grey picture; expected three colour channels, one for each sequence")
    return np.asarray(pixels[..., plane])


def _to_grey(pixels: npt.NDArray[Any]) -> ImageArray:
    if pixels.ndim == 2:
        grey = pixels
    elif _channels_agree(pixels):
        grey = pixels[..., 0]
    elif pixels.dtype == np.uint8:
        grey = np.asarray(Image.fromarray(pixels).convert("L"))
    else:
        grey = pixels @ np.array(LUMINANCE)
    with np.errstate(over="ignore"):
        return without_gaps(grey.astype(np.float32))


def _rounded(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels with a point as whole ones where all are near one, else as they are."""
    if values.dtype.kind != "f":
        return values
    whole = np.rint(values)
    return whole if (np.abs(values - whole) <= NEAR_WHOLE).all() else values


def _channels_agree(pixels: npt.NDArray[Any]) -> bool:
    return bool((pixels == pixels[..., :1]).all())


def _coloured(path: Path, pixels: npt.NDArray[Any]) -> str:
    """What is said of a mask in several colours."""
    found = np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)
    colours = ", ".join("#" + "".join(f"{value:02x}" for value in colour.astype(int)) for colour in found[:5])
    return (
        f"{path}: mask is a colour picture with {len(found)} colours ({colours}{', ...' if len(found) > 5 else ''}); "
        "accepted are grey values or a palette of black and one colour"
    )


def _some(values: npt.NDArray[Any], most: int = 6) -> str:
    shown = ", ".join(map(_digits, values[:most]))
    return f"{{{shown}}}" if len(values) <= most else f"{{{shown}, ...}} ({len(values)} values)"


def _digits(value: Any) -> str:
    """A number with all digits that tell it from others, and no more."""
    short = f"{float(value):g}"
    return short if float(short) == value else str(value)


def _sizes(shapes: set[tuple[int, ...]]) -> str:
    return ", ".join(sorted(f"{width} x {height}" for height, width in shapes))
