"""Scalar fields over product grids: a plane, a box and a whole head are the same call with other axes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float32Array

Axes = tuple[Float32Array, Float32Array, Float32Array]
"""Positions along x (to the right), y (to the front) and z (upward), in mm from the centre of the head."""

FIELD_OF_VIEW_MM = 256.0


def grid(spacing_mm: float) -> Float32Array:
    """Positions in mm of the pixels along one side of the square field of view, centred on 0."""
    count = round(FIELD_OF_VIEW_MM / spacing_mm)
    return ((np.arange(count) - (count - 1) / 2) * spacing_mm).astype(np.float32)


def positions(axes: Axes) -> Float32Array:
    """Points `(3, x, y, z)` in mm of a product grid."""
    return np.stack(np.meshgrid(*axes, indexing="ij"))


def ramp(level_mm: npt.NDArray[np.floating[Any]], width_mm: float) -> Float32Array:
    """Fraction 0..1 of a pixel inside a surface, given the signed distance (positive inside)."""
    fraction: Float32Array = np.clip(level_mm / width_mm + 0.5, 0, 1).astype(np.float32)
    return fraction


@dataclass(frozen=True)
class Noise:
    """Smooth Gaussian random field of mean 0 and variance 1 everywhere, correlated over about `scale_mm`."""

    knots: Float32Array
    scale_mm: float

    @classmethod
    def draw(cls, rng: np.random.Generator, scale_mm: float) -> "Noise":
        count = int(np.ceil(FIELD_OF_VIEW_MM / scale_mm)) + 4
        return cls(rng.standard_normal((count, count, count), dtype=np.float32), scale_mm)

    def __call__(self, axes: Axes) -> Float32Array:
        """Values `(x, y, z)` on a product grid."""
        (near_x, x), (near_y, y), (near_z, z) = (self._weights(axis) for axis in axes)
        values: Float32Array = y @ (self.knots[near_x, near_y, near_z] @ z.T)
        field: Float32Array = np.tensordot(x, values, axes=1)
        return field

    def _weights(self, axis: Float32Array) -> tuple[slice, Float32Array]:
        """The knots that matter along one axis and their weights `(position, knot)`."""
        count = len(self.knots)
        knots = (np.arange(count) - (count - 1) / 2) * self.scale_mm
        distance = np.abs(axis[:, None] - knots) / self.scale_mm
        weights = np.exp(-0.5 * (distance / 0.6) ** 2) * (distance < 2.5)
        used = np.flatnonzero(weights.any(axis=0))
        near = slice(used[0], used[-1] + 1)
        unit_variance = weights / np.sqrt((weights**2).sum(axis=1, keepdims=True))
        return near, unit_variance[:, near].astype(np.float32)
