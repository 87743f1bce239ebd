"""The truth of a case: what its masks, label map or outlines mark, region by region."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import MaskArray
from tumorline.config import DataConfig
from tumorline.data.case import Case, read_image
from tumorline.data.masks.legend import Legend
from tumorline.data.masks.outlines import draw_outlines
from tumorline.data.masks.read import mask_of_values, read_label_picture, read_mask, read_mask_by_legend, split_labels
from tumorline.data.volumes import read_label_values
from tumorline.errors import UserError
from tumorline.geometry.grid import Grid
from tumorline.regions import REGION, brush_labels


def read_truth(case: Case, settings: DataConfig) -> MaskArray:
    """The regions of a case as boolean `(R, *space)`: those of its correction, where it has one."""
    if case.correction is None:
        return read_given_truth(case, settings)
    return _read_correction(case, case.correction, settings)


def _read_correction(case: Case, file: Path, settings: DataConfig) -> MaskArray:
    """A corrected mask lies as the case is shown; its values are those of the set, or what the brush writes."""
    regions = settings.regions or (REGION,)
    if case.grid is None and len(regions) == 1 and case.labels is None:
        return read_mask(file, of_set=False)[None]
    values = _label_values(case, file)
    if len(regions) == 1 and case.labels is None:
        return mask_of_values(file, values, of_set=False)[None]
    return split_labels(values, case.labels or brush_labels(regions), f"{file}:")


def _label_values(case: Case, file: Path) -> npt.NDArray[Any]:
    """The values `(*space)` of a label map, as the case is shown."""
    return read_label_picture(file) if case.grid is None else read_label_values(file, case.grid, case.apart)


def read_given_truth(case: Case, settings: DataConfig) -> MaskArray:
    """The regions of a case as its source has them, whether they were corrected or not."""
    if case.outlines is not None:
        return draw_outlines(case.outlines, case.outlines.size or _image_size(case), str(case.mask))[None]
    if case.mask is None:
        return _no_tumour(case, settings)
    if case.grid is not None:
        return _read_volume_truth(case, case.mask, case.grid, settings)
    truth = _read_picture_truth(case, case.mask, settings)
    return truth.swapaxes(1, 2) if case.transposed else truth


def _read_mask(path: Path, legend: Legend | None, settings: DataConfig) -> MaskArray:
    """A mask by what its colours mean, where that is said and no threshold was chosen instead."""
    if legend is None or settings.mask_threshold is not None:
        return read_mask(path, settings.mask_threshold)
    return read_mask_by_legend(path, legend)


def read_other_labels(case: Case) -> MaskArray | None:
    """Where the label map `(*space)` of a case holds labels that are of no region that was asked for.

    None for a case without a label map of several meanings.
    """
    if case.labels is None or case.truth_file is None:
        return None
    wanted = {value for values in case.labels.wanted for value in values}
    other_labels = [value for value in case.labels.allowed if value and value not in wanted]
    return np.isin(np.rint(_label_values(case, case.truth_file)), other_labels) if other_labels else None


def _read_picture_truth(case: Case, mask: Path, settings: DataConfig) -> MaskArray:
    if case.labels is not None:
        return split_labels(read_label_picture(mask), case.labels, f"{mask}:")
    masks = _of_one_size([(path, _read_mask(path, case.legend, settings)) for path in (mask, *case.more_masks)])
    return _regions_of(masks, case.mask_per_region)


def _read_volume_truth(case: Case, mask: Path, grid: Grid, settings: DataConfig) -> MaskArray:
    values = [(path, read_label_values(path, grid, case.apart)) for path in (mask, *case.more_masks)]
    if case.labels is not None:
        return split_labels(values[0][1], case.labels, f"{mask}:")
    masks = [mask_of_values(path, voxels, settings.mask_threshold) for path, voxels in values]
    return _regions_of(masks, case.mask_per_region)


def _regions_of(masks: Sequence[MaskArray], mask_per_region: bool) -> MaskArray:
    """The masks as a region each, or together as one."""
    if len(masks) == 1:
        return masks[0][None]
    return np.stack(masks) if mask_per_region else np.logical_or.reduce(masks)[None]


def _image_size(case: Case) -> tuple[int, int]:
    _, height, width = read_image(case).shape
    return height, width


def _of_one_size(masks: Sequence[tuple[Path, MaskArray]]) -> list[MaskArray]:
    """The masks of one image. Raises UserError where they differ in size."""
    (_, first), *rest = masks
    for path, mask in rest:
        if mask.shape != first.shape:
            sizes = f"{mask.shape[1]} x {mask.shape[0]}, another mask of the image {first.shape[1]} x {first.shape[0]}"
            raise UserError(f"{path}: {sizes}; the masks of an image must have one size")
    return [mask for _, mask in masks]


def _no_tumour(case: Case, settings: DataConfig) -> MaskArray:
    if not settings.tumour_free:
        raise UserError(f"case '{case.id}' has no mask")
    return np.zeros((len(settings.regions) or 1, *read_image(case).shape[1:]), bool)
