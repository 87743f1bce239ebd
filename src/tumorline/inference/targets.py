"""Under which names the results of files go that are called alike."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from tumorline.data.layouts.names import normalised
from tumorline.errors import UserError


def targets_apart(files: Sequence[Path], targets: Sequence[Path]) -> list[Path]:
    """A target for each file: of a second of one name by the file's name, of more by the folders that tell them apart.

    Names are one where they differ in capitals or in how accents are stored, as many systems hold them to be. Raises
    UserError where two would have the same results.
    """
    by_folders = _by_folders(files, targets)
    file_by_target: dict[Path, Path] = {}
    spelled: set[str] = set()
    for number, (file, target) in enumerate(zip(files, targets, strict=True)):
        target_apart = by_folders.get(number, target)
        if _spelling(target_apart) in spelled:
            target_apart = _by_file(file, target_apart)
        if target_apart in file_by_target:
            raise UserError(
                f"{file}: its results would overwrite those of {file_by_target[target_apart]}; predict them apart"
            )
        file_by_target[target_apart] = file
        spelled.add(_spelling(target_apart))
    return list(file_by_target)


def _spelling(target: Path) -> str:
    """One for all names that a system may take for one."""
    return normalised(normalised(target.as_posix()).casefold())


def _by_file(file: Path, target: Path) -> Path:
    return target.with_name(file.name.replace(".", "_"))


def _by_folders(files: Sequence[Path], targets: Sequence[Path]) -> dict[int, Path]:
    """The targets, by number, of files of one target that their names do not tell apart."""
    groups: dict[str, list[int]] = defaultdict(list)
    for number, target in enumerate(targets):
        groups[_spelling(target)].append(number)
    by_folders: dict[int, Path] = {}
    for spelled, numbers in groups.items():
        by_file = (_spelling(_by_file(files[number], targets[number])) for number in numbers[1:])
        if len({spelled, *by_file}) < len(numbers):
            heads = _folders_apart([files[number] for number in numbers])
            by_folders |= {number: head / targets[number] for number, head in zip(numbers, heads, strict=True)}
    return by_folders


def _folders_apart(files: Sequence[Path]) -> list[Path]:
    """The first folders of each file that no other has, below what is common to all; none where they lie in one."""
    folders = [Path(os.path.abspath(file)).parent for file in files]
    common = os.path.commonpath(folders)
    below = [folder.relative_to(common).parts for folder in folders]
    for depth in range(1, max(map(len, below)) + 1):
        heads = [parts[:depth] for parts in below]
        if len({*heads}) == len(heads):
            return [Path(*head) for head in heads]
    return [Path()] * len(files)
