"""What `patients.csv` says of the pixels of pictures that are predicted, as it does of those of a training."""

import re
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import image_id, name_below, without_image_folders
from tumorline.data.layouts.patient_tables import patient_tables
from tumorline.data.user_tables import match_ids, read_rows_of_cases, rows_by_name, stated_spacing
from tumorline.errors import UserError
from tumorline.user_text import read_user_text

COLUMN = re.compile(r"spacing[-_ ]mm", re.IGNORECASE)
WAYS: tuple[Callable[[str], str], ...] = (
    str,
    image_id,
    without_image_folders,
    lambda name: image_id(without_image_folders(name)),
)
"""How layouts name the case of a picture."""

Spacings = Mapping[Path, tuple[float, float]]


def stated_pixels(contents: Contents, pictures: Collection[Path]) -> Spacings:
    """Spacings of the pictures of which the nearest table above them states one.

    Raises UserError for a table of spacings that names little of what is there, or that contradicts itself.
    """
    spacings: dict[Path, tuple[float, float]] = {}
    for folder, table in patient_tables(contents, pictures).items():
        if speaks_of_pixels(table):
            spacings |= _stated_in(table, folder, [picture for picture in pictures if picture.is_relative_to(folder)])
    return spacings


def speaks_of_pixels(table: Path) -> bool:
    """Whether a table has a column of spacings; others may be of any kind."""
    with suppress(UserError):
        return COLUMN.search(read_user_text(table)) is not None
    return False


def _stated_in(table: Path, folder: Path, pictures: Collection[Path]) -> dict[Path, tuple[float, float]]:
    rows = read_rows_of_cases(table, required={"id"})
    names = _as_written({row["id"] for row in rows.values()}, folder, pictures)
    rows_of_names = rows_by_name(table, rows, {*names.values()}, f"{folder.name}/")
    spacings = {
        picture: stated_spacing(rows_of_names.get(name, {}), f"{table}: case '{name}'")
        for picture, name in names.items()
    }
    return {picture: spacing for picture, spacing in spacings.items() if spacing}


def _as_written(ids: Collection[str], folder: Path, pictures: Collection[Path]) -> dict[Path, str]:
    """The names of the pictures in the way that most ids mean."""
    names = {picture: name_below(picture, folder) for picture in pictures}
    ways = [{picture: way(name) for picture, name in names.items()} for way in WAYS]
    return max(ways, key=lambda called: len(match_ids(ids, {*called.values()})))
