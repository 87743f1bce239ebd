"""What reading a case gives: arrays on a grid."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from tumorline.arrays import ImageArray, MaskArray
from tumorline.data.case import Case
from tumorline.geometry.grid import Grid


class Sample(NamedTuple):
    """An image `(C, *space)` in file values and its truth `(R, *space)`.

    `space` is `(H, W)` of a picture and `(D, H, W)` of a volume, whose slices are counted from the feet.
    """

    image: ImageArray
    truth: MaskArray
    grid: Grid


@dataclass(frozen=True)
class SampleReader:
    """Reads a case by its id; `cases` say what else is known of it."""

    cases: Mapping[str, Case]
    read: Callable[[str], Sample]

    def __call__(self, name: str) -> Sample:
        return self.read(name)
