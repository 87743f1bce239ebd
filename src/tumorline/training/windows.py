"""Which windows of the training cases are drawn, and how often: of a picture the whole, of a volume its slices."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.network_input.cache import Cache

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Windows:
    """Rows of the cache that train, each with the weight by which it is drawn."""

    rows: npt.NDArray[np.intp]
    weights: FloatArray
    images: int
    """Of one epoch."""


def training_windows(dataset: Dataset, cache: Cache, names: Sequence[str], balance: float) -> Windows:
    """Every window of the cases `names`; of volumes every `data.slice_step`-th slice that is not blank.

    Raises UserError where no window is left.
    """
    rows, patients = list[int](), list[str]()
    for case in (dataset.index[name] for name in names):
        own = rows_to_train(cache, case, dataset.settings.slice_step)
        rows += own
        patients += [dataset.cases[case].group] * len(own)
    if not rows:
        raise UserError(f"{dataset.source.path}: every slice of the training cases is blank")
    found = Windows(np.array(rows, np.intp), patient_weights(patients, balance), len(rows))
    share = dataset.settings.tumour_free_share
    return found if share is None else with_tumour_free(found, cache.marked[rows], share)


def rows_to_train(cache: Cache, case: int, step: int) -> list[int]:
    rows = cache.rows_of(case)
    return list(rows) if len(rows) == 1 else [row for row in rows[::step] if cache.shown[row]]


def patient_weights(patients: Sequence[str], balance: float) -> FloatArray:
    """Weight of each window, given its patient: `balance` 0 counts every window alike, 1 every patient alike."""
    windows = Counter(patients)
    return np.array([windows[patient] ** -balance for patient in patients])


def with_tumour_free(windows: Windows, marked: npt.NDArray[np.bool_], share: float) -> Windows:
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
