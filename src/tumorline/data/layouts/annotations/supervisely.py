"""Supervisely: `ann/x.png.json` for `img/x.png`, with polygons that may have holes, and bitmaps."""

import base64
import binascii
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorline.config import DataConfig
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
from tumorline.data.masks.outlines import Outlines, Patch, Polygon, as_patch, as_polygon, with_holes
from tumorline.errors import UserError
from tumorline.formats.decode import without_suffix
from tumorline.formats.packed_mask import read_packed_mask

Document = Mapping[str, Any]
IMAGES, ANNOTATIONS = "img", "ann"
"""Folders side by side."""


def find_supervisely(contents: Contents) -> str:
    return tell_files(_documents(contents), "Supervisely")


def read_supervisely(contents: Contents, _settings: DataConfig) -> Listing:
    """One case for each file; no objects is no tumour. Raises UserError for objects of other things than tumours."""
    finder = ImageFinder(contents.pictures)
    files = {path: [document] for path, document in _documents(contents).items()}
    annotated, findings = read_entries(files, lambda path, document: _read_file(path, document, finder))
    check_labels(contents, annotated)
    cases, notes = annotated_cases(contents, annotated, "annotations of Supervisely", _name_of_case)
    return cases, findings + notes


def _name_of_case(name: str) -> str:
    """That of an image, or of its annotations, without the folder in which one of them lies."""
    path = without_suffix(Path(name))
    return (path.parent.parent / path.name if path.parent.name in (IMAGES, ANNOTATIONS) else path).as_posix()


def _documents(contents: Contents) -> dict[Path, Document]:
    return {path: document for path, document in contents.documents.items() if _is_of_supervisely(document)}


def _is_of_supervisely(document: Document) -> bool:
    return isinstance(document.get("objects"), list) and isinstance(document.get("size"), dict)


def _read_file(path: Path, document: Document, finder: ImageFinder) -> Annotated:
    """Raises UserError for an image that is not there."""
    image = finder.image(f"{path.parent.parent.name}/{IMAGES}/{path.stem}", path)
    return read_or_tell(image, path, lambda: _read_objects(path, document, image))


def _read_objects(path: Path, document: Document, image: Path) -> Annotated:
    objects = [shape for shape in document["objects"] if isinstance(shape, dict)]
    size = as_size(document["size"].get("height"), document["size"].get("width"), str(path))
    bitmaps = [shape for shape in objects if _kind(shape) == "bitmap"]
    polygons = tuple(_polygon_of_object(shape, str(path)) for shape in objects if shape not in bitmaps)
    patches = tuple(_patch(shape.get("bitmap"), str(path)) for shape in bitmaps)
    labels = frozenset(str(shape.get("classTitle")) for shape in objects)
    return Annotated(image, path, Outlines(size, polygons, patches=patches), labels=labels)


def _kind(shape: Mapping[str, Any]) -> str:
    return str(shape.get("geometryType") or ("bitmap" if shape.get("bitmap") else "polygon"))


def _polygon_of_object(shape: Mapping[str, Any], name: str) -> Polygon:
    """Raises UserError for rectangles, and for whatever else has no outline."""
    if (geometry := _kind(shape)) != "polygon":
        raise UserError(f"{name}: an object of the kind '{geometry[:20]}'; accepted are polygon and bitmap")
    points = shape.get("points")
    outer, holes = (points.get("exterior"), points.get("interior")) if isinstance(points, dict) else (None, None)
    listed_holes = holes if isinstance(holes, list) else []
    return with_holes(as_polygon(outer, name), [as_polygon(hole, name) for hole in listed_holes])


def _patch(bitmap: Any, name: str) -> Patch:
    """Raises UserError for what is no PNG, zipped and as text, with its place."""
    origin = bitmap.get("origin") if isinstance(bitmap, dict) else None
    if not isinstance(origin, list) or len(origin) != 2 or not all(_is_place(value) for value in origin):
        raise UserError(f"{name}: a bitmap without its origin")
    try:
        packed = base64.b64decode(bitmap.get("data"), validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise UserError(f"{name}: a bitmap whose data are no text in base64") from None
    return as_patch(read_packed_mask(packed, name), *origin)


def _is_place(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 20
