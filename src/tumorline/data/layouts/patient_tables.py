"""A `patients.csv` anywhere among the files of a source, in whatever layout, and what its rows say of cases."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import normalised, without_image_folders
from tumorline.data.user_tables import (
    TABLE_SUFFIXES,
    read_rows_of_cases,
    rows_by_name,
    stated_patient,
    stated_spacing,
)
from tumorline.errors import UserError
from tumorline.formats.nifti import is_volume
from tumorline.wording import is_or_are, numbered

KNOWN_COLUMNS = {"id", "patient", "patient_group", "mask", "class_name", "split", "fold", "spacing_mm"}
NAMES = {f"patients{suffix}" for suffix in TABLE_SUFFIXES}
OTHER_NAMES = re.compile(
    r"patients?(?:[-_ ]?(?:ids?|list|table|map(?:ping)?))?\.(?:csv|tsv|xlsx?|xlsm|ods|numbers)", re.IGNORECASE
)
"""What people call such a table as well; it is never read."""

Row = Mapping[str, str]


def read_patients(
    contents: Contents, images: Mapping[str, Path], where: str
) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    """Rows of the tables of patients by case, those of the nearest table, and notes on rows without a file.

    `images` are those of the cases by name. Raises UserError for a table that names little of what is there, for two of
    the same images, and for rows that contradict one another.
    """
    rows: dict[str, dict[str, str]] = {}
    notes = []
    for folder, table in patient_tables(contents, images.values()).items():
        names = {_below(contents, folder, name): name for name in images if images[name].is_relative_to(folder)}
        table_rows, more = _read_rows(table, names.keys(), where)
        _require_spacings(table, {images[names[written]]: row for written, row in table_rows.items()})
        rows |= {names[written]: row for written, row in table_rows.items()}
        notes += more
    return rows, notes


def with_patients_of_tables(contents: Contents, cases: Sequence[Case], where: str) -> Listing:
    """Cases that say something of themselves, with what tables of patients say of them. Raises as `read_patients`."""
    rows, notes = read_patients(contents, {case.id: case.images[0] for case in cases}, where)
    return [_with_row(case, rows[case.id]) if case.id in rows else case for case in cases], notes


def patient_tables(contents: Contents, images: Collection[Path]) -> dict[Path, Path]:
    """The tables of patients by the folder of whose images they speak, from the outside inwards.

    It is their own or, where no image is below that, the nearest above. Raises UserError where two are of one folder.
    """
    above = {folder for image in images for folder in image.parents}
    tables_by_folder: dict[Path, list[Path]] = defaultdict(list)
    for file in contents.files:
        if file.name.casefold() in NAMES and (
            folder := next((parent for parent in file.parents if parent in above), None)
        ):
            tables_by_folder[folder].append(file)
    for folder, tables in tables_by_folder.items():
        if len(tables) > 1:
            listed = " and ".join(table.relative_to(folder).as_posix() for table in tables)
            raise UserError(f"{folder}: holds {listed}; keep one of them")
    return {
        folder: tables_by_folder[folder][0] for folder in sorted(tables_by_folder, key=lambda folder: len(folder.parts))
    }


def refuse_unread_tables(contents: Contents, cases: Sequence[Case]) -> None:
    """Raise UserError where patients are unknown and something like a table of patients is there that is not read."""
    unknown = sum(case.patient is None for case in cases)
    if not unknown:
        return
    read = {table.parent for table in patient_tables(contents, [case.images[0] for case in cases]).values()}
    for file in contents.files:
        if OTHER_NAMES.fullmatch(file.name) and file.name.casefold() not in NAMES and file.parent not in read:
            raise UserError(
                f"{file}: is not read, and the patients of {numbered(unknown, 'case')} {is_or_are(unknown)} unknown; "
                f"save it as {contents.path / 'patients.csv'} with the columns id and patient, or move it away"
            )


def _below(contents: Contents, folder: Path, name: str) -> str:
    """The name of a case as it is called in a folder above it; layouts leave folders such as 'images' out of names."""
    prefix = "" if folder == contents.path else f"{normalised(folder.relative_to(contents.path).as_posix())}/"
    plain_prefix = without_image_folders(f"{prefix}x").removesuffix("x")
    return name.removeprefix(prefix if name.startswith(prefix) else plain_prefix)


def _read_rows(table: Path, names: Collection[str], where: str) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    rows = read_rows_of_cases(table, required={"id"})
    rows_of_names = rows_by_name(table, rows, names, where)
    ids = {row["id"] for row in rows.values()}
    without_file = len(ids) - len(rows_of_names)
    if without_file <= 0:
        return rows_of_names, []
    message = f"{table}: {without_file} of {len(ids)} rows name no file in {where} and are ignored"
    return rows_of_names, [Finding("rows_without_file", "info", message, (str(table),))]


def _require_spacings(table: Path, rows: Mapping[Path, Row]) -> None:
    """Raise UserError where a table states no size for the pixels of a picture; voxels have their own."""
    for image, row in rows.items():
        if not is_volume(image):
            stated_spacing(row, f"{table}: case '{row['id']}'")


def case_from_row(name: str, image: Path, masks: Sequence[Path], row: Row) -> Case:
    """An image with its masks and what a table says of it; an empty row says nothing."""
    attributes = {key: value for key, value in row.items() if key not in {*KNOWN_COLUMNS, "image"}}
    return Case(
        id=name,
        images=(image,),
        mask=masks[0] if masks else None,
        more_masks=tuple(masks[1:]),
        patient=stated_patient(row) or None,
        class_name=row.get("class_name", ""),
        part=row.get("split", ""),
        fold=row.get("fold", ""),
        spacing_mm=stated_spacing(row, f"case '{name}'"),
        attributes=attributes,
    )


def _with_row(case: Case, row: Row) -> Case:
    """The case with what a row says, and what it says itself where the row is silent; voxels have their own size."""
    cells = {key: value for key, value in row.items() if not (case.is_volume and key == "spacing_mm")}
    stated = case_from_row(case.id, case.images[0], case.masks, cells)
    return replace(
        case,
        patient=stated.patient or case.patient,
        patient_written="" if stated.patient else case.patient_written,
        class_name=stated.class_name or case.class_name,
        part=stated.part or case.part,
        fold=stated.fold or case.fold,
        spacing_mm=stated.spacing_mm or case.spacing_mm,
        attributes=stated.attributes,
    )
