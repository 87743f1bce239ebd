"""What was found out of unchanged files, kept in the cache folder for the next command."""

import contextlib
import json
import os
import time
from collections.abc import Callable, Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from zlib import crc32

from tumorline.config import DataConfig
from tumorline.errors import WriteError
from tumorline.files import keep_newest, write_bytes
from tumorline.user_folders import default_folder

SETTLED_S = 2.0
"""A file that was written less than this ago may be written again without a later time stamp: nothing of it is kept."""


FORMAT = 3
"""Of the files that are kept; those of another are not looked at."""

LETTERS = 24
"""Of the hash in the name of such a file."""
MOST_KEPT = 50
"""Files of one kind, those used last: each change of a file, a setting or the version makes another."""

T = TypeVar("T")


def cache_folder(settings: DataConfig) -> Path:
    return Path(settings.cache or default_folder())


class Stamp(NamedTuple):
    """What tells that a file has changed; times in nanoseconds."""

    path: str
    size: int
    content_changed: int
    file_changed: int
    number: int


def stamps(files: Iterable[Path]) -> list[Stamp] | None:
    """Path, size, times of change of content and of file, and file number of each.

    Size and time stamp alone may be those of the file before, where a tool sets them. None where one cannot be read or
    has only just been written, by the time that the system keeps: a tool may have set any time of the content.
    """
    try:
        file_stamps = [_stamp(file) for file in files]
    except OSError:
        return None
    settled = (time.time() - SETTLED_S) * 1e9
    return file_stamps if all(stamp.file_changed < settled for stamp in file_stamps) else None


def _stamp(file: Path) -> Stamp:
    status = file.stat()
    return Stamp(str(file.resolve()), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


def remember(
    folder: Path,
    kind: str,
    key: Any,
    make: Callable[[], Any],
    understand: Callable[[Any], T],
    lasts: Callable[[Any], bool] = lambda _value: True,
) -> T:
    """What `understand` makes of the JSON value of a key.

    The value is made where it is not kept yet, is damaged or is not understood; a folder that cannot be written keeps
    nothing, and a value that does not last is not kept.
    """
    name = sha256(json.dumps([FORMAT, key], default=str).encode()).hexdigest()[:LETTERS]
    path = folder / f"{kind}-{name}.json"
    try:
        known = understand(_unpacked(_content_of(path), name))
    except Exception:
        value = make()
    else:
        with contextlib.suppress(OSError):
            os.utime(path)  # used last
        return known
    if lasts(value):
        with contextlib.suppress(OSError, WriteError):
            write_bytes(path, _packed(value, name))
            keep_newest(folder, f"{kind}-{'[0-9a-f]' * LETTERS}.json", MOST_KEPT)
    return understand(value)


def _content_of(path: Path) -> bytes:
    """Of a regular file; a pipe would be waited for."""
    if not path.is_file():
        raise ValueError("no file")
    return path.read_bytes()


def _packed(value: Any, name: str) -> bytes:
    """A line with the checksum of what follows and of the name, so that a file under another one's name is noticed."""
    content = json.dumps(value).encode()
    return b"%08x\n" % crc32(content, crc32(name.encode())) + content


def _unpacked(text: bytes, name: str) -> Any:
    checksum, _, content = text.partition(b"\n")
    if int(checksum, 16) != crc32(content, crc32(name.encode())):
        raise ValueError("damaged, or of another key")
    return json.loads(content)
