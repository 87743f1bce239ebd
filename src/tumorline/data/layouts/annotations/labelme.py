"""LabelMe: `x.json` beside `x.png`, with polygons, rectangles and circles."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorline.config import DataConfig
from tumorline.data.finding import unreadable
from tumorline.data.layouts.annotations.outlined import (
    Annotated,
    ImageFinder,
    annotated_cases,
    as_size,
    check_categories,
    tell_files,
)
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import name_below
from tumorline.data.masks.outlines import Outlines, Polygon, as_polygon, ellipse, finite_numbers
from tumorline.errors import UserError

Document = Mapping[str, Any]


def find_labelme(contents: Contents) -> str:
    return tell_files(_documents(contents), "LabelMe")


def read_labelme(contents: Contents, _settings: DataConfig) -> Listing:
    """One case for each file; no shapes is no tumour. Raises UserError for shapes of other things than tumours."""
    documents = _documents(contents)
    labels = {str(shape.get("label")) for document in documents.values() for shape in _shapes(document)}
    check_categories(contents.path, labels)
    finder = ImageFinder(contents.pictures)
    annotated, findings = [], []
    for path, document in documents.items():
        try:
            annotated.append(_read_file(path, document, finder))
        except UserError as error:
            findings.append(unreadable(error, path, stands_for=name_below(path.with_suffix(""), contents.path)))
    cases, notes = annotated_cases(contents, annotated, "a LabelMe file of its name")
    return cases, findings + notes


def _documents(contents: Contents) -> dict[Path, Document]:
    return {path: document for path, document in contents.documents.items() if isinstance(document.get("shapes"), list)}


def _shapes(document: Document) -> list[Mapping[str, Any]]:
    return [shape for shape in document["shapes"] if isinstance(shape, dict)]


def _read_file(path: Path, document: Document, finder: ImageFinder) -> Annotated:
    image_path = document.get("imagePath")
    image = finder.beside(path) or finder.image(image_path if isinstance(image_path, str) else path.stem, path)
    size = as_size(document.get("imageHeight"), document.get("imageWidth"), str(path))
    return Annotated(image, path, Outlines(size, tuple(_polygon(shape, str(path)) for shape in _shapes(document))))


def _polygon(shape: Mapping[str, Any], name: str) -> Polygon:
    """The outline of a shape. Raises UserError for lines, points and whatever else has no inside."""
    shape_type, points = shape.get("shape_type") or "polygon", shape.get("points")
    has_all_corners = shape_type == "rectangle" and isinstance(points, list) and len(points) == 4  # X-AnyLabeling
    if shape_type == "polygon" or has_all_corners:
        return as_polygon(points, name)
    if shape_type not in ("rectangle", "circle"):
        raise UserError(f"{name}: a shape of the type '{shape_type}'; accepted are polygon, rectangle and circle")
    x, y, other_x, other_y = finite_numbers(points, 4, name)
    if shape_type == "rectangle":
        return (x, y, other_x, y, other_x, other_y, x, other_y)
    radius = math.hypot(other_x - x, other_y - y)
    return ellipse((x, y), (radius, radius))
