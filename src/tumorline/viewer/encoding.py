"""A case as the viewer takes it: images as mosaics of slices, masks as bits of regions, in one JSON object.

```
id, title, space [H, W] | [D, H, W], spacing (mm) | null, affine (d, h, w) -> mm | null
regions     names; bit r of every mask is region r
labels      {value, bits, name}: what the brush paints, and the value that a saved file has there
outlined    label_sets of the regions, which a saved volume notes; "" where no label map stands behind them
images      {name, shape, range, window}, and {encoding: "jpeg" | "png", columns, data}
            or {encoding: "deflate", dtype, data}
truth       {encoding: "deflate", dtype, data} | null      exact, of the shape `space`
predictions [{name, encoding, dtype, data}]
notes       lines of text
```
`shape` may be coarser than `space`; `range` holds the file values of 0 and of the largest code, `window` the
codes between which it is shown at first; `data` is base64.
"""

import base64
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, sqrt
from typing import TypedDict

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.errors import UserError
from tumorline.escaping import one_line
from tumorline.formats.grey import ENOUGH_PIXELS, grey_range, without_gaps
from tumorline.geometry.grid import Grid
from tumorline.geometry.upright import AS_SEEN
from tumorline.regions import Labels, brush_labels

JPEG_QUALITY = 85
LARGEST_SIDE = 512
"""Of a picture that is shown; a longer one is shown coarser, its masks are not."""
MOST_VOXELS = 10_000_000
"""Of the images of a volume that are shown, over all channels."""
MOST_REGIONS = 32
KEPT_PERCENTILES = (0.02, 99.98)
"""What lies outside of these is not told apart: the window can be set within them."""
WHITE = 255
"""The value of one region in a picture's mask."""

Grey = npt.NDArray[np.uint8]


class EncodedLabel(TypedDict):
    value: int
    bits: int
    name: str


class EncodedImage(TypedDict):
    """A channel in 8 bits, its slices beside one another in one picture."""

    shape: list[int]
    """Of the volume that is shown, slices first; of a picture rows and columns."""
    range: list[float]
    """Grey values of the file that 0 and 255 stand for."""
    window: list[float]
    """Between which codes it is shown at first."""
    encoding: str
    """png or jpeg."""
    columns: int
    """Slices in a row of the picture."""
    data: str


class EncodedMasks(TypedDict):
    """Masks of all regions as bits of one number for each voxel."""

    encoding: str
    dtype: str
    data: str


class NamedImage(EncodedImage):
    name: str


class NamedMasks(EncodedMasks):
    name: str


class EncodedCase(TypedDict):
    """A case as `viewer.js` takes it."""

    id: str
    title: str
    space: list[int]
    spacing: list[float] | None
    affine: list[list[float]] | None
    regions: list[str]
    labels: list[EncodedLabel]
    outlined: str
    images: list[NamedImage]
    truth: EncodedMasks | None
    predictions: list[NamedMasks]
    notes: list[str]


@dataclass(frozen=True)
class Label:
    """What a brush paints: the regions (as bits) of a voxel, and the value that means them in a file."""

    value: int
    bits: int
    name: str

    def to_json(self) -> EncodedLabel:
        return {"value": self.value, "bits": self.bits, "name": self.name}


@dataclass(frozen=True)
class ViewedCase:
    """A case that is to be shown: its image `(C, *space)`, and masks `(R, *space)` of the same regions."""

    name: str
    image: ImageArray
    grid: Grid
    regions: Sequence[str]
    channels: Sequence[str] = ()
    truth: MaskArray | None = None
    predictions: Mapping[str, MaskArray] | None = None
    notes: Sequence[str] = ()
    labels: Sequence[Label] = ()
    """Where none are given those of `default_labels`."""
    outlined: str = ""
    """`label_sets` of the regions in the label map of the set; empty where there is none."""
    title: str = ""
    """What is written above it, where that is not its name."""


def encode_case(case: ViewedCase, lossless: bool = False) -> EncodedCase:
    """The case as JSON. Raises UserError for masks of another size than the image, and for too many regions."""
    _require_fitting(case)
    names = [*case.channels, *[""] * len(case.image)][: len(case.image)]
    labels = case.labels or default_labels(case.regions, case.grid.ndim > 2)
    channels = zip(names, case.image, strict=True)
    step = coarser_by(case.image.shape)
    return {
        "id": case.name,
        "title": one_line(case.title or case.name),
        "space": list(case.grid.shape),
        "spacing": list(case.grid.spacing_mm) if case.grid.spacing_mm else None,
        "affine": _affine(case.grid),
        "regions": list(case.regions),
        "labels": [label.to_json() for label in labels],
        "outlined": case.outlined,
        "images": [{"name": name, **encode_image(channel, step, lossless)} for name, channel in channels],
        "truth": None if case.truth is None else encode_masks(case.truth),
        "predictions": [{"name": name, **encode_masks(masks)} for name, masks in (case.predictions or {}).items()],
        "notes": list(case.notes),
    }


def _require_fitting(case: ViewedCase) -> None:
    if len(case.regions) > MOST_REGIONS:
        raise UserError(f"{case.name}: {len(case.regions)} regions; at most {MOST_REGIONS} can be shown")
    shape = (len(case.regions), *case.grid.shape)
    masks_by_name = {"truth": case.truth, **(case.predictions or {})}
    for name, masks in masks_by_name.items():
        if masks is not None and masks.shape != shape:
            raise UserError(f"{case.name}: {name} is {masks.shape}; expected (regions, *space) = {shape}")
    if case.image.shape[1:] != case.grid.shape:
        raise UserError(f"{case.name}: the image is {case.image.shape[1:]} and its grid {case.grid.shape}")


