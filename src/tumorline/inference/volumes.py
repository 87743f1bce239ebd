"""The channels of a scan, which are volumes, as one image on one grid."""

from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tumorline.arrays import ImageArray
from tumorline.data.layouts.brats import sequence_in_name
from tumorline.errors import UserError
from tumorline.formats.grey import to_grey
from tumorline.formats.nifti import OpenVolume, axial_slice, open_volume, read_volume, read_volume_header
from tumorline.geometry.grid import Grid, grid_of
from tumorline.inference.jobs import PredictionJob

TO_FILE = ((0, 0, -1), (0, -1, 0), (1, 0, 0))
"""From (d, h, w) to voxels along right, anterior and superior."""


class ScanImage(NamedTuple):
    """What a model sees of a scan, and the volume on which its answer is to lie."""

    image: ImageArray
    """`(C, D, H, W)`, slices from the feet up."""
    grid: Grid
    volume: OpenVolume


def read_scan(job: PredictionJob) -> ScanImage:
    """Raises UserError for what is no readable volume, and for channels that lie on other grids than the first."""
    first = read_volume_header(job.path).grid
    channels = []
    for path, frame in zip_longest(job.images, job.planes):
        if difference := first.difference(read_volume_header(path).grid):
            raise UserError(f"{job.path} and {path}: {difference}; volumes of one scan must have one geometry")
        voxels = read_volume(path, frame)
        channels.append(np.stack([to_grey(axial_slice(voxels, number)) for number in range(voxels.shape[2])]))
    return ScanImage(np.stack(channels), _as_slices(first), open_volume(job.path))


def _as_slices(grid: Grid) -> Grid:
    """The grid of `(X, Y, Z)` as that of `(D, H, W)`."""
    across, along, up = grid.shape
    turn = np.eye(4)
    turn[:3, :3] = TO_FILE
    turn[:2, 3] = across - 1, along - 1
    return grid_of((up, along, across), np.asarray(grid.affine) @ turn)


def sequence_note(path: Path, channel: str) -> str:
    """What is said of a volume whose name states another sequence than the model knows; empty where it does not."""
    stated = sequence_in_name(path.name)
    is_other = stated and channel and stated != channel
    return f"its name states {stated}, the model was trained on {channel}" if is_other else ""
