"""What is recognised and not read: named in one line, so that nobody takes its images for images without truth."""

import re
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

from tumorline.data.layouts.annotations import yolo
from tumorline.data.layouts.classes import shows_tumour
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import folder_words, is_mask_name
from tumorline.data.layouts.unread_dicom import LOOKED_AT, told_of_segmentation
from tumorline.data.layouts.unsaid import masks_by_word, twins
from tumorline.file_names import FETCHED_NAME, PREDICTED_NAME
from tumorline.formats.boundary import read_head
from tumorline.formats.unread import unread_volume

WITH_WORD = re.compile(r"(?P<base>.+)[-_. ][a-z]+\d*", re.IGNORECASE)
DOCUMENT_SUFFIXES = {".md", ".rst", ".pdf", ".html", ".htm", ".doc", ".docx", ".bib", ".cff"}
DOCUMENT_WORDS = {"readme", "license", "licence", "copying", "terms", "notes", "citation", "attribution", "changelog"}
OWN_FILES = {"patients.csv", FETCHED_NAME, "simulated.json", PREDICTED_NAME}
CURE = "export it as COCO (polygons) or as one mask of two values for each image"


def unread_kind(contents: Contents) -> str:
    """One line for annotations or volumes of a kind that is not read; empty where there is none."""
    return next((line for look in (_yolo, _xml, _other_json, _volumes) if (line := look(contents))), "")


def sign_of_truth(contents: Contents) -> Path | None:
    """A file that may hold a truth: a mask by its name or folder, or anything but images and plain documents."""
    images = set(contents.pictures)
    other_files = (file for file in contents.files if file not in images and not _is_document(file))
    return next(chain(other_files, _pictures_with_truth(contents)), None)


def _pictures_with_truth(contents: Contents) -> Iterator[Path]:
    """Pictures that may be a mask or show a tumour, by their names and folders, and those beside others of the name."""
    yield from (file for file, name in contents.names.items() if is_mask_name(name) or _names_tumour(name))
    yield from masks_by_word(contents.names)
    yield from (files[-1] for files in twins(contents.names))
    yield from (file for file, name in contents.names.items() if _lengthens(name, contents.picture_names))


def mask_beside_images(contents: Contents) -> Path | None:
    """An image that is a mask by its name, by that of a folder above it or by a picture beside it."""
    by_name = (file for file, name in contents.names.items() if is_mask_name(name))
    return next(chain(by_name, masks_by_word(contents.names)), None)


def _is_document(file: Path) -> bool:
    says_so = file.suffix.lower() in DOCUMENT_SUFFIXES or DOCUMENT_WORDS & set(folder_words(file.stem))
    is_empty = file.suffix.lower() == ".txt" and not read_head(file)
    return bool(says_so) or file.name.lower() in OWN_FILES or is_empty


def _names_tumour(name: str) -> bool:
    *folders, stem = name.split("/")
    verdict = shows_tumour(folders)
    return bool(shows_tumour([stem]) if verdict is None else verdict)


def _lengthens(name: str, names: Collection[str]) -> bool:
    """Whether a picture has the name of another and a word behind it."""
    match = WITH_WORD.fullmatch(name)
    return match is not None and match["base"] in names


def _yolo(contents: Contents) -> str:
    files = [file for file in contents.of_suffix(".txt")[:LOOKED_AT] if yolo.LINE.search(read_head(file))]
    if not files:
        return ""
    if any(yolo.OUTLINE.search(read_head(file)) for file in files):
        return (
            f"{files[0]}: labels of YOLO, of which no image has the name; give the folder that holds images and labels"
        )
    return (
        f"{files[0]}: labels of YOLO that are boxes (class, centre, width, height), which are no outlines; {yolo.CURE}"
    )


def _xml(contents: Contents) -> str:
    files = [file for file in contents.of_suffix(".xml")[:LOOKED_AT] if b"<annotation" in read_head(file)]
    return f"{files[0]}: XML of Pascal VOC, whose boxes are no outlines, is not read; {CURE}" if files else ""


def _other_json(contents: Contents) -> str:
    if not contents.pictures:
        return ""
    if contents.unread_documents:
        return str(next(iter(contents.unread_documents.values())))
    paths = [path for path in contents.documents if path.name not in OWN_FILES]
    return (
        f"{paths[0]}: JSON of another kind than COCO, LabelMe, VIA and Supervisely is not read; {CURE}" if paths else ""
    )


def _volumes(contents: Contents) -> str:
    if message := next(filter(None, map(unread_volume, contents.files)), ""):
        return message
    if contents.volumes:
        if message := told_of_segmentation(contents.pictures):
            return message
        names = (
            "X_t1ce.nii.gz beside X_seg.nii.gz (BraTS), imagesTr/ and labelsTr/ with a dataset.json (nnU-Net), or a "
            "CSV that lists them (id, patient, image_flair, image_t1c, mask)"
        )
        return f"{contents.volumes[0]}: no truth is known for volumes of this name; accepted are {names}"
    return ""
