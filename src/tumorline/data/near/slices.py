"""Pictures that are slices of volumes: every slice of a volume, along each axis and of each channel, is compared with
them as a picture. For that a volume is decoded once more, and its slices are kept for as long as it is compared.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from tumorline.arrays import Float32Array, ImageArray
from tumorline.data.near.duplicates import NearPair, near_pairs, thumbnail, unpack
from tumorline.geometry.slices import AXES, to_slices

LEAST_SHOWN = 0.25
"""Share of the fullest slice's head from which a slice is compared: the vertex of one head looks like another's."""


class SliceOfVolume(NamedTuple):
    """Where a slice lies in a volume."""

    channel: int
    axis: str
    number: int

    def __str__(self) -> str:
        return f"{self.axis} slice {self.number}"


def near_slices(volume: ImageArray, pictures: Float32Array) -> list[tuple[NearPair, SliceOfVolume]]:
    """The slice of `(C, D, H, W)` that is most like each of the pictures `(N, 64, 64)`, where one is the same picture.

    Of a pair `a` is 0 and `b` the picture; the transform leads from the slice to it.
    """
    slices = list(_thumbnails(volume))
    best: dict[int, tuple[NearPair, SliceOfVolume]] = {}
    for pair in near_pairs(unpack([small for _, small in slices]), pictures):
        if pair.b not in best or pair.correlation > best[pair.b][0].correlation:
            best[pair.b] = pair._replace(a=0), slices[pair.a][0]
    return [best[picture] for picture in sorted(best)]


def _thumbnails(volume: ImageArray) -> Iterator[tuple[SliceOfVolume, bytes]]:
    """Of the slices that show enough of the head."""
    for number, channel in enumerate(volume):
        for axis in AXES:
            slices = to_slices(channel, axis)  # (N, A, B)
            shown = (slices > channel.min()).mean(axis=(1, 2))
            for n in np.flatnonzero(shown >= LEAST_SHOWN * shown.max()).tolist():
                if small := thumbnail(slices[n][None]):
                    yield SliceOfVolume(number, axis, n), small
