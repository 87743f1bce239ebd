"""By how much the Dice changes where a network computes in another precision than float32, on this machine."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from tumorline.arrays import ImageArray, MaskArray
from tumorline.data.dataset import Dataset
from tumorline.environment import machine, processor_kind
from tumorline.errors import NotFinite
from tumorline.geometry.grid import Grid
from tumorline.inference.model import Model, load
from tumorline.metrics.overlap import count_overlap, dice
from tumorline.model_info import ModelInfo, PrecisionChange
from tumorline.runtime import PRECISIONS, can_compute
from tumorline.spread import spread_evenly

MOST, MOST_VOLUMES = 200, 5
"""Pictures and volumes that are looked at."""


def measure_precisions(model: Model, dataset: Dataset, case_ids: Sequence[str]) -> dict[str, PrecisionChange]:
    """The change of Dice in each precision in which this machine computes, over the regions of cases with a tumour.

    `model` computes in float32. Nothing where the machine has no other precision, or no case has a tumour.
    """
    others = {}
    for name in PRECISIONS[1:]:
        if can_compute(name, model.runtime_name):
            loaded = load(model.path, precision=name, runtime=model.runtime_name, requests=model.requests)
            others[name] = replace(loaded, info=model.info)
    return measure_changes(model, others, dataset, chosen_cases(dataset, case_ids)) if others else {}


def measure_changes(
    model: Model, others: Mapping[str, Model], dataset: Dataset, case_ids: Sequence[str]
) -> dict[str, PrecisionChange]:
    """By how much the Dice of each of the others differs from that of `model`, over the regions of cases."""
    changes: dict[str, list[float | None]] = {name: [] for name in others}
    for change in region_changes(model, others, dataset, case_ids):
        for name, value in change.items():
            changes[name].append(value)
    processor = processor_kind(machine())
    return {
        name: PrecisionChange.of(values, others[name].runtime_name, processor)
        for name, values in changes.items()
        if values
    }


def with_precisions(info: ModelInfo, changes: Mapping[str, PrecisionChange]) -> ModelInfo:
    """The description of a model with what was measured."""
    if not changes:
        return info
    return info.with_metrics(precisions=dict(changes))


def describe_changes(changes: Mapping[str, PrecisionChange]) -> list[str]:
    """A sentence for each precision."""
    return [
        f"{name}: the Dice changes by {change.mean:+.4f} in the mean and by {change.largest:.3f} at most"
        f"{f', of {change.large} by more than 0.1' if change.large else ''}"
        f"{f'; {change.unanswered} have no finite answer' if change.unanswered else ''} ("
        f"{change.cases} regions of cases, {change.runtime}, {change.processor}); "
        f"{'verified' if change.verified else 'not verified, so that auto leaves it out'}"
        for name, change in changes.items()
    ]


def region_changes(
    model: Model, others: Mapping[str, Model], dataset: Dataset, case_ids: Sequence[str]
) -> Iterator[dict[str, float | None]]:
    """By how much the Dice of each of the others differs from that of `model`, of each region that a case has.

    None of one whose answer is not finite.
    """
    for case_id in case_ids:
        case = dataset.case(case_id)
        image, truth, grid = dataset.read(case)
        masks = {name: _masks(other, image, case_id, grid) for name, other in others.items()}
        exact = model.masks(model.answer(image, case_id, grid).probability, grid)
        for region, true in enumerate(truth):
            if true.any():
                before = _dice(true, exact[region])
                yield {
                    name: None if drawn is None else _dice(true, drawn[region]) - before
                    for name, drawn in masks.items()
                }


def _masks(model: Model, image: ImageArray, case_id: str, grid: Grid) -> MaskArray | None:
    """None where the answer is not finite, as of a network whose numbers a narrow precision does not hold."""
    with suppress(NotFinite):
        return model.masks(model.answer(image, case_id, grid).probability, grid)
    return None


def _dice(truth: MaskArray, predicted: MaskArray) -> float:
    return dice(count_overlap(truth, predicted)) or 0.0


def chosen_cases(dataset: Dataset, case_ids: Sequence[str]) -> list[str]:
    """Of many cases those that are looked at, evenly spread over pictures and over volumes."""
    pictures, volumes = (
        [case_id for case_id in case_ids if dataset.case(case_id).is_volume is volumetric]
        for volumetric in (False, True)
    )
    return [*spread_evenly(pictures, MOST), *spread_evenly(volumes, MOST_VOLUMES)]
