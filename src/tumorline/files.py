"""Files that are either whole or not there: written to a temporary name, flushed, renamed."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from glob import escape
from pathlib import Path
from secrets import token_hex
from typing import Any, BinaryIO

from filelock import FileLock, Timeout

from tumorline.errors import UserError, WriteError
from tumorline.escaping import from_cell, to_cell

LOCK_NAME = ".lock"
ZEROS = 1 << 24
FULL = "make room, or choose a folder on another disk"
NOT_ALLOWED = "choose another folder"
IN_THE_WAY = "a file is where a folder should be, or a folder where a file should be; choose another name"
CURES = {
    errno.ENOSPC: FULL,
    errno.EDQUOT: FULL,
    errno.EFBIG: "it is larger than the limit on the size of files (ulimit -f)",
    errno.EACCES: NOT_ALLOWED,
    errno.EPERM: NOT_ALLOWED,
    errno.EROFS: NOT_ALLOWED,
    errno.ENOTDIR: IN_THE_WAY,
    errno.EISDIR: IN_THE_WAY,
    errno.EEXIST: IN_THE_WAY,
    errno.ENAMETOOLONG: "shorten the name",
    errno.EILSEQ: "this disk takes no such name; rename the file that it comes from",
}
ONLY_THIS_FILE = (errno.ENAMETOOLONG, errno.EILSEQ, errno.EISDIR)
SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
"""How libraries written in Rust, such as safetensors, quote the number of a system's error."""
LONGEST_FILE_NAME = 220
"""In bytes, so that a temporary name still fits into the 255 of most file systems."""

JsonObject = dict[str, Any]
"""An object of JSON, about to be written or just read: numbers, texts, lists and objects below it by key."""


def _admit_all(_temporary: Path, _path: Path) -> None:
    """The default: any file may be replaced."""


admit_file: ContextVar[Callable[[Path, Path], None]] = ContextVar("admit_file", default=_admit_all)
"""Called with the temporary path of a finished file and the one that it is about to get; may refuse."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same folder; rename it to `path` once the block has succeeded.

    Raises WriteError where the system refuses any of it; nothing is then left behind.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".{path.name[:20]}.{token_hex(8)}.part"
        temporary.touch(exist_ok=False)
        mode = temporary.stat().st_mode  # what the umask leaves
        try:
            yield temporary
            flush(temporary)
            temporary.chmod(mode)  # a library may have put a file of its own in its place
            admit_file.get()(temporary, path)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system refuses within becomes one WriteError about `path`."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = _system_error(error)
        if number is None:
            raise
        why = os.strerror(number) if number else str(error)
        cure = f"; {CURES[number]}" if number in CURES else ""
        raise WriteError(f"{path}: cannot be written ({why}){cure}", only_this=number in ONLY_THIS_FILE) from error


def _system_error(error: Exception) -> int | None:
    """The number of the system's error; 0 where it is not known, None for errors of another kind."""
    quoted = SYSTEM_ERROR.search(str(error))
    if isinstance(error, OSError):
        return error.errno or 0
    return int(quoted[1]) if quoted else None


def require_writable(folder: Path) -> None:
    """Make the folder where it is not there. Raises WriteError where no file can be written in it."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass


def refuse_links_outside(folder: Path) -> None:
    """Raise UserError where a symbolic link in a folder of ours leads out of it: what is written would land there."""
    root = folder.resolve()
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in (*folders, *files)):
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                raise UserError(f"{path}: a symbolic link out of its folder, where nothing is written; remove it")


@contextlib.contextmanager
def alone_in(folder: Path, wait_s: float = 0) -> Iterator[FileLock]:
    """Hold a folder's lock, which ends with the process at the latest.

    Raises UserError where another one holds it for longer than `wait_s`.
    """
    require_writable(folder)
    refuse_links_outside(folder)
    lock = FileLock(folder / LOCK_NAME, timeout=wait_s)
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


def is_at_work(folder: Path) -> bool:
    """Whether a process holds a folder's lock; of a folder that may not be written, nobody does that is known of."""
    if not (folder / LOCK_NAME).exists():
        return False
    lock = FileLock(folder / LOCK_NAME, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        return True
    except OSError:
        return False
    lock.release()
    return False


@contextlib.contextmanager
def work_beside(target: Path) -> Iterator[Path]:
    """An empty folder on the disk of `target`, gone after the block; removes what killed processes left of theirs."""
    require_writable(target.parent)
    prefix = f".{target.name[:20]}.{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:8]}."
    for leftover in target.parent.glob(f"{escape(prefix)}*.part"):
        _remove_abandoned(leftover)
    held = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=target.parent))
    try:
        with alone_in(held):
            (work := held / "work").mkdir()
            yield work
    finally:
        shutil.rmtree(held, ignore_errors=True)


