"""Decoded cases at the network's size, memory-mapped.

The folder's name is a hash of the content and of every setting that shapes it. It is built under a temporary name
and renamed when whole: a run that is cut off leaves nothing that another would trust, and of two runs that build
the same cache at once the second finds the first one's and drops its own. Checksums tell damage: such a cache is made
again.
"""

import contextlib
import json
import math
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tumorline.config import DataConfig
from tumorline.data.case import Case, map_by_volume
from tumorline.data.dataset import Dataset
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.files import allocate, read_json, require_space, write_json
from tumorline.model_info import InputSpec
from tumorline.network_input import fit
from tumorline.network_input.windows import count_slices, input_of, prepare_input, truth_to_network
from tumorline.user_folders import default_folder

IMAGES, MASKS, ROWS, CHECKSUMS = "images.npy", "masks.npy", "rows.npy", "checksums.json"
NAMES = (IMAGES, MASKS, ROWS)
SHAPING = ("axis", "normalisation", "regions")
"""Settings that shape what the network sees of volumes; those that are as they always were are no part of the key."""
CHUNK = 64
DEFAULT = DataConfig()
ABANDONED_S = 24 * 3600
ATTEMPTS = 3
"""A cache that is damaged, or put away by another process at the same moment, is made again so often."""


@dataclass(frozen=True)
class Cache:
    """A row for each slice of each case, in the data set's order and from the first slice on; a picture is one.

    Images `(rows, C, S, S)` float16 and masks `(rows, R, S, S)` uint8 in {0, 1}.
    """

    images: npt.NDArray[np.float16]
    masks: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.bool_]
    """`(rows, 2)`: whether a slice shows anything, and whether a region is in it. A picture always counts as shown."""
    begins: npt.NDArray[np.intp]
    """The row at which each case begins, and where the last one ends."""

    @property
    def shown(self) -> npt.NDArray[np.bool_]:
        return self.rows[:, 0]

    @property
    def marked(self) -> npt.NDArray[np.bool_]:
        return self.rows[:, 1]

    def rows_of(self, case: int) -> range:
        """Of the case at a position of the data set."""
        return range(int(self.begins[case]), int(self.begins[case + 1]))


def cache_key(dataset: Dataset) -> str:
    """Hash over the content of all cases in order, the size and the version of the preprocessing."""
    settings = {"image_size": dataset.settings.image_size, "preprocess": fit.VERSION}
    settings |= {key: value for key in SHAPING if (value := getattr(dataset.settings, key)) != getattr(DEFAULT, key)}
    content = [[fact.case_id, fact.image_hash, fact.mask_hash] for fact in dataset.facts]
    return sha256(json.dumps([settings, content]).encode()).hexdigest()[:24]


def open_cache(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> Cache:
    """Map the decoded cases, building the cache first where it is not there or is damaged.

    Raises UserError without space.
    """
    folder = Path(dataset.settings.cache or default_folder())
    target = folder / cache_key(dataset)
    for _ in range(ATTEMPTS):
        if cache := _mapped(dataset, target):
            return cache
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)
            _build(dataset, target, progress)
        except OSError as error:
            raise UserError(f"{folder}: cannot write the decoded cache ({error}); set data.cache") from None
    raise UserError(f"{target}: damaged as soon as it is written; set data.cache to a folder on another disk")


def _mapped(dataset: Dataset, target: Path) -> Cache | None:
    """The cache that is there; None where there is none, or none that is whole, which is then put away."""
    if not target.exists():
        return None
    try:
        images, masks, rows = (np.load(target / name, mmap_mode="r", allow_pickle=False) for name in NAMES)
        cache = Cache(images, masks, rows, first_rows(dataset))
        checksums = read_json(target / CHECKSUMS)
    except Exception:  # whatever it is that cannot be read is made again
        cache, checksums = None, None
    if cache and _fits(cache, dataset) and checksums == _checksums(cache):
        return cache
    _put_away(target)
    return None


