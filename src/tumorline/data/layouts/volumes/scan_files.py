"""Which volumes of a folder make a scan: its sequences and its truth, told by their names."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import OTHER_ORGANS, folder_words
from tumorline.data.layouts.volumes.nnunet import is_in_nnunet_folder
from tumorline.data.layouts.volumes.volume_names import (
    NAME,
    PLAIN_MASK,
    PLAIN_TRUTHS,
    TRUTHS,
    Stated,
    read_volume_name,
    visits_among,
)
from tumorline.formats.nifti import without_volume_suffix

Read = dict[Path, Stated]
ALL_TRUTHS = (*TRUTHS, *PLAIN_TRUTHS)


@dataclass
class ScanFiles:
    """The volumes of one scan, which may be a patient's visit, by the word that each name ends in."""

    by_word: dict[str, Path] = field(default_factory=dict)
    twice: list[Path] = field(default_factory=list)
    """Further files of a word that another has."""

    @property
    def paths(self) -> tuple[Path, ...]:
        return (*self.by_word.values(), *self.twice)

    @property
    def truth(self) -> Path | None:
        return next((self.by_word[word] for word in ALL_TRUTHS if word in self.by_word), None)


def scans_by_name(contents: Contents) -> tuple[dict[str, ScanFiles], list[Finding]]:
    """The files of each scan, with a note for each truth of another name that was taken for a scan's."""
    scans: dict[str, ScanFiles] = {}
    for path, stated in _read_names(contents).items():
        scan = scans.setdefault(stated.scan, ScanFiles())
        if scan.by_word.setdefault(stated.word, path) != path:
            scan.twice.append(path)
    return _with_lonely_truths(scans)


def _read_names(contents: Contents) -> Read:
    """What names state of sequences and truths; in the plain words for a mask only where no other truth is there."""
    visits = visits_among(path.name for path in contents.volumes)
    volumes = [path for path in contents.volumes if not is_in_nnunet_folder(path)]
    read = {path: stated for path in volumes if (stated := read_volume_name(path.name, visits)).word}
    read = _without_other_masks(_without_pairs(read))
    if not any(stated.word in TRUTHS for stated in read.values()):
        read |= _plain_masks(volumes, read)
    return _with_folders_as_scans(contents.path, read)


def _without_pairs(read: Read) -> Read:
    """Without images beside `X_seg` that are called X."""
    truths = {stated.scan for stated in read.values() if stated.word in TRUTHS}
    return {
        path: stated
        for path, stated in read.items()
        if NAME.fullmatch(path.name) or without_volume_suffix(path.name) not in truths
    }


def _without_other_masks(read: Read) -> Read:
    """Without masks of a brain or head, which no scan of their name has."""
    scans = {stated.scan for stated in read.values() if stated.word not in TRUTHS}
    return {path: stated for path, stated in read.items() if stated.scan in scans or not _marks_another_organ(stated)}


def _marks_another_organ(stated: Stated) -> bool:
    says_tumour = "tum" in stated.word
    return stated.word in ALL_TRUTHS and not says_tumour and bool(OTHER_ORGANS & {*folder_words(stated.scan)})


def _plain_masks(volumes: Collection[Path], read: Mapping[Path, Stated]) -> Read:
    """Files called by a scan and a plain word for a mask, as `A_mask`; or by this word alone beside bare sequences."""
    scans = {stated.scan for stated in read.values() if stated.scan}
    bare = {path.parent for path, stated in read.items() if not stated.scan}
    masks = {
        path: Stated(name["scan"] or "", name["word"].lower())
        for path in volumes
        if (name := PLAIN_MASK.fullmatch(path.name))
    }
    return {
        path: stated
        for path, stated in masks.items()
        if stated.scan in scans or (not stated.scan and path.parent in bare)
    }


def _with_folders_as_scans(root: Path, read: Read) -> Read:
    """Files called by their word alone are a scan called as their folder is, where a truth lies in such a folder."""
    scans = {stated.scan for stated in read.values() if stated.scan and stated.word not in ALL_TRUTHS}
    lonely = {path.parent for path, stated in read.items() if stated.word in ALL_TRUTHS and stated.scan not in scans}
    bare = {path.parent for path, stated in read.items() if not stated.scan and stated.word not in ALL_TRUTHS}
    if not lonely & bare:
        return {path: stated for path, stated in read.items() if stated.scan}
    return {
        path: stated if stated.scan else Stated(_called(root, path.parent), stated.word)
        for path, stated in read.items()
    }


def _called(root: Path, folder: Path) -> str:
    return root.resolve().name if folder == root else folder.relative_to(root).as_posix()


def _with_lonely_truths(scans: dict[str, ScanFiles]) -> tuple[dict[str, ScanFiles], list[Finding]]:
    """A truth that bears another name is that of the only scan in its folder, as in BraTS 2020."""
    lonely = {name: scan.truth for name, scan in scans.items() if scan.truth and len(scan.by_word) == 1}
    notes = []
    for name, truth in lonely.items():
        beside = [n for n, scan in scans.items() if n not in lonely and _lies_in(scan, truth.parent)]
        if len(beside) == 1 and not scans[beside[0]].truth:
            scans[beside[0]].by_word["seg"] = truth
            del scans[name]
            if not re.match(rf"{re.escape(name)}[-_. ]", beside[0]):
                notes.append(_adopted(truth, beside[0]))
    return scans, notes


def _adopted(truth: Path, scan: str) -> Finding:
    message = f"{truth}: read as the truth of {scan}, the only scan in its folder, though its name differs"
    return Finding("truth_of_other_name", "info", message, (str(truth),))


def _lies_in(scan: ScanFiles, folder: Path) -> bool:
    return any(path.parent == folder for path in scan.by_word.values())
