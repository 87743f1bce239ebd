"""Lesions one by one: found, missed, invented, and how well each was found.

As the lesion-wise evaluation of BraTS 2023 does it (github.com/rachitsaluja/BraTS-2023-Metrics, glioma settings):

- a lesion is a connected component, over corners too (8 neighbours in a slice, 26 in a volume)
- the true mask is dilated by 3 pixels (steps over faces and edges of a voxel); true components whose dilations touch
  are one lesion, and a predicted component that reaches into a lesion's dilation belongs to it, overlapping or not
- a lesion is scored against all predicted components that belong to it; a component may belong to several lesions
- a lesion without any is missed, a component that belongs to none is invented

Two things differ. No lesion is too small to count (BraTS leaves out those of at most 50 voxels), and a missed or
invented lesion counts the image's diagonal as HD95 and not 374 mm, which is the diagonal of a BraTS volume.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from tumorline.geometry.distances import MaskArray, bounding_box
from tumorline.metrics.surface import hausdorff, surface_distances

DILATION = 3
"""In pixels or voxels."""


@dataclass(frozen=True)
class Match:
    """One true lesion and all predicted components that belong to it, cut to the box of both; `found` may be empty."""

    lesion: MaskArray
    found: MaskArray

    @property
    def detected(self) -> bool:
        return bool(self.found.any())

    @property
    def dice(self) -> float:
        """0 for a missed lesion."""
        both = np.count_nonzero(self.lesion & self.found)
        return 2 * both / (np.count_nonzero(self.lesion) + np.count_nonzero(self.found))

    def hd95(self, spacing: Sequence[float], farthest: float) -> float:
        """In units of `spacing`; `farthest` for a missed lesion and at most."""
        if not self.detected:
            return farthest
        return min(hausdorff(surface_distances(self.lesion, self.found, spacing), 95), farthest)


@dataclass(frozen=True)
class Lesions:
    """The true lesions of a case with what was found of them, and the number of invented ones."""

    matches: tuple[Match, ...]
    invented: int

    @property
    def detected(self) -> int:
        return sum(match.detected for match in self.matches)

    def dice(self) -> float | None:
        """Mean over true and invented lesions, an invented one counting 0; None where there is no true lesion."""
        return self._mean([match.dice for match in self.matches], 0.0)

    def hd95(self, spacing: Sequence[float], farthest: float) -> float | None:
        """Mean over true and invented lesions, `farthest` for an invented one; None where there is no true lesion."""
        return self._mean([match.hd95(spacing, farthest) for match in self.matches], farthest)

    def _mean(self, values: Sequence[float], of_invented: float) -> float | None:
        if not values:
            return None
        return (sum(values) + self.invented * of_invented) / (len(values) + self.invented)


def match_lesions(truth: MaskArray, predicted: MaskArray) -> Lesions:
    """Lesions of two boolean masks `(H, W)` or `(D, H, W)`, which may be empty and may be cut to their joint box."""
    components, count = _components(predicted)
    if count == 1 and (truth & predicted).any() and _components(truth)[1] == 1:
        return Lesions((Match(truth, predicted),), 0)
    zones, zone_count = _components(_dilate(truth))
    belongs = np.zeros((zone_count + 1, count + 1), bool)
    belongs[zones, components] = True
    belongs[0] = belongs[:, 0] = False
    matches = tuple(_cut(truth & (zones == zone), belongs[zone][components]) for zone in range(1, zone_count + 1))
    return Lesions(matches, count - int(belongs.any(0).sum()))


def _cut(lesion: MaskArray, found: MaskArray) -> Match:
    window = bounding_box(lesion | found)
    return Match(lesion[window], found[window])


def _components(mask: MaskArray) -> tuple[npt.NDArray[np.int32], int]:
    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    return labels, int(count)


def _dilate(mask: MaskArray) -> MaskArray:
    structure = ndimage.generate_binary_structure(mask.ndim, 2)
    return np.asarray(ndimage.binary_dilation(mask, structure, iterations=DILATION))
