"""The journal of a folder of results: what the folder is for, which files were written there, which cases are done."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tumorline.files import JsonObject

JOURNAL_NAME = ".tumorline.jsonl"
HASHED_BYTES = 2**28
"""Of a longer file the beginning, the size and the time of change are hashed."""


@dataclass
class Journal:
    """What a folder's journal says."""

    command: str = ""
    identity: Mapping[str, Any] = field(default_factory=dict)
    hashes: dict[str, set[str]] = field(default_factory=dict)
    """All that were ever written under a relative path."""
    results: dict[str, Any] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    """By case that is done, the hash of what its result is made from."""
    earlier: set[str] = field(default_factory=set)
    """Files of results that are being replaced."""
    complete: bool = False

    def add(self, line: JsonObject) -> None:
        if isinstance(line.get("identity"), dict):
            self.command, self.identity = str(line.get("command")), line["identity"]
        if "file" in line:
            self.hashes.setdefault(str(line["file"]), set()).add(str(line.get("sha256")))
        if line.get("earlier"):
            self.earlier.add(str(line.get("file")))
        if "done" in line:
            self.results[str(line["done"])] = line.get("result")
            if line.get("content"):
                self.contents[str(line["done"])] = str(line["content"])
        self.complete = self.complete or line.get("complete") is True

    def wrote(self, folder: Path, path: Path) -> bool:
        """Whether a file below the folder is as Tumorline left it."""
        hashes = self.hashes.get(path.relative_to(folder).as_posix(), set())
        return bool(hashes) and path.is_file() and not path.is_symlink() and hash_file(path) in hashes


def read_journal(folder: Path) -> Journal | None:
    """A folder's journal; None where it has none. Lines that are cut off or not understood say nothing."""
    try:
        lines = (folder / JOURNAL_NAME).read_bytes().splitlines()
    except OSError:
        return None
    journal = Journal()
    for line in lines:
        with suppress(ValueError, RecursionError):
            if isinstance(content := json.loads(line), dict):
                journal.add(content)
    return journal


def files_below(folder: Path) -> Iterator[Path]:
    """All that is no folder; links are not followed."""
    for parent, folders, files in os.walk(folder):
        links = (name for name in folders if (Path(parent) / name).is_symlink())
        yield from (Path(parent) / name for name in sorted([*files, *links]))


def hash_file(path: Path) -> str:
    """Hash of a file's content, in bounded time."""
    with path.open("rb") as file:
        digest = hashlib.sha256(file.read(HASHED_BYTES))
        status = os.fstat(file.fileno())
    if status.st_size > HASHED_BYTES:
        digest.update(f"{status.st_size} {status.st_mtime_ns}".encode())
    return digest.hexdigest()


def hash_inputs(paths: Iterable[Path]) -> str:
    """One hash of names and contents; a file that cannot be opened counts by its name."""
    digest = hashlib.sha256()
    for path in paths:
        content = ""
        with suppress(OSError):
            content = hash_file(path) if path.is_file() else ""
        digest.update(f"{os.fsencode(path).hex()} {content}\n".encode())
    return digest.hexdigest()


def hash_settings(**settings: Any) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
