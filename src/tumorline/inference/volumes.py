"""From a volume to its mask by a model of slices: each axial slice is answered as a picture by itself."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from tumorline.arrays import ImageArray, MaskArray
from tumorline.data.layouts.brats import sequence_in_name
from tumorline.errors import UserError
from tumorline.formats.grey import to_grey
from tumorline.formats.nifti import OpenVolume, axial_slice, open_volume, read_volume, read_volume_header
from tumorline.geometry.grid import Grid
from tumorline.inference.model import Model
from tumorline.runtime import FloatArray


class VolumeAnswer(NamedTuple):
    """What a model says of a volume, whose slices are counted from the feet up."""

    volume: OpenVolume
    grid: Grid
    image: ImageArray
    """`(1, D, H, W)`."""
    probability: FloatArray
    """`(R, D, H, W)`."""
    blank: bool
    """Whether all slices are blank."""

    def tumour_ml(self, mask: MaskArray) -> float | None:
        voxel_ml = self.grid.voxel_ml
        return None if voxel_ml is None else round(float(mask.sum()) * voxel_ml, 6)


def answer_volume(model: Model, path: Path) -> VolumeAnswer:
    """Raises UserError for a model of several channels, and for what is no readable volume of one frame."""
    channels = model.info.image_channels
    if channels != 1:
        raise UserError(f"{path}: a volume of one sequence; this model takes {channels} channels")
    voxels, header = read_volume(path), read_volume_header(path)
    image = np.stack([to_grey(axial_slice(voxels, number)) for number in range(voxels.shape[2])])[None]
    answer = model.answer(image, path)
    return VolumeAnswer(open_volume(path), header.grid, image, answer.probability, answer.blank)


def sequence_note(path: Path, channel: str) -> str:
    """What is said of a volume whose name states another sequence than the model knows; empty where it does not."""
    stated = sequence_in_name(path.name)
    is_other = stated and channel and stated != channel
    return f"its name states {stated}, the model was trained on {channel}" if is_other else ""
