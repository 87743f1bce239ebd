"""Do probabilities mean what they say, and does a case's confidence find the failures?

Only pixels near a tumour count, true or predicted: over a whole slice the easy background would hide any error.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array, MaskArray
from tumorline.files import JsonObject
from tumorline.geometry.distances import bounding_box
from tumorline.groups import grouped
from tumorline.metrics.figure import figure_of
from tumorline.metrics.overlap import count_overlap, dice
from tumorline.results import Bin, Calibration, RiskCoverage

TEMPERATURES = (float(np.exp(-3)), float(np.exp(3)))
"""The lowest and the highest that are looked for."""
BINS = 15
POINTS = 51
"""Points of the risk-coverage curve that are kept."""
MARGIN_PX = 10
"""Pixels up to this far from the true or predicted tumour are the region of interest."""

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Reliability:
    """Counts per bin of probability: pixels, the sum of their probabilities, and how many are tumour."""

    pixels: Float64Array
    probabilities: Float64Array
    tumours: Float64Array

    def scaled(self) -> "Reliability":
        """The same with a weight of one in all, so that cases or patients count alike."""
        total = max(float(self.pixels.sum()), 1.0)
        return Reliability(self.pixels / total, self.probabilities / total, self.tumours / total)


def region_of_interest(truth: MaskArray, predicted: MaskArray) -> MaskArray:
    """Pixels or voxels within `MARGIN_PX` of either mask `(*space)`; empty where both are."""
    from scipy import ndimage  # slow to import

    either = truth | predicted
    if not either.any():
        return either
    box = bounding_box(either)
    near = tuple(slice(max(0, side.start - MARGIN_PX), side.stop + MARGIN_PX) for side in box)
    region = np.zeros_like(either)
    region[near] = ndimage.distance_transform_edt(~either[near]) <= MARGIN_PX
    return region


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
    from scipy import optimize  # slow to import

    if not len(logits) or truth.all() or not truth.any():
        return 1.0
    signed = np.where(truth, -1.0, 1.0) * np.asarray(logits, np.float64)

    def cross_entropy(log_temperature: float) -> float:
        return float(np.logaddexp(0, signed / np.exp(log_temperature)).mean())

    bounds = np.log(TEMPERATURES)
    return float(np.exp(optimize.minimize_scalar(cross_entropy, bounds=bounds, method="bounded").x))


def confidence(probability: Floats, predicted: MaskArray) -> float | None:
    """The Dice that the probabilities expect of a mask: soft Dice confidence (Borges et al. 2024, arXiv:2402.10665).

    None for an empty mask, which leaves nothing to be confident of.
    """
    if not predicted.any():
        return None
    return float(
        2
        * probability[predicted].sum(dtype=np.float64)
        / (probability.sum(dtype=np.float64) + np.count_nonzero(predicted))
    )


def dice_at_true_area(probability: Floats, truth: MaskArray) -> float | None:
    """Dice of the mask of the most probable pixels, as many as the truth has: what a right area would have given.

    Of equally probable pixels of which not all have room none is preferred: what a choice by lot gives in the mean.
    """
    area = int(truth.sum())
    if not area:
        return None
    least = np.partition(probability, -area, axis=None)[-area]
    surer, equal = probability > least, probability == least
    share = (area - np.count_nonzero(surer)) / np.count_nonzero(equal)
    return float((np.count_nonzero(truth & surer) + share * np.count_nonzero(truth & equal)) / area)


@dataclass(frozen=True)
class Certainty:
    """What the probabilities of one case are worth. `dice` and `dice_at_true_area` are None without a tumour."""

    patient: str
    dice: float | None
    dice_at_true_area: float | None
    confidence: float | None
    reliability: Reliability

    @property
    def dice_lost_to_area(self) -> float | None:
        """How much higher the Dice would be with the right area; None without a tumour."""
        return None if self.dice is None or self.dice_at_true_area is None else self.dice_at_true_area - self.dice


def judge(patient: str, probability: Floats, truth: MaskArray, predicted: MaskArray) -> Certainty:
    """One case: probabilities and masks `(*space)` at its own size."""
    overlap = count_overlap(truth, predicted)
    return Certainty(
        patient,
        dice(overlap) if truth.any() else None,
        dice_at_true_area(probability, truth),
        confidence(probability, predicted),
        reliability(probability, truth, region_of_interest(truth, predicted)),
    )


def to_record(case: Certainty) -> JsonObject:
    """A case as JSON, to the last digit."""
    return {**vars(case), "reliability": {name: counts.tolist() for name, counts in vars(case.reliability).items()}}


def from_record(record: Any) -> Certainty | None:
    """The case of a record; None for what is none."""
    try:
        counts = {name: np.asarray(values, np.float64) for name, values in record["reliability"].items()}
        case = Certainty(**{**record, "reliability": Reliability(**counts)})
    except (TypeError, ValueError, KeyError, AttributeError):
        return None
    return case if all(values.shape == (BINS,) for values in counts.values()) else None


def summarise_calibration(cases: Sequence[Certainty]) -> Calibration:
    """Calibration error, reliability per bin, risk against coverage, and the Dice that a wrong area costs."""
    by_patient = grouped(cases, lambda case: case.patient)
    counts = total(total(case.reliability.scaled() for case in own).scaled() for own in by_patient.values())
    tumours = [case for case in cases if case.dice is not None]
    return Calibration(
        expected_calibration_error=expected_calibration_error(counts),
        margin_px=MARGIN_PX,
        reliability=_bins(counts),
        risk_coverage=_risk_coverage(tumours),
        without_confidence=sum(case.confidence is None for case in tumours),
        dice_at_true_area=figure_of((case.patient, case.dice_at_true_area) for case in tumours),
        dice_lost_to_area=figure_of((case.patient, case.dice_lost_to_area) for case in tumours),
    )


def _bins(counts: Reliability) -> list[Bin]:
    """Each bin that holds pixels: its limits, share of the pixels, mean probability and share of tumour."""
    pixels = max(float(counts.pixels.sum()), 1e-12)
    return [
        Bin(
            lowest=number / BINS,
            highest=(number + 1) / BINS,
            share=float(held / pixels),
            probability=float(probability / held),
            tumour=float(tumour / held),
        )
        for number, (held, probability, tumour) in enumerate(
            zip(counts.pixels, counts.probabilities, counts.tumours, strict=True)
        )
        if held
    ]


def _risk_coverage(tumours: Sequence[Certainty]) -> RiskCoverage | None:
    """The curve of mean 1 - Dice over the most confident cases, and its area beside chance's and the best possible."""
    risk = [1 - case.dice for case in tumours if case.dice is not None]
    if not risk:
        return None
    coverage, curve = risk_coverage([case.confidence or 0.0 for case in tumours], risk)
    shown = np.unique(np.linspace(0, len(risk) - 1, POINTS).round().astype(int))
    _, least = risk_coverage([-value for value in risk], risk)
    return RiskCoverage(
        area=float(curve.mean()),
        area_random=float(np.mean(risk)),
        area_best=float(least.mean()),
        coverage=coverage[shown].tolist(),
        risk=curve[shown].tolist(),
    )


def risk_coverage(confidence: Sequence[float], risk: Sequence[float]) -> tuple[Float64Array, Float64Array]:
    """Mean risk of the most confident share of cases, for each share from 1 / N to 1 (Geifman and El-Yaniv 2017).

    Cases of equal confidence share their mean risk, so that their order does not matter.
    """
    values, groups = np.unique(-np.asarray(confidence, np.float64), return_inverse=True)
    shared = np.bincount(groups, risk, len(values)) / np.bincount(groups, minlength=len(values))
    ordered = shared[np.sort(groups)]
    count = np.arange(1, len(ordered) + 1)
    return count / len(ordered), np.cumsum(ordered) / count
