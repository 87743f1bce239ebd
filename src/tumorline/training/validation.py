"""Dice by patient at native resolution, as it will be reported, while the training goes on."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tumorline.data.dataset import Dataset, read_truth
from tumorline.metrics.overlap import count_overlap, dice
from tumorline.network_input.fit import Placement, to_native
from tumorline.training.batches import Store
from tumorline.training.machine import Machine

THRESHOLD = 0.5
BATCH = 16

FloatArray = npt.NDArray[np.float32]


class Validation(NamedTuple):
    loss: float
    """Mean over cases at the network's size."""
    dice: float
    """Mean over patients of the mean over the patient's cases that have a tumour; native resolution."""


class CaseResult(NamedTuple):
    patient: str
    loss: float
    dice: float | None


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
    mine = [dataset.index[name] for name in cases[machine.rank :: machine.world]]
    results = []
    for batch in (mine[start : start + BATCH] for start in range(0, len(mine), BATCH)):
        image, target = store.batch(batch)
        with machine.autocast():
            logits: Tensor = network(image)
        losses = [float(criterion(one[None].float(), truth[None])) for one, truth in zip(logits, target, strict=True)]
        probabilities = logits.float().sigmoid().cpu().numpy()
        results += [_score(dataset, *found) for found in zip(batch, losses, probabilities, strict=True)]
    return _gather([result for part in machine.gather(results) for result in part])


def _score(dataset: Dataset, index: int, loss: float, probability: FloatArray) -> CaseResult:
    """One case at native resolution, from probabilities `(1, S, S)`."""
    case, (height, width) = dataset.cases[index], dataset.facts[index].shape[1:]
    predicted = to_native(probability, Placement((height, width), probability.shape[-1]))[0] >= THRESHOLD
    truth = read_truth(case, dataset.settings)[0]
    return CaseResult(case.group, loss, dice(count_overlap(truth, predicted)) if truth.any() else None)


def _gather(results: list[CaseResult]) -> Validation:
    by_patient: dict[str, list[float]] = defaultdict(list)
    for result in results:
        if result.dice is not None:
            by_patient[result.patient].append(result.dice)
    means = [np.mean(values) for _, values in sorted(by_patient.items())]
    return Validation(float(np.mean([result.loss for result in results])), float(np.mean(means)) if means else 0.0)