def _affine(grid: Grid) -> list[list[float]] | None:
    """From (d, h, w) to millimetres, of a volume; where nothing is known the patient lies as he is seen."""
    if grid.ndim < 3:
        return None
    if grid.affine:
        return [list(map(float, row)) for row in grid.affine]
    sides = (*(grid.spacing_mm or (1.0, 1.0, 1.0)), 1.0)
    return [[float(value) for value in row] for row in np.array(AS_SEEN) * sides]


def default_labels(regions: Sequence[str], is_volume: bool) -> list[Label]:
    """Of one region 255 in a picture and 1 in a volume; of BraTS's its labels; else one for each, from 1 on."""
    if len(regions) == 1:
        return [Label(1 if is_volume else WHITE, 1, regions[0])]
    return labels_of(regions, regions, brush_labels(regions))


def labels_of(regions: Sequence[str], true_regions: Sequence[str], labels: Labels) -> list[Label]:
    """The values of a case's own label map, of which `labels` say what makes each of the true regions."""
    values_by_region = dict(zip(true_regions, labels.wanted, strict=True))
    labels_by_bits: dict[int, Label] = {}
    for value in sorted({value for name in regions for value in values_by_region[name]}):
        holding = [name for name in regions if value in values_by_region[name]]
        bits = sum(1 << number for number, name in enumerate(regions) if name in holding)
        labels_by_bits.setdefault(bits, Label(value, bits, min(holding, key=lambda name: len(values_by_region[name]))))
    return sorted(labels_by_bits.values(), key=lambda label: label.bits.bit_count())


def coarser_by(shape: Sequence[int]) -> tuple[float, ...]:
    """By how much each axis of an image `(C, *space)` is shown coarser, so that little is kept of a large one."""
    channels, *space = shape
    if len(space) < 3:
        return (max(1.0, max(space) / LARGEST_SIDE),) * len(space)
    depth, height, width = space
    side = max(1.0, sqrt(channels * depth * height * width / MOST_VOXELS))
    return (1.0, side, side)


def encode_image(image: Float32Array, step: Sequence[float], lossless: bool) -> EncodedImage:
    """A channel `(*space)` in 8 bits, its slices beside one another; it is shown at first as `grey_range` has it.

    NaN and infinite values are as `without_gaps` says.
    """
    image = without_gaps(image)
    rows = image.reshape(-1, image.shape[-1])
    step_of_rows = max(1, ceil(sqrt(rows.size / ENOUGH_PIXELS)))
    low, high = (float(limit) for limit in np.percentile(rows[::step_of_rows, ::step_of_rows], KEPT_PERCENTILES))
    darkest, brightest = (float(limit) for limit in grey_range(rows))
    codes = 255 / (high - low) if high > low else 0.0
    slices = image if image.ndim > 2 else image[None]
    height, width = (max(1, round(side / by)) for side, by in zip(image.shape[-2:], step[-2:], strict=True))
    depth, columns = len(slices), ceil(sqrt(len(slices)))
    mosaic = np.zeros((ceil(depth / columns) * height, columns * width), np.uint8)
    for number, plane in enumerate(_shown_slices(slices, (low, high), (height, width))):
        top, left = number // columns * height, number % columns * width
        mosaic[top : top + height, left : left + width] = plane
    shape = [height, width] if image.ndim == 2 else [depth, height, width]
    encoding = "png" if lossless else "jpeg"
    return {
        "shape": shape,
        "range": [low, high],
        "window": [(darkest - low) * codes, (brightest - low) * codes] if codes else [0, 255],
        "encoding": encoding,
        "columns": columns,
        "data": _to_base64(_compressed(mosaic, encoding)),
    }


def _shown_slices(slices: Float32Array, limits: tuple[float, float], size: tuple[int, int]) -> Iterator[Grey]:
    low, high = limits
    scale = 255 / (high - low) if high > low else 0.0
    for plane in slices:
        grey = ((plane - low) * np.float32(scale)).clip(0, 255).round().astype(np.uint8)
        if grey.shape != size:
            grey = np.asarray(Image.fromarray(grey).resize(size[::-1], Image.Resampling.BOX))
        yield grey


def _compressed(mosaic: Grey, encoding: str) -> bytes:
    buffer = io.BytesIO()
    options = {"compress_level": 6} if encoding == "png" else {"quality": JPEG_QUALITY}
    Image.fromarray(mosaic).save(buffer, format=encoding.upper(), **options)
    return buffer.getvalue()


def encode_masks(masks: MaskArray) -> EncodedMasks:
    """Masks `(R, *space)` as bits of regions, exactly."""
    dtype = next(dtype for dtype in (np.uint8, np.uint16, np.uint32) if len(masks) <= 8 * dtype().itemsize)
    bits = np.zeros(masks.shape[1:], dtype)
    for number, mask in enumerate(masks):
        bits |= mask.astype(dtype) << dtype(number)
    data = zlib.compress(bits.astype(bits.dtype.newbyteorder("<")).tobytes(), 6)
    return {"encoding": "deflate", "dtype": np.dtype(dtype).name, "data": _to_base64(data)}


def _to_base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
