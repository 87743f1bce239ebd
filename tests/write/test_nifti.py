"""A label map lies on its volume, as nibabel and SimpleITK see both."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.sources import nib, slices_of
from tumorline.formats.nifti import open_volume
from tumorline.inference.label_map import from_labels, region_labels, to_labels
from tumorline.regions import NESTED
from tumorline.write.nifti import write_label_map

TURN = np.array([[0.8, -0.6, 0], [0.48, 0.64, -0.6], [0.36, 0.48, 0.8]])
"""Around all three axes."""
OBLIQUE = np.block([[TURN * (0.9, 1.1, 3), np.array([[5], [-7], [11.0]])], [0, 0, 0, 1]])
AFFINES = {
    "RAS": np.diag([1.0, 1, 1, 1]),
    "LPS": np.diag([-1.0, -1, 1, 1]),
    "anisotropic": np.diag([-0.5, 0.5, 6, 1]),
    "oblique": OBLIQUE,
    "sagittal first": OBLIQUE[:, [2, 0, 1, 3]],
    "upside down": OBLIQUE @ np.diag([1, -1, -1, 1.0]),
}
CODES = {"both": (1, 1), "sform alone": (2, 0), "qform alone": (0, 1)}
SHAPE = (5, 4, 3)

Seen = dict[int, set[tuple[float, ...]]]
"""The places of each label, in mm to the right, to the front and up."""


def seen_by_nibabel(path: Path) -> Seen:
    image = nib.load(path)
    voxels = np.asarray(image.dataobj).reshape(image.shape[:3])
    places = {value: nib.affines.apply_affine(image.affine, np.argwhere(voxels == value)) for value in _labels(voxels)}
    return {value: {tuple(place) for place in found.round(2) + 0.0} for value, found in places.items()}


def seen_by_simple_itk(path: Path) -> Seen:
    itk = pytest.importorskip("SimpleITK")
    image = itk.ReadImage(str(path))
    voxels = itk.GetArrayFromImage(image)  # (z, y, x) of the file
    seen: Seen = {value: set() for value in _labels(voxels)}
    for place in np.argwhere(voxels):
        left, back, up = image.TransformIndexToPhysicalPoint([int(index) for index in place[::-1]])
        seen[int(voxels[tuple(place)])].add(tuple(np.round([-left, -back, up], 2) + 0.0))
    return seen


def _labels(voxels: np.ndarray) -> list[int]:
    return [int(value) for value in np.unique(voxels) if value]


def save_random_labels(path: Path, affine: np.ndarray, codes: tuple[int, int]) -> Path:
    voxels = np.random.default_rng(0).choice([0, 1, 2, 4], SHAPE).astype(np.int16)
    image = nib.Nifti1Image(voxels, None)
    image.set_sform(affine, codes[0])
    image.set_qform(affine, codes[1])
    nib.save(image, path)
    return path


@pytest.mark.parametrize("codes", CODES)
@pytest.mark.parametrize("affine", AFFINES)
def test_two_readers_agree_where_every_labelled_voxel_lies(tmp_path: Path, affine: str, codes: str) -> None:
    given = save_random_labels(tmp_path / "a.nii.gz", AFFINES[affine], CODES[codes])
    write_label_map(tmp_path / "b.nii.gz", slices_of(given), open_volume(given))
    expected = seen_by_nibabel(given)
    assert {*expected} == {1, 2, 4}
    assert seen_by_nibabel(tmp_path / "b.nii.gz") == expected
    assert seen_by_simple_itk(given) == expected
    assert seen_by_simple_itk(tmp_path / "b.nii.gz") == expected


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_a_volume_that_simple_itk_wrote_is_lain_upon(tmp_path: Path, suffix: str) -> None:
    itk = pytest.importorskip("SimpleITK")
    image = itk.GetImageFromArray(np.random.default_rng(1).integers(0, 3, (3, 4, 5)).astype(np.float32))
    image.SetSpacing((0.9, 1.1, 3.0))
    image.SetOrigin((-5.0, 7.0, 11.0))
    image.SetDirection(TURN.ravel().tolist())
    given = tmp_path / f"a{suffix}"
    itk.WriteImage(image, str(given))
    write_label_map(tmp_path / "b.nii.gz", slices_of(given), open_volume(given))
    found = itk.ReadImage(str(tmp_path / "b.nii.gz"))
    for ask in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
        assert np.allclose(getattr(found, ask)(), getattr(image, ask)(), atol=1e-5), ask
    assert np.array_equal(itk.GetArrayFromImage(found), itk.GetArrayFromImage(image))
    assert seen_by_nibabel(tmp_path / "b.nii.gz") == seen_by_simple_itk(given)


@pytest.mark.parametrize("enhancing", [4, 3])
@pytest.mark.parametrize("look", [seen_by_nibabel, seen_by_simple_itk])
def test_regions_come_back_from_the_file_in_both_conventions(
    tmp_path: Path, enhancing: int, look: Callable[[Path], Seen]
) -> None:
    given = save_random_labels(tmp_path / "a.nii.gz", OBLIQUE, (1, 1))
    masks = np.random.default_rng(2).random((3, 3, 4, 5)) > 0.4
    masks = np.cumprod(masks, 0).astype(bool)
    labels = region_labels(NESTED, enhancing)
    write_label_map(tmp_path / "b.nii.gz", to_labels(masks, labels), open_volume(given))
    assert np.array_equal(from_labels(slices_of(tmp_path / "b.nii.gz"), labels), masks)
    assert {*look(tmp_path / "b.nii.gz")} == {1, 2, enhancing}
