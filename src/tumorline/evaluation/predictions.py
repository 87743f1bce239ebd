"""The predicted masks of an evaluation, one file for each region of a case, and how they are read again.

Pictures are PNG, volumes NIfTI. Where there are several regions each has a folder of its own.
"""

import gzip
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.data.masks.read import read_mask
from tumorline.errors import UserError
from tumorline.files import write_bytes
from tumorline.formats.nifti import placed_image, read_volume
from tumorline.geometry.grid import Grid
from tumorline.geometry.upright import AS_SEEN, from_upright, upright
from tumorline.regions import REGION_NAME
from tumorline.write.images import FAST, mask_path, write_mask

VOLUME = ".nii.gz"


def prediction_paths(folder: Path, case: str, regions: Sequence[str], is_volume: bool) -> list[Path]:
    """Where the masks of a case lie below `predictions`, in the order of the regions.

    Raises UserError for what is no name of a region: it may come from a stranger's table, and becomes a folder.
    """
    folders = [folder] if len(regions) == 1 else [folder / _region_folder(region) for region in regions]
    return [mask_path(below, case, VOLUME if is_volume else ".png") for below in folders]


def _region_folder(region: str) -> str:
    if not re.fullmatch(REGION_NAME, region):
        raise UserError(f"'{region:.60}' is no name of a region; evaluate again")
    return region


def find_prediction(folder: Path, case: str, regions: Sequence[str]) -> list[Path]:
    """The files of a case that are there; none where one is missing."""
    for is_volume in (False, True):
        paths = prediction_paths(folder, case, regions, is_volume)
        if all(path.is_file() for path in paths):
            return paths
    return []


def write_prediction(folder: Path, case: str, regions: Sequence[str], masks: MaskArray, grid: Grid) -> None:
    """Write the masks `(R, *space)` of a case on its grid."""
    paths = prediction_paths(folder, case, regions, is_volume=grid.ndim > 2)
    for path, mask in zip(paths, masks, strict=True):
        if grid.ndim > 2:
            _write_volume(path, mask, grid)
        else:
            write_mask(path, mask)


def read_prediction(folder: Path, case: str, regions: Sequence[str]) -> MaskArray:
    """Masks `(R, *space)`. Raises UserError where one is not there, or is no mask."""
    paths = find_prediction(folder, case, regions)
    if not paths:
        raise UserError(f"{folder}: no predicted mask of case '{case}'; evaluate again")
    return np.stack([_read_volume(path) if path.name.endswith(VOLUME) else read_mask(path, 0) for path in paths])


def _write_volume(path: Path, mask: MaskArray, grid: Grid) -> None:
    """A mask `(D, H, W)` with right, anterior and superior along its axes."""
    height, width = mask.shape[1:]
    to_mm = np.asarray(grid.affine or AS_SEEN)
    from_file = np.array([[0, 0, 1, 0], [0, -1, 0, height - 1], [-1, 0, 0, width - 1], [0, 0, 0, 1.0]])
    image = placed_image(from_upright(mask.astype(np.uint8)), to_mm @ from_file)
    image.header.set_xyzt_units("mm" if grid.spacing_mm else "unknown")
    write_bytes(path, gzip.compress(image.to_bytes(), FAST, mtime=0))


def _read_volume(path: Path) -> MaskArray:
    return np.ascontiguousarray(upright(read_volume(path)) > 0)
