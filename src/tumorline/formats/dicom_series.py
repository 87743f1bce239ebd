"""DICOM series as volumes: slices in their order in space, held against what a series may be.

A series is a set of slices that share an orientation and follow one another along their normal. What breaks that is
named with its file: slices that are missing, there twice or of something else, several volumes at one place, a tilt.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pydicom

from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one, require_regular, require_size
from tumorline.formats.dicom import is_inverted, read_dataset, read_dicom_frames
from tumorline.formats.dicom_sequence import recognise_sequence
from tumorline.formats.nifti import OpenVolume, Voxels, load_nibabel
from tumorline.geometry.grid import Grid, grid_of

FEWEST = 3
"""Slices that are a volume."""
SAME_PLACE = 0.01
"""Two slices lie at one place where they are apart by less than this share of the usual step."""
EVEN = 0.1
"""Steps from slice to slice may differ by this share."""
PARALLEL = 1e-3
"""By so much the numbers of two orientations may differ."""
TILT_DEGREES = 0.5
"""By more than this the stack leans to its normal."""
APART_BY = {
    "TemporalPositionIdentifier": "points in time",
    "TemporalPositionIndex": "points in time",
    "EchoNumbers": "echoes",
    "EchoTime": "echo times",
    "DiffusionBValue": "b-values",
    "InversionTime": "inversion times",
    "ImageType": "kinds of image",
    "AcquisitionNumber": "acquisitions",
    "ContentTime": "times",
}
"""What may tell several slices at one place apart, and its words."""
TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From DICOM's axes (left, back, head) to those of NIfTI (right, front, head)."""

Numbers = tuple[float, ...]
Floats = npt.NDArray[np.float64]
T = TypeVar("T")


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
    number: int | None
    """InstanceNumber."""
    apart: tuple[str, ...]
    """Values of `APART_BY`."""
    inverted: bool
    """Whether low values are bright."""


@dataclass(frozen=True)
class DicomSeries:
    """Slices of one series in their order along the normal."""

    slices: tuple[SeriesSlice, ...]
    sequence: str
    """Which sequence its headers tell, one of `layouts.volumes.SEQUENCES`; empty where they do not."""
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
    headers = [(path, _read_header(path)) for path in sorted(paths)]
    by_series: dict[str, list[SeriesSlice]] = defaultdict(list)
    first_header: dict[str, pydicom.Dataset] = {}
    for path, header in headers:
        for one in _frames_of(path, header):
            by_series[one.series].append(one)
            first_header.setdefault(one.series, header)
    _refuse_strays(by_series)
    return [_series(slices, first_header[name]) for name, slices in by_series.items()]


class SlicePlace(NamedTuple):
    """To which series a file belongs, and at how many places it has slices."""

    series: str
    """SeriesInstanceUID; empty where it has none or cannot be read."""
    places: frozenset[tuple[float, ...]]


def read_slice_place(path: Path) -> SlicePlace:
    """Of a file of many frames the places are as many as its frames."""
    tags = ["SeriesInstanceUID", "NumberOfFrames", "ImagePositionPatient", "PerFrameFunctionalGroupsSequence"]
    try:
        with decode_one(path, "DICOM", quote=False):
            require_regular(path)
            header = read_dataset(path, stop_before_pixels=True, specific_tags=tags)
            position = header.get("ImagePositionPatient")
            stated = int(header.get("NumberOfFrames") or 1)
            frames = min(stated, len(header.get("PerFrameFunctionalGroupsSequence") or ()))
            places = [tuple(map(float, position))] if position else [(float(frame),) for frame in range(frames)]
            return SlicePlace(str(header.get("SeriesInstanceUID") or ""), frozenset(places))
    except UserError:
        return SlicePlace("", frozenset())


def _read_header(path: Path) -> pydicom.Dataset:
    with decode_one(path, "DICOM", quote=False):
        require_regular(path)
        return read_dataset(path, stop_before_pixels=True)


def _refuse_strays(by_series: dict[str, list[SeriesSlice]]) -> None:
    """Raise UserError for a slice or two of another series among the slices of a whole one."""
    largest = max(by_series.values(), key=len, default=[])
    for slices in by_series.values():
        if slices is not largest and len(slices) < FEWEST <= len(largest):
            raise UserError(
                f"{slices[0].path}: of another series than the {len(largest)} slices beside it "
                f"(for example {largest[0].path.name}); take it away, or give each series as a folder of its own"
            )


