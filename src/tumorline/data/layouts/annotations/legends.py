"""Files that say what the colours of masks mean: `labelmap.txt` of CVAT, `_classes.csv` of Roboflow."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.layouts.annotations.outlined import TUMOUR_WORDS, no_tumours
from tumorline.data.layouts.contents import Contents
from tumorline.data.masks.legend import GREY, Colour, Legend, in_hex
from tumorline.errors import UserError
from tumorline.user_text import read_user_table, read_user_text

LABEL = re.compile(r"(?P<name>.+?):\s*(?P<red>\d{1,3})\s*,\s*(?P<green>\d{1,3})\s*,\s*(?P<blue>\d{1,3})\s*(?::.*)?")
"""A line of `labelmap.txt`: name, colour, parts, actions."""
NO_TUMOUR = re.compile(r"_*background_*|(?:no|non|not|without)[-_ ]?tumou?r|healthy|normal|negative", re.IGNORECASE)
VALUE, CLASS = "pixel value", "class"
"""The columns of `_classes.csv`, which of another export of Roboflow lists pictures."""


def with_legends(contents: Contents, cases: Sequence[Case]) -> list[Case]:
    """The cases, and of those whose masks are pictures the legend that lies nearest above. Raises UserError."""
    names_by_folder = {file.parent: (file, names) for file in contents.files if (names := _names_in(file))}
    legends = {folder: _legend(*file_and_names) for folder, file_and_names in names_by_folder.items()}
    return [replace(case, legend=_nearest(case, legends)) for case in cases] if legends else list(cases)


def _nearest(case: Case, legends: Mapping[Path, Legend | None]) -> Legend | None:
    if case.mask is None or case.outlines is not None or case.is_volume:
        return None
    return next((legends[folder] for folder in case.mask.parents if folder in legends), None)


def _names_in(file: Path) -> dict[Colour, str]:
    if file.name.lower() == "labelmap.txt":
        return _of_labelmap(file)
    return _of_classes(file) if file.name.lower() == "_classes.csv" else {}


def _of_labelmap(file: Path) -> dict[Colour, str]:
    lines = [line.strip() for line in read_user_text(file).split("\n")]
    names: dict[Colour, str] = {}
    for line in lines:
        if line and not line.startswith("#"):
            match = LABEL.fullmatch(line)
            parts = [int(match[part]) for part in ("red", "green", "blue")] if match else [256]
            if match is None or max(parts) > 255:
                raise UserError(f"{file}: '{line[:60]}' is no label with its colour; expected NAME:RED,GREEN,BLUE::")
            _add(names, (parts[0] << 16) + (parts[1] << 8) + parts[2], match["name"], file)
    return names


def _of_classes(file: Path) -> dict[Colour, str]:
    names: dict[Colour, str] = {}
    for row in read_user_table(file).values():
        cells = {column.lower(): cell for column, cell in row.items()}
        if not {VALUE, CLASS} <= cells.keys():
            return {}
        if not re.fullmatch(r"[0-9]{1,3}", cells[VALUE]) or int(cells[VALUE]) > 255:
            raise UserError(f"{file}: '{cells[VALUE][:20]}' is no value of a pixel; expected 0 to 255")
        _add(names, int(cells[VALUE]) * GREY, cells[CLASS], file)
    return names


def _add(names: dict[Colour, str], colour: Colour, name: str, file: Path) -> None:
    if names.setdefault(colour, name) != name:
        raise UserError(f"{file}: gives {in_hex(colour)} to '{names[colour]}' and to '{name}'; each has one of its own")


def _legend(file: Path, names: Mapping[Colour, str]) -> Legend | None:
    """None where it says no more than that what is not black is the tumour."""
    if TUMOUR_WORDS.search(names.get(0, "")) and not NO_TUMOUR.fullmatch(names[0]):
        raise UserError(f"{file}: gives black, where nothing is drawn, to '{names[0]}'; give that another colour")
    background = [colour for colour, name in names.items() if not colour or NO_TUMOUR.fullmatch(name)]
    labels = {colour: name for colour, name in names.items() if colour not in background}
    strange = no_tumours(labels.values())
    if len(labels) == 1 and not strange and not any(background):
        return None
    tumour = tuple(colour for colour, name in labels.items() if name not in strange)
    return Legend(
        str(file), tumour, tuple(background), tuple((c, name) for c, name in labels.items() if name in strange)
    )
