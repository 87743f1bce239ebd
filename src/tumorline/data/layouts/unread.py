"""What is recognised and not read: named in one line, so that nobody takes its images for images without truth."""

import re
from pathlib import Path

from tumorline.data.layouts.annotations import TUMOUR_WORDS
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import folder_words, is_in_mask_folder, name_below, says_mask
from tumorline.file_names import PREDICTED_NAME

HEAD_BYTES = 4096
LOOKED_AT = 20
"""Files of one suffix that are opened to see what they are."""
YOLO_LINE = re.compile(rb"\s*\d+(?:[ \t]+-?(?:\d+\.?\d*|\.\d+)(?:e-?\d+)?){4,}[ \t]*(?:\r?\n|$)", re.IGNORECASE)
OTHER_VOLUMES = (".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".hdr")
DOCUMENT_SUFFIXES = {".md", ".rst", ".pdf", ".html", ".htm", ".doc", ".docx", ".bib", ".cff"}
DOCUMENT_WORDS = {"readme", "license", "licence", "copying", "terms", "notes", "citation", "attribution", "changelog"}
OWN_FILES = {"patients.csv", "fetched.json", "simulated.json", PREDICTED_NAME}
CURE = "export it as COCO (polygons) or as one mask of two values for each image"


def colour_masks(contents: Contents) -> str:
    """The masks of CVAT, whose colours a `labelmap.txt` explains."""
    found = [file for file in contents.files if file.name.lower() == "labelmap.txt"]
    return f"{found[0]}: the colour masks of CVAT and VOC with a labelmap.txt are not read; {CURE}" if found else ""


def unread_kind(contents: Contents) -> str:
    """One line for annotations or volumes of a kind that is not read; empty where there is none."""
    return next((line for look in (_yolo, _xml, _other_json, _volumes) if (line := look(contents))), "")


def sign_of_truth(contents: Contents) -> Path | None:
    """A file that may hold a truth: a mask by its name or folder, or anything but images and plain documents."""
    images = set(contents.pictures)
    return next((file for file in contents.files if _may_hold_truth(file, contents.path, file in images)), None)


def mask_beside_images(contents: Contents) -> Path | None:
    """An image that is a mask by its name or by the name of a folder above it."""
    return next((file for file in contents.pictures if _is_mask(file, contents.path)), None)


def _may_hold_truth(file: Path, root: Path, is_image: bool) -> bool:
    if is_image:
        return _is_mask(file, root) or any(TUMOUR_WORDS.search(part) for part in file.relative_to(root).parts[:-1])
    is_document = file.suffix.lower() in DOCUMENT_SUFFIXES or DOCUMENT_WORDS & set(folder_words(file.stem))
    return not is_document and file.name.lower() not in OWN_FILES


def _is_mask(file: Path, root: Path) -> bool:
    name = name_below(file, root)
    return says_mask(name) or is_in_mask_folder(name)


def _yolo(contents: Contents) -> str:
    found = [file for file in _of_suffix(contents, ".txt") if YOLO_LINE.match(_head(file))]
    return f"{found[0]}: labels of YOLO are not read; {CURE}" if found else ""


def _xml(contents: Contents) -> str:
    found = [file for file in _of_suffix(contents, ".xml") if b"<annotation" in _head(file)]
    return f"{found[0]}: annotations as XML (CVAT, Pascal VOC) are not read; {CURE}" if found else ""


def _other_json(contents: Contents) -> str:
    if not contents.pictures:
        return ""
    if contents.unread_documents:
        return str(next(iter(contents.unread_documents.values())))
    found = [path for path in contents.documents if path.name not in OWN_FILES]
    return f"{found[0]}: JSON of another kind than COCO, LabelMe and VIA is not read; {CURE}" if found else ""


def _volumes(contents: Contents) -> str:
    if found := [file for file in contents.files if file.name.lower().endswith(OTHER_VOLUMES)]:
        return f"{found[0]}: volumes of this format are not read; save them as NIfTI (.nii.gz)"
    if contents.volumes:
        names = "X_t1ce.nii.gz beside X_seg.nii.gz (BraTS), or imagesTr/ and labelsTr/ with a dataset.json (nnU-Net)"
        return f"{contents.volumes[0]}: no truth is known for volumes of this name; accepted are {names}"
    return ""


def _of_suffix(contents: Contents, suffix: str) -> list[Path]:
    return [file for file in contents.files if file.suffix.lower() == suffix][:LOOKED_AT]


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(HEAD_BYTES)
    except OSError:
        return b""
