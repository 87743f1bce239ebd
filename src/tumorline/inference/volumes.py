"""The channels of a scan, which are volumes, as one image on the grid of the first."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tumorline.arrays import ImageArray
from tumorline.data.case import Case, read_image
from tumorline.data.layouts.to_predict.gather import channel_meant, split_name
from tumorline.data.layouts.volumes.scan_case import SEQUENCES, name_beside, resampled_finding, volume_of_scan
from tumorline.data.layouts.volumes.volume_names import visits_among
from tumorline.formats.grey import as_float32
from tumorline.formats.nifti import OpenVolume, open_volume
from tumorline.geometry.grid import Grid
from tumorline.geometry.resample import resample
from tumorline.geometry.upright import upright, upright_grid
from tumorline.inference.jobs import PredictionJob

if TYPE_CHECKING:
    from tumorline.formats.dicom_series import DicomSeries


class ScanImage(NamedTuple):
    """What a model sees of a scan, and the volume on which its answer is to lie."""

    image: ImageArray
    """`(C, D, H, W)`, slices from the feet up."""
    grid: Grid
    volume: OpenVolume
    notes: tuple[str, ...]
    """What was resampled, and what is said to lie apart."""


def read_scan(job: PredictionJob) -> ScanImage:
    """Raises UserError for what is no readable volume, and for channels that do not overlap."""
    if job.series:
        return _read_series(job.series)
    (case,), findings = volume_of_scan(Case(job.path.stem, job.images, planes=job.planes))
    image = read_image(case)
    grid = case.grid or Grid(image.shape[1:])
    return ScanImage(image, grid, open_volume(job.path), tuple(finding.message for finding in findings))


def _read_series(series: "Sequence[DicomSeries]") -> ScanImage:
    first, *others = series
    grid = upright_grid(first.grid)
    channels, notes = [_grey(first)], []
    for other in others:
        notes += _apart(first, other)
        if first.grid.difference(other.grid):
            folders = first.paths[0].parent, other.paths[0].parent
            notes.append(resampled_finding(*folders, (first.grid, other.grid)).message)
            channels.append(resample(_grey(other), upright_grid(other.grid), grid, nearest=False))
        else:
            channels.append(_grey(other))
    return ScanImage(np.stack(channels), grid, first.as_volume, tuple(notes))


def _apart(first: "DicomSeries", other: "DicomSeries") -> list[str]:
    """Notes of two series that do not say they belong together; what identifies is not quoted."""
    words = {
        "PatientID": "is of another patient, by its PatientID",
        "FrameOfReferenceUID": "has another frame of reference: the head may have moved between the two",
    }
    stated = {keyword: (first.stated(keyword), other.stated(keyword)) for keyword in words}
    folder, against = other.paths[0].parent, first.paths[0].parent
    return [
        f"{folder}: {words[keyword]} (against {name_beside(against, folder)})"
        for keyword, (in_first, in_other) in stated.items()
        if in_first and in_other and in_first != in_other
    ]


def _grey(series: "DicomSeries") -> ImageArray:
    """A series as `(D, H, W)`."""
    from tumorline.formats.dicom_series import read_series  # imports pydicom

    return as_float32(upright(read_series(series)), series.paths[0].parent)


def sequence_notes(job: PredictionJob, channels: Sequence[str]) -> list[str]:
    """What is said of volumes whose names state other sequences than those that they are taken for."""
    if job.series or job.planes:
        return []
    visits = visits_among(path.name for path in job.images)
    stated = [channel_meant(split_name(path, visits).word, channels) for path in job.images]
    return [
        f"{path.name}: its name states {name}, it is taken for {channel}"
        for path, name, channel in zip(job.images, stated, channels, strict=False)
        if name and channel in SEQUENCES and name != channel
    ]
