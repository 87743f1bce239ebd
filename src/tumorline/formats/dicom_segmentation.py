"""DICOM segmentation objects: of which series they are, what their segments are called, and where these lie.

Each frame says where it lies. Frames may come in any order, and those without a segment may be lacking, so that their
places are taken from what they say and never from their numbers.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pydicom

from tumorline.arrays import Float64Array
from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one, require_size
from tumorline.formats.dicom import Numbers, numbers_of, read_stored_frames, read_tags
from tumorline.formats.dicom_slice import TO_RAS, SeriesSlice, frames_of, read_slice_header, value_of_frame
from tumorline.formats.dicom_stack import EVEN, PARALLEL, heights_of, require_upright
from tumorline.geometry.grid import Grid, grid_of
from tumorline.geometry.resample import is_on_lattice, resample, share_outside
from tumorline.progress import Notify, silent

MOST_SEGMENTS = 32
"""Bits of a code."""
Codes = npt.NDArray[np.uint32]
"""Of each voxel the bits of what is outlined there."""


class Segmentation(NamedTuple):
    """What the header of a segmentation says."""

    path: Path
    labels: Mapping[int, str]
    """Of its segments by number."""
    series: frozenset[str]
    """SeriesInstanceUID of what it refers to."""
    instances: frozenset[str]
    """SOPInstanceUID of what it refers to."""
    frame_of_reference: str
    patient: str
    """PatientID."""
    by_program: bool
    """Whether all segments are stated to be found by a program, which nobody corrected."""
    raster: Numbers
    """Rows, columns, their spacing and directions."""

    def is_in_raster(self, slice_of_series: SeriesSlice) -> bool:
        """Whether its frames have the rows and columns of a slice, wherever they lie."""
        raster = (*slice_of_series.size, *slice_of_series.spacing_mm, *slice_of_series.orientation)
        return len(raster) == len(self.raster) and np.allclose(raster, self.raster, rtol=0, atol=PARALLEL)


def modality_of(path: Path) -> str:
    """Empty for a file that cannot be read."""
    return read_tags(path, ["Modality"], lambda header: str(header.get("Modality") or ""), "")


def read_segmentation(path: Path) -> Segmentation:
    """Raises UserError for a file that is damaged, and for one without segments in pixels."""
    header = read_slice_header(path)
    with decode_one(path, "DICOM segmentation", quote=False):
        segments = [item for item in header.get("SegmentSequence") or [] if int(item.SegmentNumber)]
        if not segments or "Rows" not in header:
            raise UserError(f"{path}: a DICOM segmentation without segments in pixels; save it as one (SEG) again")
        return Segmentation(
            path=path,
            labels={int(item.SegmentNumber): str(item.get("SegmentLabel") or "") for item in segments},
            series=_stated(header, "SeriesInstanceUID"),
            instances=_stated(header, "ReferencedSOPInstanceUID"),
            frame_of_reference=str(header.get("FrameOfReferenceUID") or ""),
            patient=str(header.get("PatientID") or "").strip(),
            by_program={str(item.get("SegmentAlgorithmType")) for item in segments} == {"AUTOMATIC"},
            raster=_raster(path, header),
        )


def _raster(path: Path, header: pydicom.Dataset) -> Numbers:
    stated = [value_of_frame(path, header, 0, keyword) for keyword in ("PixelSpacing", "ImageOrientationPatient")]
    return (float(header.Rows), float(header.Columns), *(number for value in stated for number in numbers_of(value)))


def _stated(header: pydicom.Dataset, keyword: str) -> frozenset[str]:
    return frozenset(str(element.value) for element in header.iterall() if element.keyword == keyword)


def codes_on(path: Path, bits: Mapping[int, int], grid: Grid, notify: Notify = silent) -> Codes:
    """The segments of a file on a grid `(columns, rows, slices)`: of each voxel the bits of those that cover it.

    `notify` hears where nothing is outlined, and what the grid cannot show as it is.
    Raises UserError where the frames make no volume, and where all that is outlined lies outside of the grid.
    """
    header = read_slice_header(path)
    with decode_one(path, "DICOM segmentation", quote=False):
        frames = frames_of(path, header)
        step = _step_mm(path, header, frames, grid)
        heights = heights_of(frames)
        numbers = np.rint((heights - heights.min()) / step).astype(int)
        sides = (int(numbers.max()) + 1, *frames[0].size)
        require_size(path, *sides)
        outlined = np.zeros(sides, np.uint32)
        for number, codes in zip(numbers, _frame_codes(path, header, bits), strict=True):
            outlined[number] |= codes
        own_grid = grid_of(sides[::-1], _affine(frames, numbers, step))
        placed: Codes = resample(outlined.transpose(2, 1, 0), own_grid, grid, nearest=True)
    if outlined.any() and not placed.any():
        raise UserError(f"{path}: all that it outlines lies outside of its series; it is of another one")
    for remark in _told_of_place(outlined.transpose(2, 1, 0), own_grid, grid):
        notify(f"{path}: {remark}")
    return placed


def _told_of_place(outlined: Codes, own_grid: Grid, grid: Grid) -> list[str]:
    """What is to be known of outlines on their way from a grid to another."""
    if not outlined.any():
        return ["nothing is outlined in it; of fractions, what reaches half of their highest value is"]
    remarks = []
    if not is_on_lattice(own_grid, grid):
        remarks.append("drawn on another grid than that of its scan; its outlines are resampled")
    if (lost := share_outside(outlined, own_grid, grid)) > 0:
        remarks.append(f"{lost:.1%} of what it outlines lies outside of its scan and is lost")
    return remarks


def _frame_codes(path: Path, header: pydicom.Dataset, bits: Mapping[int, int]) -> Iterable[Codes]:
    """Of each frame: by its values where they are numbers of segments, else of the segment that the frame is of."""
    stored = read_stored_frames(path)
    if header.SegmentationType == "LABELMAP":
        there = {int(number) for values in stored for number in np.unique(values)}
        _require_described(path, there - {0, header.get("PixelPaddingValue")}, bits)
        table = np.zeros(int(stored.max()) + 1, np.uint32)
        for number, bit in bits.items():
            table[number : number + 1] = bit
        return (table[values] for values in stored)
    least = float(header.MaximumFractionalValue) / 2 if header.SegmentationType == "FRACTIONAL" else 1
    segments = [int(value_of_frame(path, header, frame, "ReferencedSegmentNumber")) for frame in range(len(stored))]
    _require_described(path, {*segments}, bits)
    return ((values >= least) * np.uint32(bits[segment]) for segment, values in zip(segments, stored, strict=True))


def _require_described(path: Path, numbers: Iterable[int], bits: Mapping[int, int]) -> None:
    """Raise UserError for a segment whose meaning the file does not tell."""
    if unknown := sorted({*numbers} - bits.keys()):
        there = ", ".join(map(str, sorted(bits)))
        fault = f"outlines a segment {unknown[0]} that it does not describe (only {there})"
        raise UserError(f"{path}: {fault}; save it again")


def _step_mm(path: Path, header: pydicom.Dataset, frames: Sequence[SeriesSlice], grid: Grid) -> float:
    """From slice to slice: of what is stated and what the grid has the larger, or the smallest there is.

    Raises UserError where none fits.
    """
    if not np.allclose([frame.orientation for frame in frames], frames[0].orientation, rtol=0, atol=PARALLEL):
        raise UserError(f"{path}: its frames lie in planes that are not parallel; save it as one volume")
    ordered = [frames[number] for number in np.argsort(heights_of(frames), kind="stable")]
    require_upright(ordered)
    above = heights_of(ordered) - heights_of(ordered)[0]
    apart = np.diff(above)[np.diff(above) > PARALLEL]
    stated = numbers_of(value_of_frame(path, header, 0, "SpacingBetweenSlices"))
    told = sorted([*stated, *_steps_across(grid, TO_RAS[:3, :3] @ frames[0].normal)], reverse=True)
    steps = (*told, apart.min(initial=np.inf), frames[0].thickness_mm or 1)
    if fitting := [step for step in steps if 0 < step < np.inf and _are_even(above / step)]:
        return float(fitting[0])
    raise UserError(f"{path}: its frames lie at uneven steps; save it as one volume")


def _are_even(places: Float64Array) -> bool:
    return bool((np.abs(places - np.rint(places)) <= EVEN).all())


def _steps_across(grid: Grid, normal: Float64Array) -> list[float]:
    """The spacing of a grid along a direction, if one of its axes leads there."""
    axes = np.asarray(grid.affine)[:3, :3]
    lengths = np.linalg.norm(axes, axis=0)
    return [*lengths[np.abs(normal @ axes / lengths) > 1 - PARALLEL]]


def _affine(frames: Sequence[SeriesSlice], numbers: npt.NDArray[np.int_], step: float) -> Float64Array:
    """From (column, row, slice) to mm (right, front, head)."""
    first, last = frames[int(numbers.argmin())], frames[int(numbers.argmax())]
    way = np.subtract(last.position_mm, first.position_mm)
    return first.affine(way / numbers.max() if numbers.max() else step * first.normal)
