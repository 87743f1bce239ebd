"""Which windows of the training cases are drawn, and how often: of a picture the whole, of a volume its slices."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tumorline.arrays import BoolArray, Float64Array
from tumorline.config import DataConfig
from tumorline.data.dataset import Dataset
from tumorline.data.joined import source_names
from tumorline.errors import UserError
from tumorline.network_input.cache import Cache


@dataclass(frozen=True)
class Windows:
    """Rows of the cache that train, each with the weight by which it is drawn."""

    rows: npt.NDArray[np.intp]
    weights: Float64Array
    images: int
    """Of one epoch."""

    @property
    def span(self) -> int:
        """A window that comes up once more in an epoch has a number larger by this, so that it is changed otherwise."""
        return int(self.rows.max(initial=-1)) + 1

    def rows_of(self, numbers: Sequence[int]) -> list[int]:
        """What samples of these numbers show."""
        span = self.span
        return [number % span for number in numbers]


def training_windows(dataset: Dataset, cache: Cache, case_ids: Sequence[str], balance: float) -> Windows:
    """Every window of the cases `case_ids`; of volumes every `data.slice_step`-th slice that is not blank.

    Raises UserError where no window is left.
    """
    windows = with_shares(
        [windows_of_source(source, cache, balance) for source in training_sources(dataset, case_ids)],
        [source.share for source in dataset.settings.sources],
    )
    if not len(windows.rows):
        raise UserError(f"{dataset.source.path}: every slice of the training cases is blank")
    return windows


class TrainingSource(NamedTuple):
    """What of a source trains, and how."""

    name: str
    settings: DataConfig
    drops_others: bool
    """Whether slices that hold labels, but none of a region, are left out."""
    cases: Sequence[int]
    """Positions in the data set."""
    groups: Sequence[str]
    """The patient of each case."""


def training_sources(dataset: Dataset, case_ids: Sequence[str]) -> list[TrainingSource]:
    """The training cases `case_ids` by source."""
    members, settings = dataset.members or (dataset,), dataset.settings
    chosen: list[list[int]] = [[] for _ in members]
    for position in (dataset.index[case_id] for case_id in case_ids):
        chosen[dataset.member_of(dataset.cases[position]) if dataset.members else 0].append(position)
    mapped = [bool(source.label_as) for source in settings.sources] or [False]
    called = source_names(settings) or [str(dataset.source.path)]
    return [
        TrainingSource(
            name,
            member.settings,
            (member.settings.other_labels or ("left_out" if is_mapped else "negative")) == "left_out",
            positions,
            [dataset.cases[position].group for position in positions],
        )
        for name, member, is_mapped, positions in zip(called, members, mapped, chosen, strict=True)
    ]


def windows_of_source(source: TrainingSource, cache: Cache, balance: float) -> "SourceWindows":
    """Where tumour-free windows are left out in part, the pull is that of the windows that an epoch shows."""
    rows, patients = list[int](), list[str]()
    for case, group in zip(source.cases, source.groups, strict=True):
        of_case = rows_to_train(cache, case, source.settings.slice_step)
        of_case = [row for row in of_case if not cache.others[row]] if source.drops_others else of_case
        rows += of_case
        patients += [group] * len(of_case)
    windows = Windows(np.array(rows, np.intp), patient_weights(patients, balance), len(rows))
    share, pull = source.settings.tumour_free_share, float(windows.weights.sum())
    if share is not None and rows:
        windows = with_tumour_free(windows, cache.marked[rows], share)
        pull *= (windows.images / len(rows)) ** (1 - balance)
    return SourceWindows(source.name, windows, pull)


class SourceWindows(NamedTuple):
    name: str
    windows: Windows
    pull: float
    """How much of an epoch they are where no share is stated."""


def with_shares(parts: Sequence[SourceWindows], shares: Sequence[float | None]) -> Windows:
    """The windows of all sources together, those with a share drawn as often as it says, the rest as they come.

    An epoch has as many as the sources have together. Raises UserError where a source with a share has none.
    """
    if len(parts) == 1:
        return parts[0].windows
    for part, share in zip(parts, shares, strict=True):
        if share and not part.pull:
            raise UserError(f"data.sources: '{part.name}' has a share of {share:g}, but no image that trains")
    stated = sum(share or 0.0 for share in shares)
    loose = sum(part.pull for part, share in zip(parts, shares, strict=True) if share is None)
    total_pull = loose / (1 - stated) if loose else 1.0
    pulls = [part.pull if share is None else share * total_pull for part, share in zip(parts, shares, strict=True)]
    weights = [
        part.windows.weights * (total / max(part.windows.weights.sum(), 1e-300))
        for part, total in zip(parts, pulls, strict=True)
    ]
    rows = np.concatenate([part.windows.rows for part in parts])
    return Windows(rows, np.concatenate(weights), sum(part.windows.images for part in parts))


def rows_to_train(cache: Cache, case: int, step: int) -> list[int]:
    rows = cache.rows_of(case)
    return list(rows) if len(rows) == 1 else [row for row in rows[::step] if cache.shown[row]]


def patient_weights(patients: Sequence[str], balance: float) -> Float64Array:
    """Weight of each window, given its patient: `balance` 0 counts every window alike, 1 every patient alike."""
    windows = Counter(patients)
    return np.array([windows[patient] ** -balance for patient in patients])


def with_tumour_free(windows: Windows, marked: BoolArray, share: float) -> Windows:
    """The same drawn so that windows without any region are `share` of an epoch.

    An epoch then has as many windows as show each with a region about once. Where there are no windows without a
    region, or none with one, nothing changes.
    """
    if marked.all() or not marked.any():
        return windows
    totals = windows.weights[marked].sum(), windows.weights[~marked].sum()
    weights = windows.weights * np.where(marked, (1 - share) / totals[0], share / totals[1])
    kept = weights > 0
    images = min(len(marked), round(marked.sum() / (1 - share))) if share < 1 else int((~marked).sum())
    return replace(windows, rows=windows.rows[kept], weights=weights[kept], images=min(images, int(kept.sum())))
