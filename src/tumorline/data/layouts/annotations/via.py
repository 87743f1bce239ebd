"""VIA, the VGG Image Annotator: a JSON or CSV for a folder of images, with polygons and other shapes."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tumorline.config import DataConfig
from tumorline.data.layouts.annotations.outlined import (
    Annotated,
    ImageFinder,
    annotated_cases,
    check_categories,
    read_entries,
    tell_files,
)
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.documents import read_csv_document
from tumorline.data.layouts.names import part_in_words
from tumorline.data.masks.outlines import Outlines, Polygon, as_polygon, ellipse, finite_numbers
from tumorline.errors import UserError

PROJECT = "_via_img_metadata"
"""Key of the images in a project file; an export has them at its top."""
COLUMNS = {"filename", "region_shape_attributes", "region_attributes"}
NEEDED = {
    "rect": ("x", "y", "width", "height"),
    "circle": ("cx", "cy", "r"),
    "ellipse": ("cx", "cy", "rx", "ry"),
}
"""Shapes that are no lists of corners -> the numbers that make them."""

Region = Mapping[str, Any]


class ViaImage(NamedTuple):
    """An image as a file of VIA lists it."""

    image: str
    regions: list[Region]


def find_via(contents: Contents) -> str:
    return tell_files(_files(contents), "VIA")


def read_via(contents: Contents, _settings: DataConfig) -> Listing:
    """One case for each listed image; one without regions shows no tumour.

    Raises UserError where outlines may be of other things than tumours.
    """
    files = _files(contents)
    regions = [region for entries in files.values() for entry in entries for region in entry.regions]
    check_categories(contents.path, {name for region in regions for name in _names(region)})
    finder = ImageFinder(contents.pictures)
    annotated, findings = read_entries(files, lambda path, entry: _read_image(path, entry, finder))
    cases, notes = annotated_cases(contents, annotated, "annotations in a file of VIA")
    return cases, findings + notes


# ---------------------------------------------------------------- files


def _files(contents: Contents) -> dict[Path, list[ViaImage]]:
    """The images that each file of VIA lists."""
    listed = {path: list(_of_json(document)) for path, document in contents.documents.items()}
    listed |= {path: _of_csv(read_csv_document(path, COLUMNS)) for path in contents.of_suffix(".csv")}
    return {path: entries for path, entries in listed.items() if entries}


def _of_json(document: Mapping[str, Any]) -> Iterator[ViaImage]:
    images = document.get(PROJECT, document)
    entries = list(images.values()) if isinstance(images, dict) else []
    if not all(map(_is_entry, entries)):
        return
    for entry in entries:
        regions = entry["regions"].values() if isinstance(entry["regions"], dict) else entry["regions"]
        yield ViaImage(str(entry["filename"]), list(regions))


def _is_entry(entry: Any) -> bool:
    """Whether this is an image with regions as version 2 lists them, or as version 1 numbers them."""
    return isinstance(entry, dict) and "filename" in entry and isinstance(entry.get("regions"), (list, dict))


def _of_csv(rows: Iterable[Mapping[str, str]]) -> list[ViaImage]:
    """A row for each region; an image without any has one with empty attributes."""
    entries: dict[str, ViaImage] = {}
    for row in rows:
        entry = entries.setdefault(row["filename"], ViaImage(row["filename"], []))
        shape, attributes = (_object(row[f"region_{column}"]) for column in ("shape_attributes", "attributes"))
        if shape:
            entry.regions.append({"shape_attributes": shape, "region_attributes": attributes})
    return list(entries.values())


def _object(text: str) -> Any:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {"name": text[:20]}


# ---------------------------------------------------------------- shapes


def _names(region: Region) -> Iterator[str]:
    """What a region's attributes say that it is of: texts, and boxes that are ticked."""
    attributes = region.get("region_attributes") if isinstance(region, dict) else None
    for value in attributes.values() if isinstance(attributes, dict) else ():
        if isinstance(value, dict):
            yield from (str(name) for name, ticked in value.items() if ticked)
        elif value:
            yield str(value)


def _read_image(path: Path, entry: ViaImage, finder: ImageFinder) -> Annotated:
    """Raises UserError for an image that is not there and for shapes that have no inside."""
    name = f"{path} ({entry.image})"
    polygons = tuple(_polygon(region, name) for region in entry.regions)
    return Annotated(finder.image(entry.image, path), path, Outlines(None, polygons), part_in_words(path.stem))


def _polygon(region: Any, name: str) -> Polygon:
    shape = region.get("shape_attributes") if isinstance(region, dict) else None
    shape_name = shape.get("name") if isinstance(shape, dict) else None
    if not isinstance(shape, dict) or shape_name not in ("polygon", "polyline", *NEEDED):
        raise UserError(
            f"{name}: a region of the shape '{shape_name}'; accepted are polygon, polyline, {', '.join(NEEDED)}"
        )
    if shape_name not in NEEDED:
        return as_polygon(_corners(shape.get("all_points_x"), shape.get("all_points_y")), name)
    needed = NEEDED[shape_name]
    values = finite_numbers([shape.get(key) for key in needed], len(needed), name)
    if shape_name == "rect":
        x, y, width, height = values
        return (x, y, x + width, y, x + width, y + height, x, y + height)
    if shape_name == "circle":
        return ellipse(values[:2], (values[2], values[2]))
    (theta,) = finite_numbers([shape.get("theta") or 0], 1, name)
    return ellipse(values[:2], values[2:], theta)


def _corners(columns: Any, rows: Any) -> Any:
    """Columns and rows as the pairs that they make; None where they are none."""
    both = isinstance(columns, list) and isinstance(rows, list) and len(columns) == len(rows)
    return [list(corner) for corner in zip(columns, rows, strict=True)] if both else None
