"""Masks of a DICOM series as a DICOM segmentation object, which refers to the slices that it was drawn on."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom

from tumorline.arrays import MaskArray
from tumorline.errors import UserError, require_extra
from tumorline.files import write_bytes
from tumorline.formats.boundary import decode_one, log
from tumorline.formats.dicom import read_dataset
from tumorline.formats.dicom_series import DicomSeries
from tumorline.wording import in_words

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
    *("SpecificCharacterSet", "ImageType", "Modality", "PatientIdentityRemoved"),
    *("DeidentificationMethod", "DeidentificationMethodCodeSequence"),
)
OF_PEOPLE = (0x0008, 0x0010, 0x0012, 0x0032, 0x0038, 0x0040)
"""Groups of elements that say whose images they are, and who made them where."""
EQUIPMENT = 0x0018A001
"""What a source has been through, institutions and their people among it."""
CODES = {
    "tumour": "Neoplasm",
    "whole_tumour": "Neoplasm",
    "tumour_core": "Neoplasm",
    "enhancing_tumour": "EnhancingLesion",
    "oedema": "Edema",
    "necrosis": "Necrosis",
}
"""Which concept of DICOM's context group 7159 (lesion segmentation types) a region is; others are a lesion."""


OF_ALL_FRAMES = ("PlaneOrientationSequence", "PixelMeasuresSequence")
"""Functional groups that are alike in all frames of a series; highdicom looks for them in the shared ones alone."""
OF_FRAME = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")


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
    source = series.slices[0].path
    with decode_one(source, "DICOM source of a segmentation", quote=False):
        sources = [_read_source(file, series.step_mm) for file in series.paths]
    _require_one_file_or_slices(sources, source)
    content = BytesIO()
    try:
        _segmentation(masks, regions, series, author, sources).save_as(content)
    except Exception as error:
        log.debug("%s: %s", source, type(error).__name__)  # its text may hold a name
        what = f"its headers do not allow a DICOM segmentation ({type(error).__name__})"
        raise UserError(f"{source}: {what}; mend them, or take the NIfTI mask") from None
    write_bytes(path, content.getvalue())


def _require_one_file_or_slices(sources: list[pydicom.Dataset], first: Path) -> None:
    if len(sources) > 1 and any((source.get("NumberOfFrames") or 1) > 1 for source in sources):
        raise UserError(
            f"{first}: one of {len(sources)} files of many frames that are one series; a DICOM segmentation is written "
            "of one such file or of one slice a file; take the NIfTI mask"
        )


def _segmentation(
    masks: MaskArray, regions: tuple[str, ...], series: DicomSeries, author: Author, sources: list[pydicom.Dataset]
) -> Any:
    import highdicom

    stored = np.stack([series.to_stored(mask) for mask in masks], axis=-1)  # (slices, rows, columns, R)
    segmentation = highdicom.seg.Segmentation(
        [_as_slice(source) for source in sources],
        _in_source_order(stored, series, sources),
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
    _refer_to(sources, segmentation)
    return segmentation


def _read_source(path: Path, step_mm: float) -> pydicom.Dataset:
    """The headers of a slice; what may be empty and is not there is made empty, and a slice as thick as the step."""
    source = read_dataset(path, stop_before_pixels=True)
    for keyword in NEEDED:
        if not source.get(keyword):
            raise UserError(f"{path}: its headers lack {keyword}, which a DICOM segmentation needs")
    for tag in [element for element in source.keys() if element.group in OF_PEOPLE or element == EQUIPMENT]:  # noqa: SIM118
        if pydicom.datadict.keyword_for_tag(tag) not in KEPT:
            del source[tag]
    _recode(source)
    _share_groups(source)
    for measures in _pixel_measures(source):
        if "SliceThickness" not in measures:
            measures.SliceThickness = step_mm
    return source


def _share_groups(source: pydicom.Dataset) -> None:
    """Say once what each frame says of itself alike."""
    frames = source.get("PerFrameFunctionalGroupsSequence") or []
    stated = [keyword for keyword in OF_ALL_FRAMES if frames and keyword in frames[0]]
    if stated and not source.get("SharedFunctionalGroupsSequence"):
        source.SharedFunctionalGroupsSequence = [pydicom.Dataset()]
    for keyword in stated:
        source.SharedFunctionalGroupsSequence[0][keyword] = frames[0][keyword]
        for frame in frames:
            frame.pop(keyword, None)


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
    kind = {"DA": pydicom.valuerep.DA, "TM": pydicom.valuerep.TM}.get(pydicom.datadict.dictionary_VR(keyword))
    try:
        return kind is None or kind(text) is not None
    except ValueError:
        return False


def _as_slice(source: pydicom.Dataset) -> pydicom.Dataset:
    """A file of many frames that holds one, as a slice: highdicom takes one file of many frames, or many slices."""
    if source.get("NumberOfFrames") != 1:
        return source
    flat = pydicom.Dataset()
    for group in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for nested in [item for groups in source.get(group) or [] for item in groups if item.VR == "SQ"]:
            flat.update({own.tag: own for own in nested.value[0] if own.keyword in OF_FRAME})
    flat.update({own.tag: own for own in source if own.keyword not in ("NumberOfFrames", "SOPClassUID")})
    flat.SOPClassUID = pydicom.uid.MRImageStorage
    return flat


def _refer_to(sources: list[pydicom.Dataset], segmentation: pydicom.Dataset) -> None:
    """Say of each source that is referred to what it is, where it was flat."""
    classes = {source.SOPInstanceUID: source.SOPClassUID for source in sources}

    def mend(holder: pydicom.Dataset, element: pydicom.DataElement) -> None:
        if element.keyword == "ReferencedSOPClassUID":
            element.value = classes.get(holder.get("ReferencedSOPInstanceUID"), element.value)

    segmentation.walk(mend)


def _pixel_measures(source: pydicom.Dataset) -> list[pydicom.Dataset]:
    """Where the thickness of a slice stands: in the header, of a file of many frames in its functional groups."""
    groups = [
        *(source.get("SharedFunctionalGroupsSequence") or []),
        *(source.get("PerFrameFunctionalGroupsSequence") or []),
    ]
    return [item for group in groups for item in group.get("PixelMeasuresSequence") or []] or [source]


def _in_source_order(stored: MaskArray, series: DicomSeries, sources: list[pydicom.Dataset]) -> npt.NDArray[np.uint8]:
    """Frames as the sources have them: a file of many frames may keep them in another order than along the normal."""
    if len(sources) > 1:
        return stored.astype(np.uint8)
    order = np.argsort([one.frame for one in series.slices])
    return np.asarray(stored[order], np.uint8)


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
