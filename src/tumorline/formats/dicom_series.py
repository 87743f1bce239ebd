"""DICOM series as volumes: slices in their order in space, held against what a series may be.

A series is a set of slices that share an orientation and follow one another along their normal. What breaks that is
named with its file: slices that are missing, there twice or of something else, several volumes at one place, a tilt.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pydicom

from tumorline.formats.dicom import read_dicom_frames
from tumorline.formats.dicom_sequence import recognise_sequence
from tumorline.formats.dicom_slice import Floats, SeriesSlice, frames_of, read_slice_header
from tumorline.formats.dicom_stack import in_order, refuse_strays, require_alike, require_even, require_upright
from tumorline.formats.nifti import OpenVolume, Voxels, load_nibabel
from tumorline.geometry.grid import Grid, grid_of

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From DICOM's axes (left, back, head) to those of NIfTI (right, front, head)."""

T = TypeVar("T")


@dataclass(frozen=True)
class DicomSeries:
    """Slices of one series in their order along the normal."""

    slices: tuple[SeriesSlice, ...]
    sequence: str
    """Which sequence its headers tell, one of `layouts.volumes.SEQUENCES`; empty where they do not.

    Of other images than MR the modality.
    """
    reason: str
    """By what the sequence was recognised."""
    study: str
    """StudyInstanceUID, or a stand-in for it where it is not stated."""

    @property
    def note(self) -> str:
        """What is said of a series whose first slices seem to be missing; empty where nothing is."""
        first = min((one.number for one in self.slices if one.number is not None), default=0)
        whole = len({one.number for one in self.slices}) == len(self.slices)
        return (
            f"its instance numbers begin with {first}: slices at one end may be missing" if whole and first > 1 else ""
        )

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(one.path for one in self.slices))

    @property
    def step_mm(self) -> float:
        """From slice to slice."""
        return round(float(np.linalg.norm(self.affine[:3, 2])), 6)

    @cached_property
    def affine(self) -> Floats:
        """From (column, row, slice) to mm (right, front, head)."""
        first, last = self.slices[0], self.slices[-1]
        affine = np.eye(4)
        affine[:3, 0] = np.array(first.orientation[:3]) * first.spacing_mm[1]
        affine[:3, 1] = np.array(first.orientation[3:]) * first.spacing_mm[0]
        affine[:3, 2] = (np.array(last.position_mm) - first.position_mm) / (len(self.slices) - 1)
        affine[:3, 3] = first.position_mm
        return np.asarray(TO_RAS @ affine)

    @property
    def stored_shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        rows, columns = self.slices[0].size
        return columns, rows, len(self.slices)

    @cached_property
    def turn(self) -> Floats:
        """How its axes lie to those of the patient, as nibabel says it."""
        return np.asarray(load_nibabel().io_orientation(self.affine))

    @cached_property
    def grid(self) -> Grid:
        """Right, front and head increase along its axes."""
        turned = self.affine @ load_nibabel().orientations.inv_ornt_aff(self.turn, self.stored_shape)
        sides = sorted(zip(self.turn[:, 0], self.stored_shape, strict=True))
        return grid_of(tuple(side for _, side in sides), turned)

    @property
    def as_volume(self) -> OpenVolume:
        """What a NIfTI file of the series would be, without its values."""
        image = load_nibabel().Nifti1Image(np.zeros(self.stored_shape, np.uint8), self.affine)
        return OpenVolume(image, self.turn, self.stored_shape, 1)

    def to_stored(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Voxels `(X, Y, Z)`, as `read_series` gives them, as `(slices, rows, columns)` in the order of `slices`."""
        orientations = load_nibabel().orientations
        back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), self.turn)
        return np.asarray(orientations.apply_orientation(voxels, back)).transpose(2, 1, 0)


def read_series(series: DicomSeries) -> Voxels:
    """Voxels `(X, Y, Z)` after rescaling; right, front and head increase along the axes.

    Raises UserError for a slice that cannot be decoded.
    """
    frames = {path: read_dicom_frames(path) for path in series.paths}
    stack = np.stack([frames[one.path][one.frame] for one in series.slices])  # (slices, rows, columns)
    if series.slices[0].inverted:
        stack = stack.max() + stack.min() - stack
    return np.asarray(load_nibabel().apply_orientation(stack.transpose(2, 1, 0), series.turn))


def open_series(paths: Iterable[Path]) -> list[DicomSeries]:
    """The series that files hold, by their first file. Raises UserError where one of them is no whole volume."""
    headers = [(path, read_slice_header(path)) for path in sorted(paths)]
    by_series: dict[str, list[SeriesSlice]] = defaultdict(list)
    first_header: dict[str, pydicom.Dataset] = {}
    for path, header in headers:
        for one in frames_of(path, header):
            by_series[one.series].append(one)
            first_header.setdefault(one.series, header)
    refuse_strays(by_series)
    return [_series(slices, first_header[name]) for name, slices in by_series.items()]


def _series(slices: Sequence[SeriesSlice], header: pydicom.Dataset) -> DicomSeries:
    require_alike(slices)
    ordered = in_order(slices)
    require_upright(ordered)
    require_even(ordered)
    sequence, reason = recognise_sequence(header)
    study = str(header.get("StudyInstanceUID") or ordered[0].path.parent)
    return DicomSeries(tuple(ordered), sequence, reason, study)
