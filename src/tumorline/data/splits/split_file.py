"""A split that is fixed by hand, in a table."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from tumorline.data.dataset import Dataset
from tumorline.data.patients.names import patient_meant
from tumorline.data.splits.parts import PARTS, SHORT_NAMES, Split
from tumorline.data.user_tables import match_most, read_rows_of_cases
from tumorline.errors import UserError
from tumorline.user_text import says_nothing


def read_split_file(dataset: Dataset, path: Path) -> Split:
    """The parts of the cases that a table means.

    Raises UserError for a table without parts, one that names little of the set, and one that contradicts itself.
    """
    rows = read_rows_of_cases(path, ())
    columns = list(next(iter(rows.values()), ()))
    key = next((name for name in ("id", "patient_group", "patient") if name in columns), None)
    if key is None or "split" not in columns:
        raise UserError(
            f"{path}: columns are {columns}; expected id, case, patient or patient_group, and split or part"
        )
    wanted = _wanted_parts(path, key, [(row[key], checked_part(row["split"], row[key])) for row in rows.values()])
    names = {case.id: case.id if key == "id" else case.shown_patient for case in dataset.cases}
    parts = _parts_by_name(path, key, wanted, {name for name in names.values() if name}, dataset)
    stated = {case_id: parts[name] for case_id, name in names.items() if name in parts}
    named = [case for case in dataset.cases if names[case.id] and not dataset.whole_part(case)]
    lacking = sum(case.id not in stated for case in named)
    note = f", {lacking} of {len(names)} cases left out that it lacks" if lacking else ""
    return Split(stated, f"{path.name}{note}{tell_unknown_patients(dataset, key)}")


def _wanted_parts(path: Path, key: str, stated: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Part of each name of the table. Raises UserError where one patient, or one case, is in two parts."""
    wanted: dict[str, str] = {}
    for written, part in stated:
        if key != "id" and says_nothing(written):
            continue
        name = written if key == "id" else patient_meant(written)
        if wanted.setdefault(name, part) != part:
            raise UserError(f"{path}: {key} '{name}' is in {wanted[name]} and in {part}; it belongs to one part")
    return wanted


def _parts_by_name(
    path: Path, key: str, wanted: Mapping[str, str], names: Collection[str], dataset: Dataset
) -> dict[str, str]:
    """Part of each name of the set that the table means."""
    where = f"{dataset.source.path} ({'cases' if key == 'id' else 'patients'})"
    parts: dict[str, str] = {}
    for written, name in match_most(path, key, wanted, names, where).items():
        if parts.setdefault(name, wanted[written]) != wanted[written]:
            raise UserError(f"{path}: '{name}' is in {parts[name]} and, as '{written}', in {wanted[written]}; keep one")
    return parts


def tell_unknown_patients(dataset: Dataset, key: str) -> str:
    """What to say of a split by hand where it is not known whose the cases are."""
    unknown = [case for case in dataset.cases if case.patient is None]
    count = len(unknown) if key == "id" else sum(not dataset.whole_part(case) for case in unknown)
    if not count:
        return ""
    consequence = "may be of patients in two parts" if key == "id" else "are in no part"
    return f" (unknown patients: {count} of {len(dataset.cases)} cases {consequence})"


def checked_part(part: str, name: str) -> str:
    part = SHORT_NAMES.get(part.casefold(), part.casefold())
    if part not in (*PARTS, "excluded"):
        raise UserError(f"'{name}': part '{part}' is not one of train, validation, test, excluded")
    return part
