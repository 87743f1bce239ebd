"""Dice by patient at native resolution, as it will be reported, while the training goes on."""

from collections import defaultdict
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from tumorline.data.cache import Cache
from tumorline.data.dataset import Dataset, read_case_mask
from tumorline.data.preprocess import Placement, to_native
from tumorline.metrics.overlap import count_overlap, dice
from tumorline.training.batches import load
from tumorline.training.machine import Machine

THRESHOLD = 0.5


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
    cache: Cache,
    cases: list[str],
    machine: Machine,
) -> Validation:
    """Score the cases, shared among all processes."""
    network.eval()
    mine = cases[machine.rank :: machine.world]
    results = [_score(network, criterion, dataset, cache, name, machine) for name in mine]
    return _gather([result for part in machine.gather(results) for result in part])


def _score(
    network: nn.Module, criterion: nn.Module, dataset: Dataset, cache: Cache, name: str, machine: Machine
) -> CaseResult:
    index = dataset.index[name]
    case, native = dataset.cases[index], dataset.facts[index].shape[1:]
    image, target = load(cache, [index], machine)
    with machine.autocast():
        logits: Tensor = network(image)
    loss = float(criterion(logits.float(), target))
    probability = logits[0].float().sigmoid().cpu().numpy()
    predicted = to_native(probability, Placement((native[0], native[1]), cache.images.shape[-1]))[0] >= THRESHOLD
    truth = read_case_mask(case, dataset.settings)
    return CaseResult(case.patient or name, loss, dice(count_overlap(truth, predicted)) if truth.any() else None)


def _gather(results: list[CaseResult]) -> Validation:
    by_patient: dict[str, list[float]] = defaultdict(list)
    for result in results:
        if result.dice is not None:
            by_patient[result.patient].append(result.dice)
    means = [np.mean(values) for _, values in sorted(by_patient.items())]
    return Validation(float(np.mean([result.loss for result in results])), float(np.mean(means)) if means else 0.0)
