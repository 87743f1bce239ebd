"""Masks of a DICOM series as a DICOM segmentation object, which refers to the slices that it was drawn on."""

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from tumorline.arrays import MaskArray
from tumorline.errors import UserError, require_extra
from tumorline.files import write_bytes
from tumorline.formats.boundary import decode_one, log
from tumorline.formats.dicom import read_dataset
from tumorline.formats.dicom_series import DicomSeries
from tumorline.formats.dicom_slice import SeriesSlice
from tumorline.groups import grouped
from tumorline.wording import in_words

Headers = Mapping[Path, pydicom.Dataset]
"""What is kept of the headers of each file of a series."""
MANUFACTURER = "Tumorline"
SERIES_NUMBER = 900
NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID")
MAY_BE_EMPTY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
KEPT = (
    *NEEDED,
    *MAY_BE_EMPTY,
    *("SpecificCharacterSet", "Modality", "PatientIdentityRemoved"),
    *("DeidentificationMethod", "DeidentificationMethodCodeSequence"),
    *("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod"),
)
"""What a segmentation takes over from its source, beside the geometry."""
CODES = {
    "tumour": "Neoplasm",
    "whole_tumour": "Neoplasm",
    "tumour_core": "Neoplasm",
    "enhancing_tumour": "EnhancingLesion",
    "oedema": "Edema",
    "necrosis": "Necrosis",
}
"""Which concept of DICOM's context group 7159 (lesion segmentation types) a region is; others are a lesion."""


@dataclass(frozen=True)
class Author:
    """The model that has drawn a segmentation."""

    model: str
    stamp: str
    version: str
    """Of Tumorline."""


def write_dicom_seg(
    path: Path, masks: MaskArray, regions: tuple[str, ...], series: DicomSeries, author: Author
) -> None:
    """Write masks `(R, X, Y, Z)`, as `read_series` turns voxels, as a binary segmentation with a segment for each.

    The standard wants patient and study of the source in it: the file identifies the patient as the source does. What
    else the source says of people and places is left out.
    Raises UserError without highdicom (the 'dicom' extra) and for a source whose headers do not allow one.
    """
    require_extra("highdicom", "writing DICOM segmentations", "dicom")
    headers = {file: _read_source(file) for file in series.paths}
    _require_own_names(headers)
    source = series.slices[0].path
    content = BytesIO()
    try:
        _segmentation(masks, regions, series, author, headers).save_as(content)
    except Exception as error:
        log.debug("%s: %s", source, type(error).__name__)  # its text may hold a name
        reason = f"its headers do not allow a DICOM segmentation ({type(error).__name__})"
        raise UserError(f"{source}: {reason}; mend them, or take the NIfTI mask") from None
    write_bytes(path, content.getvalue())


def _read_source(path: Path) -> pydicom.Dataset:
    """Of the headers of a file what is kept; what may be empty and is not there is made empty."""
    with decode_one(path, "DICOM source of a segmentation", quote=False):
        source = read_dataset(path, stop_before_pixels=True)
        for keyword in NEEDED:
            if not source.get(keyword):
                raise UserError(f"{path}: its headers lack {keyword}, which a DICOM segmentation needs")
        for tag in [*source.keys()]:
            if pydicom.datadict.keyword_for_tag(tag) not in KEPT:
                del source[tag]
        _recode(source)
        return source


def _require_own_names(headers: Headers) -> None:
    """Raise UserError where two files have one name, so that nothing could refer to either."""
    path_of_uid: dict[str, Path] = {}
    for path, header in headers.items():
        if (first := path_of_uid.setdefault(header.SOPInstanceUID, path)) is not path:
            raise UserError(
                f"{path}: its SOPInstanceUID is that of {first.name}, so that a DICOM segmentation cannot refer to it; "
                "give each file its own, or take the NIfTI mask"
            )


def _segmentation(
    masks: MaskArray, regions: tuple[str, ...], series: DicomSeries, author: Author, headers: Headers
) -> Any:
    import highdicom

    stored = np.stack([series.to_stored(mask) for mask in masks], axis=-1)  # (slices, rows, columns, R)
    origins = {str(highdicom.UID()): origin for origin in series.slices}
    segmentation = highdicom.seg.Segmentation(
        [_as_slice(name, origin, series, headers[origin.path]) for name, origin in origins.items()],
        stored.astype(np.uint8),
        highdicom.seg.SegmentationTypeValues.BINARY,
        [_describe(number, region, author) for number, region in enumerate(regions, start=1)],
        series_instance_uid=highdicom.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=author.model[:64],
        software_versions=author.version,
        device_serial_number=author.stamp[:64] or "unknown",
        content_label="TUMOUR",
        content_description="Tumour segmentation by a model; not for clinical use",
        series_description=f"Tumour segmentation, {author.model}"[:64],
        omit_empty_frames=bool(masks.any()),
    )
    _refer_to_files(segmentation, headers)
    _refer_to_frames(segmentation, origins, headers)
    return segmentation


