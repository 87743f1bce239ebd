"""DICOM series as volumes: slices in their order in space, held against what a series may be.

A series is a set of slices that share an orientation and follow one another along their normal. What breaks that is
named with its file: slices that are missing, there twice or of something else, several volumes at one place, a tilt.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom

from tumorline.arrays import Float64Array
from tumorline.errors import UserError
from tumorline.formats.decode import FEWEST_SLICES
from tumorline.formats.dicom import read_dicom_frames
from tumorline.formats.dicom_ends import last_number, tell_ends
from tumorline.formats.dicom_sequence import recognise_sequence
from tumorline.formats.dicom_slice import SHARED, SeriesSlice, frames_of, read_slice_header
from tumorline.formats.dicom_stack import (
    in_order,
    refuse_stray,
    require_alike,
    require_even,
    require_one_contrast,
    require_upright,
)
from tumorline.formats.nifti import OpenVolume, Voxels, load_nibabel, placed_image
from tumorline.geometry.grid import Grid, grid_of


@dataclass(frozen=True)
class DicomSeries:
    """Slices of one series in their order along the normal."""

    slices: tuple[SeriesSlice, ...]
    sequence: str
    """Which sequence its headers tell, one of `scan_case.SEQUENCES`; empty where they do not.

    Of other images than MR the modality.
    """
    reason: str
    """By what the sequence was recognised."""
    study: str
    """StudyInstanceUID, or a stand-in for it where it is not stated."""
    number: int | None
    """SeriesNumber; None where it is no number."""
    ends_of_others: frozenset[int] = frozenset()
    """The highest InstanceNumber of each series that was found beside it."""

    @property
    def patient(self) -> str:
        """PatientID, never to be quoted; empty where it is not one."""
        return self.stated("PatientID")

    def stated(self, keyword: str) -> str:
        """What its slices state of one of `SHARED`; empty where it is not one."""
        return one_stated(one.shared[SHARED.index(keyword)] for one in self.slices)

    @property
    def last_number(self) -> int | None:
        """The highest InstanceNumber."""
        return last_number(self.slices)

    @property
    def note(self) -> str:
        """What is said of a series that seems to lack slices at an end; empty where nothing is."""
        return tell_ends(self.slices, self.ends_of_others)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(dict.fromkeys(one.path for one in self.slices))

    @property
    def step_mm(self) -> float:
        """From slice to slice."""
        return round(float(np.linalg.norm(self.affine[:3, 2])), 6)

    @cached_property
    def affine(self) -> Float64Array:
        """From (column, row, slice) to mm (right, front, head)."""
        first, last = self.slices[0], self.slices[-1]
        return first.affine(np.subtract(last.position_mm, first.position_mm) / (len(self.slices) - 1))

    @property
    def stored_shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        rows, columns = self.slices[0].size
        return columns, rows, len(self.slices)

    @cached_property
    def turn(self) -> Float64Array:
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
        image = placed_image(np.zeros(self.stored_shape, np.uint8), self.affine)
        return OpenVolume(image, self.turn, self.stored_shape, 1)

    def to_stored(self, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Voxels `(X, Y, Z)`, as `read_series` gives them, as `(slices, rows, columns)` in the order of `slices`."""
        orientations = load_nibabel().orientations
        back = orientations.ornt_transform(orientations.axcodes2ornt("RAS"), self.turn)
        return np.asarray(orientations.apply_orientation(voxels, back)).transpose(2, 1, 0)


@dataclass(frozen=True)
class BrokenSeries:
    """Files of one series that are no whole volume."""

    paths: tuple[Path, ...]
    sequence: str
    reason: str
    study: str
    patient: str
    problem: str
    """In one line."""
    number: int | None
    last_number: int | None


def read_series(series: DicomSeries) -> Voxels:
    """Voxels `(X, Y, Z)` after rescaling; right, front and head increase along the axes.

    Raises UserError for a slice that cannot be decoded.
    """
    frames = {path: read_dicom_frames(path) for path in series.paths}
    stack = np.stack([frames[one.path][one.frame] for one in series.slices])  # (slices, rows, columns)
    if series.slices[0].inverted:
        stack = stack.max() + stack.min() - stack
    return np.asarray(load_nibabel().apply_orientation(stack.transpose(2, 1, 0), series.turn))


