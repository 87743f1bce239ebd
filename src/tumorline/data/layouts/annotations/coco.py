"""COCO: one JSON for a folder of images, with polygons or runs as outlines; often one for each part of a split."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tumorline.config import DataConfig
from tumorline.data.layouts.annotations.outlined import (
    Annotated,
    ImageFinder,
    annotated_cases,
    as_size,
    check_categories,
    read_entries,
    tell_files,
)
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import part_in_words
from tumorline.data.masks.outlines import Outlines, Polygon, Runs, as_polygon, as_runs
from tumorline.errors import UserError
from tumorline.wording import is_or_are, numbered

Document = Mapping[str, Any]
Entry = Mapping[str, Any]


def find_coco(contents: Contents) -> str:
    return tell_files(_documents(contents), "COCO annotations")


def read_coco(contents: Contents, _settings: DataConfig) -> Listing:
    """One case for each listed image; one that is listed without annotations shows no tumour.

    Raises UserError where outlines may be of other things than tumours, or of another image than they say.
    """
    documents = _documents(contents)
    for path, document in documents.items():
        _check_ids(path, document)
    _check_all_categories(contents, documents)
    finder = ImageFinder(contents.pictures)
    annotations = {path: _by_image(document) for path, document in documents.items()}
    images = {path: document["images"] for path, document in documents.items()}
    annotated, findings = read_entries(images, lambda path, entry: _read_image(path, entry, annotations[path], finder))
    cases, notes = annotated_cases(contents, annotated, "annotations in a COCO file")
    return cases, findings + notes


def _documents(contents: Contents) -> dict[Path, Document]:
    return {path: document for path, document in contents.documents.items() if _is_coco(document)}


def _is_coco(document: Document) -> bool:
    return all(isinstance(document.get(key), list) for key in ("images", "annotations"))


def _entries(document: Document, key: str) -> list[Entry]:
    entries = document.get(key)
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _id(entry: Entry, key: str = "id") -> str:
    """A whole number is the same with decimals, as a spreadsheet or pandas writes it, and as text."""
    value = entry.get(key)
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _check_ids(path: Path, document: Document) -> None:
    """Raise UserError where annotations are of no listed image, or where it is open of which of two."""
    image_ids = Counter(map(_id, _entries(document, "images")))
    if twice := [image_id for image_id, count in image_ids.items() if count > 1]:
        raise UserError(
            f"{path}: lists {image_ids[twice[0]]} images with the id {twice[0]}; give each an id of its own"
        )
    used = [_id(annotation, "image_id") for annotation in _entries(document, "annotations")]
    if strange := [image_id for image_id in used if image_id not in image_ids]:
        raise UserError(
            f"{path}: {len(strange)} of {numbered(len(used), 'annotation')} {is_or_are(len(strange))} of no image that "
            f"it lists: image_id {strange[0]}, where ids of images are for example {next(iter(image_ids), 'none')}; "
            "mend the ids, or take out what is of no image"
        )


def _check_all_categories(contents: Contents, documents: Mapping[Path, Document]) -> None:
    names = set()
    for document in documents.values():
        named = {_id(category): str(category.get("name")) for category in _entries(document, "categories")}
        used = {_id(entry, "category_id") for entry in _entries(document, "annotations")}
        names |= {named.get(category, category) for category in used}
    check_categories(contents.path, names)


def _by_image(document: Document) -> dict[str, list[Entry]]:
    annotations: dict[str, list[Entry]] = defaultdict(list)
    for annotation in _entries(document, "annotations"):
        annotations[_id(annotation, "image_id")].append(annotation)
    return annotations


def _read_image(path: Path, entry: Any, annotations: Mapping[str, list[Entry]], finder: ImageFinder) -> Annotated:
    """Raises UserError for an image that is not there and for outlines that are none."""
    if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
        raise UserError(f"{path}: lists an image without a file_name")
    image = finder.image(entry["file_name"], path)
    name = f"{path} ({entry['file_name']})"
    polygons: list[Polygon] = []
    runs: list[Runs] = []
    size = as_size(entry.get("height"), entry.get("width"), name)
    for annotation in annotations.get(_id(entry), ()):
        _add_outlines(annotation.get("segmentation"), size, polygons, runs, name)
    return Annotated(image, path, Outlines(size, tuple(polygons), tuple(runs)), part_in_words(path.stem))


def _add_outlines(
    segmentation: Any, size: tuple[int, int] | None, polygons: list[Polygon], runs: list[Runs], name: str
) -> None:
    if not segmentation:
        raise UserError(f"{name}: a box without an outline; only polygons and runs are read")
    if isinstance(segmentation, list):
        flat = not any(isinstance(polygon, list) for polygon in segmentation)  # as VIA writes it
        polygons += [as_polygon(polygon, name) for polygon in ([segmentation] if flat else segmentation)]
    elif isinstance(segmentation, dict) and list(size or ()) == segmentation.get("size"):
        runs.append(as_runs(segmentation.get("counts"), name))
    else:
        raise UserError(f"{name}: outlines that are neither polygons nor runs of the image's size")
