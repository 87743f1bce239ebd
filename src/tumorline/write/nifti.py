"""Label maps as NIfTI files that lie on the volume that they belong to."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array
from tumorline.files import write_bytes
from tumorline.formats.nifti import OpenVolume, load_nibabel, placed_image
from tumorline.geometry.upright import from_upright

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


def write_volume(path: Path, voxels: npt.NDArray[Any], affine: Float64Array) -> None:
    """Write voxels `(X, Y, Z)` as `.nii.gz` in their order, as whole numbers where they are some, else as float32."""
    write_bytes(path, gzip.compress(placed_image(_narrowed(voxels), affine).to_bytes(), mtime=0))


def _narrowed(voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    limits = np.iinfo(np.int16)
    is_whole = voxels.dtype.kind in "bui" or bool((voxels == np.rint(voxels)).all())
    if is_whole and limits.min <= voxels.min() and voxels.max() <= limits.max:
        return voxels.astype(np.uint8 if voxels.dtype == np.uint8 else np.int16)
    return voxels.astype(np.float32)