def _as_slice(name: str, origin: SeriesSlice, series: DicomSeries, header: pydicom.Dataset) -> pydicom.Dataset:
    """A slice as a file of its own, whatever file it lies in: highdicom takes one file of many frames, or many slices.

    Orientation and spacing are those of the first slice, from which others differ by rounding alone; so is the series,
    which may have been made up file by file.
    """
    first = series.slices[0]
    flat = copy.deepcopy(header)
    flat.SOPClassUID, flat.SOPInstanceUID, flat.SeriesInstanceUID = pydicom.uid.MRImageStorage, name, first.series
    flat.Rows, flat.Columns = origin.size
    flat.PixelSpacing, flat.ImageOrientationPatient = [*first.spacing_mm], [*first.orientation]
    flat.ImagePositionPatient = [*origin.position_mm]
    flat.SliceThickness, flat.SpacingBetweenSlices = first.thickness_mm or series.step_mm, series.step_mm
    return flat


def _recode(source: pydicom.Dataset) -> None:
    """Texts in UTF-8, whatever they were in; empty where there is none, or none that the standard knows."""
    source.decode()
    source.SpecificCharacterSet = "ISO_IR 192"
    for keyword in MAY_BE_EMPTY:
        value = source.get(keyword) or ""
        text = "\\".join(map(str, value)) if isinstance(value, pydicom.multival.MultiValue) else str(value)
        setattr(source, keyword, text if _is_valid(keyword, text) else "")


def _is_valid(keyword: str, text: str) -> bool:
    if keyword == "PatientSex":
        return text in ("M", "F", "O")
    representation = {"DA": pydicom.valuerep.DA, "TM": pydicom.valuerep.TM}.get(pydicom.datadict.dictionary_VR(keyword))
    try:
        return representation is None or representation(text) is not None
    except ValueError:
        return False


def _refer_to_files(segmentation: pydicom.Dataset, headers: Headers) -> None:
    """Name the files of the source once each, by series."""
    by_series = grouped(headers.values(), lambda header: header.SeriesInstanceUID)
    references = {series: [*map(_reference, members)] for series, members in by_series.items()}
    segmentation.SourceImageSequence = [reference for own in references.values() for reference in own]
    segmentation.ReferencedSeriesSequence = [
        _item(SeriesInstanceUID=series, ReferencedInstanceSequence=own) for series, own in references.items()
    ]


def _refer_to_frames(segmentation: pydicom.Dataset, origins: Mapping[str, SeriesSlice], headers: Headers) -> None:
    """Name the file of each frame, and of a file of many its number there, in place of the slice made of it."""
    frames = Counter(origin.path for origin in origins.values())
    for group in segmentation.PerFrameFunctionalGroupsSequence:
        for item in group.DerivationImageSequence[0].SourceImageSequence:
            if origin := origins.get(item.ReferencedSOPInstanceUID):  # segments share their items
                item.update(_reference(headers[origin.path]))
                if frames[origin.path] > 1:
                    item.ReferencedFrameNumber = origin.frame + 1


def _reference(header: pydicom.Dataset) -> pydicom.Dataset:
    return _item(ReferencedSOPClassUID=header.SOPClassUID, ReferencedSOPInstanceUID=header.SOPInstanceUID)


def _item(**elements: Any) -> pydicom.Dataset:
    item = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(item, keyword, value)
    return item


def _describe(number: int, region: str, author: Author) -> Any:
    import highdicom
    from pydicom.sr.codedict import codes

    algorithm = highdicom.AlgorithmIdentificationSequence(
        name=author.model[:64], version=author.version, family=codes.cid7162.ArtificialIntelligence
    )
    return highdicom.seg.SegmentDescription(
        segment_number=number,
        segment_label=in_words(region),
        segmented_property_category=codes.cid7150.MorphologicallyAbnormalStructure,
        segmented_property_type=getattr(codes.cid7159, CODES.get(region, "Lesion")),
        algorithm_type=highdicom.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=algorithm,
        anatomic_regions=[codes.SCT.Brain],
        tracking_uid=highdicom.UID(),
        tracking_id=region,
    )
