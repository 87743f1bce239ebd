"""Decoding one file gives its pixels or one line about it, whatever its bytes lead to and whatever size it states."""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from traceback import extract_tb

from tumorline.errors import ReadError, UserError

MAX_PIXELS = "TUMORLINE_MAX_PIXELS"
"""Environment variable with the most pixels or voxels of one file; the processes that a command starts inherit it."""
DEFAULT_MAX_PIXELS = 100_000_000
WIDEST_BYTES = 8
"""Of one number in a file."""
HEAD_BYTES = 4096
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

OF_THE_SYSTEM = {
    errno.EACCES,
    errno.EPERM,
    errno.ENOENT,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ESTALE,
    errno.ETIMEDOUT,
}
"""Numbers of errors that say nothing of what a file holds."""

log = logging.getLogger("tumorline")
"""What `--debug` shows."""


@contextmanager
def decode_one(path: Path, kind: str = "", quote: bool = True) -> Iterator[None]:
    """Whatever is raised while one file is decoded becomes a UserError of one line that names the file and the type.

    It is a ReadError where the system has not given the file. `kind` is what the file was taken for. Without `quote`
    the text of the error is left out, which may hold a name.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        log.debug("%s%s", path, "" if quote else _where(error), exc_info=error if quote else None)
        if isinstance(error, OSError) and error.errno in OF_THE_SYSTEM:
            raise ReadError(f"{path}: cannot be read ({os.strerror(error.errno)})") from None
        text = " ".join(str(error).split())[:200] if quote else ""
        cause = f"{type(error).__name__}: {text}" if text else type(error).__name__
        message = f"{path}: unreadable or truncated{kind and ' '}{kind} ({cause})"
        refused = ReadError if isinstance(error, MemoryError) else UserError
        raise refused(message) from (error if quote else None)


def _where(error: Exception) -> str:
    """The way to an error and its type, without its text and values, which may hold a name."""
    lines = [f" {frame.filename}:{frame.lineno} in {frame.name};" for frame in extract_tb(error.__traceback__)]
    return f": {type(error).__name__};" + "".join(lines)


def require_kind(path: Path) -> None:
    """Raise UserError for what is there and is no regular file."""
    file_type = stat.S_IFMT(path.stat().st_mode)
    if file_type != stat.S_IFREG:
        raise UserError(f"{path}: {KINDS.get(file_type, 'something else')}; expected a regular file")


def require_regular(path: Path) -> None:
    """Raise UserError for what is no regular file, for an empty one, and for one too large to hold what is accepted."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    require_kind(path)
    if not status.st_size:
        raise UserError(f"{path}: an empty file")
    if status.st_size > max_bytes():
        raise UserError(f"{path}: a file of {status.st_size:,} bytes; {_limit(-(-status.st_size // WIDEST_BYTES))}")


def read_head(path: Path, count: int = HEAD_BYTES) -> bytes:
    """The first bytes of a file; none where it is no file or cannot be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(count)
    except OSError:
        return b""


def require_size(path: Path, *sides: int) -> None:
    """Raise UserError where sides, as a header states them, are no sizes or multiply to more than is accepted."""
    size = " x ".join(str(side) for side in sides)
    if min(sides, default=0) < 1:
        raise UserError(f"{path}: a size of {size}; expected sides of 1 and more")
    if prod(sides) > max_pixels():
        raise UserError(f"{path}: a size of {size}; {_limit(prod(sides))}")


def max_pixels() -> int:
    """Most pixels or voxels of one file. Raises UserError where the setting is no positive number."""
    text = os.environ.get(MAX_PIXELS, "")
    if text and not (text.isdecimal() and int(text)):
        raise UserError(f"{MAX_PIXELS} is '{text}'; expected a whole number of pixels, 1 or more")
    return int(text or DEFAULT_MAX_PIXELS)


def max_bytes() -> int:
    """Most bytes of one file, and of what is inflated from it."""
    return WIDEST_BYTES * max_pixels()


def _limit(needed: int) -> str:
    trusted = f"where the file is trusted, give tumorline --max-pixels {needed} before the command"
    return f"at most {max_pixels():,} pixels are read; {trusted}"
