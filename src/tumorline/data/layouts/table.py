"""A CSV with one row per case, and the `patients.csv` that may stand beside pictures."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.decode import without_suffix
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.errors import UserError
from tumorline.files import read_csv

KNOWN_COLUMNS = {"id", "patient", "patient_group", "mask", "class_name", "split", "fold", "spacing_mm"}

Row = Mapping[str, str]


def find(contents: Contents) -> str:
    is_table = contents.path.is_file() and contents.path.suffix.lower() == ".csv"
    return "a CSV" if is_table else ""


def read(contents: Contents, _settings: DataConfig) -> Listing:
    """Columns `id`, `patient` or `patient_group`, `mask`, `image` or one `image_*` column per channel."""
    path = contents.path
    cases = []
    for number, row in enumerate(_rows(path, required={"id", "mask"}), start=2):
        if not row["id"] or Path(row["id"]).is_absolute() or ".." in Path(row["id"]).parts:
            raise UserError(f"{path}: line {number} has the id '{row['id']}'; expected a name without '..' or a root")
        images = [path.parent / value for key, value in row.items() if key.startswith("image") and value]
        if not images or not row["mask"]:
            raise UserError(f"{path}: line {number} (id '{row['id']}') names no image or no mask")
        case = case_from_row(row["id"], images[0], path.parent / row["mask"], row)
        cases.append(replace(case, images=tuple(images)))
    twice = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    if twice:
        raise UserError(f"{path}: id '{twice[0]}' stands in more than one line; ids must differ")
    return cases, []


def read_patients(path: Path, names: Collection[str], where: str) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    """Rows of a `patients.csv` by case, and a note on rows without a file; nothing where there is no such table."""
    if not path.is_file():
        return {}, []
    rows = _rows(path, required={"id"})
    table = {without_suffix(Path(row["id"])).as_posix() if row["id"] not in names else row["id"]: row for row in rows}
    without_file = len(table.keys() - set(names))
    if not without_file:
        return table, []
    message = f"{path}: {without_file} of {len(table)} rows name no file in {where} and are ignored"
    return table, [Finding("rows_without_file", "info", message, (str(path),))]


def case_from_row(name: str, image: Path, mask: Path | None, row: Row) -> Case:
    """A pair with what a table says of it; an empty row says nothing."""
    attributes = {key: value for key, value in row.items() if key not in KNOWN_COLUMNS and not key.startswith("image")}
    return Case(
        id=name,
        images=(image,),
        mask=mask,
        patient=row.get("patient_group") or row.get("patient") or None,
        class_name=row.get("class_name", ""),
        part=row.get("split", ""),
        fold=row.get("fold", ""),
        spacing_mm=_spacing(row.get("spacing_mm", ""), name),
        attributes=attributes,
    )


def _rows(path: Path, required: set[str]) -> list[dict[str, str]]:
    try:
        rows = read_csv(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not a readable UTF-8 table ({error})") from None
    columns = [str(column) for column in rows[0]] if rows else []
    if missing := required - set(columns):
        found = ", ".join(columns) or "no rows"
        raise UserError(f"{path}: column {', '.join(sorted(missing))} is missing; found {found}")
    return [{key: (value or "").strip() for key, value in row.items() if key} for row in rows]


def _spacing(text: str, name: str) -> tuple[float, ...] | None:
    if not text:
        return None
    try:
        values = [float(part) for part in text.replace("x", " ").split()]
    except ValueError:
        values = []
    if len(values) not in (1, 2) or min(values) <= 0:
        raise UserError(f"case '{name}': spacing_mm is '{text}'; expected one or two positive numbers")
    return (values[0], values[-1])
