"""What `tumorline.view` shows."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.report.evaluated import AFFINE, nested_balls
from tests.strange_models import write_pair
from tumorline.api import viewing
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.geometry.grid import grid_of
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
