"""Do probabilities mean what they say, and does a case's confidence find the failures?

Only pixels near a tumour count, true or predicted: over a whole slice the easy background would hide any error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, optimize

from tumorline.geometry import MaskArray

BINS = 15
MARGIN_PX = 10
"""Pixels up to this far from the true or predicted tumour are the region of interest."""

FloatArray = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Reliability:
    """Counts per bin of probability: pixels, the sum of their probabilities, and how many are tumour."""

    pixels: FloatArray
    probabilities: FloatArray
    tumours: FloatArray

    def scaled(self) -> "Reliability":
        """The same with a weight of one in all, so that cases or patients count alike."""
        total = max(float(self.pixels.sum()), 1.0)
        return Reliability(self.pixels / total, self.probabilities / total, self.tumours / total)


def region_of_interest(truth: MaskArray, predicted: MaskArray, margin_px: int = MARGIN_PX) -> MaskArray:
    """Pixels within `margin_px` of either mask `(H, W)`; empty where both are."""
    either = truth | predicted
    if not either.any():
        return either
    return np.asarray(ndimage.distance_transform_edt(~either) <= margin_px)


def reliability(probability: Floats, truth: MaskArray, region: MaskArray) -> Reliability:
    """Count the pixels of a region in `BINS` equal bins of probability."""
    chosen, tumour = probability[region], truth[region]
    number = np.minimum((chosen * BINS).astype(np.int64), BINS - 1)
    counts = (np.bincount(number, weights, BINS) for weights in (None, chosen, tumour))
    return Reliability(*(np.asarray(count, np.float64) for count in counts))


def total(parts: Iterable[Reliability]) -> Reliability:
    """Sum of several; nothing of none."""
    stacks = [(part.pixels, part.probabilities, part.tumours) for part in parts]
    return Reliability(*np.sum(stacks, axis=0)) if stacks else Reliability(*np.zeros((3, BINS)))


def expected_calibration_error(counts: Reliability) -> float | None:
    """Mean over pixels of |mean probability - share of tumour| of the pixel's bin (Guo et al. 2017, ICML).

    None where no pixel was counted.
    """
    pixels = counts.pixels.sum()
    return float(np.abs(counts.probabilities - counts.tumours).sum() / pixels) if pixels else None


def fit_temperature(logits: Floats, truth: MaskArray) -> float:
    """The divisor of the logits with the lowest cross-entropy (Guo et al. 2017); 1 where truth has one value only."""
    if not len(logits) or truth.all() or not truth.any():
        return 1.0
    signed = np.where(truth, -1.0, 1.0) * np.asarray(logits, np.float64)

    def cross_entropy(log_temperature: float) -> float:
        return float(np.logaddexp(0, signed / np.exp(log_temperature)).mean())

    return float(np.exp(optimize.minimize_scalar(cross_entropy, bounds=(-3, 3), method="bounded").x))


def risk_coverage(confidence: Sequence[float], risk: Sequence[float]) -> tuple[FloatArray, FloatArray]:
    """Mean risk of the most confident share of cases, for each share from 1 / N to 1 (Geifman and El-Yaniv 2017).

    Cases of equal confidence share their mean risk, so that their order does not matter.
    """
    values, groups = np.unique(-np.asarray(confidence, np.float64), return_inverse=True)
    shared = np.bincount(groups, risk, len(values)) / np.bincount(groups, minlength=len(values))
    ordered = shared[np.sort(groups)]
    count = np.arange(1, len(ordered) + 1)
    return count / len(ordered), np.cumsum(ordered) / count


def area_under_risk_coverage(confidence: Sequence[float], risk: Sequence[float]) -> float | None:
    """Mean of the risk-coverage curve: the lower, the better confidence finds failures; None without cases."""
    return float(risk_coverage(confidence, risk)[1].mean()) if len(risk) else None
