"""Masks and overlays as PNG, as files and within pages."""

import base64
import io
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.arrays import Float32Array, MaskArray
from tumorline.files import atomic_path, fit_file_name
from tumorline.formats.grey import grey_range, to_grey
from tumorline.geometry.distances import bounding_box

PREDICTED_RGB, TRUTH_RGB = (230, 159, 0), (86, 180, 233)
"""Orange and sky blue of Okabe and Ito, which colour-blind readers can tell apart."""
REGIONS_RGB = (PREDICTED_RGB, (0, 158, 115), (204, 121, 167), (240, 228, 66))
"""Of predicted regions one after the other: theirs are green, purple and yellow as well."""
FILL = 0.18
ROWS_AT_ONCE = 512
"""Of an image in single precision, so that a large one needs no copies of that kind."""
PANEL_SIDE = 1024
"""Pixels of a plane's longest side."""
LARGEST_SIDE = 384
"""Pixels of a picture within a page."""
FAST, RUNS = 1, 3
"""For overlays the least effort of compression, for masks that of runs alone: half the time, and files no larger."""


def window(image: Float32Array) -> npt.NDArray[np.uint8]:
    """Grey values `(H, W)` to 0..255 between the 0.5 and 99.5 percentile."""
    low, high = grey_range(image)
    shown = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), ROWS_AT_ONCE):
        rows = slice(top, top + ROWS_AT_ONCE)
        scaled = (image[rows] - low) / (high - low if high > low else 1.0)
        shown[rows] = (255 * scaled).clip(0, 255).round()
    return shown


def mask_path(folder: Path, case_id: str, ending: str = ".png") -> Path:
    """Where the predicted mask of a case lies below a folder; never outside, and never with too long a name."""
    *folders, name = case_id.split("/")
    if any(part in ("", ".", "..") for part in (*folders, name)):
        folders, name = [], "_".join((*folders, name))
    return folder.joinpath(*folders, fit_file_name(name, ending))


def write_mask(path: Path, mask: MaskArray) -> None:
    """Write a boolean mask `(H, W)` as 8-bit PNG of 0 and 255."""
    _save(path, mask.view(np.uint8) * np.uint8(255))


def write_label_picture(path: Path, labels: npt.NDArray[np.uint8]) -> None:
    """Write labels `(H, W)` of several regions as 8-bit PNG."""
    _save(path, labels)


def write_overlay(path: Path, image: Float32Array, masks: MaskArray) -> None:
    """Write what `draw_overlay` draws."""
    _save(path, draw_overlay(image, masks))


def write_three_planes(
    path: Path, image: npt.NDArray[Any], masks: MaskArray, spacing_mm: tuple[float, ...] | None
) -> None:
    """Write what `draw_three_planes` draws."""
    _save(path, draw_three_planes(image, masks, spacing_mm))


def draw_three_planes(
    image: npt.NDArray[Any], masks: MaskArray, spacing_mm: tuple[float, ...] | None
) -> npt.NDArray[np.uint8]:
    """An axial, a coronal and a sagittal plane through the largest lesion beside one another, `(H, W, 3)`.

    Slices of the image `(D, H, W)` and of the masks `(R, D, H, W)` are counted from the feet up. Without a lesion the
    planes go through the middle. A pixel is as large as the shortest side of a voxel, unless that makes more than
    `PANEL_SIDE` pixels.
    """
    spacing_mm = spacing_mm or (1.0,) * image.ndim
    centre = find_largest_lesion(np.asarray(masks.any(0)))
    longest = max(side * mm for side, mm in zip(image.shape, spacing_mm, strict=True))
    pixel_mm = max(min(spacing_mm), longest / PANEL_SIDE)
    sides = [max(1, round(side * mm / pixel_mm)) for side, mm in zip(image.shape, spacing_mm, strict=True)]
    panels = []
    for axis in range(3):
        shape = (sides[1 if axis == 0 else 0], sides[1 if axis == 2 else 2])
        up = slice(None) if axis == 0 else slice(None, None, -1)
        plane = _stretched(to_grey(np.take(image, centre[axis], axis)[up]), shape)
        inside = [np.take(mask, centre[axis], axis)[up].astype(np.float32) for mask in masks]
        panels.append(draw_overlay(plane, np.stack([_stretched(mask, shape) >= 0.5 for mask in inside])))
    height = max(len(panel) for panel in panels)
    return np.concatenate([_padded(panel, height) for panel in panels], axis=1)


def find_largest_lesion(mask: MaskArray) -> tuple[int, ...]:
    """Where along each axis the largest lesion has most voxels; the middle of an empty mask."""
    from scipy import ndimage  # slow to import

    if not mask.any():
        return tuple(side // 2 for side in mask.shape)
    box = bounding_box(mask)
    lesions, _ = ndimage.label(mask[box], np.ones((3, 3, 3)))
    largest = lesions == 1 + np.bincount(lesions.ravel())[1:].argmax()
    other_axes = ((1, 2), (0, 2), (0, 1))
    return tuple(part.start + int(largest.sum(axis=axes).argmax()) for part, axes in zip(box, other_axes, strict=True))


def _stretched(plane: Float32Array, shape: tuple[int, int]) -> Float32Array:
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def _padded(panel: npt.NDArray[np.uint8], height: int) -> npt.NDArray[np.uint8]:
    above = (height - len(panel)) // 2
    return np.pad(panel, ((above, height - len(panel) - above), (0, 0), (0, 0)))


def draw_overlay(image: Float32Array, masks: MaskArray, truth: MaskArray | None = None) -> npt.NDArray[np.uint8]:
    """An image `(H, W)` with outlines and light fills of regions `(R, H, W)`, and a truth in blue, as `(H, W, 3)`.

    The largest region comes first, so that those within it stay visible.
    """
    picture = np.repeat(window(image)[..., None], 3, axis=-1)
    regions = sorted(zip(masks, cycle(REGIONS_RGB)), key=lambda region: -int(region[0].sum()))
    for mask, colour in regions:
        filled = picture[mask].astype(np.float32)
        filled += FILL * (np.array(colour) - filled)
        picture[mask] = filled.round()
    if truth is not None:
        picture[_outline(truth)] = TRUTH_RGB
    for mask, colour in regions:
        picture[_outline(mask)] = colour
    return picture


def _outline(mask: MaskArray) -> MaskArray:
    """The mask's outermost pixels; two of them on large images, so that the line stays visible."""
    from scipy import ndimage  # slow to import

    thickness = 1 if max(mask.shape) < 400 else 2
    outline, box = np.zeros_like(mask), bounding_box(mask)
    outline[box] = mask[box] & ~ndimage.binary_erosion(mask[box], iterations=thickness)
    return outline


def to_data_uri(picture: Image.Image, largest: int = LARGEST_SIDE) -> str:
    """A picture as a PNG within a page, made smaller where it is larger than that."""
    picture.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _save(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    with atomic_path(path) as temporary:
        effort = {"compress_level": FAST} if pixels.ndim == 3 else {"compress_type": RUNS}
        Image.fromarray(pixels).save(temporary, format="PNG", **effort)
