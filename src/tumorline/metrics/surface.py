"""Distances between two boundaries: measured once, then many figures from them.

A boundary lies between pixels, at the corners where four of them (in a volume: eight) meet, and each of its elements
has a length or an area (`elements.py`). As in DeepMind's surface-distance (Nikolov et al. 2021, JMIR 23:e26151),
distances are weighted by these sizes, so that a figure does not depend on how finely a stretch of boundary happens to
be cut into pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tumorline.arrays import Float64Array, MaskArray
from tumorline.geometry.distances import PointArray, bounding_box, nearest_distance
from tumorline.metrics.elements import FULL, CodeArray, element_sizes, neighbourhood_codes


@dataclass(frozen=True)
class SurfaceDistances:
    """From each element of one boundary to the nearest of the other, in the unit of the spacing; both ways.

    `..._sizes` are the elements' lengths (2D) or areas (3D); `predicted_inside` tells which elements of the predicted
    boundary lie inside the true tumour, off its boundary.
    """

    from_truth: Float64Array
    from_predicted: Float64Array
    truth_sizes: Float64Array
    predicted_sizes: Float64Array
    predicted_inside: MaskArray


def surface_distances(truth: MaskArray, predicted: MaskArray, spacing: Sequence[float]) -> SurfaceDistances:
    """Measure two boolean masks `(H, W)` or `(D, H, W)` of which neither is empty. Raises ValueError otherwise."""
    if truth.ndim not in FULL or truth.shape != predicted.shape or truth.ndim != len(spacing):
        shapes = f"found {truth.shape} and {predicted.shape}, {len(spacing)} spacings"
        raise ValueError(f"two masks (H, W) or (D, H, W) of one shape and a spacing for each axis are needed; {shapes}")
    window = bounding_box(truth | predicted)
    true, guess = (_boundary(mask[window], spacing) for mask in (truth, predicted))
    if not (len(true.places) and len(guess.places)):
        raise ValueError("an empty mask has no boundary")
    inside = true.codes[tuple(guess.places.T)] == FULL[truth.ndim]
    return SurfaceDistances(
        nearest_distance(true.places, guess.places, spacing),
        nearest_distance(guess.places, true.places, spacing),
        true.sizes,
        guess.sizes,
        inside,
    )


def hausdorff(distances: SurfaceDistances, percentile: float = 100.0) -> float:
    """The distance below which `percentile` of a boundary's length (area) lies, the larger of both ways."""
    return max(
        _percentile(distances.from_truth, distances.truth_sizes, percentile),
        _percentile(distances.from_predicted, distances.predicted_sizes, percentile),
    )


def average_surface_distance(distances: SurfaceDistances) -> float:
    """Mean distance over both boundaries together, each element weighted by its size.

    So the longer boundary counts more. The other usual symmetrisation, the mean of the two directed means, weighs
    both boundaries alike and is not this one.
    """
    total = distances.from_truth @ distances.truth_sizes + distances.from_predicted @ distances.predicted_sizes
    return float(total / (distances.truth_sizes.sum() + distances.predicted_sizes.sum()))


def normalised_surface_dice(distances: SurfaceDistances, tolerance: float) -> float:
    """Share of both boundaries' length (area) that lies within `tolerance` of the other."""
    within = (
        distances.truth_sizes[distances.from_truth <= tolerance].sum()
        + distances.predicted_sizes[distances.from_predicted <= tolerance].sum()
    )
    return float(within / (distances.truth_sizes.sum() + distances.predicted_sizes.sum()))


def signed_offset(distances: SurfaceDistances) -> float:
    """How far outside (positive) or inside (negative) the true boundary the predicted one lies on average.

    Over the predicted boundary's elements, weighted by size; a prediction that is too large here and too small there
    can come to 0, which `average_surface_distance` tells apart from a good one.
    """
    signed = np.where(distances.predicted_inside, -distances.from_predicted, distances.from_predicted)
    return float(signed @ distances.predicted_sizes / distances.predicted_sizes.sum())


@dataclass(frozen=True)
class _Boundary:
    """Codes of all windows of one mask, and of those on the boundary the places `(N, dims)` and sizes `(N,)`."""

    codes: CodeArray
    places: PointArray
    sizes: Float64Array


def _boundary(mask: MaskArray, spacing: Sequence[float]) -> _Boundary:
    codes = neighbourhood_codes(mask)
    places = np.nonzero((codes > 0) & (codes < FULL[mask.ndim]))
    return _Boundary(codes, np.stack(places, axis=1), element_sizes(spacing)[codes[places]])


def _percentile(distances: Float64Array, sizes: Float64Array, percentile: float) -> float:
    """Equal distances are ordered by size, so that a figure is the same to the last bit however an image is turned."""
    order = np.lexsort((sizes, distances))
    ordered = sizes[order]
    share = np.cumsum(ordered) / ordered.sum()
    index = int(np.searchsorted(share, percentile / 100))
    return float(distances[order[min(index, len(order) - 1)]])
