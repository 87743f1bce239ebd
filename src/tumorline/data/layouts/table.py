"""A CSV with one row per case."""

import os
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.lgg import names_in
from tumorline.data.layouts.patient_tables import Row, case_from_row
from tumorline.data.layouts.unread_dicom import told_of_folder
from tumorline.data.layouts.volumes.listed_volumes import list_scans
from tumorline.data.layouts.volumes.scan_case import REGION_WORDS, SEQUENCE_WORDS, plain_word
from tumorline.data.user_tables import TABLE_SUFFIXES, read_rows_of_cases, stated_spacing
from tumorline.errors import UserError
from tumorline.formats.decode import PICTURE_SUFFIXES
from tumorline.formats.nifti import is_volume
from tumorline.user_text import Rows, written_path

ONE_LABEL = "but the masks of this source have one label"
PER_REGION = re.compile(r"mask[-_ ][\w-]+", re.IGNORECASE)
PER_CHANNEL = re.compile(r"image[-_ ]?[\w-]+", re.IGNORECASE)


def find_table(contents: Contents) -> str:
    is_table = contents.path.is_file() and contents.path.suffix.lower() in TABLE_SUFFIXES
    return "a CSV" if is_table else ""


class Columns(NamedTuple):
    """What columns of a table are read: the files of the channels with their names, and the masks of the regions."""

    images: tuple[str, ...]
    channels: tuple[str, ...]
    masks: tuple[str, ...]
    others: tuple[str, ...]
    """Those that name the files of other channels and regions."""


def read_table(contents: Contents, settings: DataConfig) -> Listing:
    """Columns `id`, `patient` or `patient_group`, `mask`, `image` or one `image_*` column of files per channel.

    With `data.regions` the masks are those of the columns `mask_*`.
    """
    path = contents.path
    rows = read_rows_of_cases(path, required={"id"})
    columns = _choose_columns(path, rows, settings)
    cases = [_case_of_row(path, line, row, columns) for line, row in rows.items()]
    twice = [name for name, count in Counter(case.id for case in cases).items() if count > 1]
    if twice:
        raise UserError(f"{path}: id '{twice[0]}' stands in more than one line; ids must differ")
    if folder := next(filter(None, (told_of_folder(file) for case in cases for file in case.files)), ""):
        raise UserError(folder)
    if any(is_volume(file) for case in cases for file in case.files):
        return list_scans(path, cases, settings)
    if columns.masks == ("mask",) and not settings.label_values:
        _require_one_region(path, settings)
    return cases, []


def _require_one_region(path: Path, settings: DataConfig) -> None:
    """Raise UserError where more is asked of masks of one region."""
    if settings.label:
        raise UserError(f"{path}: data.label is '{settings.label}', {ONE_LABEL}; leave it out")
    if len(settings.regions) > 1:
        raise UserError(
            f"{path}: {', '.join(settings.regions)} are asked for (data.regions, or the model's), {ONE_LABEL}; keep "
            "one name, or give a column mask_NAME for each"
        )


def image_columns(path: Path, rows: Rows) -> list[str]:
    """The columns that name the files of the channels; `image_quality` and the like name none.

    Raises UserError for one that names pictures of which none is there.
    """
    names = next(iter(rows.values()), {})
    chosen = []
    for column in (name for name in names if name == "image" or PER_CHANNEL.fullmatch(name)):
        values = {row[column]: row.get("image", "") for row in rows.values() if row[column]}
        if column == "image" or any(os.path.isfile(written_path(value, path.parent)) for value in values):
            chosen.append(column)
        elif lost := [value for value, image in values.items() if _names_a_picture(value, image)]:
            raise UserError(
                f"{path}: column {column} names '{lost[0]}', and no file that it names is there; mend the names, or "
                "call the column something that does not begin with 'image'"
            )
    return chosen


def channels_of_table(contents: Contents) -> tuple[str, ...]:
    """The sequences that the columns of images name, and "all", or those of the planes; none where none is named."""
    path = contents.path
    rows = read_rows_of_cases(path, required={"id"})
    named = _named_images(path, rows)
    if any(named):
        return (*(name for name in named if name), "all")
    return names_in(written_path(row["image"], path.parent) for row in rows.values() if row.get("image"))


