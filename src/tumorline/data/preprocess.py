"""The one way an image reaches a network and its answer comes back: the same in training and prediction."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.data.case import ImageArray, MaskArray

VERSION = 1
CLIP_PERCENTILES = (0.5, 99.5)

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Placement:
    """Where an image of `native` size (H, W) lies within the network's square of side `size`."""

    native: tuple[int, int]
    size: int

    @property
    def inner(self) -> tuple[int, int]:
        """Height and width of the scaled image within the square."""
        scale = self.size / max(self.native)
        height, width = (max(1, round(side * scale)) for side in self.native)
        return height, width

    @property
    def window(self) -> tuple[slice, slice]:
        """Rows and columns of the square that the image covers, centred."""
        top, left = ((self.size - side) // 2 for side in self.inner)
        return slice(top, top + self.inner[0]), slice(left, left + self.inner[1])


def to_network(image: ImageArray, size: int) -> tuple[FloatArray, Placement]:
    """Scale `(C, H, W)` to `(C, size, size)` with the aspect kept; clip, and give mean 0 and deviation 1.

    Clipping is at the 0.5 and 99.5 percentile of each channel; the rest of the square is filled with the
    channel's lowest value. A constant image becomes zeros.
    """
    placement = Placement((image.shape[1], image.shape[2]), size)
    square = np.empty((len(image), size, size), np.float32)
    for channel, out in zip(image, square, strict=True):
        low, high = np.percentile(channel, CLIP_PERCENTILES)
        small = _resize(np.clip(channel, low, high), placement.inner)
        deviation = float(small.std())
        small = (small - small.mean()) / deviation if deviation > 1e-6 * max(1.0, abs(float(high))) else 0 * small
        out.fill(float(small.min()))
        out[placement.window] = small
    return square, placement


def mask_to_network(mask: MaskArray, size: int) -> npt.NDArray[np.uint8]:
    """Scale a mask `(H, W)` to `(1, size, size)` of {0, 1}: a pixel is foreground where at least half of it is."""
    placement = Placement((mask.shape[0], mask.shape[1]), size)
    square = np.zeros((1, size, size), np.uint8)
    square[0][placement.window] = _resize(mask.astype(np.float32), placement.inner) >= 0.5
    return square


def to_native(probability: FloatArray, placement: Placement) -> FloatArray:
    """Bring probabilities `(R, size, size)` back to the image's own geometry `(R, H, W)`."""
    rows, columns = placement.window
    return np.stack([_resize(region[rows, columns], placement.native) for region in probability])


def _resize(plane: npt.NDArray[np.float32], shape: tuple[int, int]) -> FloatArray:
    """Bilinear, area-weighted when shrinking."""
    if plane.shape == shape:
        return np.asarray(plane, np.float32)
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BILINEAR))
