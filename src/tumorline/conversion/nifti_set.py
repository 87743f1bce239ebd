"""Scans of DICOM series as a set of NIfTI files in nnU-Net's layout."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.conversion.outlines import LabelValues, Outlines, label_values
from tumorline.conversion.plan import NamedScan, Plan
from tumorline.conversion.scans import Scan
from tumorline.data.corrections import BY_PROGRAM, TRUTH
from tumorline.data.layouts.volumes.scan_case import resampled_finding
from tumorline.errors import UserError, WriteError
from tumorline.files import write_csv, write_json
from tumorline.formats.dicom_segmentation import Codes, codes_on
from tumorline.formats.dicom_series import DicomSeries, read_series
from tumorline.geometry.grid import Grid, grid_of
from tumorline.geometry.resample import resample
from tumorline.output.folder import OutputFolder
from tumorline.progress import Notify, Progress, silent
from tumorline.write.nifti import write_volume


def write_set(
    plan: Plan, folder: OutputFolder, progress: Progress | None, notify: Notify
) -> tuple[list[NamedScan], list[str]]:
    """The scans that were written, and in one line each what was not. Raises UserError where none could be.

    The label values have to be those of all scans, so that the segmentations are read before anything is written.
    """
    combinations: set[int] = set()

    def collect(named: NamedScan) -> None:
        if (codes := _codes(named.scan, plan.outlines, notify)) is not None:
            combinations.update(np.unique(codes).tolist())

    problems = [*plan.problems]
    readable = _each(plan.scans, collect, problems)
    values = label_values(plan.outlines.regions, combinations)
    made = NiftiSet(folder, plan, values, notify)
    written = _each(readable, made.write_scan, problems, progress)
    if not written:
        for problem in problems[1:]:
            notify(f"error: {problem}")
        raise UserError(problems[0])
    made.write_tables(written)
    folder.lacks_cases = bool(problems)
    return written, problems


def _each(
    scans: Sequence[NamedScan],
    work: Callable[[NamedScan], object],
    problems: list[str],
    progress: Progress | None = None,
) -> list[NamedScan]:
    """Those for which the work could be done; what is wrong with the others is added to the problems."""
    done = []
    for number, named in enumerate(scans, start=1):
        try:
            work(named)
            done.append(named)
        except WriteError:
            raise
        except UserError as error:
            problems.append(str(error))
        if progress:
            progress(number, len(scans))
    return done


def _codes(scan: Scan, outlines: Outlines, notify: Notify = silent) -> Codes | None:
    """Of all segmentations of a scan; None of one without. Raises UserError for one that cannot be read."""
    grid = _grid(scan.grid_series)
    each = [codes_on(one.path, outlines.bits(one), grid, notify) for one in scan.segmentations]
    return reduce(np.bitwise_or, each) if each else None


def _grid(series: DicomSeries) -> Grid:
    """Of its voxels as they are stored, `(columns, rows, slices)`."""
    return grid_of(series.stored_shape, series.affine)


def truth_path(folder: Path, named: NamedScan) -> Path:
    return folder / "labelsTr" / f"{named.id}.nii.gz"


@dataclass(frozen=True)
class NiftiSet:
    """Where a set is written, what it will hold, and the values that make its regions."""

    folder: OutputFolder
    plan: Plan
    values: LabelValues
    notify: Notify

    def write_scan(self, named: NamedScan) -> None:
        """All files of a scan, unless an earlier try has. Raises UserError where one cannot be read."""
        paths = self._paths(named)
        made_of = {"values": self.values.of_regions()}
        if self.folder.recall(named.id) == made_of and all(path.is_file() for path in paths):
            return
        volumes = [self._voxels(named.scan, series) for series in named.scan.channels.values()]
        if (codes := _codes(named.scan, self.plan.outlines)) is not None:
            volumes.append(self.values.label_map(codes))
        for path, voxels in zip(paths, volumes, strict=True):
            write_volume(path, voxels, named.scan.grid_series.affine)
        self.folder.keep(named.id, made_of)

    def _paths(self, named: NamedScan) -> list[Path]:
        """Of each channel, and of the truth where there is one."""
        images = self.folder.path / f"images{named.ending}"
        channels = [images / f"{named.id}_{number:04d}.nii.gz" for number in range(len(self.plan.channels))]
        return [*channels, *([truth_path(self.folder.path, named)] if named.scan.truths else [])]

    def _voxels(self, scan: Scan, series: DicomSeries) -> npt.NDArray[Any]:
        """Of a series on the grid of its scan."""
        voxels = series.to_stored(read_series(series)).transpose(2, 1, 0)
        target, source = _grid(scan.grid_series), _grid(series)
        if not target.difference(source):
            return voxels
        first, other = (Path(scan.names.name(one)) for one in (scan.grid_series, series))
        self.notify(resampled_finding(first, other, (target, source)).message)
        return resample(voxels.astype(np.float32), source, target, nearest=False)

    def write_tables(self, written: Sequence[NamedScan]) -> None:
        regions = self.values.of_regions()
        overlap = any(len(values) > 1 for values in regions.values())
        content = {
            "channel_names": {str(number): name for number, name in enumerate(self.plan.channels)},
            "labels": {"background": 0, **regions},
            **({"regions_class_order": [min(values) for values in regions.values()]} if overlap else {}),
            "numTraining": sum(named.ending == "Tr" for named in written),
            "file_ending": ".nii.gz",
        }
        write_csv(self.folder.path / "patients.csv", *_patients(written))
        write_json(self.folder.path / "dataset.json", content)


def _patients(written: Sequence[NamedScan]) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows; where a segmentation is a program's alone its row says so, and every figure on it will."""
    by_program = {named.id for named in written if any(one.by_program for one in named.scan.segmentations)}
    rows = [{"id": named.id, "patient": named.patient} for named in written]
    if not by_program:
        return ["id", "patient"], rows
    told = [{**row, TRUTH: BY_PROGRAM if row["id"] in by_program else ""} for row in rows]
    return ["id", "patient", TRUTH], told
