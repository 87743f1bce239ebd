"""What is to be said of an operating point that rests on little."""

from tumorline.evaluation.operating_point import THRESHOLDS
from tumorline.metrics.calibration import TEMPERATURES
from tumorline.model_info import ModelInfo, point_figures
from tumorline.results import PointFigures, ResultWarning, WarningCode
from tumorline.wording import in_sentence, in_words, numbered

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


def operating_weaknesses(info: ModelInfo) -> list[ResultWarning]:
    """Warnings where a model's operating point rests on little; a model of 0.1.0 knows its patients by hashes only."""
    figures = {region: point_figures(info, region) for region in info.regions}
    sentences = [(WarningCode.FEW_VALIDATION_PATIENTS, _few_patients(info, next(iter(figures.values()))))]
    for region, threshold, temperature in zip(figures, info.thresholds, info.temperatures, strict=True):
        of = f" ({in_words(region)})" if len(figures) > 1 else ""
        if not info.states_temperature and _is_at_limit(temperature, TEMPERATURES):
            text = f"TEMPERATURE AT ITS LIMIT{of}: {temperature:.2f}{AS_FAR_AS_IT_GOES}"
            sentences.append((WarningCode.TEMPERATURE_AT_LIMIT, text))
        if figures[region].chosen == "validation" and _is_at_limit(threshold, (THRESHOLDS[0], THRESHOLDS[-1])):
            text = f"THRESHOLD AT ITS LIMIT{of}: {threshold:.2f}{AS_FAR_AS_IT_GOES}"
            sentences.append((WarningCode.THRESHOLD_AT_LIMIT, text))
    return [ResultWarning(code=code, text=text) for code, text in sentences if text]


def _few_patients(info: ModelInfo, figures: PointFigures) -> str:
    patients = figures.validation_patients or len(info.known_cases.patients.get("validation", []))
    if info.members or not 0 < patients < FEWEST_PATIENTS:
        return ""
    also = {
        "temperature": not info.states_temperature,
        "threshold": figures.chosen == "validation",
        "post-processing": info.metrics.postprocessing is not None,
    }
    chosen = in_sentence(["epoch", *(name for name, was_chosen in also.items() if was_chosen)])
    who = "one patient" if patients == 1 else numbered(patients, "patient")
    return f"FEW VALIDATION PATIENTS: {who} chose {chosen}; give validation more patients (split.validation)"


def _is_at_limit(value: float, limits: tuple[float, float]) -> bool:
    return any(abs(value - limit) < NEAR_LIMIT * limit for limit in limits)
