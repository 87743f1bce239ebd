"""YOLO as Ultralytics and Roboflow write it: `labels/x.txt` for `images/x.jpg`, with a line for each outline."""

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tumorline.config import DataConfig
from tumorline.data.finding import Finding
from tumorline.data.layouts.annotations.outlined import (
    Annotated,
    annotated_cases,
    check_labels,
    read_entries,
    read_or_tell,
    tell_files,
)
from tumorline.data.layouts.annotations.yolo_names import ClassNames
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.documents import read_text_document
from tumorline.data.layouts.names import name_below, without_folders, without_image_folders
from tumorline.data.masks.outlines import Outlines, Polygon, polygon_in_text
from tumorline.errors import UserError
from tumorline.formats.boundary import read_head
from tumorline.wording import is_or_are, numbered, some_of

LINE = re.compile(rb"^[ \t]*\d+(?:[ \t]+[-+.\de]+){4,}[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
OUTLINE = re.compile(rb"^[ \t]*\d+(?:[ \t]+[-+.\de]+){6}", re.IGNORECASE | re.MULTILINE)
"""A class and three corners or more; four numbers are a box."""
MOST_BYTES = 8 << 20
"""Of the labels of one image."""
NUMBERS_OF_BOX = 4
CORNERS_OF_BOX = 4
TELLING = 10
"""So many outlines are not all rectangles by chance."""
ROUNDED = 0.004
"""Two pixels of 512: so far corners of a box may lie from where they belong."""
FARTHEST = 1.0
"""So far from the image, in its own widths and heights, a corner may lie; pixels lie farther."""
LONGEST_NUMBER = 9
"""Digits of a class."""
CURE = "export the set for segmentation, with polygons"


class Files(NamedTuple):
    """Files of labels with the images of their names, and the images that have none."""

    labels: Mapping[Path, Sequence[Path]]
    without: Sequence[Path]
    """Images of whose folder others have labels."""
    apart: Sequence[Path]
    """Images of folders in which none has."""


def find_yolo(contents: Contents) -> str:
    """Boxes are no outlines, and files without any line say nothing of a layout."""
    labels = files_of_labels(contents).labels
    return tell_files(labels, "YOLO labels") if any(OUTLINE.search(read_head(file)) for file in labels) else ""


def read_yolo(contents: Contents, _settings: DataConfig) -> Listing:
    """One case for each image; one whose file is empty or missing shows no tumour.

    Raises UserError where outlines may be of other things than tumours, and where all of them are boxes.
    """
    files, names = files_of_labels(contents), ClassNames(contents)
    entries = {label: [images] for label, images in files.labels.items()}
    annotated, findings = read_entries(entries, lambda label, images: _read_labels(label, images, names))
    _check_classes(contents, annotated)
    findings += _perhaps_boxes(contents, [polygon for entry in annotated for polygon in entry.outlines.polygons])
    annotated += [Annotated(image, None, Outlines()) for image in files.without]
    cases, notes = annotated_cases(contents, annotated, "", without_image_folders)
    return cases, [*findings, *_without_labels(contents, files), *_without_images(contents, files), *notes]


# ---------------------------------------------------------------- files


def files_of_labels(contents: Contents) -> Files:
    images: dict[str, list[Path]] = defaultdict(list)
    for image, name in contents.names.items():
        images[_shared_name(name)].append(image)
    names = {file: _shared_name(name_below(file.with_suffix(""), contents.path)) for file in contents.of_suffix(".txt")}
    labels = {file: images[name] for file, name in names.items() if name in images}
    labelled = {names[file] for file in labels}
    folders = {_folder(name) for name in labelled}
    lacking = [(name, image) for name, same_name in images.items() if name not in labelled for image in same_name]
    return Files(
        labels,
        [image for name, image in lacking if _folder(name) in folders],
        [image for name, image in lacking if _folder(name) not in folders],
    )


def _shared_name(name: str) -> str:
    """What an image and its labels have in common, which may lie side by side or in folders of their own."""
    return without_folders(without_image_folders(name), "mask")


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _without_labels(contents: Contents, files: Files) -> list[Finding]:
    """Warnings of images that are taken for tumour-free, and of those that are left out."""
    findings = []
    if count := len(files.without):
        message = (
            f"{contents.path}: {numbered(count, 'image')} without a file of labels {is_or_are(count)} taken as showing "
            f"no tumour, as Ultralytics does; for example {files.without[0].name}"
        )
        findings.append(Finding("no_labels", "warning", message, tuple(map(str, files.without))))
    if count := len(files.apart):
        message = (
            f"{contents.path}: {numbered(count, 'image')} in folders without any labels {is_or_are(count)} left out; "
            f"for example {files.apart[0].name}"
        )
        findings.append(Finding("no_masks", "warning", message, tuple(map(str, files.apart))))
    return findings


def _without_images(contents: Contents, files: Files) -> list[Finding]:
    lonely = [file for file in contents.of_suffix(".txt") if file not in files.labels and LINE.search(read_head(file))]
    return [
        Finding("unpaired", "error", f"{file}: labels of YOLO without an image of their name", (str(file),))
        for file in lonely
    ]


# ---------------------------------------------------------------- lines


def _read_labels(path: Path, images: Sequence[Path], names: ClassNames) -> Annotated:
    """Raises UserError where it is not clear whose labels they are."""
    if len(images) > 1:
        raise UserError(f"{path}: may be the labels of {images[0].name} or of {images[1].name}; keep one of them")
    return read_or_tell(images[0], path, lambda: _read_file(path, images[0], names))


def _read_file(path: Path, image: Path, names: ClassNames) -> Annotated:
    lines = enumerate(read_text_document(path, MOST_BYTES).split("\n"), start=1)
    outlines = [_read_line(line, f"{path} (line {number})") for number, line in lines if line.strip()]
    class_names = names.near(path)
    labels = frozenset(class_names.get(number, str(number)) for number, _ in outlines)
    polygons = tuple(polygon for _, polygon in outlines)
    return Annotated(image, path, Outlines(polygons=polygons, in_shares=True), labels=labels)


def _read_line(line: str, name: str) -> tuple[int, Polygon]:
    """Class and outline. Raises UserError for a box, for what is no outline and for corners far from the image."""
    first, *rest = line.split(maxsplit=1)
    if not first.isdecimal() or len(first) > LONGEST_NUMBER:
        raise UserError(f"{name}: begins with '{first[:20]}', which is no number of a class")
    text = "".join(rest)
    if len(text.split()) == NUMBERS_OF_BOX:
        raise UserError(f"{name}: a box without an outline; {CURE}")
    polygon = polygon_in_text(text, name)
    if far := [value for value in polygon if not -FARTHEST <= value <= 1 + FARTHEST]:
        raise UserError(f"{name}: a corner at {far[0]:g}; expected shares of width and height, from 0 to 1")
    return int(first), polygon


# ---------------------------------------------------------------- what the outlines are of


def _check_classes(contents: Contents, annotated: Collection[Annotated]) -> None:
    """Raise UserError where classes are no tumours, or several without names."""
    labels = {label for entry in annotated for label in entry.labels}
    if len(labels) > 1 and (unnamed := sorted(label for label in labels if label.isdecimal())):
        raise UserError(
            f"{contents.path}: labels of YOLO of {len(labels)} classes, of which {some_of(unnamed, 6)} have no name; "
            "give a data.yaml with names, which say what is a tumour"
        )
    check_labels(contents, annotated)


def _perhaps_boxes(contents: Contents, polygons: Sequence[Polygon]) -> list[Finding]:
    """A warning where each outline has four corners. Raises UserError where that many are boxes without a doubt."""
    if not polygons or any(len(polygon) != 2 * CORNERS_OF_BOX for polygon in polygons):
        return []
    observation = f"{contents.path}: all outlines of YOLO ({len(polygons)}) have four corners"
    if len(polygons) >= TELLING and all(map(_is_box, polygons)):
        raise UserError(f"{observation} and are rectangles: boxes, straight or turned (OBB), and no outlines; {CURE}")
    message = f"{observation}, as turned boxes (OBB) have; where they are boxes, they are no outlines: {CURE}"
    return [Finding("perhaps_boxes", "warning", message)]


def _is_box(polygon: Polygon) -> bool:
    """Whether four corners are those of a rectangle, which in shares of width and height is a parallelogram."""
    x, y = polygon[::2], polygon[1::2]
    return all(
        abs(coordinates[0] + coordinates[2] - coordinates[1] - coordinates[3]) <= ROUNDED for coordinates in (x, y)
    )