def _series(slices: Sequence[SeriesSlice], header: pydicom.Dataset) -> DicomSeries:
    _require_alike(slices)
    ordered = _in_order(slices)
    _require_upright(ordered)
    _require_even(ordered)
    sequence, reason = recognise_sequence(header)
    study = str(header.get("StudyInstanceUID") or ordered[0].path.parent)
    return DicomSeries(tuple(ordered), sequence, reason, study)


# ---------------------------------------------------------------- what a series may be


def _require_alike(slices: Sequence[SeriesSlice]) -> None:
    """Raise UserError for a slice whose size, spacing or orientation is not that of most of the others."""
    if len(slices) < FEWEST:
        raise UserError(
            f"{slices[0].path}: a series of {len(slices)} slices; a volume has {FEWEST} and more. "
            "Give a file by itself to have it read as a picture"
        )
    _require_same(slices, "size", [(one.size[1], one.size[0]) for one in slices], " x ")
    for name in ("spacing_mm", "orientation"):
        values = [tuple(round(value / PARALLEL) * PARALLEL for value in getattr(one, name)) for one in slices]
        _require_same(slices, {"spacing_mm": "pixel spacing"}.get(name, name), values, " / ")


def _require_same(slices: Sequence[SeriesSlice], name: str, values: Sequence[tuple[float, ...]], joint: str) -> None:
    usual, count = Counter(values).most_common(1)[0]
    for one, value in zip(slices, values, strict=True):
        if value != usual:
            here, there = (joint.join(f"{number:g}" for number in numbers) for numbers in (value, usual))
            raise UserError(
                f"{one.path}: its {name} is {here}, that of {count} others of its series {there}; it is foreign here, "
                "take it away"
            )


def _in_order(slices: Sequence[SeriesSlice]) -> list[SeriesSlice]:
    """By their place along the normal. Raises UserError where two lie at one place."""
    heights = _heights(slices)
    order = np.argsort(heights, kind="stable")
    ordered, heights = [slices[number] for number in order], heights[order]
    steps = np.diff(heights)
    usual = float(np.median(steps[steps > SAME_PLACE * steps.max()])) if steps.max() > 0 else 0.0
    starts = np.flatnonzero(np.r_[True, steps > SAME_PLACE * usual])
    counts = np.diff(np.r_[starts, len(ordered)])
    if (counts > 1).any() or not usual:
        _refuse_doubled(ordered, starts, counts)
    return ordered


def _heights(slices: Sequence[SeriesSlice]) -> Floats:
    """Places along the normal in mm."""
    across, down = np.array(slices[0].orientation).reshape(2, 3)
    return np.array([one.position_mm for one in slices]) @ np.cross(across, down)


