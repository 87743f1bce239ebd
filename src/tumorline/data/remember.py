"""What was found out of unchanged files, kept in the cache folder for the next command."""

import contextlib
import json
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import platformdirs

from tumorline.errors import WriteError
from tumorline.files import read_json, write_text

SETTLED_S = 2.0
"""A file that was written less than this ago may be written again without a later time stamp: nothing of it is kept."""


def default_folder() -> Path:
    return Path(platformdirs.user_cache_dir("tumorline"))


def stamps(files: Iterable[Path]) -> list[tuple[str, int, int]] | None:
    """Path, size and time of change of each; None where one cannot be read or has only just been written."""
    try:
        found = [
            (str(file.resolve()), status.st_size, status.st_mtime_ns) for file in files for status in [file.stat()]
        ]
    except OSError:
        return None
    settled = (time.time() - SETTLED_S) * 1e9
    return found if all(changed < settled for _, _, changed in found) else None


def remember(folder: Path, kind: str, key: Any, make: Callable[[], Any]) -> Any:
    """The JSON value of a key, made where it is not kept yet; a folder that cannot be written keeps nothing."""
    path = folder / f"{kind}-{sha256(json.dumps(key, default=str).encode()).hexdigest()[:24]}.json"
    try:
        return read_json(path)
    except (OSError, ValueError):
        value = make()
    with contextlib.suppress(OSError, WriteError):
        write_text(path, json.dumps(value))
    return value
