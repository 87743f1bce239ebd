"""One slice of a series, or one frame of a file: where it lies, as its header says."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pydicom

from tumorline.arrays import Float64Array
from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one, require_regular, require_size
from tumorline.formats.dicom import (
    FRAME_GROUPS,
    SHARED_GROUPS,
    Numbers,
    class_of,
    frame_count,
    is_inverted,
    is_without_pixels,
    numbers_of,
    read_dataset,
    read_tags,
    refuse_mosaic,
)

APART_BY = {
    "TemporalPositionIdentifier": "points in time",
    "TemporalPositionIndex": "points in time",
    "EchoNumbers": "echoes",
    "EchoTime": "echo times",
    "EffectiveEchoTime": "echo times",
    "DiffusionBValue": "b-values",
    "InversionTime": "inversion times",
    "ImageType": "kinds of image",
    "FrameType": "kinds of image",
    "AcquisitionNumber": "acquisitions",
    "TriggerTime": "times",
    "AcquisitionTime": "times",
    "ContentTime": "times",
}
"""What may tell several slices at one place apart, and its words."""
OF_ONE_VOLUME = ("EchoTime", "EffectiveEchoTime", "DiffusionBValue", "InversionTime")
"""Those of them that are one of all slices of a volume that state them."""
SHARED = ("PatientID", "StudyInstanceUID", "FrameOfReferenceUID", "PhotometricInterpretation")
"""What is one of all slices of a series that state it."""
KIND = (*SHARED, "ImageOrientationPatient", "Rows", "Columns")
PLACE_TAGS = (
    *("SeriesInstanceUID", "Modality", "SOPClassUID", *KIND, "NumberOfFrames", "ImagePositionPatient", FRAME_GROUPS),
)
NO_IMAGES = ("SEG", "PR", "KO", "SR", "DOC", "REG", "RWV", "FID", "PLAN", "RTSTRUCT", "RTPLAN", "RTDOSE", "RTRECORD")
"""Modalities of objects that lie beside images and are none of a scan."""
CAPTURE = "Secondary Capture"
"""In the names of the classes of pictures of a screen, of scanned paper, and of what was no DICOM."""
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From DICOM's axes (left, back, head) to those of NIfTI (right, front, head)."""
ROUGH = 0.01
"""By so much two directions may be longer or shorter than 1, or off the right angle."""


class SeriesSlice(NamedTuple):
    """One frame of a file, and where it lies."""

    path: Path
    frame: int
    instance: str
    """SOPInstanceUID."""
    series: str
    size: tuple[int, int]
    """Rows and columns."""
    spacing_mm: Numbers
    """From row to row and from column to column."""
    orientation: Numbers
    """Direction in which the column number grows, then that in which the row number grows; left, back and head."""
    position_mm: Numbers
    """Centre of the first pixel."""
    thickness_mm: float | None
    """None where it is not stated, or is none."""
    number: int | None
    """InstanceNumber, the first where it is several; None where it is no number."""
    apart: tuple[str, ...]
    """Values of `APART_BY`."""
    shared: tuple[str, ...]
    """Values of `SHARED`, empty where not stated. Never to be quoted: they identify."""
    inverted: bool
    """Whether low values are bright."""
    of_acquisition: int | None
    """How many slices of a volume there are, as the header states it; None where it does not."""
    of_parts: int | None
    """Over how many files its frames are divided, where it states that."""

    @property
    def normal(self) -> Float64Array:
        """Left, back and head; of length 1 as the directions are."""
        return np.cross(*np.reshape(self.orientation, (2, 3)))

    def affine(self, step_mm: Float64Array) -> Float64Array:
        """From (column, row, slice) to mm (right, front, head), the next slice being a step (left, back, head) away."""
        across, down = np.reshape(self.orientation, (2, 3))
        affine = np.eye(4)
        affine[:3, :3] = np.transpose([across * self.spacing_mm[1], down * self.spacing_mm[0], step_mm])
        affine[:3, 3] = self.position_mm
        return np.asarray(TO_RAS @ affine)


class SlicePlace(NamedTuple):
    """To which series a file belongs, and at how many places it has slices."""

    series: str
    """SeriesInstanceUID; empty where it has none or cannot be read."""
    places: frozenset[tuple[float, ...]]
    is_image: bool = True
    """Not a report, a presentation state or a segmentation. A file that cannot be read may be one: decoding says so."""
    kind: tuple[str, ...] = ()
    """What is one of all slices of a series. Never to be quoted: it identifies."""
    is_screenshot: bool = False
    """A secondary capture that does not say where it lies: an image, and no slice."""


def read_slice_place(path: Path) -> SlicePlace:
    """Of a file of many frames there are as many places as its frames lie at."""
    return read_tags(path, PLACE_TAGS, _slice_place, SlicePlace("", frozenset()))


def _slice_place(header: pydicom.Dataset) -> SlicePlace:
    kind = tuple(str(header.get(keyword) or "") for keyword in KIND)
    series, places = str(header.get("SeriesInstanceUID") or ""), _stated_places(header)
    is_image = not is_without_pixels(header) and header.get("Modality") not in NO_IMAGES
    return SlicePlace(series, places, is_image, kind, not places and CAPTURE in class_of(header))


