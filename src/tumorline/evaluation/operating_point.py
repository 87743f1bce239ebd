"""Temperature and threshold of a finished model, chosen on its validation cases: the test part has no say."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from tumorline.arrays import MaskArray
from tumorline.data.dataset import Dataset
from tumorline.inference.model import Model, to_probability
from tumorline.metrics import calibration
from tumorline.metrics.calibration import TEMPERATURES
from tumorline.metrics.summary import figure_of
from tumorline.model_file import ModelInfo
from tumorline.network_input.fit import Placement, mask_to_network, to_native
from tumorline.results import CurvePoint, OperatingPoint, PointFigures, ResultWarning, WarningCode
from tumorline.runtime import FloatArray

THRESHOLDS = np.linspace(0.05, 0.95, 19)
PIXELS = 2_000_000
"""As many are drawn for the temperature."""
FEWEST_PATIENTS = 5
"""Validation patients; what fewer of them choose is said to be chosen by few."""
WEAKNESSES = (
    WarningCode.FEW_VALIDATION_PATIENTS,
    WarningCode.TEMPERATURE_AT_LIMIT,
    WarningCode.THRESHOLD_AT_LIMIT,
)
AS_FAR_AS_IT_GOES = " is as far as the search goes; do not trust the model's probabilities"
NEAR_LIMIT = 0.01
"""A search ends so close to its limit, as a share of it."""
FLAT = 0.002
"""Where the Dice of several thresholds lies within this of the best, the one nearest to 0.5 is taken."""


@dataclass(frozen=True)
class _Answer:
    """Logits `(R, S, S)` of a validation case, and its truth `(H, W)`."""

    patient: str
    logits: FloatArray
    placement: Placement
    truth: MaskArray

    def probability(self, temperature: float) -> FloatArray:
        """`(H, W)`, at the case's own size."""
        return np.asarray(to_native(to_probability(self.logits, temperature), self.placement)[0])


def choose_operating_point(
    model: Model, dataset: Dataset, names: Sequence[str], threshold: float | Literal["validation"]
) -> OperatingPoint:
    """Fit the temperature, then take the given threshold or the one with the highest Dice by patient.

    Without a tumour among the cases `names` the temperature stays 1 and the threshold 0.5.
    """
    answers = [_answer(model, dataset, name) for name in names]
    temperature, errors = _fit_temperature(answers)
    curve = threshold_curve(answers, temperature)
    chosen = _best(curve) if threshold == "validation" else threshold
    return OperatingPoint(
        threshold=chosen,
        temperature=temperature,
        threshold_curve=curve,
        chosen=threshold,
        calibration_error_before=errors[0],
        calibration_error=errors[1],
        validation_patients=len({answer.patient for answer in answers}),
    )


def point_figures(info: ModelInfo) -> PointFigures:
    """What a model file says of the choice of its operating point."""
    return PointFigures.model_validate(info.metrics.get("operating_point", {}))


def weaknesses(info: ModelInfo) -> list[ResultWarning]:
    """Warnings where a model's operating point rests on little; a model of 0.1.0 knows its patients by hashes only."""
    figures = point_figures(info)
    found = (_few_patients(info, figures), _temperature_at_limit(info), _threshold_at_limit(info, figures))
    return [ResultWarning(code=code, text=text) for code, text in zip(WEAKNESSES, found, strict=True) if text]


def _few_patients(info: ModelInfo, figures: PointFigures) -> str:
    patients = figures.validation_patients or len(info.known_cases.patients.get("validation", []))
    if info.members or not 0 < patients < FEWEST_PATIENTS:
        return ""
    chosen = "epoch, temperature and threshold" if figures.chosen == "validation" else "epoch and temperature"
    who = "one patient" if patients == 1 else f"{patients} patients"
    return f"FEW VALIDATION PATIENTS: {who} chose {chosen}; give validation more patients (split.validation)"


def _temperature_at_limit(info: ModelInfo) -> str:
    at_limit = _is_at_limit(info.temperatures[0], TEMPERATURES)
    return f"TEMPERATURE AT ITS LIMIT: {info.temperatures[0]:.2f}{AS_FAR_AS_IT_GOES}" if at_limit else ""


