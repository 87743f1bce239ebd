"""Masks that people have corrected, in a folder of their own: each is read in place of the truth of its case."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tumorline.config import DataConfig
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
from tumorline.wording import is_or_are, numbered, some_of

TRUTH, CORRECTED, AS_GIVEN, BY_PROGRAM = "truth", "corrected", "as given", "by a program"
"""The attribute of a case that says whose its mask is, and its values; of sets with corrections or programs' masks."""
NAMES = "CASE_mask.png, of a volume CASE_seg.nii.gz"
COPY = re.compile(r" ?\(\d+\)")
"""What a browser adds to the name of a file where one of that name is there already."""
LONGEST_NAME = 120


@dataclass(frozen=True)
class Corrected:
    """The cases of a source with their corrections; `strangers` are the files that are of none of them."""

    cases: tuple[Case, ...]
    findings: tuple[Finding, ...]
    strangers: tuple[Path, ...]


def correct_cases(source: Path, cases: Sequence[Case], settings: DataConfig, called: Iterable[str]) -> Corrected:
    """The cases with their corrected masks; `called` are names of the source that may stand before those of cases.

    Raises UserError for a folder of corrections that is not there, lies among the data or holds no mask.
    """
    files, findings = _masks_in(_folder_beside(source, settings), settings.corrections)
    by_name = _cases_by_name(cases, called)
    files_by_case: dict[str, list[Path]] = defaultdict(list)
    strangers = []
    for name, file in files.items():
        case_ids = next((ids for base in _bases(name) if (ids := by_name.get(base))), ())
        if len(case_ids) > 1:
            message = (
                f"{file}: may be the correction of {' or of '.join(sorted(case_ids))}; put its folder's name first"
            )
            findings.append(_error(message, file))
        elif case_ids:
            files_by_case[next(iter(case_ids))].append(file)
        else:
            strangers.append(file)
    corrected, more = _with_corrections(cases, files_by_case)
    return Corrected(tuple(corrected), (*findings, *more, *_noted(corrected, settings)), tuple(strangers))


def stranger_findings(files: Iterable[Path], where: str) -> list[Finding]:
    """An error for each correction that is of no case."""
    return [
        _error(f"{file}: the correction of no case of {where}; expected are names as {NAMES}", file) for file in files
    ]


# ---------------------------------------------------------------- files and their names


def _folder_beside(source: Path, settings: DataConfig) -> Path:
    folder = written_path(settings.corrections)
    if not folder.is_dir():
        raise UserError(f"{settings.corrections}: no such folder (data.corrections); it holds masks called {NAMES}")
    if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
        raise UserError(f"{settings.corrections}: lies in the set that it corrects (data.corrections); move it out")
    return folder


def _masks_in(folder: Path, written: str) -> tuple[dict[str, Path], list[Finding]]:
    """The masks by their names below the folder, and what is said of other files."""
    contents = Contents(folder)
    masks = [file for file in contents.files if is_volume(file) or is_picture(file)]
    taken = {*masks}
    other_files = [file for file in contents.files if file not in taken]
    if not masks:
        raise UserError(f"{written}: holds no corrected mask (data.corrections); they are called {NAMES}")
    findings = [*contents.tree.findings]
    if other_files:
        count = numbered(len(other_files), "file")
        message = (
            f"{other_files[0]}: no picture and no volume; {count} of {written} {is_or_are(len(other_files))} left out"
        )
        findings.append(Finding("correction_left_out", "warning", message, tuple(map(str, other_files))))
    return {file.relative_to(folder).as_posix(): file for file in masks}, findings


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


# ---------------------------------------------------------------- cases


def _with_corrections(
    cases: Iterable[Case], files_by_case: Mapping[str, Sequence[Path]]
) -> tuple[list[Case], list[Finding]]:
    corrected, findings = [], []
    for case in cases:
        files = files_by_case.get(case.id, ())
        corrected.append(replace(case, attributes={TRUTH: AS_GIVEN, **case.attributes}))
        if len(files) > 1:
            names = f"{files[0].name} and {files[1].name}"
            message = f"{files[1]}: {names} correct the same case, {case.id}; keep one of them"
            findings.append(_error(message, *files, stands_for=case.id))
        elif files:
            try:
                corrected[-1], more = _corrected(case, files[0])
                findings += more
            except UserError as error:
                findings.append(_error(str(error), files[0], stands_for=case.id))
    return corrected, findings


def _corrected(case: Case, file: Path) -> tuple[Case, list[Finding]]:
    """The case with its correction. Raises UserError for one that cannot be that of the case."""
    attributes = {**case.attributes, TRUTH: CORRECTED}
    if case.is_volume != is_volume(file):
        expected, found = ("volume", "picture") if case.is_volume else ("picture", "volume")
        raise UserError(f"{file}: a {found}, but {case.id}, which it corrects, is a {expected}")
    if case.grid is None:
        return replace(case, correction=file, attributes=attributes), []
    header = read_volume_header(file)
    if header.frames > 1:
        raise UserError(f"{file}: holds {header.frames} frames; expected one volume")
    _require_regions(case.labels, header.description, file)
    apart, findings = dict(case.apart), []
    grid = upright_grid(header.grid)
    if case.grid.difference(grid):
        apart[file] = grid
        findings.append(resampled_truth_finding(case.images[0], file, (case.grid, grid)))
    return replace(case, correction=file, attributes=attributes, apart=apart), findings


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


def _noted(cases: Sequence[Case], settings: DataConfig) -> list[Finding]:
    """How many masks are corrected ones, and of which cases."""
    corrected = [case for case in cases if case.correction is not None]
    if not corrected:
        return []
    names = some_of([case.id for case in corrected])
    count = f"{len(corrected)} of {numbered(len(cases), 'mask')}"
    message = f"{settings.corrections}: {count} {is_or_are(len(corrected))} read as corrected here ({names})"
    return [Finding("corrected", "info", message, tuple(str(case.correction) for case in corrected))]


def _error(message: str, *files: Path, stands_for: str = "") -> Finding:
    return Finding("correction", "error", message, tuple(map(str, files)), stands_for)