def open_each(paths: Iterable[Path]) -> tuple[list[DicomSeries], list[BrokenSeries]]:
    """The series that files hold, by their first file, and those of them that are no whole volume."""
    series_read = [_read_files(files) for files in _by_series(paths)]
    largest = max((series.slices for series in series_read), key=len, default=())
    whole, broken = [], []
    for series in series_read:
        try:
            whole.append(_whole(series, largest))
        except UserError as error:
            broken.append(_broken(series, str(error)))
    return beside(whole, broken), broken


def beside(whole: Sequence[DicomSeries], others: Iterable[DicomSeries | BrokenSeries]) -> list[DicomSeries]:
    """The series, with what the numbers of all that were found with them may say of theirs."""
    numbers = (one.last_number for one in (*whole, *others))
    ends = frozenset(number for number in numbers if number is not None)
    return [replace(series, ends_of_others=series.ends_of_others | ends) for series in whole]


class _Read(NamedTuple):
    """What the headers of one series say."""

    headers: dict[Path, pydicom.Dataset]
    slices: Sequence[SeriesSlice]
    problem: str
    """Why there are no slices."""

    @property
    def first(self) -> pydicom.Dataset:
        return next(iter(self.headers.values()))

    @property
    def study(self) -> str:
        return str(self.first.get("StudyInstanceUID") or next(iter(self.headers)).parent)

    @property
    def number(self) -> int | None:
        with suppress(ValueError, TypeError, OverflowError):
            return int(self.first.get("SeriesNumber"))
        return None


def _by_series(paths: Iterable[Path]) -> list[dict[Path, pydicom.Dataset]]:
    """A file that cannot be read stands alone, without a header."""
    headers_by_series: dict[str, dict[Path, pydicom.Dataset]] = defaultdict(dict)
    for path in sorted(paths):
        try:
            header = read_slice_header(path)
            headers_by_series[str(header.get("SeriesInstanceUID", ""))][path] = header
        except UserError:
            headers_by_series[str(path)][path] = pydicom.Dataset()
    return _joined_again(list(headers_by_series.values()))


def _joined_again(series: list[dict[Path, pydicom.Dataset]]) -> list[dict[Path, pydicom.Dataset]]:
    """One series of slices that name one each: whoever took the names out made it up file by file."""
    headers = {path: header for files in series for path, header in files.items()}
    are_slices = all(
        slice_header.get("SeriesInstanceUID") and (slice_header.get("NumberOfFrames") or 1) == 1
        for slice_header in headers.values()
    )
    return [headers] if are_slices and len(series) == len(headers) >= FEWEST_SLICES else series


def _read_files(headers: dict[Path, pydicom.Dataset]) -> _Read:
    try:
        slices = [one for path, header in headers.items() for one in frames_of(path, header)]
    except UserError as error:
        return _Read(headers, (), str(error))
    return _Read(headers, slices, "")


def _whole(series: _Read, largest: Sequence[SeriesSlice]) -> DicomSeries:
    """Raises UserError where the slices are no whole volume; `largest` is the longest of the series beside it."""
    if series.problem:
        raise UserError(series.problem)
    refuse_stray(series.slices, largest)
    require_alike(series.slices)
    ordered = in_order(series.slices)
    require_one_contrast(ordered)
    require_upright(ordered)
    require_even(ordered)
    sequence, reason = recognise_sequence(series.first)
    return DicomSeries(tuple(ordered), sequence, reason, series.study, series.number)


def _broken(series: _Read, problem: str) -> BrokenSeries:
    sequence, reason = recognise_sequence(series.first)
    patient = one_stated(str(header.get("PatientID") or "").strip() for header in series.headers.values())
    return BrokenSeries(
        paths=tuple(series.headers),
        sequence=sequence,
        reason=reason,
        study=series.study,
        patient=patient,
        problem=problem,
        number=series.number,
        last_number=last_number(series.slices),
    )


def one_stated(values: Iterable[str]) -> str:
    """What all that state it state; empty where none does, or where values differ, made up file by file."""
    stated = {*values} - {""}
    return stated.pop() if len(stated) == 1 else ""
