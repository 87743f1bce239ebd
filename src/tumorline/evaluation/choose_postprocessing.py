"""Limits of a model's post-processing, chosen on its validation cases: the test part has no say.

A case is looked at once and leaves counts only, however large it is. Regions are judged one by one: that what goes from
the whole tumour goes from the core as well is left out of the choice, not of the masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array, MaskArray
from tumorline.config import Postprocessing
from tumorline.data.dataset import Dataset
from tumorline.groups import grouped
from tumorline.inference.model import Model
from tumorline.inference.post import label_components
from tumorline.metrics.figure import AS_GOOD
from tumorline.regions import ENHANCING

SMALLEST_ML = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0)
SMALLEST_PX = (0, 5, 10, 20, 50, 100, 200)
LEAST_ENHANCING_ML = (0.0, 0.05, 0.1, 0.2, 0.5, 1.0)


@dataclass(frozen=True)
class Limits:
    """What was chosen, and the Dice by patient of each region without it and with it; both empty counts 1."""

    postprocessing: Postprocessing
    dice: dict[str, tuple[float, float]]


class _Counts(NamedTuple):
    """Elements of one case and region; those predicted and those of both for each limit."""

    patient: str
    truth: int
    predicted: npt.NDArray[np.int64]
    both: npt.NDArray[np.int64]
    element_ml: float
    """0 where limits are in pixels."""

    def dice(self, limit: int, least_ml: float) -> float:
        """After the limit of this number, where less than `least_ml` in all counts as nothing; both empty counts 1."""
        predicted, overlap = int(self.predicted[limit]), int(self.both[limit])
        if predicted * self.element_ml < least_ml:
            predicted = overlap = 0
        return 2 * overlap / (self.truth + predicted) if self.truth + predicted else 1.0


Choice = tuple[int, float]
"""The number of a limit, and the least volume in all."""


def choose_postprocessing(model: Model, dataset: Dataset, case_ids: Sequence[str]) -> Limits:
    """The limits with the highest Dice by patient over the validation cases `case_ids`, region by region."""
    plain = replace(model, info=model.info.model_copy(update={"postprocessing": Postprocessing()}))
    in_ml = all(case.is_volume for case in dataset.cases)
    limits = _limits_tried(in_ml)
    counted = [_count_case(plain, dataset, case_id, in_ml) for case_id in case_ids]
    counts = dict(zip(model.info.regions, zip(*counted, strict=True), strict=True)) if counted else {}
    chosen = {region: _choose(region, case_counts, len(limits), in_ml) for region, case_counts in counts.items()}
    smallest = {region: limits[limit] for region, (limit, _) in chosen.items() if limit}
    least = max((least for _, least in chosen.values()), default=0.0)
    settings = {("smallest_ml" if in_ml else "smallest_px"): smallest, "least_enhancing_ml": least}
    dice = {
        region: (_mean_dice(case_counts, (0, 0.0)), _mean_dice(case_counts, chosen[region]))
        for region, case_counts in counts.items()
    }
    return Limits(Postprocessing.model_validate(settings), dice)


def _limits_tried(in_ml: bool) -> Sequence[float]:
    return SMALLEST_ML if in_ml else SMALLEST_PX


def _choose(region: str, case_counts: Sequence[_Counts], limits: int, in_ml: bool) -> Choice:
    limit, _ = _first_of_best(case_counts, [(limit, 0.0) for limit in range(limits)])
    if region != ENHANCING or not in_ml:
        return limit, 0.0
    return _first_of_best(case_counts, [(limit, least) for least in LEAST_ENHANCING_ML])


def _first_of_best(case_counts: Sequence[_Counts], choices: Sequence[Choice]) -> Choice:
    """Of limits whose Dice is as good as the best the lowest."""
    means = [_mean_dice(case_counts, choice) for choice in choices]
    return next(choice for choice, mean in zip(choices, means, strict=True) if mean >= max(means) - AS_GOOD)


def _mean_dice(case_counts: Sequence[_Counts], choice: Choice) -> float:
    """Over a patient's cases, then over patients."""
    by_patient = grouped(case_counts, lambda counts: counts.patient)
    return fmean(fmean(counts.dice(*choice) for counts in own) for own in by_patient.values())


def _count_case(model: Model, dataset: Dataset, case_id: str, in_ml: bool) -> list[_Counts]:
    case = dataset.case(case_id)
    image, truth, grid = dataset.read(case)
    masks = model.masks(model.answer(image, case.images[0], grid).probability, grid)
    element_ml = (grid.voxel_ml if in_ml else None) or 0.0
    least = np.array(_limits_tried(in_ml)) / (element_ml or 1.0)
    return [_count_components(case.group, *pair, least, element_ml) for pair in zip(truth, masks, strict=True)]


def _count_components(
    patient: str, truth: MaskArray, mask: MaskArray, least: Float64Array, element_ml: float
) -> _Counts:
    components, sizes = label_components(mask)
    both = np.bincount(components[truth], minlength=len(sizes))
    both[0] = 0
    kept = sizes >= least[:, None]  # (limits, components)
    return _Counts(patient, int(truth.sum()), kept @ sizes, kept @ both, element_ml)
