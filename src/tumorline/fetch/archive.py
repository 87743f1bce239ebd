"""Zip files from elsewhere: all entries are checked before anything is written, and counted while they are written."""

import re
import stat
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path, PurePosixPath
from typing import IO
from unicodedata import normalize
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from tumorline.errors import UserError
from tumorline.files import require_space

CHUNK = 2**20
LOCAL_HEADER_BYTES = 30
ENCRYPTED = 0x1 | 0x40 | 0x2000
DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE)
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


@dataclass(frozen=True)
class Limits:
    """What an archive may unpack to. A blank mask shrinks 400 times, so that the ratio of small entries is free."""

    entries: int = 50_000
    size: int = 8 * 2**30
    ratio: int = 100
    small: int = 2**20


LIMITS = Limits()


@dataclass(frozen=True)
class Member:
    """One file of one archive."""

    archive: Path
    info: ZipInfo

    @property
    def name(self) -> str:
        return self.info.filename

    @property
    def fingerprint(self) -> tuple[int, int]:
        """Size in bytes and CRC-32."""
        return self.info.file_size, self.info.CRC


class ArchiveError(UserError):
    """An archive that must not or cannot be unpacked."""

    def __init__(self, archive: Path, reason: str) -> None:
        super().__init__(f"{archive.name}: {reason}")
        self.archive = archive


def read_members(archives: Sequence[Path], limits: Limits = LIMITS) -> list[Member]:
    """The files of all archives, none of which is written yet.

    Raises ArchiveError for anything but plain files and folders with portable names below the archive's root that
    unpack, over all archives together, within the limits.
    """
    members: list[Member] = []
    for archive in archives:
        with _reading(archive), ZipFile(archive) as content:
            entries = content.infolist()
            _check_sizes(archive, entries, limits)
            _check_places(archive, entries, content.start_dir)
        for entry in entries:
            if fault := _fault(entry):
                raise ArchiveError(archive, f"entry {_shown(entry.orig_filename)} {fault}; nothing was unpacked")
        check_tree(archive, [entry.filename for entry in entries])
        members += [Member(archive, entry) for entry in entries if not entry.is_dir()]
        _check_total(archive, [member.info for member in members], limits)
    return members


def name_fault(name: str) -> str:
    """Why a relative path with '/' must not become a file on any system; empty where it may."""
    parts = name.removesuffix("/").split("/")
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the folder ('..')"
    if FORBIDDEN.search(name):
        return "holds a character that some systems do not allow (backslash, drive letter, control character, ...)"
    if any(part.strip(" .") != part.lstrip(" .") or not part.strip(" .") for part in parts):
        return "has an empty part or one that ends in a dot or blank"
    if any(DEVICE.fullmatch(part) for part in parts):
        return "is a device name on Windows"
    if len(name) > 1000 or any(len(part.encode(errors="replace")) > 200 for part in parts):
        return "is too long"
    return ""


def check_tree(archive: Path, names: Iterable[str]) -> None:
    """Raise ArchiveError where two paths are one on some system, or where one is both file and folder."""
    seen: dict[str, tuple[str, bool]] = {}
    for name in names:
        path = PurePosixPath(name)
        count_before = len(seen)
        for node in (*reversed(path.parents[:-1]), path):
            entry = (str(node), node != path or name.endswith("/"))
            earlier = seen.setdefault(normalize("NFC", str(node)).casefold(), entry)
            if earlier != entry:
                clash = f"entries {_shown(earlier[0])} and {_shown(entry[0])}"
                raise ArchiveError(archive, f"{clash} clash (names differ by case only, or file and folder in one)")
        if count_before == len(seen) and not name.endswith("/"):
            raise ArchiveError(archive, f"entry {_shown(name)} is there twice; nothing was unpacked")


def extract(plan: Mapping[str, Member], folder: Path) -> None:
    """Write each member to its path below a new, empty folder.

    Raises ArchiveError where the content is not what the archive's directory says, UserError without disk space.
    """
    needed = sum(member.info.file_size for member in plan.values())
    require_space(folder.parent, needed, "to unpack")
    folder.mkdir()
    in_order = sorted(plan.items(), key=lambda item: (str(item[1].archive), item[1].info.header_offset))
    for archive, group in groupby(in_order, key=lambda item: item[1].archive):
        with _reading(archive), ZipFile(archive) as content:
            for name, member in group:
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                with content.open(member.info) as source, target.open("xb") as file:
                    _copy(source, file, member)


def _copy(source: IO[bytes], file: IO[bytes], member: Member) -> None:
    written = 0
    while chunk := source.read(CHUNK):
        written += len(chunk)
        if written > member.info.file_size:
            break
        file.write(chunk)
    if written != member.info.file_size:
        reason = f"entry {_shown(member.name)} has not the {member.info.file_size} bytes that the archive says"
        raise ArchiveError(member.archive, reason)


def _fault(entry: ZipInfo) -> str:
    """Why an entry must not be unpacked; empty where it may."""
    file_type = stat.S_IFMT(entry.external_attr >> 16)
    if fault := name_fault(entry.orig_filename):
        return fault
    if entry.orig_filename != entry.filename:
        return "has two names"
    if file_type not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or device, not a file"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        return f"is packed by method {entry.compress_type}; accepted are stored and deflated"
    return ""


def _check_sizes(archive: Path, entries: Sequence[ZipInfo], limits: Limits) -> None:
    if not entries:
        raise ArchiveError(archive, "holds no entries")
    for entry in entries:
        if entry.file_size > max(limits.small, limits.ratio * entry.compress_size):
            packed = f"unpacks {entry.compress_size} bytes to {entry.file_size}"
            raise ArchiveError(archive, f"entry {_shown(entry.filename)} {packed}; up to {limits.ratio} times is usual")


def _check_total(archive: Path, entries: Sequence[ZipInfo], limits: Limits) -> None:
    size, packed = sum(entry.file_size for entry in entries), sum(entry.compress_size for entry in entries)
    if len(entries) > limits.entries:
        raise ArchiveError(archive, f"holds {len(entries)} entries; at most {limits.entries} are accepted")
    if size > limits.size:
        raise ArchiveError(archive, f"unpacks to {size} bytes; at most {limits.size} are accepted")
    if size > max(limits.small, limits.ratio * packed):
        raise ArchiveError(archive, f"unpacks {packed} bytes to {size}; up to {limits.ratio} times is usual")


def _check_places(archive: Path, entries: Sequence[ZipInfo], directory: int) -> None:
    """Entries that share bytes are the mark of a bomb; a place before the file's begin is damage."""
    spans = [(entry.header_offset, LOCAL_HEADER_BYTES + entry.compress_size) for entry in entries]
    for (offset, size), (following, _) in pairwise([*sorted(spans), (directory, 0)]):
        if offset < 0 or offset + size > following:
            raise ArchiveError(archive, "entries overlap or lie outside of the file")


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 80 else f"{name[:77]}...")


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except (BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError) as error:
        raise ArchiveError(archive, f"not a whole zip file ({ascii(str(error)[:120])[1:-1]})") from None
