"""What a network of volumes sees of a case: the head alone, at one spacing, each channel normalised within it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.geometry.distances import bounding_box
from tumorline.geometry.tiles import Tiling
from tumorline.model_info import InputSpec
from tumorline.network_input.normalise import normalise_volume

MARGIN = 2
"""Voxels around the head that are kept."""
DARK = 0.05
"""A voxel is head where it is brighter than this share of the way from the lowest value to the 99th percentile."""


@dataclass(frozen=True)
class SpacedPlacement:
    """Where the network's grid lies within a case's own."""

    native: tuple[int, ...]
    """Sides of the case, in voxels of its own."""
    box: tuple[slice, ...]
    """The head, in voxels of its own."""
    spaced: tuple[int, ...]
    """Sides of the box, in voxels of the network."""

    def to_native(self, probability: Float32Array) -> Float32Array:
        """Probabilities `(R, *spaced)` on the case's own grid `(R, *native)`; none outside the box."""
        native = np.zeros((len(probability), *self.native), np.float32)
        for region, out in zip(probability, native, strict=True):
            out[self.box] = resize_volume(region, _sides(self.box))
        return native


@dataclass(frozen=True)
class SpacedInput:
    """A case as a network of volumes sees it, with the face of `windows.NetworkInput`: slice by slice."""

    planes: Float32Array
    """`(C, N, H, W)` at the network's spacing; N are its slices."""
    placement: SpacedPlacement
    spec: InputSpec

    @property
    def count(self) -> int:
        return self.placement.spaced[0]

    @property
    def blank(self) -> bool:
        """Whether the case shows nothing at all."""
        return not self.planes.any()

    @property
    def blanks(self) -> MaskArray:
        """`(N,)`: no slice is left out."""
        return np.zeros(self.count, bool)

    @property
    def shown(self) -> list[int]:
        """All slices: a network of volumes answers them together."""
        return list(range(self.count))

    @property
    def tiling(self) -> Tiling:
        assert self.spec.window is not None
        return Tiling(self.placement.spaced, self.spec.window, self.spec.overlap)

    def to_native(self, probability: Float32Array) -> Float32Array:
        """Probabilities `(N, R, H, W)` of all slices on the case's own grid `(R, *native)`."""
        return self.placement.to_native(probability.swapaxes(0, 1))

    def truth(self, truth: MaskArray) -> MaskArray:
        """Regions `(R, *native)` as the network should answer `(N, R, H, W)`."""
        return truth_to_spaced(truth, self.placement).swapaxes(0, 1)


def see_volume(image: ImageArray, spacing_mm: Sequence[float], spec: InputSpec) -> SpacedInput:
    """A volume `(C, *space)` in file values as the network sees it."""
    placement = place_head(image, spacing_mm, spec.voxel_mm)
    return SpacedInput(to_spaced(image, placement), placement, spec)


def place_head(image: ImageArray, spacing_mm: Sequence[float], wanted_mm: Sequence[float]) -> SpacedPlacement:
    """The placement of a volume `(C, *space)` whose voxels have the one spacing on a grid of the other."""
    box = head_box(image)
    spaced = [
        max(1, round(side * spacing / wanted))
        for side, spacing, wanted in zip(_sides(box), spacing_mm, wanted_mm, strict=True)
    ]
    return SpacedPlacement(image.shape[1:], box, tuple(spaced))


def head_box(image: ImageArray) -> tuple[slice, ...]:
    """The box around what is bright in any channel of `(C, *space)`, a little wider; all of it where nothing is."""
    bright = np.zeros(image.shape[1:], bool)
    for channel in image:
        values = np.nan_to_num(channel)
        low, high = float(values.min()), float(np.percentile(values, 99))
        bright |= values > low + DARK * (max(high, low) - low)
    sides = image.shape[1:]
    if not bright.any():
        return tuple(slice(0, side) for side in sides)
    around = bounding_box(bright)
    return tuple(
        slice(max(0, along.start - MARGIN), min(side, along.stop + MARGIN))
        for along, side in zip(around, sides, strict=True)
    )


def to_spaced(image: ImageArray, placement: SpacedPlacement) -> Float32Array:
    """A volume `(C, *native)` in file values as `(C, *spaced)`, normalised over its head."""
    return np.stack([resize_volume(normalise_volume(channel)[placement.box], placement.spaced) for channel in image])


def truth_to_spaced(truth: MaskArray, placement: SpacedPlacement) -> MaskArray:
    """Regions `(R, *native)` as `(R, *spaced)`: a voxel is region where at least half of it is."""
    return np.stack([resize_volume(mask[placement.box].astype(np.float32), placement.spaced) >= 0.5 for mask in truth])


def resize_volume(values: Float32Array, shape: Sequence[int]) -> Float32Array:
    """Values `(*space)` at another number of voxels over the same extent: linear, smoothed first where fewer are left.

    The Gaussian before it is half as wide as the excess of the step over one voxel, as in scikit-image's `resize`.
    """
    from scipy import ndimage  # slow to import

    if values.shape == tuple(shape):
        return values
    steps = [side / resized for side, resized in zip(values.shape, shape, strict=True)]
    if max(steps) > 1:
        values = ndimage.gaussian_filter(values, [max(0.0, (step - 1) / 2) for step in steps], mode="nearest")
    factors = [1 / step for step in steps]
    return np.asarray(ndimage.zoom(values, factors, order=1, mode="nearest", grid_mode=True), np.float32)


def _sides(box: Sequence[slice]) -> tuple[int, ...]:
    return tuple(along.stop - along.start for along in box)
