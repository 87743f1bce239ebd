"""Predicted masks come back as they were written, whatever the case is and however many regions it has."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tumorline.arrays import MaskArray
from tumorline.errors import UserError
from tumorline.evaluation.predictions import find_prediction, read_prediction, write_prediction
from tumorline.formats.nifti import load_nibabel
from tumorline.geometry.grid import Grid, grid_of

OBLIQUE = np.array([[0, 0.1, -1, 20], [0, -0.9, -0.1, 30], [3, 0, 0, -40], [0, 0, 0, 1.0]])
"""From (D, H, W) of a picture that is seen as radiologists look at it."""


def masks(regions: int, *space: int) -> MaskArray:
    return np.asarray(np.random.default_rng(0).random((regions, *space)) < 0.3)


@pytest.mark.parametrize("regions", [("tumour",), ("core", "oedema")])
@pytest.mark.parametrize("grid", [Grid((6, 5)), Grid((4, 6, 5)), grid_of((4, 6, 5), OBLIQUE)], ids=["2d", "px", "mm"])
def test_masks_are_read_as_they_were_written(regions: tuple[str, ...], grid: Grid, tmp_path: Path) -> None:
    written = masks(len(regions), *grid.shape)
    write_prediction(tmp_path, "a/b", regions, written, grid)
    np.testing.assert_array_equal(read_prediction(tmp_path, "a/b", regions), written)
    assert len(find_prediction(tmp_path, "a/b", regions)) == len(regions)


@pytest.mark.parametrize("grid", [Grid((6, 5)), Grid((4, 6, 5))], ids=["2d", "3d"])
def test_a_mask_that_fills_the_case_is_one(grid: Grid, tmp_path: Path) -> None:
    write_prediction(tmp_path, "case", ("tumour",), np.ones((1, *grid.shape), bool), grid)
    assert read_prediction(tmp_path, "case", ("tumour",)).all()


def test_a_picture_of_one_region_lies_where_it_always_lay(tmp_path: Path) -> None:
    write_prediction(tmp_path, "case", ("tumour",), masks(1, 3, 3), Grid((3, 3)))
    assert (tmp_path / "case.png").is_file()


def test_each_voxel_of_a_volume_lies_where_the_grid_says(tmp_path: Path) -> None:
    mask = np.zeros((1, 4, 6, 5), bool)
    mask[0, 1, 2, 3] = True
    write_prediction(tmp_path, "case", ("tumour",), mask, grid_of((4, 6, 5), OBLIQUE))
    nibabel: Any = load_nibabel()
    image = nibabel.load(tmp_path / "case.nii.gz")
    (voxel,) = np.argwhere(np.asarray(image.dataobj))
    np.testing.assert_allclose(image.affine @ [*voxel, 1], OBLIQUE @ [1, 2, 3, 1])
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")


def test_a_mask_that_is_missing_is_named(tmp_path: Path) -> None:
    write_prediction(tmp_path, "case", ("core", "oedema"), masks(2, 3, 3), Grid((3, 3)))
    (tmp_path / "oedema" / "case.png").unlink()
    assert find_prediction(tmp_path, "case", ("core", "oedema")) == []
    with pytest.raises(UserError, match="no predicted mask of case 'case'"):
        read_prediction(tmp_path, "case", ("core", "oedema"))


@pytest.mark.parametrize("region", ["..", "../out", "/etc", "a/b", "", "core\x00", "x" * 51])
def test_a_region_whose_name_leads_elsewhere_is_refused(region: str, tmp_path: Path) -> None:
    for regions in ([region, "core"], ["core", region]):
        with pytest.raises(UserError, match="no name of a region"):
            find_prediction(tmp_path, "case", regions)
        with pytest.raises(UserError, match="no name of a region"):
            write_prediction(tmp_path, "case", regions, masks(2, 3, 3), Grid((3, 3)))
    assert list(tmp_path.iterdir()) == []