def _refuse_doubled(ordered: Sequence[SeriesSlice], starts: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
    if len(set(counts.tolist())) == 1 and len(starts) >= FEWEST:
        volumes, members = int(counts[0]), ordered[: counts[0]]
        named = [
            words for place, words in enumerate(APART_BY.values()) if len({one.apart[place] for one in members}) > 1
        ]
        how = f", which differ in {named[0]}" if named else ""
        raise UserError(
            f"{ordered[0].path.parent}: a series of {volumes} volumes at one place (4D){how}; give the files of one"
        )
    start = int(starts[np.argmax(counts > 1)])
    first, second = ordered[start], ordered[start + 1]
    raise UserError(f"{second.path}: lies where {first.path.name} lies; a slice is there twice, take one of them away")


def _require_upright(ordered: Sequence[SeriesSlice]) -> None:
    """Raise UserError where the slices are pushed aside from one to the next, or one of them is."""
    positions = np.array([one.position_mm for one in ordered])
    heights = _heights(ordered)
    across, down = np.array(ordered[0].orientation).reshape(2, 3)
    normal = np.cross(across, down)
    aside = positions - positions[0] - np.outer(heights - heights[0], normal)  # (slices, 3)
    lean = np.degrees(np.arctan2(np.linalg.norm(aside[-1]), heights[-1] - heights[0]))
    if lean > TILT_DEGREES:
        raise UserError(
            f"{ordered[0].path.parent}: the slices of the series lean by {lean:.1f} degrees (gantry tilt); "
            "resample it to upright slices first"
        )
    apart = np.linalg.norm(aside, axis=1)
    if apart.max() > min(ordered[0].spacing_mm):
        odd = ordered[int(np.argmax(apart))]
        raise UserError(f"{odd.path}: lies {apart.max():.1f} mm beside the others of its series; it is foreign here")


def _require_even(ordered: Sequence[SeriesSlice]) -> None:
    """Raise UserError where slices are missing, or lie at uneven steps."""
    steps = np.diff(_heights(ordered))
    usual = float(np.median(steps))
    wide = int(np.argmax(steps))
    missing = round(float(steps[wide]) / usual) - 1
    if missing >= 1 and abs(steps[wide] / usual - missing - 1) <= EVEN * (missing + 1):
        between = f"between {ordered[wide].path.name} and {ordered[wide + 1].path.name}"
        count = "a slice is" if missing == 1 else f"{missing} slices are"
        raise UserError(f"{ordered[wide].path.parent}: {count} missing {between} ({steps[wide]:.3g} mm apart)")
    if (np.abs(steps - usual) > EVEN * usual).any():
        raise UserError(
            f"{ordered[0].path.parent}: the slices of the series are {steps.min():.3g} to {steps.max():.3g} mm apart; "
            "expected even steps"
        )


# ---------------------------------------------------------------- headers


def _frames_of(path: Path, header: pydicom.Dataset) -> list[SeriesSlice]:
    """The frames of a file. Raises UserError where it does not say where they lie."""
    with decode_one(path, "DICOM", quote=False):
        frames = int(header.get("NumberOfFrames") or 1)
        require_size(path, int(header.Rows), int(header.Columns), frames)
        if "MOSAIC" in (header.get("ImageType") or ()):
            raise UserError(f"{path}: a mosaic, many slices laid into one picture; save it as one slice a file")
        return [_slice(path, header, frame, _functional_groups(path, header, frame, frames)) for frame in range(frames)]


def _functional_groups(path: Path, header: pydicom.Dataset, frame: int, frames: int) -> list[pydicom.Dataset]:
    """Where to look for what is said of a frame, the nearest first."""
    own = header.get("PerFrameFunctionalGroupsSequence")
    shared = header.get("SharedFunctionalGroupsSequence") or []
    if own is None and frames > 1:
        raise UserError(f"{path}: holds {frames} frames and does not say where they lie")
    nested = [item for group in [*(own[frame : frame + 1] if own else []), *shared] for item in _items(group)]
    return [*nested, header]


def _items(group: pydicom.Dataset) -> list[pydicom.Dataset]:
    return [element.value[0] for element in group if element.VR == "SQ" and len(element.value)]


def _slice(path: Path, header: pydicom.Dataset, frame: int, places: Sequence[pydicom.Dataset]) -> SeriesSlice:
    geometry = {
        keyword: _numbers(path, keyword, _first_value(places, keyword), count)
        for keyword, count in (("PixelSpacing", 2), ("ImageOrientationPatient", 6), ("ImagePositionPatient", 3))
    }
    return SeriesSlice(
        path,
        frame,
        str(header.get("SOPInstanceUID", "")),
        str(header.get("SeriesInstanceUID", "")),
        (int(header.Rows), int(header.Columns)),
        geometry["PixelSpacing"],
        geometry["ImageOrientationPatient"],
        geometry["ImagePositionPatient"],
        None if header.get("InstanceNumber") is None else int(header.InstanceNumber),
        tuple(str(_first_value(places, keyword)) for keyword in APART_BY),
        is_inverted(header),
    )


def _first_value(places: Sequence[pydicom.Dataset], keyword: str) -> Any:
    return next((place[keyword].value for place in places if keyword in place), None)


def _numbers(path: Path, keyword: str, value: Any, count: int) -> Numbers:
    numbers = tuple(float(number) for number in value) if value is not None else ()
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise UserError(f"{path}: its {keyword} does not say where the slice lies; it cannot be part of a volume")
    if keyword == "PixelSpacing" and min(numbers) <= 0:
        raise UserError(f"{path}: its PixelSpacing is {numbers[0]:g} x {numbers[1]:g}; expected sizes above 0")
    return numbers
