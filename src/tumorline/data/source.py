"""A source is a folder or table in a supported layout, recognised by its content."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tumorline.data.case import Case
from tumorline.errors import UserError
from tumorline.files import read_csv

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """Something that a data check noticed. Errors stop a training, warnings are reported."""

    code: str
    severity: Severity
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Cases of one folder or table. `known_as` names a public set that was recognised by its content."""

    path: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...] = ()
    known_as: str = ""
    simulated: bool = False
    patient_classes: Mapping[str, str] = field(default_factory=dict)
    """All patients of a recognised set, present or not, so that a part of the set is split as the whole."""

    @property
    def name(self) -> str:
        return self.known_as or self.path.stem

    @property
    def patients_unknown(self) -> bool:
        return any(case.patient is None for case in self.cases)


def open_source(path: Path) -> Source:
    """List the cases of a folder or CSV without decoding them.

    Raises UserError where the path is missing or its layout is none that is known.
    """
    if not path.exists():
        raise UserError(f"{path}: no such folder or file; give a folder with images/ and masks/, or a CSV")
    for layout, (recognises, read) in LAYOUTS.items():
        if recognises(path):
            cases, findings = read(path)
            if not cases:
                raise UserError(f"{path}: no pair of image and mask was found in this {layout} source")
            return Source(path, layout, tuple(sorted(cases, key=_natural)), tuple(findings), simulated=_simulated(path))
    raise UserError(f"{path}: layout not recognised ({_seen(path)}); accepted are {'; '.join(ACCEPTED)}")


# ---------------------------------------------------------------- images/ and masks/

PICTURE_SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".pgm", ".ppm"}


def _is_pair_folder(path: Path) -> bool:
    return (path / "images").is_dir() and (path / "masks").is_dir()


def _read_pair_folder(path: Path) -> tuple[list[Case], list[Finding]]:
    images, findings = _by_stem(path / "images")
    masks, more = _by_stem(path / "masks")
    findings += more + _unpaired(images, masks)
    table, notes = _read_patients(path / "patients.csv", images)
    cases = [_case(stem, images[stem], masks[stem], table.get(stem, {})) for stem in images.keys() & masks.keys()]
    return cases, findings + notes


def _by_stem(folder: Path) -> tuple[dict[str, Path], list[Finding]]:
    files: dict[str, Path] = {}
    findings = []
    for file in sorted(folder.rglob("*")):
        if not file.is_file() or file.suffix.lower() not in PICTURE_SUFFIXES or file.name.startswith("."):
            continue
        stem = file.relative_to(folder).with_suffix("").as_posix()
        if stem in files:
            message = f"{file}: same name as {files[stem].name} but for the suffix; keep one of them"
            findings.append(Finding("ambiguous", "error", message, (str(files[stem]), str(file))))
        files.setdefault(stem, file)
    return files, findings


def _unpaired(images: Mapping[str, Path], masks: Mapping[str, Path]) -> list[Finding]:
    lonely = [(images[stem], "image without a mask") for stem in sorted(images.keys() - masks.keys())]
    lonely += [(masks[stem], "mask without an image") for stem in sorted(masks.keys() - images.keys())]
    hint = "a pair has the same name in images/ and masks/"
    return [Finding("unpaired", "error", f"{path}: {what}; {hint}", (str(path),)) for path, what in lonely]


def _read_patients(path: Path, images: Mapping[str, Path]) -> tuple[dict[str, dict[str, str]], list[Finding]]:
    if not path.is_file():
        return {}, []
    rows = _rows(path, required={"id"})
    table = {Path(row["id"]).with_suffix("").as_posix() if row["id"] not in images else row["id"]: row for row in rows}
    without_file = len(table.keys() - images.keys())
    if not without_file:
        return table, []
    message = f"{path}: {without_file} of {len(table)} rows name no file in images/ and are ignored"
    return table, [Finding("rows_without_file", "info", message, (str(path),))]


# ---------------------------------------------------------------- CSV

KNOWN_COLUMNS = {"id", "patient", "patient_group", "mask", "class_name", "split", "fold", "spacing_mm"}


def _is_table(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() == ".csv"


def _read_table(path: Path) -> tuple[list[Case], list[Finding]]:
    """Columns `id`, `patient` or `patient_group`, `mask`, `image` or one `image_*` column per channel."""
    cases = []
    for number, row in enumerate(_rows(path, required={"id", "mask"}), start=2):
        if not row["id"] or Path(row["id"]).is_absolute() or ".." in Path(row["id"]).parts:
            raise UserError(f"{path}: line {number} has the id '{row['id']}'; expected a name without '..' or a root")
        images = [value for key, value in row.items() if key.startswith("image") and value]
        if not images or not row["mask"]:
            raise UserError(f"{path}: line {number} (id '{row['id']}') names no image or no mask")
        case = _case(row["id"], path.parent / images[0], path.parent / row["mask"], row)
        extra = tuple(path.parent / image for image in images[1:])
        cases.append(Case(**{**vars(case), "images": case.images + extra}))
    twice = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    if twice:
        raise UserError(f"{path}: id '{twice[0]}' stands in more than one line; ids must differ")
    return cases, []


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


# ---------------------------------------------------------------- shared


def _case(name: str, image: Path, mask: Path, row: Mapping[str, str]) -> Case:
    patient = row.get("patient_group") or row.get("patient") or None
    spacing = row.get("spacing_mm", "")
    attributes = {key: value for key, value in row.items() if key not in KNOWN_COLUMNS and not key.startswith("image")}
    return Case(
        id=name,
        images=(image,),
        mask=mask,
        patient=patient,
        class_name=row.get("class_name", ""),
        part=row.get("split", ""),
        fold=row.get("fold", ""),
        spacing_mm=_spacing(spacing, name),
        attributes=attributes,
    )


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


def _natural(case: Case) -> tuple[int, str]:
    return (int(case.id), "") if case.id.isdecimal() else (1 << 62, case.id)


def _simulated(path: Path) -> bool:
    return (path / "simulated.json").is_file()


def _seen(path: Path) -> str:
    if path.is_file():
        return f"a file with suffix '{path.suffix}'"
    entries = Counter("folders" if entry.is_dir() else entry.suffix or "no suffix" for entry in path.iterdir())
    return "seen: " + (", ".join(f"{count} {kind}" for kind, count in entries.most_common(4)) or "an empty folder")


Reader = Callable[[Path], tuple[list[Case], list[Finding]]]

LAYOUTS: dict[str, tuple[Callable[[Path], bool], Reader]] = {
    "images/masks": (_is_pair_folder, _read_pair_folder),
    "csv": (_is_table, _read_table),
}
ACCEPTED = (
    "a folder with images/ and masks/ whose files have the same names",
    "a CSV with id, patient, image, mask",
)
