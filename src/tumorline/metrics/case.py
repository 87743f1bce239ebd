"""All figures of one case and region, with every convention for empty masks in one place."""

from collections.abc import Sequence
from dataclasses import dataclass

from tumorline.geometry import MaskArray, diagonal
from tumorline.metrics import overlap
from tumorline.metrics.surface import hausdorff, normalised_surface_dice, surface_distances

NSD_TOLERANCE = 2.0
"""In mm where the spacing is known, else in pixels."""


@dataclass(frozen=True)
class CaseScores:
    """Figures of one case; None where a figure is undefined.

    Truth with a tumour: a prediction without overlap, empty or not, is a miss with Dice 0, NSD 0 and as HD95 the
    image's diagonal, which HD95 never exceeds. Truth without a tumour: Dice, IoU, NSD and HD95 are None.
    """

    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    nsd: float | None
    hd95: float | None
    unit: str
    volume_ratio: float | None
    accuracy: float
    accuracy_background: float
    truth_px: int
    predicted_px: int
    overlap_px: int
    height: int
    width: int

    @property
    def has_tumour(self) -> bool:
        return self.truth_px > 0

    @property
    def detected(self) -> bool:
        return self.overlap_px > 0

    @property
    def missed(self) -> bool:
        return self.has_tumour and not self.detected

    @property
    def invented(self) -> bool:
        return not self.has_tumour and self.predicted_px > 0

    @property
    def dice_all(self) -> float:
        """Dice that is defined for every case: 1 where both masks are empty, 0 for an invented tumour (as BraTS)."""
        return self.dice if self.dice is not None else float(not self.invented)


def score_case(
    truth: MaskArray, predicted: MaskArray, spacing_mm: Sequence[float] | None, tolerance: float = NSD_TOLERANCE
) -> CaseScores:
    """Score boolean masks `(H, W)` at their native resolution; without spacing distances are in pixels."""
    counts = overlap.count_overlap(truth, predicted)
    spacing = spacing_mm or (1.0, 1.0)
    nsd, hd95 = _surface_scores(truth, predicted, spacing, tolerance)
    has_tumour = counts.tp + counts.fn > 0
    return CaseScores(
        dice=overlap.dice(counts) if has_tumour else None,
        iou=overlap.iou(counts) if has_tumour else None,
        precision=overlap.precision(counts),
        recall=overlap.recall(counts),
        nsd=nsd,
        hd95=hd95,
        unit="mm" if spacing_mm else "px",
        volume_ratio=overlap.volume_ratio(counts),
        accuracy=overlap.accuracy(counts),
        accuracy_background=overlap.accuracy_of_background(counts),
        truth_px=counts.tp + counts.fn,
        predicted_px=counts.tp + counts.fp,
        overlap_px=counts.tp,
        height=truth.shape[0],
        width=truth.shape[1],
    )


def _surface_scores(
    truth: MaskArray, predicted: MaskArray, spacing: Sequence[float], tolerance: float
) -> tuple[float | None, float | None]:
    """Normalised surface Dice and HD95."""
    farthest = diagonal(truth.shape, spacing)
    if not truth.any():
        return None, None
    if not (truth & predicted).any():
        return 0.0, farthest
    distances = surface_distances(truth, predicted, spacing)
    return normalised_surface_dice(distances, tolerance), min(hausdorff(distances, 95), farthest)
