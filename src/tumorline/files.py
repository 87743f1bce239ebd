"""Files that are either whole or not there: written to a temporary name, flushed, renamed."""

import contextlib
import csv
import io
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tumorline.errors import UserError

LOCK_NAME = ".lock"


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` once the block has succeeded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        flush(temporary)
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[FileLock]:
    """Hold a folder's lock, which ends with the process at the latest. Raises UserError where another one holds it."""
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UserError(f"{folder}: another process is at work there; wait for its end, or stop it") from None
    try:
        yield lock
    finally:
        with contextlib.suppress(OSError):  # Windows removes it on release
            (folder / LOCK_NAME).unlink()
        lock.release()


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left of files that it had not finished."""
    for leftover in folder.rglob(".*.part"):
        leftover.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Force a file's bytes to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise UserError where a folder's disk has fewer free bytes than needed."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        what = f"{needed / 1e6:.1f} MB are needed {purpose} and {free / 1e6:.1f} MB are free"
        raise UserError(f"{folder}: {what}; make room or choose a folder on another disk")


def write_bytes(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV; None becomes an empty cell, columns that a row lacks too."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file as dictionaries of strings (a byte order mark is ignored)."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [dict(row) for row in csv.DictReader(file)]


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append one JSON object as a line, in a single write."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content) + "\n")
        file.flush()
        os.fsync(file.fileno())
