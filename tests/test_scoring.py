"""Masks that another program has drawn: scored as a model's are, told to cases by name, and never trusted unseen."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import PairFolder, Program, grey
from tests.sources import SIZE, brats, save, save_volume
from tumorline.data.masks.read import read_mask
from tumorline.evaluation.tables import read_rows
from tumorline.paper import write_paper

SQUARE = np.zeros((SIZE, SIZE), np.uint8)
SQUARE[4:9, 5:12] = 255


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Four patients, two slices each: s500 to s507."""
    return PairFolder(tmp_path / "set")(patients=4, first_seed=500)


@pytest.fixture
def drawn(source: Path, tmp_path: Path) -> Path:
    """The set's own masks, moved down by two rows, as a program saves them: values 0 and 1."""
    folder = tmp_path / "drawn"
    folder.mkdir()
    for path in (source / "masks").iterdir():
        grey(1)(np.roll(read_mask(path), 2, axis=0)).save(folder / path.name)
    return folder


def test_the_masks_of_a_model_score_as_the_model_does(tiny_run: Path, source: Path, tmp_path: Path) -> None:
    by_model = tumorline.evaluate(tiny_run, source, output=tmp_path / "model")
    scored = tumorline.score(tmp_path / "model" / "predictions", source, output=tmp_path / "masks")
    assert scored["regions"] == by_model["regions"]
    assert scored["baselines"] == {name: by_model["baselines"][name] for name in scored["baselines"]}
    one, other = read_rows(tmp_path / "model"), read_rows(tmp_path / "masks")
    assert [row.scores for row in one] == [row.scores for row in other]
    assert {row.status for row in other} == {"unverified"}


def test_every_output_says_what_is_not_known(program: Program, source: Path, drawn: Path, tmp_path: Path) -> None:
    result = program("score", drawn, "--data", source, "-o", tmp_path / "out")
    assert result.status == 0, result.err
    assert "! MASKS OF ANOTHER PROGRAM: which cases it was trained on is not known here" in result.out
    assert "8 cases, 4 patients (unverified)" in result.out
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (summary["model"], summary["case_status"]) == ("drawn", {"unverified": 8})
    assert not {"confidence", "precision", "dice_lost_to_area"} & {*summary["conventions"]}
    page = (tmp_path / "out" / "report.html").read_text()
    assert "masks of another program" in page
    assert "masks drawn" in page
    assert "hash of the masks" in page
    assert "Unverified: masks of another program, whose training cases are not known here." in page


def test_cases_without_a_mask_are_counted_and_said(program: Program, source: Path, drawn: Path, tmp_path: Path) -> None:
    for name in ("s501.png", "s504.png", "s506.png"):
        (drawn / name).unlink()
    result = program("score", drawn, "--data", source, "-o", tmp_path / "out")
    assert "! NOT ALL CASES: 3 of 8 cases have no mask and are not scored; failures may be among them" in result.out
    assert "5 of 8 cases given, 4 patients (unverified); left out 3: without a mask" in result.out
    assert {row.case for row in read_rows(tmp_path / "out")} == {"s500", "s502", "s503", "s505", "s507"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: save(folder / "s999.png", SQUARE), "s999.png: the mask of no case of "),
        (lambda folder: save(folder / "s500_seg.png", SQUARE), "the mask of the same case as s500"),
        (lambda folder: save(folder / "s503.png", SQUARE[:20]), "s503.png: 32 x 20, its case 32 x 32; a mask must"),
        (
            lambda folder: save(folder / "s503.png", np.arange(SIZE * SIZE, dtype=np.uint8).reshape(SIZE, SIZE)),
            "two values at most",
        ),
        (lambda folder: (folder / "s503.png").write_bytes(b"nothing"), "s503.png"),
        (lambda folder: save_volume(folder / "s503_seg.nii.gz", [SQUARE]), "s503"),
        (lambda folder: [path.unlink() for path in folder.iterdir()], "drawn: holds no mask"),
    ],
)
def test_what_is_no_mask_of_a_case_is_refused_in_one_line(
    program: Program, source: Path, drawn: Path, tmp_path: Path, change: Callable[[Path], object], message: str
) -> None:
    change(drawn)
    result = program("score", drawn, "--data", source, "-o", tmp_path / "out")
    assert result.status == 2
    assert message in result.err
    assert "set data." not in result.err, "which says how the set's own masks are read"
    assert len(result.err.strip().splitlines()) == 1
    assert not (tmp_path / "out" / "summary.json").exists()


def test_label_maps_are_split_as_those_of_the_set(tmp_path: Path) -> None:
    source = brats(tmp_path / "scans", patients=2)
    plane = (SQUARE > 0).astype(np.uint8)
    for number in range(2):
        save_volume(tmp_path / "drawn" / f"BraTS2021_{number:05d}.nii.gz", [plane * 2, plane * 4])
    regions = "data.regions=whole_tumour,tumour_core,enhancing_tumour"
    summary = tumorline.score(tmp_path / "drawn", source, output=tmp_path / "out", overrides=[regions])
    rows = {(row.case, row.region): row.scores.predicted_px for row in read_rows(tmp_path / "out")}
    square = int(plane.sum())
    assert [rows["BraTS2021_00000", region] for region in summary["regions"]] == [2 * square, square, square]
    save_volume(tmp_path / "drawn" / "BraTS2021_00001.nii.gz", [plane * 3] * 2)  # as nnU-Net counts
    with pytest.raises(tumorline.UserError, match=r"BraTS2021_00001.nii.gz.* 3"):
        tumorline.score(tmp_path / "drawn", source, output=tmp_path / "again", overrides=[regions])


def test_masks_are_compared_with_a_model_and_the_page_says_whose_they_are(
    tiny_run: Path, source: Path, drawn: Path, tmp_path: Path
) -> None:
    tumorline.evaluate(tiny_run, source, output=tmp_path / "model")
    tumorline.score(drawn, source, output=tmp_path / "masks")
    result = tumorline.compare([tmp_path / "model", tmp_path / "masks"], output=tmp_path / "out")
    assert result["unverified"] == ["masks"]
    sentence = "masks: masks of another program; if it was trained on these cases, its figures are too good"
    assert sentence in result["warnings"]
    assert sentence in (tmp_path / "out" / "compare.html").read_text()
    methods = (write_paper(tmp_path / "out", tmp_path / "kit") / "methods.md").read_text()
    assert "on what the program behind masks was trained is" in methods


def test_the_same_command_does_not_replace_other_masks_scores(source: Path, drawn: Path, tmp_path: Path) -> None:
    first = tumorline.score(drawn, source, output=tmp_path / "out")
    Image.fromarray(SQUARE).save(drawn / "s500.png")
    with pytest.raises(tumorline.UserError, match="holds the results of 'score' already"):
        tumorline.score(drawn, source, output=tmp_path / "out")
    again = tumorline.score(drawn, source, output=tmp_path / "out", overwrite=True)
    assert again["made_with"]["fingerprint"] != first["made_with"]["fingerprint"]


def test_the_methods_of_a_paper_claim_nothing_of_the_masks_program(source: Path, drawn: Path, tmp_path: Path) -> None:
    tumorline.score(drawn, source, output=tmp_path / "out")
    methods = (write_paper(tmp_path / "out", tmp_path / "kit") / "methods.md").read_text()
    assert "The test is of masks that a program has drawn; which cases that was trained on: not stated." in methods
    assert "ONNX" not in methods
    assert "brought back" not in methods
