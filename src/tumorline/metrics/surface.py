"""Distances between two boundaries: measured once, then many figures from them.

A boundary lies between pixels, at the corners where four of them meet, and each of its elements has a length. As in
DeepMind's surface-distance (Nikolov et al. 2021, JMIR 23:e26151), distances are weighted by these lengths, so that a
figure does not depend on how finely a stretch of boundary happens to be cut into pixels. Two dimensions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorline.geometry import FloatArray, MaskArray, distance_to


@dataclass(frozen=True)
class SurfaceDistances:
    """Distances in the unit of the spacing, sorted, each with the length of its element; both ways."""

    from_truth: FloatArray
    from_predicted: FloatArray
    truth_lengths: FloatArray
    predicted_lengths: FloatArray


def surface_distances(truth: MaskArray, predicted: MaskArray, spacing: Sequence[float]) -> SurfaceDistances:
    """Measure two boolean masks `(H, W)` of which neither is empty. Raises ValueError otherwise."""
    if truth.ndim != 2 or truth.shape != predicted.shape:
        raise ValueError(f"two masks (H, W) of one shape are needed; found {truth.shape} and {predicted.shape}")
    if not (truth.any() and predicted.any()):
        raise ValueError("an empty mask has no boundary")
    window = _joint_box(truth | predicted)
    lengths = [_element_lengths(mask[window], spacing) for mask in (truth, predicted)]
    towards = [distance_to(length > 0, spacing) for length in lengths]
    from_truth, truth_lengths = _along(lengths[0], towards[1])
    from_predicted, predicted_lengths = _along(lengths[1], towards[0])
    return SurfaceDistances(from_truth, from_predicted, truth_lengths, predicted_lengths)


def hausdorff(distances: SurfaceDistances, percentile: float = 100.0) -> float:
    """The distance below which `percentile` of the boundary's length lies, the larger of both ways."""
    return max(
        _percentile(distances.from_truth, distances.truth_lengths, percentile),
        _percentile(distances.from_predicted, distances.predicted_lengths, percentile),
    )


def normalised_surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Share of both boundaries' length that lies within `tolerance` of the other."""
    within = (
        distances.truth_lengths[distances.from_truth <= tolerance].sum()
        + distances.predicted_lengths[distances.from_predicted <= tolerance].sum()
    )
    return float(within / (distances.truth_lengths.sum() + distances.predicted_lengths.sum()))


def _joint_box(mask: MaskArray) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def _element_lengths(mask: MaskArray, spacing: Sequence[float]) -> FloatArray:
    """Length of boundary at each corner between pixels, `(H + 1, W + 1)`; 0 where four equal pixels meet."""
    padded = np.pad(mask, 1).astype(np.uint8)
    codes = 8 * padded[:-1, :-1] + 4 * padded[:-1, 1:] + 2 * padded[1:, :-1] + padded[1:, 1:]
    return np.asarray(_length_by_code(spacing)[codes])


def _length_by_code(spacing: Sequence[float]) -> FloatArray:
    """Length within a 2 x 2 window by its code (bits: 8 top left, 4 top right, 2 bottom left, 1 bottom right)."""
    height, width = spacing
    corner = 0.5 * float(np.hypot(height, width))
    lengths = np.full(16, corner)
    lengths[[0b0000, 0b1111]] = 0
    lengths[[0b0011, 0b1100]] = width
    lengths[[0b0101, 0b1010]] = height
    lengths[[0b0110, 0b1001]] = 2 * corner
    return lengths


def _along(lengths: FloatArray, towards: FloatArray) -> tuple[FloatArray, FloatArray]:
    border = lengths > 0
    order = np.argsort(towards[border], kind="stable")
    return towards[border][order], lengths[border][order]


def _percentile(distances: FloatArray, lengths: FloatArray, percentile: float) -> float:
    share: npt.NDArray[np.float64] = np.cumsum(lengths) / lengths.sum()
    index = int(np.searchsorted(share, percentile / 100))
    return float(distances[min(index, len(distances) - 1)])