def _stated_places(header: pydicom.Dataset) -> frozenset[Numbers]:
    """Where a slice, or each of many frames, says that it lies; a frame that does not say so has a place of its own."""
    if position := numbers_of(header.get("ImagePositionPatient")):
        return frozenset([position])
    frames = (header.get(FRAME_GROUPS) or [])[: frame_count(header)]
    stated = [numbers_of(_first_value(_items(frame), "ImagePositionPatient")) for frame in frames]
    return frozenset(position or (float(number),) for number, position in enumerate(stated))


def read_slice_header(path: Path) -> pydicom.Dataset:
    with decode_one(path, "DICOM", quote=False):
        require_regular(path)
        return read_dataset(path, stop_before_pixels=True)


def frames_of(path: Path, header: pydicom.Dataset) -> list[SeriesSlice]:
    """The frames of a file. Raises UserError where it does not say where they lie."""
    with decode_one(path, "DICOM", quote=False):
        require_size(path, int(header.Rows), int(header.Columns), frame_count(header))
        refuse_mosaic(path, header)
        return [_slice(path, header, frame) for frame in range(frame_count(header))]


def _functional_groups(path: Path, header: pydicom.Dataset, frame: int) -> list[pydicom.Dataset]:
    """Where to look for what is said of a frame, the nearest first."""
    per_frame, shared = header.get(FRAME_GROUPS), header.get(SHARED_GROUPS) or []
    if per_frame is None and (frames := frame_count(header)) > 1:
        raise UserError(f"{path}: holds {frames} frames and does not say where they lie")
    nested = [
        item for group in [*(per_frame[frame : frame + 1] if per_frame else []), *shared] for item in _items(group)
    ]
    return [*nested, header]


def value_of_frame(path: Path, header: pydicom.Dataset, frame: int, keyword: str) -> Any:
    """What is said of a frame of a file; None where nothing is."""
    return _first_value(_functional_groups(path, header, frame), keyword)


def _items(group: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [element.value[0] for element in group if element.VR == "SQ" and len(element.value)]


def _slice(path: Path, header: pydicom.Dataset, frame: int) -> SeriesSlice:
    groups = _functional_groups(path, header, frame)
    geometry = {
        keyword: _numbers(path, keyword, _first_value(groups, keyword), count)
        for keyword, count in (("PixelSpacing", 2), ("ImageOrientationPatient", 6), ("ImagePositionPatient", 3))
    }
    return SeriesSlice(
        path=path,
        frame=frame,
        instance=str(header.get("SOPInstanceUID", "")),
        series=str(header.get("SeriesInstanceUID", "")),
        size=(int(header.Rows), int(header.Columns)),
        spacing_mm=geometry["PixelSpacing"],
        orientation=geometry["ImageOrientationPatient"],
        position_mm=geometry["ImagePositionPatient"],
        thickness_mm=next((mm for mm in numbers_of(_first_value(groups, "SliceThickness")) if 0 < mm < np.inf), None),
        number=_whole_number(header, "InstanceNumber"),
        apart=tuple(str(_first_value(groups, keyword)) for keyword in APART_BY),
        shared=tuple(str(header.get(keyword) or "").strip() for keyword in SHARED),
        inverted=is_inverted(header),
        of_acquisition=_stated_slices(header),
        of_parts=_whole_number(header, "InConcatenationTotalNumber"),
    )


def _whole_number(header: pydicom.Dataset, keyword: str) -> int | None:
    """The first of an element; None where it is no number."""
    return next((int(number) for number in numbers_of(header.get(keyword)) if np.isfinite(number)), None)


def _stated_slices(header: pydicom.Dataset) -> int | None:
    """Of one point in time, where the images are those of several."""
    images = _whole_number(header, "ImagesInAcquisition")
    times = _whole_number(header, "NumberOfTemporalPositions") or 1
    return images // times if images and times > 0 and images % times == 0 else images


def _first_value(groups: Sequence[pydicom.Dataset], keyword: str) -> Any:
    return next((group[keyword].value for group in groups if keyword in group), None)


def _numbers(path: Path, keyword: str, value: Any, count: int) -> Numbers:
    numbers = numbers_of(value)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise UserError(f"{path}: its {keyword} does not say where the slice lies; it cannot be part of a volume")
    if keyword == "PixelSpacing" and min(numbers) <= 0:
        raise UserError(f"{path}: its PixelSpacing is {numbers[0]:g} x {numbers[1]:g}; expected sizes above 0")
    if keyword == "ImageOrientationPatient" and not _are_directions(numbers):
        direction_cosines = " / ".join(f"{number:g}" for number in numbers)
        raise UserError(
            f"{path}: its ImageOrientationPatient is {direction_cosines}; expected two unit vectors at right angles"
        )
    return numbers


def _are_directions(numbers: Numbers) -> bool:
    pair = np.reshape(numbers, (2, 3))
    return bool(np.allclose(pair @ pair.T, np.eye(2), atol=ROUGH))
