"""CVAT for images 1.1: one XML for a task or each of its jobs, with polygons, ellipses and masks as runs."""

import math
import re
from pathlib import Path
from xml.etree.ElementTree import Element

from tumorline.config import DataConfig
from tumorline.data.finding import unreadable
from tumorline.data.layouts.annotations.outlined import (
    Annotated,
    ImageFinder,
    annotated_cases,
    as_size,
    check_labels,
    read_entries,
    read_or_tell,
    tell_files,
)
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.documents import read_xml_document
from tumorline.data.layouts.names import part_in_words, without_image_folders
from tumorline.data.masks.outlines import (
    Outlines,
    Patch,
    Polygon,
    ellipse,
    finite_numbers,
    polygon_in_text,
    runs_in_text,
)
from tumorline.errors import UserError
from tumorline.formats.boundary import read_head

ROOT = b"<annotations"
ELLIPSE = ("cx", "cy", "rx", "ry", "rotation")
WHOLE = re.compile(r"-?[0-9]{1,9}")
OF_WHOLE_IMAGE = "tag"
"""An element that says something of an image and marks nothing on it."""


def find_cvat(contents: Contents) -> str:
    return tell_files(_files(contents), "CVAT")


def read_cvat(contents: Contents, _settings: DataConfig) -> Listing:
    """One case for each listed image; one without shapes shows no tumour.

    Raises UserError where outlines may be of other things than tumours.
    """
    images, findings = {}, []
    for path in _files(contents):
        try:
            images[path] = _images_in(path)
        except UserError as error:
            findings.append(unreadable(error, path))
    finder = ImageFinder(contents.pictures)
    annotated, notes = read_entries(images, lambda path, entry: _read_image(path, entry, finder))
    check_labels(contents, annotated)
    cases, more = annotated_cases(contents, annotated, "annotations in a file of CVAT", without_image_folders)
    return cases, [*findings, *notes, *more]


def _files(contents: Contents) -> list[Path]:
    return [file for file in contents.of_suffix(".xml") if ROOT in read_head(file)]


def _images_in(path: Path) -> list[Element]:
    """Raises UserError for XML that lists no image, as that of videos."""
    images = read_xml_document(path).findall("image")
    if not images:
        raise UserError(f"{path}: lists no image; export it from CVAT as 'CVAT for images 1.1'")
    return images


def _read_image(path: Path, entry: Element, finder: ImageFinder) -> Annotated:
    """Raises UserError for an image that is not there."""
    image_name = entry.get("name")
    if not image_name:
        raise UserError(f"{path}: lists an image without a name")
    image = finder.image(image_name, path)
    return read_or_tell(image, path, lambda: _read_shapes(path, entry, image))


def _read_shapes(path: Path, entry: Element, image: Path) -> Annotated:
    name = f"{path} ({entry.get('name')})"
    size = as_size(_whole(entry, "height", name), _whole(entry, "width", name), name)
    shapes = [shape for shape in entry if shape.tag != OF_WHOLE_IMAGE]
    patches = tuple(_patch(shape, name) for shape in shapes if shape.tag == "mask")
    polygons = tuple(_polygon_of_shape(shape, name) for shape in shapes if shape.tag != "mask")
    labels = frozenset(shape.get("label", "") for shape in shapes)
    part = part_in_words(entry.get("subset", ""))
    return Annotated(image, path, Outlines(size, polygons, patches=patches), part, labels)


def _polygon_of_shape(shape: Element, name: str) -> Polygon:
    """Raises UserError for boxes, and for whatever else has no outline."""
    if shape.tag == "polygon":
        return polygon_in_text(shape.get("points", ""), name)
    if shape.tag == "ellipse":
        x, y, width, height, degrees = finite_numbers([_number(shape, key) for key in ELLIPSE], len(ELLIPSE), name)
        return ellipse((x, y), (width, height), math.radians(degrees))
    description = "a box without an outline" if shape.tag == "box" else f"a shape of the kind '{shape.tag[:20]}'"
    raise UserError(f"{name}: {description}; accepted are polygon, ellipse and mask")


def _patch(shape: Element, name: str) -> Patch:
    left, top, width, height = (_whole(shape, key, name) for key in ("left", "top", "width", "height"))
    return Patch(left, top, width, height, runs_in_text(shape.get("rle", ""), name))


def _whole(element: Element, key: str, name: str) -> int:
    """Raises UserError for what is no whole number, and where none is stated."""
    text = element.get(key, "")
    if not WHOLE.fullmatch(text.strip()):
        raise UserError(f"{name}: {key} is '{text[:20]}'; expected a whole number")
    return int(text)


def _number(element: Element, key: str) -> float | None:
    try:
        return float(element.get(key, "0"))
    except ValueError:
        return None
