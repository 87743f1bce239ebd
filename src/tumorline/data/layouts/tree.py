"""All files below a folder: links followed, loops caught, litter of systems passed over, locked folders named."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from tumorline.data.finding import Finding
from tumorline.output.journal import JOURNAL_NAME

SYSTEM_NAMES = {
    "__macosx",
    "__pycache__",
    "@eadir",
    "@recently-snapshot",
    "@recycle",
    "@sharebin",
    "@synoresource",
    "@tmp",
    "#recycle",
    "#snapshot",
    "$recycle.bin",
    "~snapshot",
    "desktop.ini",
    "ehthumbs.db",
    "icon\r",
    "lost+found",
    "network trash folder",
    "recycler",
    "system volume information",
    "temporary items",
    "thumbs.db",
}
"""Folders and files of network storage and operating systems, in lower case; hidden names are passed over as well."""
MOST_WAYS = 8
"""Ways through links by which one folder is listed; more are a knot that would never end."""

Identity = tuple[int, int]


class Tree(NamedTuple):
    files: tuple[Path, ...]
    findings: tuple[Finding, ...]
    """Folders that could not be listed (errors) and links that lead back (notes)."""


class _Folder(NamedTuple):
    path: Path
    above: frozenset[Identity]


def list_tree(root: Path) -> Tree:
    """The regular files below `root`, sorted, without those of Tumorline's own folders of results.

    A link to nothing counts as a file, so that whoever reads it names it.
    """
    files: list[Path] = []
    findings: list[Finding] = []
    ways: Counter[Identity] = Counter()
    waiting = [_Folder(root, frozenset())]
    while waiting:
        folder = waiting.pop()
        try:
            identity = _identity(folder.path)
            if note := _refuse(folder, identity, ways):
                findings.append(note)
                continue
            child_files, child_folders = ([], []) if _holds_results(folder) else _listed(folder.path)
        except OSError as error:
            findings.append(_locked(folder.path, error))
            continue
        files += child_files
        waiting += [_Folder(path, folder.above | {identity}) for path in child_folders]
    return Tree(tuple(sorted(files)), tuple(sorted(findings, key=lambda finding: finding.message)))


def is_passed_over(name: str) -> bool:
    return name.startswith(".") or name.casefold() in SYSTEM_NAMES


def _listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """Files and folders in a folder. Raises OSError where it cannot be listed."""
    files, folders = [], []
    with os.scandir(folder) as entries:
        for entry in entries:
            if is_passed_over(entry.name):
                continue
            if _is_folder(entry):
                folders.append(Path(entry.path))
            elif _is_file(entry):
                files.append(Path(entry.path))
    return files, folders


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link into itself
        return False


def _is_file(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:
        return True


def _holds_results(folder: _Folder) -> bool:
    """Whether results of Tumorline lie among the data there; where they are asked for by name they are files."""
    return bool(folder.above) and (folder.path / JOURNAL_NAME).is_file()


def _identity(folder: Path) -> Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _refuse(folder: _Folder, identity: Identity, ways: Counter[Identity]) -> Finding | None:
    ways[identity] += 1
    if identity in folder.above:
        message = f"{folder.path}: this link leads back to a folder above it and is passed over"
        return Finding("link_loop", "info", message, (str(folder.path),))
    if ways[identity] > MOST_WAYS:
        message = f"{folder.path}: links lead to this folder in more than {MOST_WAYS} ways; remove some of them"
        return Finding("link_loop", "error", message, (str(folder.path),))
    return None


def _locked(folder: Path, error: OSError) -> Finding:
    message = f"{folder}: this folder cannot be listed ({error.strerror}), so its files are not read"
    return Finding("locked", "error", message, (str(folder),))


def folders_above(files: tuple[Path, ...], root: Path) -> Iterator[Path]:
    """Each folder between `root` and the files once, `root` included."""
    seen = set()
    for file in files:
        for folder in file.parents:
            if folder in seen:
                break
            seen.add(folder)
            yield folder
            if folder == root:
                break


def below_shared_folder(path: Path, other: Path) -> str:
    """A path as it is seen from the innermost folder that both lie in; the whole path where they share none."""
    shared = next((folder for folder in other.parents if path.is_relative_to(folder)), None)
    return path.relative_to(shared).as_posix() if shared else str(path)


def common_folder(paths: Iterable[Path]) -> Path:
    """The folder below which all files lie."""
    folders = [path.parent for path in paths]
    if len({folder.is_absolute() for folder in folders}) > 1:
        folders = [folder.absolute() for folder in folders]
    return Path(os.path.commonpath(folders))
