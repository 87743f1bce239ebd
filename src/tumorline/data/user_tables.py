"""Tables that people keep beside their images: which column means what, which row means which name, who is one patient.

Wherever a table leaves it open what is meant, it is refused.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from tumorline.data.patients.names import one_name, spelling, without_decimals, without_visits
from tumorline.errors import UserError
from tumorline.formats.decode import without_suffix
from tumorline.user_text import Rows, read_user_table, says_nothing
from tumorline.wording import numbered

TABLE_SUFFIXES = (".csv", ".tsv", ".txt")
ALIASES = {
    "id": ("case", "case_id", "image_id", "filename", "file_name", "file"),
    "patient": ("patient_id", "patientid", "pid", "subject", "subject_id", "participant_id"),
    "split": ("part",),
}
"""What a column may be called where none has the proper name."""
PROPER = ("id", "patient", "patient_group", "image", "mask", "class_name", "split", "fold", "spacing_mm")
LEAST_MATCHED = 0.5
"""Share of the shorter of two lists of names: where fewer are in both, the two do not belong together."""


def read_rows_of_cases(path: Path, required: Collection[str]) -> Rows:
    """Rows by line with their columns under the proper names, whatever their capitals.

    Raises UserError for a table that cannot be read, lacks a column, or writes one patient in two ways.
    """
    rows = read_user_table(path)
    columns = list(next(iter(rows.values()), ()))
    names = _proper_names(path, columns)
    if missing := set(required) - set(names.values()):
        listed = ", ".join(columns) or "no rows"
        raise UserError(f"{path}: column {', '.join(sorted(missing))} is missing; found {listed}")
    named = {line: {names[name]: cell for name, cell in row.items()} for line, row in rows.items()}
    refuse_two_spellings(path, (stated_patient(row) for row in named.values()))
    return named


def stated_patient(row: Mapping[str, str]) -> str:
    """The patient as a row writes it, the group before the single one; empty where it is unknown."""
    cells = (row.get(column, "") for column in ("patient_group", "patient"))
    return next((cell for cell in cells if not says_nothing(cell)), "")


def stated_spacing(row: Mapping[str, str], where: str) -> tuple[float, float] | None:
    """From top to bottom and from left to right, where a row states the size of a pixel. Raises UserError for no size.

    One number is that of a square. `where` is what the error begins with.
    """
    text = row.get("spacing_mm", "")
    if says_nothing(text):
        return None
    try:
        values = [float(part) for part in text.replace(",", ".").replace("x", " ").split()]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or not all(0 < value < math.inf for value in values):
        raise UserError(f"{where}: spacing_mm is '{text}'; expected one or two positive numbers")
    return (values[0], values[-1])


def refuse_two_spellings(path: Path, stated: Iterable[str]) -> None:
    """Raise UserError where two names of patients differ only in how they are written, as '1' and '1.0' do."""
    written: dict[str, str] = {}
    for name in map(without_visits, filter(None, stated)):
        earlier = written.setdefault(one_name(name), name)
        if earlier != name:
            raise UserError(
                f"{path}: patients '{earlier}' and '{name}' differ only in how they are written; write each patient in "
                "one way"
            )


def match_ids(ids: Iterable[str], names: Collection[str]) -> dict[str, str]:
    """Which name each id means, of those that mean one: itself, without suffix, or the only one spelled alike.

    '1.0' of a spreadsheet is '1', and '1' is '0001' where no other row and no other file could be meant.
    """
    exact = {written: [name for name in _exact(written) if name in names] for written in ids}
    matched = {written: candidates[0] for written, candidates in exact.items() if candidates}
    free = set(names) - set(matched.values())
    meant = {written: alike for written, alike in _alike(ids, names).items() if written not in matched}
    loose = {written: min(alike) for written, alike in meant.items() if len(alike) == 1 and alike <= free}
    return matched | loose


def _alike(ids: Iterable[str], names: Iterable[str]) -> dict[str, set[str]]:
    """The names that are spelled as an id is, of which either may lack its folders."""
    by_whole_name: dict[str, set[str]] = defaultdict(set)
    by_last_name: dict[str, set[str]] = defaultdict(set)
    for name in names:
        by_whole_name[spelling(name)].add(name)
        by_last_name[spelling(Path(name).name)].add(name)
    plain = {written: _exact(written)[-1] for written in ids}
    return {
        written: by_whole_name.get(spelling(name))
        or by_last_name.get(spelling(name))
        or by_whole_name.get(spelling(Path(name).name), set())
        for written, name in plain.items()
    }


def rows_by_name(path: Path, rows: Rows, names: Collection[str], where: str) -> dict[str, dict[str, str]]:
    """The row of each name that has one.

    Raises UserError where few ids of the table mean a name, and where two rows of one name say different things.
    """
    meant = match_most(path, "id", [row["id"] for row in rows.values()], names, where)
    lines: dict[str, int] = {}
    for line, row in rows.items():
        if name := meant.get(row["id"]):
            first = lines.setdefault(name, line)
            _refuse_conflict(path, name, (first, rows[first]), (line, row))
    return {name: rows[line] for name, line in lines.items()}


def match_most(path: Path, column: str, ids: Collection[str], names: Collection[str], where: str) -> dict[str, str]:
    """`match_ids`. Raises UserError where a table and a set have little in common; shows how both write their names."""
    meant = match_ids(ids, names)
    meant_names = {*meant.values()}
    matched = len(meant_names)
    if matched >= LEAST_MATCHED * min(len(set(ids)), len(names)) and matched:
        return meant
    stranger = next((written for written in ids if written not in meant), "")
    lonely = next((name for name in sorted(names) if name not in meant_names), "")
    raise UserError(
        f"{path}: {matched} of its {numbered(len(set(ids)), 'row')} mean one of the {len(names)} names in {where}; "
        f"the table's column {column} holds for example '{stranger}', {where} for example '{lonely}'; write them alike"
    )


def _proper_names(path: Path, columns: Collection[str]) -> dict[str, str]:
    plain = {name: name.casefold().replace(" ", "_").replace("-", "_") for name in columns}
    names = {name: plain[name] if plain[name] in PROPER else name for name in columns}
    for proper, aliases in ALIASES.items():
        aliased = [name for alias in aliases for name in columns if plain[name] == alias]
        if aliased and proper not in names.values() and not (proper == "patient" and "patient_group" in names.values()):
            names[aliased[0]] = proper
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        both = " and ".join(f"'{name}'" for name in columns if names[name] == twice[0])
        raise UserError(f"{path}: columns {both} both mean {twice[0]}; keep one of them")
    return names


def _exact(written: str) -> tuple[str, ...]:
    """An id as it stands, without a spreadsheet's '.0', and without suffix and with slashes between folders."""
    return written, without_decimals(written), without_suffix(Path(written.replace("\\", "/"))).as_posix()


def _refuse_conflict(
    path: Path, name: str, first: tuple[int, Mapping[str, str]], second: tuple[int, Mapping[str, str]]
) -> None:
    (first_line, ours), (line, theirs) = first, second
    for column, value in ours.items():
        if column != "id" and value != theirs[column]:
            raise UserError(
                f"{path}: lines {first_line} and {line} both mean '{name}'; the one says {column} '{value}', the other "
                f"'{theirs[column]}'; keep one"
            )
