"""What a prediction leaves of one case: a map of labels, a picture to look at, and figures."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.data.case import holds_two_values
from tumorline.data.layouts.to_predict.series_words import note_on_ends, note_on_sequence, note_on_slice
from tumorline.data.patients.names import one_name
from tumorline.environment import versions
from tumorline.errors import UserError, WriteError
from tumorline.formats.decode import is_dicom
from tumorline.geometry.grid import UNITS, Grid, sizes_of
from tumorline.geometry.slices import plane_of
from tumorline.geometry.upright import from_upright
from tumorline.inference.given import GivenImage, read_picture
from tumorline.inference.jobs import PredictionJob
from tumorline.inference.label_map import LabelArray, from_labels, to_labels, written_order
from tumorline.inference.model import Answer, Model
from tumorline.inference.volumes import read_scan, sequence_notes
from tumorline.metrics.calibration import confidence
from tumorline.regions import NESTED
from tumorline.write.images import write_label_picture, write_mask, write_overlay, write_three_planes
from tumorline.write.nifti import write_label_map

IDENTIFIERS = ("patient", "series")
"""Columns of DICOM cases."""
COLUMNS = (
    "input",
    "mask",
    "overlay",
    "segmentation",
    "tumour_px",
    "tumour_share",
    "tumour_mm2",
    "tumour_ml",
    "confidence",
    "note",
    "error",
)
CaseRow = dict[str, Any]
"""What a table of predictions holds of a case, by column."""
LARGE = 1 << 24
BLANK_NOTE = "blank: the image shows nothing, so that the mask is empty"
MASK_NOTE = "holds two values alone: is it a mask?"
COLOURED_NOTE = "in colour, which is read as luminance"


def segmentation_beside(mask_path: Path) -> Path:
    """Where the DICOM segmentation of a series lies."""
    return mask_path.with_name(mask_path.name.removesuffix(".nii.gz") + ".dcm")


@dataclass(frozen=True)
class Predictor:
    """A model and how its regions are written."""

    model: Model
    labels: Mapping[str, Sequence[int]]
    """Of which each region is made."""
    of_dicom: bool = False
    """Whether there are DICOM files among the cases, which tell whose they are."""
    of_series: bool = False
    """Whether there are series among them, whose masks are written as DICOM segmentations too."""
    keep_identifiers: bool = False
    """Whether tables show the ids of patients and series as they are, and not their hashes."""
    overlays: bool = True
    """Whether a picture to look at is written of each case."""
    large: Lock = field(default_factory=Lock)
    """Of the threads that predict, one at a time works on an image of more than `LARGE` pixels."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of the table: of several regions each has its own figures, of several channels the files are listed."""
        files = ("channels",) if len(self.model.channels) > 1 else ()
        confidence_column = COLUMNS.index("confidence")
        identifiers = IDENTIFIERS if self.of_dicom else ()
        columns = (
            COLUMNS[0],
            *identifiers,
            *files,
            *COLUMNS[1:confidence_column],
            *self._region_columns(),
            *COLUMNS[confidence_column:],
        )
        left_out = {*(() if self.of_series else ("segmentation",)), *(() if self.overlays else ("overlay",))}
        return tuple(column for column in dict.fromkeys(columns) if column not in left_out)

    def _region_columns(self) -> list[str]:
        several = self.labels if len(self.labels) > 1 else ()
        return [f"{region}_{unit}" for region in several for unit in UNITS]

    def predict_case(self, job: PredictionJob, mask_path: Path, overlay_path: Path | None) -> CaseRow:
        """Write the mask of a case, and the overlay where it has a path; returns its figures.

        Raises UserError where it cannot be done.
        """
        predict_one = self._predict_scan if job.is_volume else self._predict_picture
        whose = self._identifiers_of(job) if self.of_dicom else {}
        return {"channels": self._files_of(job), **whose, **predict_one(job, mask_path, overlay_path)}

    def _identifiers_of(self, job: PredictionJob) -> dict[str, str]:
        if not is_dicom(job.path):
            return {}
        from tumorline.formats.dicom import read_identifiers  # imports pydicom

        return read_identifiers(job.path, one_name, self.keep_identifiers)._asdict()

    def _files_of(self, job: PredictionJob) -> str:
        names = job.channels or self.model.channels
        return "; ".join(f"{name}={path}" for name, path in zip(names, job.images, strict=False))

    def _predict_picture(self, job: PredictionJob, mask_path: Path, overlay_path: Path | None) -> CaseRow:
        picture = read_picture(job, self.model)
        with self.large if picture.image.size > LARGE else nullcontext():
            return self._predict_image(picture, job, mask_path, overlay_path)

    def _predict_image(
        self, picture: GivenImage, job: PredictionJob, mask_path: Path, overlay_path: Path | None
    ) -> CaseRow:
        answer = self.model.answer(picture.image, job.path, picture.grid)
        masks = self.model.masks(answer.probability)
        labels = to_labels(masks, self.labels)
        if len(masks) == 1:
            write_mask(mask_path, masks[0])
        else:
            write_label_picture(mask_path, labels)
        if overlay_path:
            shown = self.model.channels.index(job.channels[0]) if job.channels else 0
            write_overlay(overlay_path, picture.image[shown], masks)
        stated = note_on_slice(job.path, self.model.channel if len(job.images) == 1 else "")
        coloured = COLOURED_NOTE if picture.coloured else ""
        mask_like = MASK_NOTE if holds_two_values(picture.image) else ""
        note = self._note(answer, masks, labels, mask_like, coloured, self._lacking(job), stated)
        return {**self._figures_of(answer, masks, picture.grid), "note": note}

    def _predict_scan(self, job: PredictionJob, mask_path: Path, overlay_path: Path | None) -> CaseRow:
        image, grid, volume, resampled = read_scan(job)
        answer = self.model.answer(self.model.complete(image, job.channels), job.path, grid)
        masks = self.model.masks(answer.probability, grid)
        labels = to_labels(masks, self.labels)
        write_label_map(mask_path, labels, volume)
        if overlay_path:
            write_three_planes(overlay_path, image[0], masks, grid.spacing_mm)
        channels = job.channels or self.model.channels
        stated = sequence_notes(job, channels)
        written = self._write_segmentation(mask_path, masks, job) if job.series else {}
        of_series = [note_on_sequence(*pair) for pair in zip(job.series, channels, strict=False)]
        notes = (
            *stated,
            *of_series,
            *map(note_on_ends, job.series),
            *resampled,
            self._cut(grid),
            written.pop("note", ""),
        )
        note = self._note(answer, masks, labels, self._lacking(job), *notes)
        return {**self._figures_of(answer, masks, grid), "note": note, **written}

    def _write_segmentation(self, mask_path: Path, masks: MaskArray, job: PredictionJob) -> dict[str, str]:
        """A DICOM segmentation beside the NIfTI mask; where the series does not allow one, a note says why."""
        from tumorline.write.dicom_seg import Author, write_dicom_seg

        path = segmentation_beside(mask_path)
        author = Author(self.model.info.name, self.model.fingerprint, versions()["tumorline"])
        voxels = np.stack([from_upright(mask) for mask in masks])  # (R, X, Y, Z)
        try:
            write_dicom_seg(path, voxels, tuple(self.labels), job.series[0], author)
        except WriteError:
            raise
        except UserError as error:
            return {"note": f"no DICOM segmentation: {error}"}
        return {"segmentation": str(path)}

    def _note(self, answer: Answer, masks: MaskArray, labels: LabelArray, *more: str) -> str | None:
        blank = BLANK_NOTE if answer.blank else ""
        return "; ".join(filter(None, (blank, self._overlap(masks, labels), *more))) or None

    def _overlap(self, masks: MaskArray, labels: LabelArray) -> str:
        """Where the map of labels cannot hold all regions that are there."""
        exclusive = len(masks) == 1 or {*self.labels} <= {*NESTED}
        lost = 0 if exclusive else np.count_nonzero((from_labels(labels, self.labels) != masks).any(0))
        order = ", ".join(written_order(self.labels))
        where = f"regions overlap in {lost} places, where the map of labels holds the last one there of {order}"
        return where if lost else ""

    def _lacking(self, job: PredictionJob) -> str:
        """Which of the model's channels the case has not."""
        lacking = [name for name in self.model.channels if name not in job.channels] if job.channels else []
        return f"answered without {', '.join(lacking)}" if lacking else ""

    def _cut(self, grid: Grid) -> str:
        """In which slices a volume was seen, where these are not those of the model's training."""
        seen = self.model.info.input
        plane = plane_of(grid, seen.axis)
        return f"seen in {plane} slices, as it was acquired" if seen.dims == 2 and plane != seen.axis else ""

    def _figures_of(self, answer: Answer, masks: MaskArray, grid: Grid | None) -> CaseRow:
        """Of all regions together as `tumour`, and of each; a region of that name stands for itself."""
        tumour, probability = (
            (masks[0], answer.probability[0])
            if len(masks) == 1
            else (np.asarray(masks.any(0)), answer.probability.max(0))
        )
        figures = {
            "tumour_share": int(np.count_nonzero(tumour)) / tumour.size,
            "confidence": confidence(probability, tumour),
        }
        for name, mask in (("tumour", tumour), *zip(self.labels, masks, strict=True)):
            sizes = sizes_of(int(np.count_nonzero(mask)), grid)
            figures |= {f"{name}_{unit}": size for unit, size in sizes.items()}
        return figures
