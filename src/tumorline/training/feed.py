"""What a training gets its batches from, and is validated on: slices, or patches of volumes."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tumorline.augmentation import appearance, halves, parts, transplant
from tumorline.augmentation.draws import sample_generator
from tumorline.augmentation.transplant import Transplants
from tumorline.config import AugmentConfig, Config
from tumorline.data.dataset import Dataset
from tumorline.data.splits.donors import donor_names
from tumorline.data.splits.parts import Split
from tumorline.errors import UserError
from tumorline.network_input.cache import Cache, cache_key, open_cache
from tumorline.network_input.patches import PatchPlan, cut_patch, draw_patch
from tumorline.network_input.volume_cache import VolumeCache, open_volume_cache, volume_cache_key
from tumorline.progress import Notify, minutely, silent
from tumorline.training.batches import Store
from tumorline.training.machine import Machine
from tumorline.training.validation import Validation, validate
from tumorline.training.volume_validation import validate_volumes
from tumorline.training.windows import (
    SourceWindows,
    TrainingSource,
    Windows,
    patient_weights,
    training_sources,
    training_windows,
    with_shares,
)

PATCH_DRAWS = 0x9A7C
"""Sets the draws of patches apart from those of the augmentation."""


class Feed(Protocol):
    """Samples are numbered (`Batches`); what one shows is a function of its number, the epoch and the seed."""

    windows: Windows

    @property
    def extent(self) -> Sequence[float]:
        """Sides of a window, in one unit."""

    def batch(self, numbers: Sequence[int], epoch: int) -> tuple[Tensor, Tensor]:
        """Images `(B, C, *space)` float32 and targets `(B, R, *space)` float32 in {0, 1} on the device."""

    def labelled(self, numbers: Sequence[int]) -> Tensor:
        """Which of the samples have masks `(B,)`, on the device; the others are of unlabelled sources."""

    def validate(self, network: nn.Module, criterion: nn.Module, cases: list[str]) -> Validation:
        """Score the cases, shared among all processes."""


def feed_key(dataset: Dataset) -> str:
    """Hash of all that a feed takes from a data set."""
    return volume_cache_key(dataset) if dataset.settings.window else cache_key(dataset)


def open_feed(config: Config, dataset: Dataset, split: Split, machine: Machine, notify: Notify = silent) -> Feed:
    """The data at the network's size: the first process prepares them and says how far it is, the others wait."""
    progress = minutely("preparing", notify)
    if config.data.window:
        return PatchFeed(config, dataset, split, machine, machine.first(lambda: open_volume_cache(dataset, progress)))
    return SliceFeed(config, dataset, split, machine, machine.first(lambda: open_cache(dataset, progress)))


class SliceFeed:
    """Slices with their neighbours; a window is a row of the cache."""

    def __init__(self, config: Config, dataset: Dataset, split: Split, machine: Machine, cache: Cache) -> None:
        self.dataset, self.machine = dataset, machine
        self.store = Store(cache, machine.device, config.data.context)
        self.windows = training_windows(dataset, cache, split.cases("train"), config.train.balance_patients)
        self.extent: Sequence[float] = cache.images.shape[-2:]
        self.augment, self.seed = config.augment, config.seed
        self.donors = find_donors(config.augment, dataset, split, cache, self.windows.rows)

    def batch(self, numbers: Sequence[int], epoch: int) -> tuple[Tensor, Tensor]:
        """As they are, or as other sources would have them (`augment.skull_strip` and what follows it)."""
        image, target = self.store.batch(self.windows.rows_of(numbers))
        if transplant.is_asked_for(self.augment):
            drawn = transplant.draw_transplants(self.augment, self.seed, epoch, numbers, len(self.donors))
            image, target = self._transplant(image, target, drawn)
        if self.augment.mirror_half:
            mirrored = halves.draw_halves(self.augment, self.seed, epoch, numbers)
            image, target = halves.mirror_halves(image, target, mirrored)
        if self.augment.part:
            image, target = parts.show_parts(image, target, parts.draw_parts(self.augment, self.seed, epoch, numbers))
        if appearance.is_asked_for(self.augment):
            looks = appearance.draw_appearance(self.augment, self.seed, epoch, numbers)
            image, target = appearance.change_appearance(image, target, looks)
        return image, target

    def labelled(self, numbers: Sequence[int]) -> Tensor:
        cases = np.searchsorted(self.store.cache.begins, self.windows.rows_of(numbers), side="right") - 1
        return _labelled(self.dataset, cases.tolist(), self.machine)

    def _transplant(self, image: Tensor, target: Tensor, drawn: Transplants) -> tuple[Tensor, Tensor]:
        """Tumours come from slices that train, and go into slices that have none of their own, or into all."""
        free = ~target.any((1, 2, 3)).cpu().numpy() | (self.augment.paste_into == "all")
        image, target = transplant.take_out_tumours(image, target, drawn)
        chosen = np.flatnonzero(free & drawn.paste).tolist()
        donors = self.store.batch(self.donors[drawn.donor[chosen]].tolist()) if chosen else (image, target)
        return transplant.paste_tumours(image, target, donors, drawn, chosen)

    def validate(self, network: nn.Module, criterion: nn.Module, cases: list[str]) -> Validation:
        return validate(network, criterion, self.dataset, self.store, cases, self.machine)


