"""What a mask may hold, and how it becomes boolean."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import ImageArray, MaskArray
from tumorline.data.masks.legend import GREY, Legend, in_hex
from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one
from tumorline.formats.decode import is_lossy, read_pixels
from tumorline.formats.grey import channels_agree, is_black_and_one, is_coloured, to_grey
from tumorline.formats.nifti import is_volume
from tumorline.regions import Labels

BRATS_LABELS = (0, 1, 2, 3, 4)
MOST_LABELS = 16
"""Values of a mask that may be labels, rather than greys of an edge."""
NEAR_WHOLE = 0.01
"""So far from a whole number a label with a point may lie."""
MOST_CLASSES, BORDER, BORDER_COLOUR = 20, 255, (224, 224, 192)
"""Of Pascal VOC: the numbers of classes end with the first, around which lies a border of the second."""
LEAST_PEAK = 32
"""Grey value of the foreground of a mask that was saved with loss: below it, what is there may be the loss."""
EDGE = 5
"""Side in pixels of the square around a pixel in which it lies on the edge of what is before and after it."""


class NotBinaryError(UserError):
    """A mask holds other values than background and one foreground."""


def split_labels(values: npt.NDArray[Any], labels: Labels, where: str) -> MaskArray:
    """The regions `(R, *space)` of label values `(*space)`, 0 in none; `where` begins the message of the error.

    Raises NotBinaryError for a label that is not allowed.
    """
    space = values.shape
    values = _rounded(np.ascontiguousarray(values)).ravel()
    positions = np.flatnonzero(values)  # few: most of a label map is background
    marked = values[positions]
    if not np.isin(marked, labels.allowed).all():
        held, allowed = _some(np.unique(values)), ", ".join(map(str, labels.allowed))
        cure = f"; {labels.cure}" if labels.cure else ""
        raise NotBinaryError(f"{where} holds the labels {held}; {labels.stated} {allowed}{cure}")
    truth = np.zeros((len(labels.wanted), values.size), bool)
    truth[:, positions] = [np.isin(marked, wanted) for wanted in labels.wanted]
    return truth.reshape(len(labels.wanted), *space)


def mask_of_values(
    path: Path, values: npt.NDArray[Any], threshold: float | None = None, of_set: bool = True
) -> MaskArray:
    """A mask of two values at most as boolean; with `threshold`, what lies above it. Raises NotBinaryError.

    Settings say how masks `of_set` are read, and of no others.
    """
    _require_finite(path, values)
    return _two_valued(path, values, of_set) if threshold is None else np.asarray(values > threshold)


def read_mask(path: Path, threshold: float | None = None, of_set: bool = True) -> MaskArray:
    """Read a mask as boolean `(H, W)`.

    A mask holds at most two values, one of them 0: {0,1}, {0,255}, boolean, black and one colour, RGB(A) whose
    channels agree, or alpha where what is visible is of one colour. Labels with a point are rounded within
    `NEAR_WHOLE`; of a picture saved with loss (JPEG) values near either of the two count as it. With `threshold`,
    foreground is every value above it. Settings say how masks `of_set` are read, and of no others.
    Raises NotBinaryError with the file and the values found for anything else.
    """
    with decode_one(path):
        return _binary(path, read_pixels(path, "mask"), threshold, of_set)


def read_mask_by_legend(path: Path, legend: Legend) -> MaskArray:
    """Read a mask as boolean `(H, W)`: the colours that its legend calls a tumour.

    Raises NotBinaryError for a colour of something else, and for one that the legend does not name.
    """
    with decode_one(path):
        colours = _packed(path, read_pixels(path))
    palette = {int(colour) for colour in np.unique(colours)}
    if strange := [name for colour, name in legend.others if colour in palette]:
        raise NotBinaryError(
            f"{path}: holds the label '{strange[0]}' ({legend.source}), which is not known as a tumour; keep those of "
            "tumours only"
        )
    if unnamed := sorted(palette - {0, *legend.tumour, *legend.background}):
        listed = ", ".join(map(in_hex, unnamed[:5])) + (", ..." if len(unnamed) > 5 else "")
        cure = f"; save it{_loss_cure(path)}" if is_lossy(path) else ""
        raise NotBinaryError(f"{path}: holds colours that {legend.source} does not name ({listed}){cure}")
    return np.isin(colours, legend.tumour)


def _packed(path: Path, pixels: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Pixels `(H, W)` or `(H, W, 3)` as colours of one number `(H, W)`; a value of more than a byte is none."""
    _require_finite(path, pixels)
    if pixels.ndim == 2:
        return pixels.astype(np.int64) * GREY
    red, green, blue = np.moveaxis(pixels.astype(np.int64), -1, 0)
    return np.asarray((red << 16) + (green << 8) + blue)


def read_label_picture(path: Path) -> npt.NDArray[Any]:
    """The values `(H, W)` of a picture that holds labels: its greys, or the places of colours in its palette.

    Raises UserError.
    """
    with decode_one(path):
        pixels = read_pixels(path, "labels")
        return pixels if pixels.ndim == 2 else _colourless(path, pixels)


