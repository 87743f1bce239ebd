"""What `data.leave_out` names: cases, and scans of which an error stands in the place of a case."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.errors import UserError
from tumorline.formats.decode import without_suffix
from tumorline.wording import is_or_are, numbered

SHOWN = 3


def leave_out(
    path: Path, cases: Sequence[Case], findings: Sequence[Finding], names: Sequence[str]
) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """The cases and findings of a source without those of these ids. Raises UserError for a name that is of none."""
    if not names:
        return tuple(cases), tuple(findings)
    here = {case.id for case in cases}
    for name in names:
        if name not in here and not any(_is_about(finding, [name]) for finding in findings):
            raise UserError(f"{path}: leave_out: no case '{name}' here; tables list the cases by their ids")
    left = tuple(case for case in cases if case.id not in names)
    if not left:
        raise UserError(f"{path}: leave_out names every case; nothing is left")
    said = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    note = Finding(
        "left_out", "info", f"{path}: {numbered(len(names), 'case')} {is_or_are(len(names))} left out ({said})"
    )
    return left, (*(finding for finding in findings if not _is_about(finding, names)), note)


def _is_about(finding: Finding, names: Collection[str]) -> bool:
    """Whether all files that a finding is about belong to cases of these ids."""
    return bool(finding.files) and all(any(name in names for name in _ids(file)) for file in finding.files)


def _ids(file: str) -> Iterator[str]:
    """What a case may be called that has this file: by its stem, with or without what follows a `_`, or its folder."""
    *folders, last = without_suffix(Path(file)).parts
    stems = [last, *(last[:place] for place, letter in enumerate(last) if letter == "_")]
    for stem in [*stems, *([folders.pop()] if folders else [])]:
        yield stem
        for place in range(1, len(folders) + 1):
            yield "/".join([*folders[-place:], stem])
