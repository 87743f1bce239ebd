"""Label maps as NIfTI files that lie on the volume that they belong to."""

import gzip
from pathlib import Path

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.files import write_bytes
from tumorline.formats.nifti import OpenVolume, load_nibabel

AS_THE_PATIENT = np.array([[0, 1], [1, 1], [2, 1]])


def write_label_map(path: Path, mask: MaskArray, volume: OpenVolume) -> None:
    """Write a mask `(X, Y, Z)`, as `read_volume` turns voxels, as `.nii.gz` of 0 and 1 in the volume's own order.

    Shape, affine, the codes of both and the rest of the header are the volume's; its extensions, which may hold what a
    scanner knew of the patient, are left out.
    """
    nib = load_nibabel().orientations
    turned = nib.apply_orientation(mask.astype(np.uint8), nib.ornt_transform(AS_THE_PATIENT, volume.turn))
    header = volume.image.header.copy()
    header.extensions.clear()
    header.set_data_dtype(np.uint8)
    header["cal_min"] = header["cal_max"] = 0
    image = type(volume.image)(turned.reshape(volume.image.shape), None, header)
    write_bytes(path, gzip.compress(image.to_bytes(), mtime=0))
