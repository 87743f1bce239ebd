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

from tumorline.data.case import Case, map_by_volume
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.files import allocate, read_json, require_space, write_json
from tumorline.network_input import fit
from tumorline.user_folders import default_folder

IMAGES, MASKS, CHECKSUMS = "images.npy", "masks.npy", "checksums.json"
CHUNK = 64
ABANDONED_S = 24 * 3600
ATTEMPTS = 3
"""A cache that is damaged, or put away by another process at the same moment, is made again so often."""


@dataclass(frozen=True)
class Cache:
    """Images `(N, C, S, S)` float16 and masks `(N, 1, S, S)` uint8 in {0, 1}, in the data set's order."""

    images: npt.NDArray[np.float16]
    masks: npt.NDArray[np.uint8]


def cache_key(dataset: Dataset) -> str:
    """Hash over the content of all cases in order, the size and the version of the preprocessing."""
    settings = {"image_size": dataset.settings.image_size, "preprocess": fit.VERSION}
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
        cache = Cache(*(np.load(target / name, mmap_mode="r", allow_pickle=False) for name in (IMAGES, MASKS)))
        checksums = read_json(target / CHECKSUMS)
    except Exception:  # whatever it is that cannot be read is made again
        cache, checksums = None, None
    if cache and _fits(cache, dataset) and checksums == _checksums(cache):
        return cache
    _put_away(target)
    return None


def _fits(cache: Cache, dataset: Dataset) -> bool:
    count, side = len(dataset.cases), dataset.settings.image_size
    found = [(array.shape, array.dtype) for array in (cache.images, cache.masks)]
    images, masks = (count, dataset.channels, side, side), (count, 1, side, side)
    return found == [(images, np.dtype(np.float16)), (masks, np.dtype(np.uint8))]


def _checksums(cache: Cache) -> list[list[int]]:
    """Of the images and of the masks, one number for each `CHUNK` cases."""
    return [_checksums_of(array) for array in (cache.images, cache.masks)]


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
    needed = count * side**2 * (2 * dataset.channels + 1)
    require_space(folder.parent, needed, f"for the decoded cache of {count} cases at data.image_size {side}")
    images = _create(folder / IMAGES, np.float16, (count, dataset.channels, side, side))
    masks = _create(folder / MASKS, np.uint8, (count, 1, side, side))

    def store(case: Case) -> None:
        position, sample = dataset.index[case.id], dataset.read(case)
        images[position] = fit.to_network(sample.image, side)[0]
        masks[position] = fit.mask_to_network(sample.truth[0], side)

    for done, _ in enumerate(map_by_volume(store, dataset.cases), start=1):
        if progress:
            progress(done, count)
    images.flush()
    masks.flush()
    write_json(folder / CHECKSUMS, _checksums(Cache(images, masks)))


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
