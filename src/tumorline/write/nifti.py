"""Label maps as NIfTI files that lie on the volume that they belong to."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.files import write_bytes
from tumorline.formats.nifti import OpenVolume, from_upright, load_nibabel

AS_THE_PATIENT = np.array([[0, 1], [1, 1], [2, 1]])


def write_label_map(path: Path, labels: npt.NDArray[Any], volume: OpenVolume) -> None:
    """Write labels `(D, H, W)`, slices from the feet up as they are looked at, as `.nii.gz` in the volume's own order.

    Shape (of one frame), affine, the codes of both and the rest of the header are the volume's; its extensions, which
    may hold what a scanner knew of the patient, are left out.
    """
    nib = load_nibabel().orientations
    voxels = from_upright(labels).astype(np.uint8)
    turned = nib.apply_orientation(voxels, nib.ornt_transform(AS_THE_PATIENT, volume.turn))
    header = volume.image.header.copy()
    header.extensions.clear()
    header.set_data_dtype(np.uint8)
    header["cal_min"] = header["cal_max"] = 0
    shape = volume.image.shape if volume.frames == 1 else volume.shape
    image = type(volume.image)(turned.reshape(shape), None, header)
    write_bytes(path, gzip.compress(image.to_bytes(), mtime=0))
