"""What reading a case gives: arrays on a grid."""

from typing import NamedTuple

from tumorline.arrays import ImageArray, MaskArray
from tumorline.geometry.grid import Grid


class Sample(NamedTuple):
    """An image `(C, *space)` in file values and its truth `(R, *space)`.

    `space` is `(H, W)` of a picture and `(D, H, W)` of a volume, whose slices are counted from the feet.
    """

    image: ImageArray
    truth: MaskArray
    grid: Grid
