"""Decoded cases at the network's size, memory-mapped.

The folder's name is a hash of the content and of every setting that shapes it. It is built under a temporary name
and renamed when whole: a run that is cut off leaves nothing that another would trust, and of two runs that build
the same cache at once the second finds the first one's and drops its own.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tumorline.data import preprocess
from tumorline.data.dataset import Dataset
from tumorline.data.remember import default_folder
from tumorline.errors import UserError

ABANDONED_S = 24 * 3600


@dataclass(frozen=True)
class Cache:
    """Images `(N, C, S, S)` float16 and masks `(N, 1, S, S)` uint8 in {0, 1}, in the data set's order."""

    images: npt.NDArray[np.float16]
    masks: npt.NDArray[np.uint8]


def cache_key(dataset: Dataset) -> str:
    """Hash over the content of all cases in order, the size and the version of the preprocessing."""
    settings = {"image_size": dataset.settings.image_size, "preprocess": preprocess.VERSION}
    content = [[fact.case_id, fact.image_hash, fact.mask_hash] for fact in dataset.facts]
    return sha256(json.dumps([settings, content]).encode()).hexdigest()[:24]


def open_cache(dataset: Dataset, progress: Callable[[int, int], None] | None = None) -> Cache:
    """Map the decoded cases, building the cache first where it is not there. Raises UserError without space."""
    folder = Path(dataset.settings.cache or default_folder())
    target = folder / cache_key(dataset)
    if not target.is_dir():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)
            _build(dataset, target, progress)
        except OSError as error:
            raise UserError(f"{folder}: cannot write the decoded cache ({error}); set data.cache") from None
    return Cache(np.load(target / "images.npy", mmap_mode="r"), np.load(target / "masks.npy", mmap_mode="r"))


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
    images = _create(folder / "images.npy", np.float16, (count, dataset.channels, side, side))
    masks = _create(folder / "masks.npy", np.uint8, (count, 1, side, side))

    def store(position: int) -> None:
        image, mask = dataset.read(dataset.cases[position])
        images[position] = preprocess.to_network(image, side)[0]
        masks[position] = preprocess.mask_to_network(mask, side)

    with ThreadPoolExecutor() as pool:
        for done, _ in enumerate(pool.map(store, range(count)), start=1):
            if progress:
                progress(done, count)
    images.flush()
    masks.flush()


def _create(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    needed = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if shutil.disk_usage(path.parent).free < needed:
        raise OSError(f"{needed / 2**20:.0f} MiB are needed")
    return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)


def _remove_abandoned(folder: Path) -> None:
    for leftover in folder.glob(".building-*"):
        if time.time() - os.stat(leftover).st_mtime > ABANDONED_S:
            shutil.rmtree(leftover, ignore_errors=True)
