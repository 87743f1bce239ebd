"""Masks and overlays as PNG."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from tumorline.files import atomic_path, fit_file_name
from tumorline.formats.grey import grey_range
from tumorline.geometry.distances import bounding_box

MaskArray = npt.NDArray[np.bool_]
PREDICTED_RGB, TRUTH_RGB = (230, 159, 0), (86, 180, 233)
"""Orange and sky blue of Okabe and Ito, which colour-blind readers can tell apart."""
FILL = 0.18
ROWS_AT_ONCE = 512
"""Of an image in single precision, so that a large one needs no copies of that kind."""
LARGE_PIXELS, FAST = 1 << 23, 1
"""From this size of image on, the least effort of compression."""


def window(image: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Grey values `(H, W)` to 0..255 between the 0.5 and 99.5 percentile."""
    low, high = grey_range(image)
    shown = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), ROWS_AT_ONCE):
        rows = slice(top, top + ROWS_AT_ONCE)
        scaled = (image[rows] - low) / (high - low if high > low else 1.0)
        shown[rows] = (255 * scaled).clip(0, 255).round()
    return shown


def mask_path(folder: Path, case_id: str) -> Path:
    """Where the predicted mask of a case lies below a folder; never outside, and never with too long a name."""
    *folders, name = case_id.split("/")
    if any(part in ("", ".", "..") for part in (*folders, name)):
        folders, name = [], "_".join((*folders, name))
    return folder.joinpath(*folders, fit_file_name(name, ".png"))


def write_mask(path: Path, mask: MaskArray) -> None:
    """Write a boolean mask `(H, W)` as 8-bit PNG of 0 and 255."""
    _save(path, mask.astype(np.uint8) * np.uint8(255))


def write_overlay(path: Path, image: npt.NDArray[np.float32], mask: MaskArray, truth: MaskArray | None = None) -> None:
    """Write an image `(H, W)` with the prediction as orange outline and light fill, the truth as blue outline."""
    picture = np.repeat(window(image)[..., None], 3, axis=-1)
    filled = picture[mask].astype(np.float32)
    filled += FILL * (np.array(PREDICTED_RGB) - filled)
    picture[mask] = filled.round()
    if truth is not None:
        picture[_outline(truth)] = TRUTH_RGB
    picture[_outline(mask)] = PREDICTED_RGB
    _save(path, picture)


def _outline(mask: MaskArray) -> MaskArray:
    """The mask's outermost pixels; two of them on large images, so that the line stays visible."""
    thickness = 1 if max(mask.shape) < 400 else 2
    outline, box = np.zeros_like(mask), bounding_box(mask)
    outline[box] = mask[box] & ~ndimage.binary_erosion(mask[box], iterations=thickness)
    return outline


def _save(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    with atomic_path(path) as temporary:
        effort = {"compress_level": FAST} if pixels.shape[0] * pixels.shape[1] > LARGE_PIXELS else {}
        Image.fromarray(pixels).save(temporary, format="PNG", **effort)