def _choose_columns(path: Path, rows: Rows, settings: DataConfig) -> Columns:
    named = _named_images(path, rows)
    chosen = settings.channels or ((settings.channel,) if settings.channel not in ("", "all") else ())
    wanted = chosen if any(named) and chosen else tuple(named)
    other_columns = (
        *named.values(),
        *(column for column in _named_masks(rows).values() if _names_files(path, rows, column)),
    )
    return Columns(tuple(named[name] for name in wanted), wanted, _choose_masks(path, rows, settings), other_columns)


def _names_files(path: Path, rows: Rows, column: str) -> bool:
    value = next((row[column] for row in rows.values() if row[column]), "")
    return bool(value) and os.path.isfile(written_path(value, path.parent))


def _choose_masks(path: Path, rows: Rows, settings: DataConfig) -> tuple[str, ...]:
    """Raises UserError where there is no column of the truth."""
    columns, named = next(iter(rows.values()), {}), _named_masks(rows)
    wanted = () if settings.label_values else settings.regions or ((settings.label,) if settings.label else ())
    lacking = [region for region in wanted if region not in named]
    if wanted and not lacking:
        return tuple(named[region] for region in wanted)
    if lacking and named:
        raise UserError(f"{path}: data.regions names '{lacking[0]}'; this source has {', '.join(named)}")
    if "mask" not in columns:
        cure = f"; say data.regions={','.join(named)} to read these masks" if named else ""
        raise UserError(f"{path}: column mask is missing; found {', '.join(columns) or 'no rows'}{cure}")
    return ("mask",)


def _named_images(path: Path, rows: Rows) -> dict[str, str]:
    """The columns of images by the sequence that each names; "" is that of a column `image`."""
    columns = image_columns(path, rows)
    names = [_name_in(column, SEQUENCE_WORDS) for column in columns]
    plain = [_name_in(column, {}) for column in columns]
    return dict(zip(names if len({*names}) == len(names) else plain, columns, strict=True))


def _named_masks(rows: Rows) -> dict[str, str]:
    columns = [column for column in next(iter(rows.values()), {}) if PER_REGION.fullmatch(column)]
    return {_name_in(column, REGION_WORDS): column for column in columns}


def _name_in(column: str, words: Mapping[str, str]) -> str:
    """The name in `image_t1ce` or `mask_whole_tumour`, in our words where it is one of `words`."""
    name = re.sub(r"^(image|mask)[-_ ]?", "", column, flags=re.IGNORECASE).lower()
    return words.get(plain_word(name), re.sub(r"[^a-z0-9]+", "_", name))


def _names_a_picture(value: str, image: str) -> bool:
    """Whether a cell is meant as a file of its own, rather than as the name of the row's image or an address."""
    name = Path(value.replace("\\", "/")).name
    repeated = image.replace("\\", "/").endswith(name)
    return Path(name).suffix.lower() in PICTURE_SUFFIXES and not repeated and "://" not in value


def _case_of_row(path: Path, line: int, row: Row, columns: Columns) -> Case:
    name = PurePosixPath(row["id"].replace("\\", "/")).as_posix()
    if not row["id"] or Path(name).is_absolute() or ".." in Path(name).parts:
        raise UserError(f"{path}: line {line} has the id '{row['id']}'; expected a name without '..' or a root")
    empty = [column for column in (*columns.images, *columns.masks) if not row[column]]
    if empty or not columns.images:
        raise UserError(f"{path}: line {line} (id '{name}') names no {(empty or ['image'])[0]}")
    images, masks = (
        [written_path(row[column], path.parent) for column in some] for some in (columns.images, columns.masks)
    )
    files = {*columns.images, *columns.masks, *columns.others}
    attributes = {key: value for key, value in row.items() if key not in files}
    stated_spacing(row, f"{path}: line {line} (id '{name}')")
    return replace(
        case_from_row(name, images[0], masks, attributes),
        images=tuple(images),
        channels=columns.channels if any(columns.channels) else (),
        mask_per_region=len(masks) > 1,
    )
