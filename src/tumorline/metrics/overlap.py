"""Overlap of two masks: counted once, then many figures from the counts.

Definitions as in Metrics Reloaded (Maier-Hein et al. 2024, Nat Methods 21:195). A figure whose denominator is zero is
None: nothing is made up for it here.
"""

from dataclasses import dataclass

import numpy as np

from tumorline.arrays import MaskArray


@dataclass(frozen=True)
class OverlapCounts:
    """Pixels that are true positive, false positive, false negative and true negative."""

    tp: int
    fp: int
    fn: int
    tn: int

    @property
    def total(self) -> int:
        return self.tp + self.fp + self.fn + self.tn

    @property
    def true(self) -> int:
        return self.tp + self.fn

    @property
    def predicted(self) -> int:
        return self.tp + self.fp

    @property
    def has_tumour(self) -> bool:
        return self.true > 0

    @property
    def detected(self) -> bool:
        return self.tp > 0

    @property
    def missed(self) -> bool:
        """A tumour of which nothing was found, whatever was predicted elsewhere."""
        return self.has_tumour and not self.detected

    @property
    def invented(self) -> bool:
        return not self.has_tumour and self.predicted > 0


def count_overlap(truth: MaskArray, predicted: MaskArray) -> OverlapCounts:
    """Count two boolean masks of one shape.

    Raises TypeError for anything but booleans, so that a mask of 0..255 cannot reach a figure, and ValueError for
    different shapes.
    """
    for name, mask in (("truth", truth), ("predicted", predicted)):
        if mask.dtype != np.bool_:
            raise TypeError(f"{name} must be a boolean mask; found {mask.dtype} from {mask.min()} to {mask.max()}")
    if truth.shape != predicted.shape:
        raise ValueError(f"masks differ in shape: truth {truth.shape}, predicted {predicted.shape}")
    tp = int(np.count_nonzero(truth & predicted))
    fp = int(np.count_nonzero(predicted)) - tp
    fn = int(np.count_nonzero(truth)) - tp
    return OverlapCounts(tp, fp, fn, truth.size - tp - fp - fn)


def dice(counts: OverlapCounts) -> float | None:
    """2 TP / (2 TP + FP + FN); None where both masks are empty."""
    return _ratio(2 * counts.tp, 2 * counts.tp + counts.fp + counts.fn)


def dice_of_tumour(counts: OverlapCounts) -> float | None:
    """The Dice of a case with a tumour; None of one without, which would count 0 however little was invented."""
    return dice(counts) if counts.has_tumour else None


def iou(counts: OverlapCounts) -> float | None:
    """TP / (TP + FP + FN); None where both masks are empty."""
    return _ratio(counts.tp, counts.tp + counts.fp + counts.fn)


def precision(counts: OverlapCounts) -> float | None:
    """TP / (TP + FP); None where nothing was predicted."""
    return _ratio(counts.tp, counts.predicted)


def recall(counts: OverlapCounts) -> float | None:
    """TP / (TP + FN); None where the truth is empty."""
    return _ratio(counts.tp, counts.true)


def volume_ratio(counts: OverlapCounts) -> float | None:
    """Predicted over true size; None where either is empty."""
    return counts.predicted / counts.true if counts.predicted and counts.true else None


def accuracy(counts: OverlapCounts) -> float:
    """Share of pixels that are right. Says little where the tumour is small: see `accuracy_of_background`."""
    return (counts.tp + counts.tn) / counts.total


def accuracy_of_background(counts: OverlapCounts) -> float:
    """The accuracy of predicting no tumour anywhere."""
    return (counts.tn + counts.fp) / counts.total


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
