"""Where a presence head shuts the masks, chosen on the validation windows: the test part has no say.

What is won in images without the region is held against what is lost of those with one: the mean of the Dice by patient
and of the share of those images, source by source, in which nothing is drawn. Both are counted at the network's
own size.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import nn

from tumorline import models
from tumorline.data.dataset import Dataset
from tumorline.data.joined import SOURCE
from tumorline.inference.probability import to_probability
from tumorline.metrics.figure import AS_GOOD
from tumorline.model_info import ChosenGate, ModelInfo
from tumorline.models.presence import OPEN
from tumorline.network_input.cache import open_cache
from tumorline.training.batches import Store
from tumorline.training.validation import rows_to_score

BATCH = 16
PROBABILITIES = (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True)
class SeenWindow:
    """What one validation window shows of one region."""

    case: str
    patient: str
    source: str
    is_other: bool
    """Whether it holds labels, but none of a region."""
    truth: int
    predicted: int
    both: int
    presence: float
    """Probability."""

    def is_let_through(self, gate: float) -> bool:
        return self.presence >= gate


@dataclass(frozen=True)
class Gate:
    """Of one region; figures are the Dice by patient and the share of free images left empty, without and with it."""

    probability: float
    dice: tuple[float, float]
    left_empty: tuple[float, float]
    chosen: float | str

    @property
    def logit(self) -> float:
        return math.log(self.probability / (1 - self.probability)) if self.probability else OPEN


def open_windows(dataset: Dataset) -> Store:
    """The decoded windows of a data set, on the processor."""
    return Store(open_cache(dataset), torch.device("cpu"), dataset.settings.context)


def choose_gates(
    network: nn.Module, store: Store, dataset: Dataset, case_ids: Sequence[str], info: ModelInfo, wanted: float | str
) -> list[Gate]:
    """The gate of each region: the number that is wanted, or the best on the cases `case_ids`.

    Without tumour-free windows, or without windows at all, it stays open unless a number is wanted.
    """
    seen = list(look_at_windows(network, store, dataset, case_ids, info))
    return [choose_gate([windows[region] for windows in seen], wanted) for region in range(len(info.regions))]


def choose_gate(windows: Sequence[SeenWindow], wanted: float | str) -> Gate:
    """Of one region. Of gates whose figure is as good as the best the lowest is taken."""
    figures = {gate: (dice_behind(windows, gate), left_empty_behind(windows, gate)) for gate in PROBABILITIES}
    if isinstance(wanted, str):
        means = {gate: fmean(pair) for gate, pair in figures.items()}
        chosen = next(gate for gate in PROBABILITIES if means[gate] >= max(means.values()) - AS_GOOD)
    else:
        chosen = wanted
        figures[chosen] = dice_behind(windows, chosen), left_empty_behind(windows, chosen)
    (dice, empty), (dice_gated, empty_gated) = figures[0.0], figures[chosen]
    return Gate(chosen, (dice, dice_gated), (empty, empty_gated), wanted)


def dice_behind(windows: Sequence[SeenWindow], gate: float) -> float:
    """By patient, over cases that have the region; 0 where there is none."""
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for window in windows:
        passed = window.is_let_through(gate)
        for number, count in enumerate((window.truth, window.predicted * passed, window.both * passed)):
            counts[window.patient, window.case][number] += count
    by_patient: dict[str, list[float]] = defaultdict(list)
    for (patient, _), (truth, predicted, both) in counts.items():
        if truth:
            by_patient[patient].append(2 * both / (truth + predicted))
    return fmean(map(fmean, by_patient.values())) if by_patient else 0.0


def left_empty_behind(windows: Sequence[SeenWindow], gate: float) -> float:
    """Share of the images without the region in which nothing is drawn, the mean over sources; 1 where there is none.

    Images that hold labels of no region at all do not count.
    """
    by_source: dict[str, list[bool]] = defaultdict(list)
    for window in windows:
        if not window.truth and not window.is_other:
            by_source[window.source].append(not (window.predicted and window.is_let_through(gate)))
    return fmean(map(fmean, by_source.values())) if by_source else 1.0


@torch.no_grad()
def look_at_windows(
    network: nn.Module, store: Store, dataset: Dataset, case_ids: Sequence[str], info: ModelInfo
) -> Iterator[list[SeenWindow]]:
    """Each validation window, region by region."""
    network.eval()
    rows = [(case, row) for case in map(dataset.index.__getitem__, case_ids) for row in rows_to_score(store, case)]
    with models.showing_presence(network):
        for batch in (rows[start : start + BATCH] for start in range(0, len(rows), BATCH)):
            image, target = store.batch([row for _, row in batch])
            outputs = network(image)
            presence = models.presence_of(outputs).sigmoid().tolist()
            probability = to_probability(outputs[0].float().cpu().numpy(), info.temperatures)
            drawn = probability >= np.array(info.thresholds, np.float32)[:, None, None]
            for window, predicted, truth, presences in zip(
                batch, drawn, target.cpu().numpy() > 0, presence, strict=True
            ):
                yield [_seen(dataset, store, window, *masks) for masks in zip(truth, predicted, presences, strict=True)]


def _seen(
    dataset: Dataset, store: Store, window: tuple[int, int], truth: Any, predicted: Any, presence: float
) -> SeenWindow:
    case, is_other = dataset.cases[window[0]], bool(store.cache.others[window[1]])
    counts = (int(truth.sum()), int(predicted.sum()), int((truth & predicted).sum()))
    return SeenWindow(case.id, case.group, case.attributes.get(SOURCE, ""), is_other, *counts, presence)


def describe_gates(info: ModelInfo, gates: Sequence[Gate]) -> dict[str, ChosenGate]:
    """As a model file's metrics keep it."""
    return {region: ChosenGate(**asdict(gate)) for region, gate in zip(info.regions, gates, strict=True)}
