"""What is said of DICOM files of which no layout makes a case: slices of a series, segmentations."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from tumorline.escaping import for_shell
from tumorline.formats.decode import FEWEST_SLICES, is_dicom

LOOKED_AT = 20
"""Files of one folder that are opened to see what they are."""
CURE = (
    "to train or evaluate, give the series and its segmentation to 'tumorline data convert', or save this as NIfTI "
    "with 3D Slicer"
)
"""Of a segmentation whose images are NIfTI."""


def told_of_series(root: Path, pictures: Iterable[Path]) -> str:
    """One line for DICOM slices that are a series, of which no layout makes a volume; empty where there are none."""
    from tumorline.formats.dicom_slice import read_slice_place  # imports pydicom

    places: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for file in islice(filter(is_dicom, pictures), LOOKED_AT):
        slice_place = read_slice_place(file)
        places[slice_place.series] |= slice_place.places
        if slice_place.series and len(places[slice_place.series]) >= FEWEST_SLICES:
            command = for_shell("tumorline", "data", "convert", root, "--output", "SET")
            return f"{file}: of a DICOM series, which only predict reads as a volume; to train or evaluate: {command}"
    return ""


def told_of_segmentation(pictures: Iterable[Path]) -> str:
    """One line for a DICOM segmentation beside volumes; empty where there is none."""
    from tumorline.formats.dicom_slice import read_slice_place  # imports pydicom

    for file in islice(filter(is_dicom, pictures), LOOKED_AT):
        if not read_slice_place(file).is_image:
            return told_beside_volumes(file)
    return ""


def told_beside_volumes(file: Path) -> str:
    """One line for a DICOM file that is meant as one of the volumes of a scan; empty for another file."""
    return f"{file}: DICOM, where the other files of the scan are NIfTI; {CURE}" if is_dicom(file) else ""


def told_of_folder(folder: Path) -> str:
    """One line for a folder that is named where a file is expected, if DICOM slices lie in it; else empty."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return told_of_series(folder, files) if folder.is_dir() else ""
