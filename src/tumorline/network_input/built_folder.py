"""Folders that are built once and then only read, such as a decoded cache.

A folder is built under a temporary name and renamed when whole: a run that is cut off leaves nothing that another would
trust, and of two runs that build the same folder at once the second finds the first one's and drops its own. What is
damaged is made again.
"""

import contextlib
import math
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tumorline.errors import UserError
from tumorline.files import allocate

ABANDONED_S = 24 * 3600
ATTEMPTS = 3
"""A folder that is damaged, or put away by another process at the same moment, is made again so often."""
CHUNK = 64
"""Entries of an array that have one checksum."""

T = TypeVar("T")


def open_built(target: Path, read: Callable[[Path], T | None], fill: Callable[[Path], None]) -> T:
    """What `read` gives of a folder, which `fill` builds first where it is not there or `read` finds it damaged.

    `read` gives None, or raises, for a damaged folder. Raises UserError without space.
    """
    folder = target.parent
    for _ in range(ATTEMPTS):
        contents = _read_whole(target, read)
        if contents is not None:
            return contents
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_abandoned(folder)
            _build(target, fill)
        except OSError as error:
            raise UserError(f"{folder}: cannot write the decoded cache ({error}); set data.cache") from None
    raise UserError(f"{target}: damaged as soon as it is written; set data.cache to a folder on another disk")


def create_array(path: Path, dtype: npt.DTypeLike, shape: tuple[int, ...]) -> np.memmap:
    """A new array on the disk, which has kept room for all of it: a map that ran out of disk would kill the process."""
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(dtype)), "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        allocate(file, file.tell() + math.prod(shape) * np.dtype(dtype).itemsize)
    return np.lib.format.open_memmap(path, mode="r+")


def checksums_of(array: npt.NDArray[Any]) -> list[int]:
    """One number for each `CHUNK` entries of the first axis."""
    chunks = (array[start : start + CHUNK] for start in range(0, len(array), CHUNK))
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda chunk: crc32(chunk.data), chunks))


def _read_whole(target: Path, read: Callable[[Path], T | None]) -> T | None:
    """None where there is no folder, or none that is whole, which is then put away."""
    if not target.exists():
        return None
    try:
        contents = read(target)
    except Exception:  # whatever it is that cannot be read is made again
        contents = None
    if contents is None:
        _put_away(target)
    return contents


def _put_away(target: Path) -> None:
    """Remove a damaged folder; whoever has its files mapped keeps what he has."""
    aside = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    with contextlib.suppress(FileNotFoundError):
        target.rename(aside / "damaged")
    shutil.rmtree(aside, ignore_errors=True)


def _build(target: Path, fill: Callable[[Path], None]) -> None:
    temporary = Path(tempfile.mkdtemp(prefix=".building-", dir=target.parent))
    try:
        fill(temporary)
        try:
            temporary.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    for leftover in folder.glob(".building-*"):
        with contextlib.suppress(FileNotFoundError):  # another process has finished it in this moment
            if time.time() - leftover.stat().st_mtime > ABANDONED_S:
                shutil.rmtree(leftover, ignore_errors=True)