def _fits(cache: Cache, dataset: Dataset) -> bool:
    found = [(array.shape, array.dtype) for array in (cache.images, cache.masks, cache.rows)]
    return found == [(shape, np.dtype(dtype)) for shape, dtype in _arrays(dataset)]


def _arrays(dataset: Dataset) -> list[tuple[tuple[int, ...], npt.DTypeLike]]:
    """Shape and type of images, masks and rows."""
    count, side = int(first_rows(dataset)[-1]), dataset.settings.image_size
    images, masks = (count, dataset.channels, side, side), (count, len(dataset.regions), side, side)
    return [(images, np.float16), (masks, np.uint8), ((count, 2), np.bool_)]


def first_rows(dataset: Dataset) -> npt.NDArray[np.intp]:
    """The row at which each case begins, and where the last one ends: `(cases + 1,)`."""
    counts = [count_slices(facts.shape, dataset.settings.axis) for facts in dataset.facts]
    return np.concatenate([[0], np.cumsum(counts, dtype=np.intp)]).astype(np.intp)


def _checksums(cache: Cache) -> list[list[int]]:
    """Of the images, the masks and the rows, one number for each `CHUNK` rows."""
    return [_checksums_of(array) for array in (cache.images, cache.masks, cache.rows)]


def _checksums_of(array: npt.NDArray[Any]) -> list[int]:
    chunks = (array[start : start + CHUNK] for start in range(0, len(array), CHUNK))
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda chunk: crc32(chunk.data), chunks))


def _put_away(target: Path) -> None:
    """Remove a damaged cache; whoever has it mapped keeps what he has."""
    aside = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    with contextlib.suppress(FileNotFoundError):
        target.rename(aside / "damaged")
    shutil.rmtree(aside, ignore_errors=True)


def _build(dataset: Dataset, target: Path, progress: Callable[[int, int], None] | None) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        _fill(dataset, temporary, progress)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _fill(dataset: Dataset, folder: Path, progress: Callable[[int, int], None] | None) -> None:
    count, side = len(dataset.cases), dataset.settings.image_size
    needed = sum(math.prod(shape) * np.dtype(dtype).itemsize for shape, dtype in _arrays(dataset))
    require_space(folder.parent, needed, f"for the decoded cache of {count} cases at data.image_size {side}")
    images, masks, rows = (
        _create(folder / name, dtype, shape) for name, (shape, dtype) in zip(NAMES, _arrays(dataset), strict=True)
    )
    cache = Cache(images, masks, rows, first_rows(dataset))
    spec = input_of(dataset)

    def store(case: Case) -> None:
        _store(cache, cache.rows_of(dataset.index[case.id]), dataset.read(case), spec)

    for done, _ in enumerate(map_by_volume(store, dataset.cases), start=1):
        if progress:
            progress(done, count)
    for array in (images, masks, rows):
        array.flush()
    write_json(folder / CHECKSUMS, _checksums(cache))


def _store(cache: Cache, rows: range, sample: Sample, spec: InputSpec) -> None:
    seen = prepare_input(sample.image, cache.images.shape[-1], spec)
    masks = truth_to_network(sample.truth, cache.masks.shape[-1], spec)
    place = slice(rows.start, rows.stop)
    cache.images[place] = seen.planes.swapaxes(0, 1)
    cache.masks[place] = masks
    cache.shown[place] = True if sample.image.ndim == 3 else ~seen.blanks
    cache.marked[place] = masks.any((1, 2, 3))


def _create(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A new array on the disk, which has kept room for all of it: a map that ran out of disk would kill the process."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        allocate(file, file.tell() + math.prod(shape) * np.dtype(dtype).itemsize)
    return np.lib.format.open_memmap(path, mode="r+")


def _remove_abandoned(folder: Path) -> None:
    for leftover in folder.glob(".building-*"):
        if time.time() - os.stat(leftover).st_mtime > ABANDONED_S:
            shutil.rmtree(leftover, ignore_errors=True)
