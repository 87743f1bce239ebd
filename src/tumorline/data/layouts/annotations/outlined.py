"""What the files of annotation tools have in common: names of images, and what an outline may be of."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypeVar

from tumorline.data.case import Case
from tumorline.data.finding import Finding, unreadable
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import name_below, normalised, stated_part
from tumorline.data.layouts.patient_tables import case_from_row, read_patients
from tumorline.data.masks.outlines import Outlines
from tumorline.errors import UserError
from tumorline.wording import numbered

Listed = TypeVar("Listed")

MOST_NAMES = 6
"""Of categories in one line."""
TUMOUR_WORDS = re.compile(
    "tumou?r|glioma|meningioma|pituitary|adenoma|lesion|metasta|cancer|neoplasm|blastoma|cytoma|schwannoma|craniopharyngioma|"
    "gbm|lgg|hgg|abnormal|malignant|benign|positive",
    re.IGNORECASE,
)
OTHER_WORDS = re.compile(
    r"(?<![a-z])(?:no|non(?![-_ ]?enhancing)|not|without|ventricles?|negative|normal|healthy|background|eyes?)"
    r"(?![a-z])|notumou?r",
    re.IGNORECASE,
)
HEAD_WORDS = re.compile(r"(?<![a-z])(?:brain|head|skull|scalp)(?![a-z])", re.IGNORECASE)
"""They say where a tumour is, or that the whole of it is outlined."""


def tell_files(files: Collection[Path], kind: str) -> str:
    """How many files of a kind are there, in words; empty where there are none."""
    return f"{numbered(len(files), 'file')} of {kind} (for example {next(iter(files)).name})" if files else ""


def no_tumours(names: Collection[str]) -> list[str]:
    """The names, of all that are there, that are not known as tumours."""
    others = [name for name in names if OTHER_WORDS.search(name)]
    unsaid = [name for name in names if name not in others and not TUMOUR_WORDS.search(name)]
    return others + [name for name in unsaid if len(names) > 1 or HEAD_WORDS.search(name)]


def check_categories(path: Path, names: Collection[str]) -> None:
    """Raise UserError where outlines may be of other things than tumours: their union is taken as the tumour."""
    if others := no_tumours(names):
        listed = ", ".join(sorted(names)[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
        raise UserError(
            f"{path}: outlines of {listed}; '{sorted(others)[0]}' is not known as a tumour, keep those of tumours only"
        )


class ImageFinder:
    """Images by the names that annotation files give them; only files below the source are ever found."""

    def __init__(self, images: Iterable[Path]) -> None:
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        self._beside: dict[tuple[Path, str], list[Path]] = defaultdict(list)
        for image in images:
            self._by_name[normalised(image.name)].append(image)
            self._beside[image.parent, normalised(image.stem)].append(image)

    def image(self, name: str, annotations: Path) -> Path:
        """The image beside the annotations or, where there is only one of its name, elsewhere. Raises UserError."""
        wanted = PurePosixPath(normalised(name.replace("\\", "/")))
        namesakes = self._by_name.get(wanted.name, [])
        beside = [image for image in namesakes if image == annotations.parent / wanted]
        alike = [image for image in namesakes if normalised(image.as_posix()).endswith(f"/{wanted.as_posix()}")]
        near = [image for image in alike or namesakes if image.is_relative_to(annotations.parent)]
        for choice in (beside, near, alike, namesakes):
            if len(choice) == 1:
                return choice[0]
        why = f"{numbered(len(namesakes), 'image')} of this name" if namesakes else "no such image"
        raise UserError(f"{annotations}: names the image '{name}'; there is {why} in this folder")

    def beside(self, annotations: Path) -> Path | None:
        """The one image that has the name of the annotations but for the suffix."""
        images = self._beside.get((annotations.parent, normalised(annotations.stem)), [])
        return images[0] if len(images) == 1 else None


class Annotated(NamedTuple):
    """An image with the outlines that a file of annotations gives it, what they are of, and the part that is stated."""

    image: Path
    annotations: Path | None
    """None where no file speaks of the image, which by that shows no tumour."""
    outlines: Outlines
    part: str = ""
    labels: frozenset[str] = frozenset()
    problem: str = ""
    """Why its outlines cannot be read; empty where they can."""


def read_entries(
    files: Mapping[Path, Sequence[Listed]], read: Callable[[Path, Listed], Annotated]
) -> tuple[list[Annotated], list[Finding]]:
    """What files say of images that they list; an error for each entry that cannot be read."""
    annotated, findings = [], []
    for path, entries in files.items():
        for entry in entries:
            try:
                annotated.append(read(path, entry))
            except UserError as error:
                findings.append(unreadable(error, path))
    return annotated, findings


def check_labels(contents: Contents, found: Iterable[Annotated]) -> None:
    """Raise UserError as `check_categories`, of all labels that outlines bear."""
    check_categories(contents.path, {label for entry in found for label in entry.labels})


def read_or_tell(image: Path, annotations: Path, read: Callable[[], Annotated]) -> Annotated:
    """What is read of an image or, in its place, why that is not possible."""
    try:
        return read()
    except UserError as error:
        return Annotated(image, annotations, Outlines(), problem=str(error))


def annotated_cases(
    contents: Contents, found: Sequence[Annotated], what: str, called: Callable[[str], str] = str
) -> Listing:
    """Cases with what `patients.csv` says of them; errors for images that are annotated twice, or have no `what`.

    Without `what` images may lack annotations. `called` makes the name of a case of that of its image.
    """
    by_name: dict[str, list[Annotated]] = defaultdict(list)
    for entry in found:
        by_name[called(name_below(entry.image, contents.path))].append(entry)
    findings = [_annotated_twice(name, entries) for name, entries in by_name.items() if not _agree(entries)]
    findings += [_untold(name, entries[0]) for name, entries in by_name.items() if entries[0].problem]
    findings += _without_annotations(contents, {entry.image for entry in found}, what, called) if what else []
    readable = {name: _first_with_part(entries) for name, entries in by_name.items() if not entries[0].problem}
    images = {name: entry.image for name, entry in readable.items()}
    table, notes = read_patients(contents, images, "the annotations")
    cases = [_case(name, entry, table.get(name, {})) for name, entry in readable.items()]
    return cases, findings + notes


def _without_annotations(
    contents: Contents, used: Collection[Path], missing: str, called: Callable[[str], str]
) -> list[Finding]:
    """Errors of files that may have been about images, and of images that no file is about."""
    findings = [
        unreadable(error, path, stands_for=called(name_below(path.with_suffix(""), contents.path)))
        for path, error in contents.unread_documents.items()
    ]
    for image in contents.pictures:
        if image not in used:
            name, message = called(name_below(image, contents.path)), f"{image}: image without {missing}"
            findings.append(Finding("unpaired", "error", message, (str(image),), name))
    return findings


def _untold(name: str, entry: Annotated) -> Finding:
    return unreadable(entry.problem, *filter(None, (entry.image, entry.annotations)), stands_for=name)


def as_size(height: Any, width: Any, name: str) -> tuple[int, int] | None:
    """Height and width as a file states them; None where it does not. Raises UserError for what is no size."""
    if height is None or width is None:
        return None
    if not all(type(side) is int and 0 < side < 1 << 20 for side in (height, width)):
        raise UserError(f"{name}: an image of the size {str(width)[:20]} x {str(height)[:20]}")
    return height, width


def _case(name: str, entry: Annotated, row: Mapping[str, str]) -> Case:
    case = case_from_row(name, entry.image, [entry.annotations] if entry.annotations else (), row)
    return replace(case, outlines=entry.outlines, part=case.part or stated_part(name) or entry.part)


def _agree(entries: Sequence[Annotated]) -> bool:
    """Whether all say the same, as the file of all parts does and that of one; the same file never lists one twice."""
    outlines, parts = {entry.outlines for entry in entries}, {entry.part for entry in entries} - {""}
    files = {entry.annotations for entry in entries}
    return len(files) == len(entries) and len(outlines) == 1 and len(parts) <= 1


def _first_with_part(entries: Sequence[Annotated]) -> Annotated:
    return next((entry for entry in entries if entry.part), entries[0])


def _annotated_twice(name: str, entries: Sequence[Annotated]) -> Finding:
    first, second, *_ = entries
    if first.image == second.image:
        message = f"{second.image}: annotated twice, in {first.annotations} and {second.annotations}; keep one"
    else:
        message = f"{second.image}: same name as {first.image}, but for suffix and folder of images; keep one of them"
    return Finding("ambiguous", "error", message, (str(first.image), str(second.image)), name)
