"""From the volumes of a scan to a case on one grid; the sequences and regions that such scans have."""

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding, unreadable
from tumorline.data.layouts.contents import Listing
from tumorline.data.layouts.unread_dicom import told_beside_volumes, told_of_folder
from tumorline.errors import UserError
from tumorline.formats.nifti import VolumeHeader, is_volume, read_volume_header
from tumorline.formats.unread import unread_file
from tumorline.geometry.grid import Grid
from tumorline.geometry.resample import share_covered
from tumorline.geometry.upright import upright_grid
from tumorline.regions import REGION
from tumorline.wording import numbered

T = TypeVar("T")
SEQUENCES = ("post_contrast", "pre_contrast", "t2", "flair")
CHANNELS = (*SEQUENCES, "all")
"""What `data.channel` may be, the default first."""
LONGEST_NAME = 50
"""Letters of a region's name."""
LEAST_COVERED = 0.5
"""Share of a scan's room that another of its files has to cover."""
TWO_PLACES, NO_PLACE = "two_places", "no_place"
"""Codes of files whose two affines disagree, and of those that have none."""
WITHOUT_PLACE = (
    "its header does not say how it lies (no sform, no qform): taken as from right to left, back to front, feet to head"
)
LABEL = "tumour_core"
"""Nearest to what is outlined on a picture after contrast, as in Cheng's set."""
FILE_WORDS = {
    "post_contrast": ("t1ce", "t1c", "t1gd", "t1ce_bias", "t1c_bias"),
    "pre_contrast": ("t1", "t1n", "t1_bias"),
    "t2": ("t2", "t2w", "t2_bias"),
    "flair": ("flair", "t2f", "flair_bias"),
}
"""What the names of a sequence's files end in; the first that is there is read."""
OTHER_WORDS = {
    "post_contrast": ("t1post", "t1contrast", "t1wce", "t1wgd", "ce", "postcontrast"),
    "pre_contrast": ("t1w", "precontrast", "t1flair", "t1wflair"),
    "flair": ("t2flair", "t2wflair", "fl"),
}
"""What people call a sequence elsewhere, as `plain_word` spells it."""
SEQUENCE_WORDS = {
    word.replace("_", ""): sequence
    for words_of in (FILE_WORDS, OTHER_WORDS)
    for sequence, words in words_of.items()
    for word in words
}
REGION_WORDS = {
    **dict.fromkeys(("wholetumour", "whole", "wt"), "whole_tumour"),
    **dict.fromkeys(("tumourcore", "tc"), "tumour_core"),
    **dict.fromkeys(("enhancingtumour", "enhancing", "et", "enhancingcore"), "enhancing_tumour"),
}


def wanted_sequences(settings: DataConfig) -> tuple[str, ...]:
    return settings.channels or (SEQUENCES if settings.channel == "all" else (settings.channel or SEQUENCES[0],))


def wanted_regions(settings: DataConfig) -> tuple[str, ...]:
    return settings.regions or (settings.label or LABEL,)


def plain_word(name: object) -> str:
    """A name in one spelling, without what is no letter or digit."""
    return in_one_spelling(re.sub(r"[^a-z0-9]", "", str(name).lower()))


def in_one_spelling(word: str) -> str:
    """British, of small letters."""
    return re.sub("tumou?rs?", "tumour", re.sub("o?edema", "oedema", word))


def region_meant(name: str) -> str:
    """BraTS's region or the tumour, where a name means it; else empty."""
    word = plain_word(name)
    return word if word == REGION else REGION_WORDS.get(word, "")


def region_of(name: str) -> str:
    """The region that a label means: `Cyst Fluid` is cyst_fluid, `Tumor Core` tumour_core; empty for other letters."""
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return region_meant(name) or re.sub(r"[^a-z0-9]+", "_", letters)[:LONGEST_NAME].strip("_")


def list_each(scans: Iterable[T], listed: Callable[[T], Listing]) -> Listing:
    """All scans as cases, each listed by one of a few threads."""
    with ThreadPoolExecutor() as pool:
        listings = list(pool.map(listed, scans))
    return [case for cases, _ in listings for case in cases], [finding for _, some in listings for finding in some]


def list_scan(whole: Case) -> Listing:
    """A scan as a case; an error where its volumes are unreadable or do not overlap."""
    try:
        return volume_of_scan(whole)
    except UserError as error:
        return [], [unreadable(error, *whole.files, stands_for=whole.id)]


