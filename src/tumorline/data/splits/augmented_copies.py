"""Pictures that people augmented before they shared them: which are versions of one, by their names alone.

Turned by a few degrees or blurred they are no near duplicates, and yet show the same slice of the same patient.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

from tumorline.data.case import Case
from tumorline.data.layouts.names import stated_part, without_image_folders
from tumorline.data.patients.names import LEAST_TELLING
from tumorline.formats.decode import without_suffix

ROBOFLOW = re.compile(r"(?P<base>.+?)(?:[_.](?:jpe?g|png|bmp|tiff?|webp))?\.rf\.[0-9a-z]{20,}", re.IGNORECASE)
_AUGMENTED = r"aug(?:ment(?:ed|ation)?)?"
_WAYS = (
    r"(?:[hv]|horizontal|vertical)?[-_]?flip(?:ped)?(?:[-_]?(?:[hvxy]|lr|ud|horizontal(?:ly)?|vertical(?:ly)?))?"
    r"|rot(?:at(?:e|ed|ion))?[-_]?-?\d*(?:deg)?|mirror(?:ed)?|blur(?:red)?|nois[ey]|zoom(?:ed)?|shear(?:ed)?|crop(?:ped)?"
    r"|bright(?:er|ness|ened)?|dark(?:er|ened)?|elastic|gamma|shift(?:ed)?|scaled?"
)
READINGS = tuple(
    re.compile(reading, re.IGNORECASE)
    for reading in (
        rf"(?P<base>.+?)(?:[-_. ](?:{_AUGMENTED}[-_]?\d*(?:[-_]\d+)?|(?:{_WAYS})[-_]?\d*))+",
        rf"{_AUGMENTED}[-_]?\d*[-_](?P<base>.+)",
        rf"{_AUGMENTED}[-_](?P<base>.+)[-_]\d+[-_]\d+",  # Keras: prefix, number of the picture, number by chance
        rf"(?P<base>{_AUGMENTED}[-_].*\d)[-_]\d+",
    )
)
FOLDER = re.compile(rf"{_AUGMENTED}|orig(?:inals?)?|raw", re.IGNORECASE)


class _Name(NamedTuple):
    """Of a case: its folders, those without words for parts of a split, and its own name before it was exported."""

    folder: str
    place: str
    own: str
    is_exported: bool


def copy_groups(cases: Sequence[Case]) -> list[list[Case]]:
    """The cases that are augmented versions of one picture by their names, the picture among them if it is there.

    Those of several known patients are not: there the names are given twice.
    """
    names = [_name(case) for case in cases]
    bases = _bases(names)
    groups: dict[str, list[int]] = defaultdict(list)
    for number, (name, base) in enumerate(zip(names, bases, strict=True)):
        groups[f"{name.place if len(base) >= LEAST_TELLING else name.folder}/{base}"].append(number)
    number_groups = [numbers for group in groups.values() for numbers in _of_one_picture(group, names, bases)]
    listed = ([cases[number] for number in group] for group in number_groups)
    return [group for group in listed if len({case.patient for case in group} - {None}) < 2]


def _of_one_picture(group: Sequence[int], names: Sequence[_Name], bases: Sequence[str]) -> Iterator[list[int]]:
    """The versions of one picture among cases of one base: in each folder by itself where the picture is in several."""
    originals = [number for number in group if names[number].own == bases[number] and not names[number].is_exported]
    if len(originals) == len(group):
        return
    of_folder: dict[str, list[int]] = defaultdict(list)
    for number in group:
        of_folder[names[number].folder if len(originals) > 1 else ""].append(number)
    yield from (versions for versions in of_folder.values() if len(versions) > 1)


def _name(case: Case) -> _Name:
    """The name of a case or, where a table gives it another, of its file."""
    *folders, base_name = PurePath(without_image_folders(case.id)).parts
    if base_name not in case.images[0].as_posix():
        base_name = without_suffix(case.images[0]).name
    kept = [folder for folder in folders if not FOLDER.fullmatch(folder)]
    place_folders = [folder for folder in kept if not stated_part(f"{folder}/x")]
    exported = ROBOFLOW.fullmatch(base_name)
    return _Name(
        "/".join(kept), "/".join(place_folders), exported["base"] if exported else base_name, exported is not None
    )


def _bases(names: Sequence[_Name]) -> list[str]:
    """What each name is a version of: a name that is there or, else, what names share; itself where neither is.

    What more names share than such pictures are there is no picture but a class, whose pictures are numbered.
    """
    there = {(name.place, name.own) for name in names}
    candidates = [[(name.place, base) for base in _readings(name.own)] for name in names]
    counted = Counter(base for readings in candidates for base in set(readings))
    shared = {base for base, count in counted.items() if count > 1}
    few = {base for base in shared if counted[base] <= len(shared)}
    known_candidates = [
        [base for known in (there, few) for base in readings if base in known] for readings in candidates
    ]
    return [known[0][1] if known else name.own for name, known in zip(names, known_candidates, strict=True)]


def _readings(base_name: str) -> list[str]:
    return [match["base"] for reading in READINGS if (match := reading.fullmatch(base_name))]