def _remove_abandoned(held: Path) -> None:
    """Remove a folder of `work_beside` unless its process is at work; before it has its lock it is left alone."""
    if not held.is_symlink() and (held / LOCK_NAME).exists() and not is_at_work(held):
        shutil.rmtree(held, ignore_errors=True)


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left of files that it had not finished."""
    for leftover in [*folder.rglob(".*.part")]:
        if leftover.is_dir():
            _remove_abandoned(leftover)
        else:
            leftover.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """A lock, or a file that a killed process had not finished."""
    return path.name == LOCK_NAME or (path.name.startswith(".") and path.suffix == ".part")


def remove_content(folder: Path) -> None:
    """Empty a folder, but for the lock that is held on it."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK_NAME:
            path.unlink()


def allocate(file: BinaryIO, size: int) -> None:
    """Have the disk keep room for `size` bytes of a new file, which a memory map can then write without running out.

    Raises OSError where there is none.
    """
    if hasattr(os, "posix_fallocate"):
        file.flush()
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(file.tell(), size, ZEROS):
        file.write(bytes(min(ZEROS, size - start)))


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


def keep_newest(folder: Path, pattern: str, most: int) -> None:
    """Remove the files of a pattern but for those that were changed last."""
    newest_first = sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in newest_first[most:]:
        path.unlink(missing_ok=True)


def sort_metadata(path: Path) -> None:
    """Put the texts in the header of a `.safetensors` file in order: the library writes them in a random one."""
    with path.open("rb+") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        if len(text) <= length:
            file.seek(8)
            file.write(text.ljust(length))


def write_bytes(path: Path, content: bytes) -> None:
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    try:
        encoded = content.encode()
    except UnicodeEncodeError as error:
        name = ascii(content[max(error.start - 20, 0) : error.end])
        raise UserError(f"{path}: a name that is not UTF-8 cannot be written here ({name}); rename it") from None
    write_bytes(path, encoded)


def write_json(path: Path, content: Any) -> None:
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as CSV; None becomes an empty cell, columns that a row lacks too.

    Texts that a spreadsheet or a terminal would act on are escaped; `read_csv` gives them back as they were.
    """
    text = io.StringIO()
    names = list(columns)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(to_cell, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    write_text(path, text.getvalue())


def _cell(value: Any) -> str:
    return "" if value is None else to_cell(str(value))


def _original(cell: Any) -> Any:
    """A row that is too short has None in it, one that is too long a list."""
    return from_cell(cell) if isinstance(cell, str) else cell


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file as dictionaries of strings (a byte order mark is ignored), as `write_csv` was given them."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [{_original(key): _original(cell) for key, cell in row.items()} for row in csv.DictReader(file)]


def fit_file_name(stem: str, ending: str) -> str:
    """`<stem><ending>`, or where that is too long for a file its beginning with a hash of all of it."""
    raw = os.fsencode(stem)
    if len(raw) + len(ending) <= LONGEST_FILE_NAME:
        return stem + ending
    digest = hashlib.sha256(raw).hexdigest()[:12]
    room = LONGEST_FILE_NAME - len(ending) - len(digest) - 1
    return f"{raw[:room].decode(errors='ignore')}-{digest}{ending}"


def append_line(path: Path, content: Mapping[str, Any]) -> None:
    """Append one JSON object as a line, whole or not at all; what a killed process left stays a line of its own."""
    line = memoryview(json.dumps(content).encode() + b"\n")
    with writing(path), path.open("a+b", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        try:
            if _ends_within_a_line(file):
                file.write(b"\n")
            while line:
                line = line[file.write(line) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(size)
            raise


def _ends_within_a_line(file: io.FileIO) -> bool:
    if not file.tell():
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"