def volume_of_scan(whole: Case) -> Listing:
    """A scan on the grid of its first channel, with a warning where other files lie on other grids."""
    _require_volumes(whole.files)
    headers = {path: read_volume_header(path) for path in dict.fromkeys(whole.files)}
    _require_frames(whole, headers)
    (first_path, first), *others = headers.items()
    apart, findings = {}, _doubtful_places(headers)
    for path, header in others:
        if first.grid.difference(header.grid):
            apart[path] = upright_grid(header.grid)
            find = resampled_finding if path in whole.images else resampled_truth_finding
            findings.append(find(first_path, path, (first.grid, header.grid)))
    grid = upright_grid(first.grid)
    return [replace(whole, is_volume=True, grid=grid, spacing_mm=grid.spacing_mm, apart=apart)], findings


def _require_volumes(files: Sequence[Path]) -> None:
    """Raise UserError for a file that is there and no NIfTI."""
    for path in files:
        if path.is_file() and not is_volume(path):
            other = f"{path}: no NIfTI, as the other files of its scan are; save it as .nii.gz"
            raise UserError(unread_file(path) or told_beside_volumes(path) or other)
        if folder := told_of_folder(path):
            raise UserError(folder)


def _doubtful_places(headers: dict[Path, VolumeHeader]) -> list[Finding]:
    """A warning of the files of a scan whose two affines disagree, and one of those that have none."""
    disagreeing = {
        path: f"its qform leads elsewhere than its sform, which is used: {header.contradiction}"
        for path, header in headers.items()
        if header.contradiction
    }
    without = {path: WITHOUT_PLACE for path, header in headers.items() if not header.is_placed}
    return [_doubtful(code, doubts) for code, doubts in ((TWO_PLACES, disagreeing), (NO_PLACE, without)) if doubts]


def _doubtful(code: str, doubts: dict[Path, str]) -> Finding:
    path, doubt = next(iter(doubts.items()))
    others = f" ({numbered(len(doubts) - 1, 'more file')} of this scan too)" if len(doubts) > 1 else ""
    return Finding(code, "warning", f"{path}: {doubt}{others}", tuple(map(str, doubts)))


def resampled_truth_finding(first: Path, path: Path, grids: tuple[Grid, Grid]) -> Finding:
    """The same of a truth, which may be cropped to what it marks as long as that lies in the image."""
    first_grid, grid = grids
    if share_covered(first_grid, grid) >= LEAST_COVERED or share_covered(grid, first_grid) < LEAST_COVERED:
        return resampled_finding(first, path, grids)
    where = f"resampled onto the grid of {name_beside(first, path)}, of which it is a part"
    message = f"{path}: {where}; what lies outside is background"
    return Finding("resampled", "warning", message, (str(path),))


def resampled_finding(first: Path, path: Path, grids: tuple[Grid, Grid]) -> Finding:
    """A note of what is resampled onto the first of two grids. Raises UserError where they hardly share any room."""
    first_grid, grid = grids
    if (covered := share_covered(first_grid, grid)) < LEAST_COVERED:
        raise UserError(
            f"{path}: lies elsewhere than {first}, of whose room it covers {covered:.0%}; volumes of one scan have to "
            "overlap, mend the affines"
        )
    message = f"{path}: resampled onto the grid of {name_beside(first, path)} ({first_grid.difference(grid)})"
    return Finding("resampled", "warning", message, (str(path),))


def name_beside(file: Path, other: Path) -> str:
    """A file's or folder's name, with the folders that tell it from another of this name."""
    if file.name != other.name or file == other:
        return file.name
    paths = [os.path.abspath(path) for path in (file, other)]
    return Path(os.path.relpath(paths[0], os.path.commonpath(paths))).as_posix()


def _require_frames(case: Case, headers: dict[Path, VolumeHeader]) -> None:
    for path, header in headers.items():
        frames = [frame for image, frame in zip(case.images, case.planes, strict=False) if image == path]
        if header.frames > 1 and not frames:
            raise UserError(f"{path}: holds {header.frames} frames; expected one volume")
        if frames and max(frames) >= header.frames:
            raise UserError(f"{path}: holds {header.frames} frames; expected {max(frames) + 1} at least")
