"""Masks in a folder of their own, as people correct them or another program draws them: whose case each is."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import name_below, normalised, read_mask_names
from tumorline.data.layouts.volumes.scan_case import resampled_truth_finding
from tumorline.errors import UserError
from tumorline.formats.decode import is_picture
from tumorline.formats.nifti import is_volume, read_volume_header
from tumorline.geometry.upright import upright_grid
from tumorline.regions import SAVED_BY_VIEWER, Labels, label_sets
from tumorline.user_text import written_path
from tumorline.wording import is_or_are, numbered

NAMES = "CASE_mask.png, of a volume CASE_seg.nii.gz"
COPY = re.compile(r" ?\(\d+\)")
"""What a browser adds to the name of a file where one of that name is there already."""
LONGEST_NAME = 120


@dataclass(frozen=True)
class MaskFolder:
    """A folder of masks as it was given."""

    written: str
    noun: str
    """What such a mask is called."""
    given_as: str
    """The key or option."""

    @property
    def path(self) -> Path:
        return written_path(self.written)


@dataclass
class MasksFound:
    """The files of each case; `strangers` are of none. More than one of a case is an error that findings name."""

    by_case: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    findings: list[Finding] = field(default_factory=list)
    strangers: list[Path] = field(default_factory=list)


def find_masks(folder: MaskFolder, source: Path, cases: Sequence[Case], called: Iterable[str]) -> MasksFound:
    """The masks of a folder by case; `called` are names of the source that may stand before those of cases.

    Raises UserError for a folder that is not there, lies among the data or holds no mask.
    """
    _require_folder_beside(source, folder)
    files, findings = _masks_in(folder)
    by_name = _cases_by_name(cases, called)
    found = MasksFound(findings=findings)
    for name, file in files.items():
        case_ids = next((ids for base in _bases(name) if (ids := by_name.get(base))), ())
        if len(case_ids) > 1:
            either = " or of ".join(sorted(case_ids))
            message = f"{file}: may be the {folder.noun} of {either}; put its folder's name first"
            found.findings.append(mask_error(message, file))
        elif case_ids:
            found.by_case[next(iter(case_ids))].append(file)
        else:
            found.strangers.append(file)
    return found


def stranger_findings(files: Iterable[Path], where: str, noun: str) -> list[Finding]:
    """An error for each mask that is of no case."""
    return [
        mask_error(f"{file}: the {noun} of no case of {where}; expected are names as {NAMES}", file) for file in files
    ]


def with_mask(case: Case, files: Sequence[Path], noun: str) -> tuple[Case, list[Finding]]:
    """The case with a mask in place of its truth. Raises UserError for what cannot be that of the case."""
    file, *more = files
    if more:
        raise UserError(f"{more[0]}: the {noun} of the same case as {file.name}, {case.id}; keep one of them")
    if case.is_volume != is_volume(file):
        expected, found = ("volume", "picture") if case.is_volume else ("picture", "volume")
        raise UserError(f"{file}: a {found}, but {case.id}, whose {noun} it is, is a {expected}")
    if case.grid is None:
        return replace(case, correction=file), []
    header = read_volume_header(file)
    if header.frames > 1:
        raise UserError(f"{file}: holds {header.frames} frames; expected one volume")
    _require_regions(case.labels, header.description, file)
    apart, findings = dict(case.apart), []
    grid = upright_grid(header.grid)
    if case.grid.difference(grid):
        apart[file] = grid
        findings.append(resampled_truth_finding(case.images[0], file, (case.grid, grid)))
    return replace(case, correction=file, apart=apart), findings


def mask_error(message: str, *files: Path, stands_for: str = "") -> Finding:
    return Finding("correction", "error", message, tuple(map(str, files)), stands_for)


def _require_regions(labels: Labels | None, description: str, file: Path) -> None:
    """Raise UserError where a file says that it outlines less, or something else, than what is read."""
    if labels is None or not description.startswith(SAVED_BY_VIEWER):
        return
    outlined, wanted = description.removeprefix(SAVED_BY_VIEWER), label_sets(labels.wanted)
    if lacking := [values for values in wanted.split(";") if values not in outlined.split(";")]:
        raise UserError(
            f"{file}: was corrected where the regions of labels {outlined} were shown, and does not tell that of "
            f"{lacking[0]}; correct it on a page of the regions that are read (data.label, data.regions)"
        )


def _require_folder_beside(source: Path, folder: MaskFolder) -> None:
    if not folder.path.is_dir():
        raise UserError(f"{folder.written}: no such folder ({folder.given_as}); it holds masks called {NAMES}")
    if source.is_dir() and folder.path.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{folder.written}: lies in the set that its masks are of ({folder.given_as}); move it out")


def _masks_in(folder: MaskFolder) -> tuple[dict[str, Path], list[Finding]]:
    """The masks by their names below the folder, and what is said of other files."""
    contents = Contents(folder.path)
    masks = [file for file in contents.files if is_volume(file) or is_picture(file)]
    taken = {*masks}
    other_files = [file for file in contents.files if file not in taken]
    if not masks:
        raise UserError(f"{folder.written}: holds no mask ({folder.given_as}); they are called {NAMES}")
    findings = [*contents.tree.findings]
    if other_files:
        count = f"{numbered(len(other_files), 'file')} of {folder.written} {is_or_are(len(other_files))} left out"
        message = f"{other_files[0]}: no picture and no volume; {count}"
        findings.append(Finding("correction_left_out", "warning", message, tuple(map(str, other_files))))
    return {file.relative_to(folder.path).as_posix(): file for file in masks}, findings


def _cases_by_name(cases: Iterable[Case], source_names: Iterable[str]) -> Mapping[str, set[str]]:
    """Ids of cases by what the viewer calls their files, also behind a name of the source, or without their folders."""
    prefixes = ("", *(f"{name}/" for name in source_names))
    by_whole_name: dict[str, set[str]] = defaultdict(set)
    by_last_name: dict[str, set[str]] = defaultdict(set)
    for case in cases:
        for prefix in prefixes:
            by_whole_name[_saved_name(prefix + case.id)].add(case.id)
        by_last_name[_saved_name(case.id.rpartition("/")[2])].add(case.id)
    return {**by_last_name, **by_whole_name}


def _saved_name(name: str) -> str:
    """What a case is called in the name of a file that the viewer saves."""
    return re.sub(r"^\.+", "_", re.sub(r"[^\w.-]+", "_", normalised(name)))[:LONGEST_NAME]


def _bases(name: str) -> Iterator[str]:
    """The names of cases that that of a file may mean: as it stands, then without what a browser adds.

    Of each the plainest is first, and those without the file's folder last.
    """
    for written in dict.fromkeys((name, COPY.sub("", name))):
        below = name_below(Path(written), Path())
        bases = [below, *(mask_name.base for mask_name in read_mask_names(below))]
        yield from map(_saved_name, bases)
        yield from (_saved_name(base.rpartition("/")[2]) for base in bases)
