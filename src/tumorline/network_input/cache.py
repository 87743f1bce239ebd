"""Decoded cases at the network's size, memory-mapped.

The folder's name is a hash of the content and of every setting that shapes it. Checksums tell damage: such a cache is
made again.
"""

import json
import math
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tumorline.arrays import BoolArray
from tumorline.config import DataConfig
from tumorline.data.case import Case, map_cases
from tumorline.data.dataset import Dataset
from tumorline.data.memory import cache_folder
from tumorline.data.sample import Sample
from tumorline.files import read_json, require_space, write_json
from tumorline.geometry.slices import SQUARE, slices_with_any
from tumorline.model_info import InputSpec
from tumorline.network_input import fit
from tumorline.network_input.built_folder import checksums_of, create_array, open_built
from tumorline.network_input.windows import count_slices, input_of, prepare_input
from tumorline.progress import Progress

IMAGES, MASKS, ROWS, CHECKSUMS = "images.npy", "masks.npy", "rows.npy", "checksums.json"
NAMES = (IMAGES, MASKS, ROWS)
SHAPING = ("axis", "normalisation", "regions")
"""Settings that shape what the network sees of volumes; those that are as they always were are no part of the key."""
DEFAULT = DataConfig()
FLAGS = 3
"""Of a row of a data set with label maps: shown, marked, and whether it holds other labels."""


@dataclass(frozen=True)
class Cache:
    """A row for each slice of each case, in the data set's order and from the first slice on; a picture is one.

    Images `(rows, C, S, S)` float16 and masks `(rows, R, S, S)` uint8 in {0, 1}.
    """

    images: npt.NDArray[np.float16]
    masks: npt.NDArray[np.uint8]
    rows: BoolArray
    """`(rows, 2)`: whether a slice shows anything, and whether a region is in it. A picture always counts as shown. Of
    label maps `(rows, 3)`: whether other labels are in it as well."""
    begins: npt.NDArray[np.intp]
    """The row at which each case begins, and where the last one ends."""

    @property
    def shown(self) -> BoolArray:
        return self.rows[:, 0]

    @property
    def marked(self) -> BoolArray:
        return self.rows[:, 1]

    @property
    def others(self) -> BoolArray:
        """Which rows hold labels, but none of a region."""
        return self.rows[:, 2:].any(axis=1) & ~self.marked

    def rows_of(self, case: int) -> range:
        """Of the case at a position of the data set."""
        return range(int(self.begins[case]), int(self.begins[case + 1]))


def cache_key(dataset: Dataset) -> str:
    """Hash over the content of all cases in order, the size and the version of the preprocessing."""
    settings: dict[str, object] = {"image_size": dataset.settings.image_size, "preprocess": fit.VERSION}
    settings |= {key: value for key in SHAPING if (value := getattr(dataset.settings, key)) != getattr(DEFAULT, key)}
    settings |= {"flags": FLAGS} if _has_label_maps(dataset) else {}
    planes = [plane for case in dataset.cases if (plane := dataset.plane_of(case)) != dataset.settings.axis]
    settings |= {"planes": planes} if planes else {}
    pixels = {case.id: pixel for case in dataset.cases if (pixel := dataset.pixel_of(case)) != SQUARE}
    settings |= {"pixels": pixels} if pixels else {}
    content = [[fact.case_id, fact.image_hash, fact.mask_hash] for fact in dataset.facts]
    return sha256(json.dumps([settings, content]).encode()).hexdigest()[:24]


def open_cache(dataset: Dataset, progress: Progress | None = None) -> Cache:
    """Map the decoded cases, building the cache first where it is not there or is damaged.

    Raises UserError without space.
    """
    target = cache_folder(dataset.settings) / cache_key(dataset)
    return open_built(target, lambda folder: _read(dataset, folder), lambda folder: _fill(dataset, folder, progress))


def _read(dataset: Dataset, folder: Path) -> Cache | None:
    images, masks, rows = (np.load(folder / name, mmap_mode="r", allow_pickle=False) for name in NAMES)
    cache = Cache(images, masks, rows, first_rows(dataset))
    is_whole = _fits(cache, dataset) and read_json(folder / CHECKSUMS) == _checksums(cache)
    return cache if is_whole else None


def _fits(cache: Cache, dataset: Dataset) -> bool:
    layout = [(array.shape, array.dtype) for array in (cache.images, cache.masks, cache.rows)]
    return layout == [(shape, np.dtype(dtype)) for shape, dtype in _arrays(dataset)]


def _arrays(dataset: Dataset) -> list[tuple[tuple[int, ...], npt.DTypeLike]]:
    """Shape and type of images, masks and rows."""
    count, side = int(first_rows(dataset)[-1]), dataset.settings.image_size
    images, masks = (count, dataset.channels, side, side), (count, len(dataset.regions), side, side)
    flags = FLAGS if _has_label_maps(dataset) else FLAGS - 1
    return [(images, np.float16), (masks, np.uint8), ((count, flags), np.bool_)]


def _has_label_maps(dataset: Dataset) -> bool:
    return any(case.labels is not None for case in dataset.cases)


def first_rows(dataset: Dataset) -> npt.NDArray[np.intp]:
    """The row at which each case begins, and where the last one ends: `(cases + 1,)`."""
    pairs = zip(dataset.cases, dataset.facts, strict=True)
    counts = [count_slices(facts.shape, dataset.plane_of(case)) for case, facts in pairs]
    return np.concatenate([[0], np.cumsum(counts, dtype=np.intp)]).astype(np.intp)


def _checksums(cache: Cache) -> list[list[int]]:
    """Of the images, the masks and the rows, one number for each `CHUNK` rows."""
    return [checksums_of(array) for array in (cache.images, cache.masks, cache.rows)]


def _fill(dataset: Dataset, folder: Path, progress: Progress | None) -> None:
    count, side = len(dataset.cases), dataset.settings.image_size
    needed = sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in _arrays(dataset))
    require_space(folder.parent, needed, f"for the decoded cache of {count} cases at data.image_size {side}")
    images, masks, rows = (
        create_array(folder / name, dtype, shape) for name, (shape, dtype) in zip(NAMES, _arrays(dataset), strict=True)
    )
    cache = Cache(images, masks, rows, first_rows(dataset))
    spec = input_of(dataset)

    def store(case: Case) -> None:
        rows, plane = cache.rows_of(dataset.index[case.id]), dataset.plane_of(case)
        _store(cache, rows, dataset.read(case), spec.cut(plane))
        if cache.rows.shape[1] == FLAGS and (other_labels := dataset.read_other_labels(case)) is not None:
            cache.rows[rows.start : rows.stop, FLAGS - 1] = slices_with_any(other_labels, plane)

    list(map_cases(store, dataset.cases, progress))  # until all are there
    for array in (images, masks, rows):
        array.flush()
    write_json(folder / CHECKSUMS, _checksums(cache))


def _store(cache: Cache, rows: range, sample: Sample, spec: InputSpec) -> None:
    seen = prepare_input(sample.image, cache.images.shape[-1], spec, sample.grid.spacing_mm)
    masks = seen.truth(sample.truth)
    span = slice(rows.start, rows.stop)
    cache.images[span] = seen.planes.swapaxes(0, 1)
    cache.masks[span] = masks
    cache.shown[span] = True if sample.image.ndim == 3 else ~seen.blanks
    cache.marked[span] = masks.any((1, 2, 3))