def _binary(path: Path, pixels: npt.NDArray[Any], threshold: float | None, of_set: bool) -> MaskArray:
    _require_finite(path, pixels)
    if threshold is not None:
        return np.asarray(to_grey(pixels, path) > threshold)
    if is_lossy(path) and not is_coloured(pixels):
        pixels = _without_loss(to_grey(pixels, path))
    if pixels.ndim == 2 or channels_agree(pixels):
        return _two_valued(path, pixels if pixels.ndim == 2 else pixels[..., 0], of_set)
    if is_black_and_one(pixels):
        return np.asarray(pixels.any(-1))
    raise NotBinaryError(_coloured(path, pixels))


def _without_loss(values: ImageArray) -> npt.NDArray[Any]:
    """The two values that were meant, where all lie near one of them but for an edge between both; else as they are."""
    from scipy.ndimage import maximum_filter  # slow to import

    high = values.max()
    light, dark = values > 0.75 * high, values < 0.25 * high
    on_edge = maximum_filter(light, EDGE) & maximum_filter(dark, EDGE)
    if high < LEAST_PEAK or not dark.any() or not (light | dark | on_edge).all():
        return values
    return np.asarray(values > high / 2)


def _colourless(path: Path, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not channels_agree(pixels):
        raise NotBinaryError(_coloured(path, pixels))
    return pixels[..., 0]


def _two_valued(path: Path, values: npt.NDArray[Any], of_set: bool) -> MaskArray:
    for candidate in (values, _rounded(values)):
        if _is_two_valued(candidate) and candidate.any() == values.any():
            return np.asarray(candidate != 0)
    settings = f", or set data.mask_threshold{_label_cure(path, values)}" if of_set else ""
    raise NotBinaryError(
        f"{path}: mask holds the values {_some(np.unique(values))}; accepted are two values at most, the lower one 0. "
        f"Save it as 0/1 or 0/255{_loss_cure(path)}{settings}{_border_cure(BORDER) if _has_border(values) else ''}"
    )


def _loss_cure(path: Path) -> str:
    return " as PNG, as JPEG loses values" if is_lossy(path) else ""


def _has_border(values: npt.NDArray[Any]) -> bool:
    """Whether all values are those of Pascal VOC, and the one of its border is among them."""
    return bool((values == BORDER).any() and np.isin(values, (*range(MOST_CLASSES + 1), BORDER)).all())


def _border_cure(border: int | str) -> str:
    return (
        f"; where {border} is the border of Pascal VOC, of which nothing says whether it is tumour, fill it with 0 or "
        "with the tumour's value"
    )


def _label_cure(path: Path, values: npt.NDArray[Any]) -> str:
    """Of values that may be labels: of a volume those of BraTS, else any few from 0 on."""
    distinct_values = np.unique(values)
    if is_volume(path) and np.isin(distinct_values, BRATS_LABELS).all():
        return "; where these are the labels of BraTS, set data.label=whole_tumour"
    may_be = distinct_values[0] == 0 and 2 < len(distinct_values) <= MOST_LABELS
    return "; where they are labels, data.label_values says what each means" if may_be else ""


def _require_finite(path: Path, values: npt.NDArray[Any]) -> None:
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise NotBinaryError(
            f"{path}: mask holds values that are no numbers (NaN or infinite); save it as 0/1 or 0/255"
        )


def _is_two_valued(values: npt.NDArray[Any]) -> bool:
    """Whether values are 0 and at most one other, which is above."""
    return bool(values.min() == 0 and ((values == 0) | (values == values.max())).all())


def mask_hash(mask: MaskArray) -> str:
    """First 16 hex digits of SHA-256 over `f"{height}x{width}:"` and the packed bits of the boolean mask."""
    sides = "x".join(map(str, mask.shape))
    return hashlib.sha256(f"{sides}:".encode() + np.packbits(mask).tobytes()).hexdigest()[:16]


def truth_hash(truth: MaskArray) -> str:
    """Content hash of the regions `(R, *space)`; that of the mask where there is one."""
    return mask_hash(truth if len(truth) > 1 else truth[0])


def _rounded(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Labels with a point as whole ones where all are near one, else as they are."""
    if values.dtype.kind != "f":
        return values
    rounded = np.rint(values)
    return rounded if (np.abs(values - rounded) <= NEAR_WHOLE).all() else values


def _coloured(path: Path, pixels: npt.NDArray[Any]) -> str:
    """What is said of a mask in several colours."""
    palette = np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)
    colours = ", ".join("#" + "".join(f"{value:02x}" for value in colour.astype(int)) for colour in palette[:5])
    return (
        f"{path}: mask is a colour picture with {len(palette)} colours ({colours}{', ...' if len(palette) > 5 else ''}"
        "); accepted are grey values, or black and one colour. Save it as 0/1 or 0/255, or set data.mask_threshold, "
        f"which goes by luminance{_border_cure('#e0e0c0') if (palette == BORDER_COLOUR).all(-1).any() else ''}"
    )


def _some(values: npt.NDArray[Any], most: int = 6) -> str:
    shown = ", ".join(map(_digits, values[:most]))
    return f"{{{shown}}}" if len(values) <= most else f"{{{shown}, ...}} ({len(values)} values)"


def _digits(value: Any) -> str:
    """A number with all digits that tell it from others, and no more."""
    short = f"{float(value):g}"
    return short if float(short) == value else str(value)
