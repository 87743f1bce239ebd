"""What `data.leave_out` names: cases, and scans of which an error stands in the place of a case."""

import difflib
from collections.abc import Collection, Sequence
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.names import normalised
from tumorline.errors import UserError
from tumorline.wording import is_or_are, numbered

SHOWN = 3


def leave_out(
    path: Path, cases: Sequence[Case], findings: Sequence[Finding], names: Sequence[str]
) -> tuple[tuple[Case, ...], tuple[Finding, ...]]:
    """The cases and findings of a source without those of these ids. Raises UserError for a name that is of none."""
    if not names:
        return tuple(cases), tuple(findings)
    names = [*map(normalised, names)]
    _require_known(path, names, [*(case.id for case in cases), *(finding.stands_for for finding in findings)])
    chosen = {*names}
    gone = [case for case in cases if normalised(case.id) in chosen]
    if len(gone) == len(cases):
        raise UserError(f"{path}: leave_out names every case; nothing is left")
    shown_names = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    note = Finding(
        "left_out", "info", f"{path}: {numbered(len(names), 'case')} {is_or_are(len(names))} left out ({shown_names})"
    )
    files = {str(file) for case in gone for file in case.files}
    left = tuple(case for case in cases if normalised(case.id) not in chosen)
    return left, (*(finding for finding in findings if not _is_about(finding, chosen, files)), note)


def _require_known(path: Path, names: Sequence[str], known: Sequence[str]) -> None:
    """Raise UserError where names are those of no case, with the nearest of what is there."""
    ids = {*map(normalised, known)}
    unknown = [name for name in names if name not in ids]
    if unknown:
        sentences = "; ".join(f"no case '{name}' here{_nearest(name, known)}" for name in unknown[:SHOWN])
        raise UserError(f"{path}: leave_out: {sentences}; tables list the cases by their ids")


def _nearest(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, filter(None, known), n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""


def _is_about(finding: Finding, names: Collection[str], files: set[str]) -> bool:
    """Whether a finding stands for a case of these ids, or all files that it is about are those of such cases."""
    if finding.stands_for:
        return normalised(finding.stands_for) in names
    return bool(finding.files) and files >= {*finding.files}
