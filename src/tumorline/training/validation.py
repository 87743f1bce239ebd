"""Dice by patient at native resolution, as it will be reported, while the training goes on."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tumorline.arrays import Float32Array, MaskArray
from tumorline.config import Postprocessing
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset
from tumorline.data.joined import SOURCE
from tumorline.geometry.slices import SQUARE, Pixel, to_slices
from tumorline.inference.post import Drawn, postprocess
from tumorline.network_input.fit import Placement, to_native
from tumorline.training.batches import Store
from tumorline.training.machine import Machine

THRESHOLD = 0.5
BATCH = 16


class Validation(NamedTuple):
    loss: float
    """Mean over cases at the network's size."""
    dice: float
    """Mean over regions of the mean over patients of the mean over the patient's cases that have the region; native
    resolution."""
    by_region: tuple[float | None, ...] = ()
    """None where no case has the region."""
    by_source: Mapping[str, "SourceValidation"] = MappingProxyType({})
    """Of several sources, each by itself."""


class SourceValidation(NamedTuple):
    """What of the validation is one source's."""

    dice: float | None
    """As of all; None where no case has a tumour."""
    false_positives: float | None
    """Share of the images, or slices, without any label in which something is drawn; None where there is none."""


class CaseResult(NamedTuple):
    patient: str
    loss: float
    dice: tuple[float | None, ...]
    """Of each region; None where the case lacks it."""
    source: str = ""
    """Of several sources, the name of its own."""
    free: int = 0
    """Images or slices that show something and no label of any kind."""
    false: int = 0
    """Those of them in which something is drawn."""


@dataclass
class CaseCounts:
    """What the slices of a case add up to; `truth` is `(R, N, H, W)` at native resolution."""

    truth: MaskArray
    regions: tuple[str, ...]
    pixel: Pixel = SQUARE
    losses: list[float] = field(default_factory=list)
    free: int = 0
    false: int = 0

    def __post_init__(self) -> None:
        self.overlap, self.predicted = np.zeros((2, len(self.truth)), np.int64)

    def add(self, number: int, loss: float, probability: Float32Array, is_other: bool = False) -> None:
        """A slice, from probabilities `(R, S, S)`; `is_other` where it holds labels, but none of a region."""
        truth = self.truth[:, number]
        placement = Placement((truth.shape[1], truth.shape[2]), probability.shape[-1], self.pixel)
        predicted = draw_masks(to_native(probability, placement), self.regions)
        self.losses.append(loss)
        self.overlap += np.count_nonzero(truth & predicted, axis=(1, 2))
        self.predicted += np.count_nonzero(predicted, axis=(1, 2))
        is_free = not is_other and not truth.any()
        self.free += is_free
        self.false += is_free and bool(predicted.any())

    def result(self, case: Case) -> CaseResult:
        """A slice that is blank, and so was not shown, is predicted to be empty."""
        sizes = np.count_nonzero(self.truth, axis=(1, 2, 3))
        counts = zip(sizes, self.overlap, self.predicted, strict=True)
        dice = tuple(float(2 * overlap / (size + predicted)) if size else None for size, overlap, predicted in counts)
        source = case.attributes.get(SOURCE, "")
        return CaseResult(case.group, float(np.mean(self.losses)), dice, source, self.free, self.false)


def draw_masks(probability: Float32Array, regions: Sequence[str]) -> MaskArray:
    """Masks `(R, *space)` at the threshold of the validation, nested as those that are written and scored."""
    return postprocess(Drawn(probability >= THRESHOLD, probability), regions, Postprocessing(), None)


@torch.no_grad()
def validate(
    network: nn.Module,
    criterion: nn.Module,
    dataset: Dataset,
    store: Store,
    cases: list[str],
    machine: Machine,
) -> Validation:
    """Score the cases, shared among all processes."""
    network.eval()
    positions = [dataset.index[case_id] for case_id in cases[machine.rank :: machine.world]]
    results = list(_score_cases(network, criterion, dataset, store, positions, machine))
    return gather_results([result for part in machine.gather(results) for result in part])


def _score_cases(
    network: nn.Module, criterion: nn.Module, dataset: Dataset, store: Store, cases: list[int], machine: Machine
) -> Iterator[CaseResult]:
    """Each case as soon as its last slice is counted; a batch may hold slices of several cases."""
    counts: dict[int, CaseCounts] = {}
    rows = [(case, row) for case in cases for row in rows_to_score(store, case)]
    rows_left = Counter(case for case, _ in rows)
    for batch in (rows[start : start + BATCH] for start in range(0, len(rows), BATCH)):
        losses, probabilities = _answer(network, criterion, store, [row for _, row in batch], machine)
        for (case, row), loss, probability in zip(batch, losses, probabilities, strict=True):
            if case not in counts:
                pixel = dataset.pixel_of(dataset.cases[case])
                counts[case] = CaseCounts(_read_slices(dataset, case), dataset.regions, pixel)
            counts[case].add(row - store.cache.rows_of(case).start, loss, probability, bool(store.cache.others[row]))
            rows_left[case] -= 1
            if not rows_left[case]:
                yield counts.pop(case).result(dataset.cases[case])


def _answer(
    network: nn.Module, criterion: nn.Module, store: Store, rows: Sequence[int], machine: Machine
) -> tuple[list[float], Float32Array]:
    """Loss and probabilities `(R, S, S)` of each window."""
    image, target = store.batch(rows)
    with machine.autocast():
        logits: Tensor = network(image)
    losses = [float(criterion(output[None].float(), truth[None])) for output, truth in zip(logits, target, strict=True)]
    return losses, logits.float().sigmoid().cpu().numpy()


def rows_to_score(store: Store, case: int) -> list[int]:
    """The slices that show anything; of a case without any its first one."""
    rows = store.cache.rows_of(case)
    return [row for row in rows if store.cache.shown[row]] or list(rows[:1])


def _read_slices(dataset: Dataset, case: int) -> MaskArray:
    """The truth of a case `(R, N, H, W)`."""
    truth = dataset.read_truth(dataset.cases[case])
    return to_slices(truth, dataset.plane_of(dataset.cases[case])) if truth.ndim == 4 else truth[:, None]


def gather_results(results: list[CaseResult]) -> Validation:
    by_region = tuple(_mean_over_patients(results, region) for region in range(len(results[0].dice)))
    loss = float(np.mean([result.loss for result in results]))
    names = sorted({result.source for result in results})
    by_source = {name: _of_source([case for case in results if case.source == name]) for name in names if name}
    return Validation(loss, _mean_of_known(by_region) or 0.0, by_region, by_source)


def _mean_of_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _of_source(results: list[CaseResult]) -> SourceValidation:
    by_region = [_mean_over_patients(results, region) for region in range(len(results[0].dice))]
    free = sum(result.free for result in results)
    false = sum(result.false for result in results)
    return SourceValidation(_mean_of_known(by_region), false / free if free else None)


def _mean_over_patients(results: list[CaseResult], region: int) -> float | None:
    by_patient: dict[str, list[float]] = defaultdict(list)
    for result in results:
        dice = result.dice[region]
        if dice is not None:
            by_patient[result.patient].append(dice)
    means = [np.mean(values) for _, values in sorted(by_patient.items())]
    return float(np.mean(means)) if means else None
