"""Whole volumes as arrays on one grid, each file decoded once."""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import numpy as np

from tumorline.arrays import ImageArray
from tumorline.formats import nifti
from tumorline.formats.boundary import decode_one
from tumorline.formats.grey import as_float32, without_gaps
from tumorline.formats.nifti import Voxels
from tumorline.geometry.grid import Grid
from tumorline.geometry.resample import resample
from tumorline.geometry.upright import upright

Grids = Mapping[Path, Grid]
"""Of the files that lie otherwise than the case."""


def read_channels(images: Sequence[Path], frames: Sequence[int], grid: Grid, apart: Grids) -> ImageArray:
    """Channels as `(C, D, H, W)` in file values, those of another grid resampled. Raises UserError."""
    image = np.empty((len(images), *grid.shape), np.float32)
    for path in dict.fromkeys(images):
        with decode_one(path):
            voxels = nifti.decode_volume(path)
            for channel, (file, frame) in enumerate(zip_longest(images, frames)):
                if file == path:
                    image[channel] = _grey_on_grid(upright(nifti.one_frame(path, voxels, frame)), path, grid, apart)
    return image


def read_label_values(path: Path, grid: Grid, apart: Grids) -> Voxels:
    """A label map as `(D, H, W)`, that of another grid by its nearest voxels. Raises UserError."""
    with decode_one(path):
        values = upright(nifti.read_volume(path))
        return resample(values, apart[path], grid, nearest=True) if path in apart else values


def _grey_on_grid(voxels: Voxels, path: Path, grid: Grid, apart: Grids) -> ImageArray:
    grey = without_gaps(as_float32(voxels, path))
    return np.asarray(resample(grey, apart[path], grid, nearest=False) if path in apart else grey)