def _threshold_at_limit(info: ModelInfo, figures: PointFigures) -> str:
    at_limit = figures.chosen == "validation" and _is_at_limit(info.thresholds[0], (THRESHOLDS[0], THRESHOLDS[-1]))
    return f"THRESHOLD AT ITS LIMIT: {info.thresholds[0]:.2f}{AS_FAR_AS_IT_GOES}" if at_limit else ""


def _is_at_limit(value: float, limits: tuple[float, float]) -> bool:
    return any(abs(value - limit) < NEAR_LIMIT * limit for limit in limits)


def _answer(model: Model, dataset: Dataset, name: str) -> _Answer:
    case = dataset.cases[dataset.index[name]]
    image, (truth, *_), _ = dataset.read(case)
    logits, placement = model.logits(image)
    return _Answer(case.group, logits, placement, truth)


def _fit_temperature(answers: Sequence[_Answer]) -> tuple[float, tuple[float | None, float | None]]:
    """The temperature over all pixels at the network's own size, and the error near tumours without and with it.

    Fitted near tumours only, the temperature would smear a little probability over the whole picture, and confidence
    would find the failures less well (`benchmarks/calibration.md`).
    """
    if not answers:
        return 1.0, (None, None)
    logits, truth = (np.concatenate(parts) for parts in zip(*(_pixels(answer) for answer in answers), strict=True))
    drawn = np.random.default_rng(0).integers(len(logits), size=min(len(logits), PIXELS))
    temperature = calibration.fit_temperature(logits[drawn], truth[drawn])
    return temperature, (_error(answers, 1.0), _error(answers, temperature))


def _pixels(answer: _Answer) -> tuple[FloatArray, MaskArray]:
    logits = answer.logits[0]
    return logits.ravel(), mask_to_network(answer.truth, logits.shape[-1])[0].astype(bool).ravel()


def _error(answers: Sequence[_Answer], temperature: float) -> float | None:
    counts = []
    for answer in answers:
        probability = answer.probability(temperature)
        region = calibration.region_of_interest(answer.truth, probability >= 0.5)
        counts.append(calibration.reliability(probability, answer.truth, region).scaled())
    return calibration.expected_calibration_error(calibration.total(counts))


def threshold_curve(answers: Sequence[_Answer], temperature: float) -> list[CurvePoint]:
    """Dice and area ratio by patient and missed tumours at each of `THRESHOLDS`; nothing without a tumour."""
    tumours = [answer for answer in answers if answer.truth.any()]
    if not tumours:
        return []
    counts = np.stack([_counts(answer, temperature) for answer in tumours])  # (cases, overlap | predicted, thresholds)
    sizes = np.array([answer.truth.sum() for answer in tumours])
    patients = [answer.patient for answer in tumours]
    curve = []
    for threshold, overlap, predicted in zip(THRESHOLDS, counts[:, 0].T, counts[:, 1].T, strict=True):
        dice = figure_of(zip(patients, map(float, 2 * overlap / (sizes + predicted)), strict=True))
        ratio = [float(p / s) if p else None for p, s in zip(predicted, sizes, strict=True)]
        curve.append(
            CurvePoint(
                threshold=round(float(threshold), 2),
                dice=dice.mean or 0.0,
                volume_ratio=figure_of(zip(patients, ratio, strict=True)).mean,
                missed=int((overlap == 0).sum()),
            )
        )
    return curve


def _counts(answer: _Answer, temperature: float) -> npt.NDArray[np.int64]:
    """Pixels that are tumour in truth and prediction, and in the prediction, at each threshold."""
    probability = answer.probability(temperature)
    return np.stack([_at_least(probability[answer.truth]), _at_least(probability.ravel())])


def _at_least(values: FloatArray) -> npt.NDArray[np.int64]:
    """How many values reach each threshold."""
    passed = np.bincount(np.searchsorted(THRESHOLDS, values, side="right"), minlength=len(THRESHOLDS) + 1)
    return np.asarray(passed[::-1].cumsum()[::-1][1:])


def _best(curve: Sequence[CurvePoint]) -> float:
    if not curve:
        return 0.5
    highest = max(point.dice for point in curve)
    good = [point.threshold for point in curve if point.dice >= highest - FLAT]
    return min(good, key=lambda threshold: abs(threshold - 0.5))
