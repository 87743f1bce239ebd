"""Lesions one by one: found, missed, invented, and how well each was found.

As the lesion-wise evaluation of BraTS 2023 does it (github.com/rachitsaluja/BraTS-2023-Metrics, glioma settings):

- a lesion is a connected component, over corners too (8 neighbours in a slice, 26 in a volume)
- the true mask is dilated by 3 pixels (steps over faces and edges of a voxel); true components whose dilations touch
  are one lesion, and a predicted component that reaches into a lesion's dilation belongs to it, overlapping or not
- a lesion is scored against all predicted components that belong to it; a component may belong to several lesions
- a lesion without any is missed, a component that belongs to none is invented

Two things differ, and `LESION_RULES` has both. By our rule no lesion is too small to count, a missed or invented one
counts the image's diagonal as HD95, and without a true lesion there is no figure. By that of BraTS true lesions of at
most 50 mm3 (voxels of its images) are left out, whether found or not; a missed or invented lesion counts 374 mm, the
diagonal of a BraTS volume; and where nothing is left that could be right or wrong the Dice is 1 and HD95 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tumorline.arrays import MaskArray
from tumorline.geometry.distances import bounding_box
from tumorline.metrics.surface import hausdorff, surface_distances

DILATION = 3
"""In pixels or voxels."""


@dataclass(frozen=True)
class LesionRule:
    """Which lesions count, and what a missed or invented one costs."""

    dropped_mm3: float | None = None
    """True lesions up to this volume are left out; what was predicted for them is neither right nor wrong."""
    miss_hd95: float | None = None
    """HD95 of a missed or invented lesion; None: the image's diagonal."""
    dice_of_none: float | None = None
    """Dice where no true lesion is left and none was invented."""
    hd95_of_none: float | None = None
    needs_lesions: bool = True
    """Whether there is no figure where the truth holds no lesion, whatever was invented."""


LESION_RULES: Mapping[str, LesionRule] = {
    "tumorline": LesionRule(),
    "brats2023": LesionRule(dropped_mm3=50, miss_hd95=374, dice_of_none=1, hd95_of_none=0, needs_lesions=False),
}


@dataclass(frozen=True)
class LesionScores:
    """What lesions come to by one rule; see `LesionRule` for where a figure is None."""

    truth: int
    detected: int
    invented: int
    dice: float | None
    hd95: float | None


@dataclass(frozen=True)
class Match:
    """One true lesion and all predicted components that belong to it, cut to the box of both; `found` may be empty."""

    lesion: MaskArray
    found: MaskArray

    @property
    def detected(self) -> bool:
        return bool(self.found.any())

    @property
    def size(self) -> int:
        """Pixels or voxels of the lesion."""
        return int(np.count_nonzero(self.lesion))

    @property
    def dice(self) -> float:
        """0 for a missed lesion."""
        overlap = np.count_nonzero(self.lesion & self.found)
        return 2 * overlap / (self.size + np.count_nonzero(self.found))

    def hd95(self, spacing: Sequence[float]) -> float:
        """In units of `spacing`; infinite for a missed lesion."""
        return hausdorff(surface_distances(self.lesion, self.found, spacing), 95) if self.detected else np.inf


@dataclass(frozen=True)
class Lesions:
    """The true lesions of a case with what was found of them, and the number of invented ones."""

    matches: tuple[Match, ...]
    invented: int

    @property
    def detected(self) -> int:
        return sum(match.detected for match in self.matches)


def score_lesions(
    lesions: Lesions, distances: Sequence[float], voxel_mm3: float, rule: LesionRule, farthest: float
) -> LesionScores:
    """Counts and means over true and invented lesions, of which an invented one counts 0 and `farthest`.

    `distances` are the matches' HD95 and `farthest` what a miss costs by a rule that does not say it, and at most.
    """
    farthest = farthest if rule.miss_hd95 is None else rule.miss_hd95
    least = -1.0 if rule.dropped_mm3 is None else rule.dropped_mm3
    matched = zip(lesions.matches, distances, strict=True)
    kept = [(match, distance) for match, distance in matched if match.size * voxel_mm3 > least]
    has_figure = bool(kept) or not rule.needs_lesions
    dices, reached = [match.dice for match, _ in kept], [min(distance, farthest) for _, distance in kept]
    return LesionScores(
        truth=len(kept),
        detected=sum(match.detected for match, _ in kept),
        invented=lesions.invented,
        dice=_mean_over_lesions(dices, lesions.invented, 0, rule.dice_of_none) if has_figure else None,
        hd95=_mean_over_lesions(reached, lesions.invented, farthest, rule.hd95_of_none) if has_figure else None,
    )


def _mean_over_lesions(
    values: Sequence[float], invented: int, of_invented: float, of_none: float | None
) -> float | None:
    count = len(values) + invented
    return (sum(values) + invented * of_invented) / count if count else of_none


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
    from scipy import ndimage  # slow to import

    labels, count = ndimage.label(mask, ndimage.generate_binary_structure(mask.ndim, mask.ndim))
    return labels, int(count)


def _dilate(mask: MaskArray) -> MaskArray:
    from scipy import ndimage  # slow to import

    structure = ndimage.generate_binary_structure(mask.ndim, 2)
    return np.asarray(ndimage.binary_dilation(mask, structure, iterations=DILATION))
