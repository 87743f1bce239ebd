"""What `tumorline.view` shows."""

import base64
import doctest
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import tumorline
from tests.report.evaluated import AFFINE, nested_balls
from tests.sources import nib, save_dicom
from tests.strange_models import write_pair
from tumorline.api import viewing
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.geometry.grid import grid_of
from tumorline.viewer.encoding import EncodedCase
from tumorline.viewer.frames import View
from tumorline.write.images import write_mask


def spaces(view: View) -> list[list[int]]:
    return [case["space"] for case in view.cases]


def test_arrays_and_files_are_shown_with_their_masks(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30)).astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    write_mask(tmp_path / "m.png", image > 200)
    by_array = tumorline.view(image, truth=image > 100, prediction=image > 200).cases[0]
    by_file = tumorline.view(tmp_path / "a.png", prediction=tmp_path / "m.png").cases[0]
    assert by_array["space"] == by_file["space"] == [20, 30]
    assert by_array["predictions"][0]["data"] == by_file["predictions"][0]["data"]
    assert by_array["truth"]
    assert by_file["truth"] is None
    with pytest.raises(UserError, match="expected"):
        tumorline.view(image, prediction=image[:5] > 1)
    with pytest.raises(UserError, match="no such file"):
        tumorline.view(tmp_path / "none.png")


def test_a_sample_is_shown_with_its_truth() -> None:
    space = (6, 20, 24)
    sample = Sample(np.zeros((2, *space), np.float32), nested_balls(space, 8), grid_of(space, AFFINE))
    case = tumorline.view(sample, regions=("a", "b", "c")).cases[0]
    assert (case["space"], case["regions"], case["spacing"]) == ([6, 20, 24], ["a", "b", "c"], [3, 1, 1])
    assert len(case["images"]) == 2


def test_predictions_are_shown_from_their_rows_and_from_their_folder(tmp_path: Path) -> None:
    model = write_pair(tmp_path / "model")
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        image = np.random.default_rng(ord(name)).integers(0, 255, (32, 32)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "in" / f"{name}.png")
    rows = tumorline.predict(tmp_path / "in", model, output=tmp_path / "out")
    for what in (rows, tmp_path / "out"):
        assert spaces(tumorline.view(what)) == [[32, 32], [32, 32]]
        assert [case["id"] for case in tumorline.view(what, case="b.png").cases] == ["b.png"]
    assert spaces(tumorline.view(rows[0])) == [[32, 32]]
    write_mask(Path(rows[1]["mask"]), np.ones((32, 32), bool))
    assert spaces(tumorline.view(rows[1])) == [[32, 32]], "a mask may fill the picture"
    with pytest.raises(UserError, match="nothing was predicted"):
        tumorline.view(rows, case="c.png")


def test_predictions_of_a_tree_are_shown_wherever_it_lies_now(tmp_path: Path) -> None:
    for name, side in {"a/x.png": 20, "b/x.png": 24, "x.png": 28}.items():
        (tmp_path / "s" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.eye(side, dtype=np.uint8)).save(tmp_path / "s" / name)
    rows = tumorline.predict(tmp_path / "s", output=tmp_path / "out")
    expected = sorted(spaces(tumorline.view(rows)))
    assert expected == [[20, 20], [24, 24], [28, 28]]
    (tmp_path / "out").rename(tmp_path / "moved")
    assert sorted(spaces(tumorline.view(tmp_path / "moved"))) == expected


def test_pixels_are_shown_in_the_sizes_that_were_seen(tmp_path: Path) -> None:
    model = write_pair(tmp_path / "model")
    grey = np.random.default_rng(0).integers(0, 255, (32, 24)).astype(np.uint8)
    slice_path = save_dicom(tmp_path / "in" / "a.dcm", grey, PixelSpacing=[0.5, 1])
    Image.fromarray(grey).save(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "patients.csv").write_text("id,patient,spacing_mm\nb,P1,0.5x2\n")
    rows = tumorline.predict(tmp_path / "in", model, output=tmp_path / "out")
    assert [case["spacing"] for case in tumorline.view(rows).cases] == [[0.5, 1], [0.5, 2]]
    assert tumorline.view(slice_path).cases[0]["spacing"] == [0.5, 1]
    assert tumorline.view(slice_path, spacing_mm=(3, 4)).cases[0]["spacing"] == [3, 4]


def test_a_mask_on_another_grid_is_shown_where_it_lies(tmp_path: Path) -> None:
    voxels, marked = np.arange(210, dtype=np.int16).reshape(6, 7, 5), np.zeros((6, 7, 5), np.uint8)
    marked[2, 3, 1] = 1
    moved, cropped, far = np.eye(4), np.eye(4), np.eye(4)
    moved[:3, 3], cropped[:3, 3], far[:3, 3] = (1, 1, 1), (2, 2, 0), (90, 0, 0)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "image.nii.gz")
    for name, mask, affine in (
        ("same", marked, np.eye(4)),
        ("moved", marked, moved),
        ("cropped", marked[2:, 2:, :2], cropped),
        ("far", marked, far),
    ):
        nib.save(nib.Nifti1Image(mask, affine), tmp_path / f"{name}.nii.gz")
    same, by_crop, by_place = (
        tumorline.view(tmp_path / "image.nii.gz", truth=tmp_path / f"{name}.nii.gz").cases[0]
        for name in ("same", "cropped", "moved")
    )
    assert same["truth"] == by_crop["truth"] != by_place["truth"]
    assert [place.tolist() for place in np.nonzero(shown_truth(by_place))] == [[2], [7 - 1 - 4], [6 - 1 - 3]]
    assert same["notes"] == []
    assert "resampled onto the grid of image.nii.gz" in by_place["notes"][0]
    assert "of which it is a part" in by_crop["notes"][0]
    with pytest.raises(UserError, match=r"far\.nii\.gz: lies elsewhere than image\.nii\.gz"):
        tumorline.view(tmp_path / "image.nii.gz", truth=tmp_path / "far.nii.gz")


def shown_truth(case: EncodedCase) -> npt.NDArray[np.uint8]:
    assert case["truth"]
    return np.frombuffer(zlib.decompress(base64.b64decode(case["truth"]["data"])), np.uint8).reshape(case["space"])


def test_an_evaluation_is_shown_the_lowest_dice_first(tiny_run: Path) -> None:
    view = tumorline.view(tiny_run)
    dice = [float(note.split()[1].rstrip(",")) for case in view.cases for note in case["notes"] if "Dice" in note]
    assert len(dice) > 2
    assert dice == sorted(dice)
    name = view.cases[-1]["id"]
    assert [case["id"] for case in tumorline.view(tiny_run, case=name).cases] == [name]
    with pytest.raises(UserError, match="no case is called"):
        tumorline.view(tiny_run, case="none")
    with pytest.raises(UserError, match="neither an evaluation"):
        tumorline.view(tiny_run / "predictions")


def test_a_notebook_gets_a_frame_that_can_do_nothing_outside_of_it(tmp_path: Path) -> None:
    view = tumorline.view(np.zeros((8, 8)), prediction=np.eye(8) > 0)
    frame = view._repr_html_()
    assert 'sandbox="allow-scripts allow-downloads"' in frame
    assert frame.count("<") == 2, "all of the page is quoted"
    assert "default-src &#x27;none&#x27;" in frame
    assert view.save(tmp_path / "case.html").read_text() == view.html


def test_the_example_of_the_docstring_holds() -> None:
    outcome: Any = doctest.testmod(viewing)
    assert outcome.attempted
    assert not outcome.failed