def _labelled(dataset: Dataset, cases: Sequence[int], machine: Machine) -> Tensor:
    """Of the cases at positions of the data set, whether their masks are to be learnt."""
    sources = dataset.settings.sources
    flags = [not (sources and sources[dataset.member_of(dataset.cases[case])].unlabelled) for case in cases]
    return torch.tensor(flags, device=machine.device)


def find_donors(
    settings: AugmentConfig, dataset: Dataset, split: Split, cache: Cache, trained: npt.NDArray[np.intp]
) -> npt.NDArray[np.intp]:
    """Rows of the slices whose tumours are pasted; none where nothing is. Raises UserError without any to paste."""
    case_ids = donor_names(settings, dataset, split)
    rows = [row for case_id in case_ids for row in cache.rows_of(dataset.index[case_id]) if cache.marked[row]]
    nowhere = settings.paste_into == "tumour_free" and cache.marked[trained].all()
    if settings.paste and (not rows or nowhere):
        cure = "no training slice is without a tumour; augment.paste_into=all puts it beside the one that is there"
        raise UserError(f"augment.paste is {settings.paste:g}, but {cure if rows else 'no donor has a tumour'}")
    return np.array(rows, np.intp)


class PatchFeed:
    """Patches of volumes; window n is one of those of case n // `data.patches` of the data set."""

    def __init__(self, config: Config, dataset: Dataset, split: Split, machine: Machine, cache: VolumeCache) -> None:
        settings = config.data
        assert settings.window is not None
        self.dataset, self.machine, self.cache, self.seed = dataset, machine, cache, config.seed
        self.plan = PatchPlan(settings.window, settings.region_share)
        self.patches = settings.patches
        self.extent: Sequence[float] = [
            side * spacing for side, spacing in zip(settings.window, settings.voxel_mm, strict=True)
        ]
        parts = [
            self._patches_of(training_source, config)
            for training_source in training_sources(dataset, split.cases("train"))
        ]
        self.windows = with_shares(parts, [source.share for source in settings.sources])

    def _patches_of(self, source: TrainingSource, config: Config) -> SourceWindows:
        positions = np.array(source.cases, np.intp)
        rows = (positions[:, None] * self.patches + np.arange(self.patches)).ravel()
        weights = patient_weights(np.repeat(source.groups, self.patches).tolist(), config.train.balance_patients)
        return SourceWindows(source.name, Windows(rows, weights, len(rows)), float(weights.sum()))

    def batch(self, numbers: Sequence[int], epoch: int) -> tuple[Tensor, Tensor]:
        pairs = [self._patch(number, epoch) for number in numbers]
        image, target = (
            torch.from_numpy(np.stack(parts)).to(self.machine.device) for parts in zip(*pairs, strict=True)
        )
        return image.float(), target.float()

    def labelled(self, numbers: Sequence[int]) -> Tensor:
        return _labelled(self.dataset, [self._case_of(number) for number in numbers], self.machine)

    def _case_of(self, number: int) -> int:
        return number % self.windows.span // self.patches

    def _patch(self, number: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        case = self.cache.cases[self._case_of(number)]
        random = sample_generator(self.seed ^ PATCH_DRAWS, epoch, number)
        start = draw_patch(random, self.plan, case.image.shape[1:], case.places)
        return cut_patch(case.image, start, self.plan.window), cut_patch(case.mask, start, self.plan.window)

    def validate(self, network: nn.Module, criterion: nn.Module, cases: list[str]) -> Validation:
        return validate_volumes(network, criterion, self.dataset, self.cache, cases, self.machine)
