"""From DICOM slices to masks that lie on them."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

import tumorline
from tests.conftest import Program
from tests.data.test_dicom_series import write_series
from tumorline.formats.dicom_series import open_series, read_series
from tumorline.formats.nifti import load_nibabel

Rows = list[dict[str, str]]


def rows_of(folder: Path) -> Rows:
    with (folder / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Five slices of 24 x 24 with a bright square in the middle three."""

    def named(_: int, elements: dict[str, object]) -> None:
        elements |= {"SeriesDescription": "T1 post"}

    return draw(tmp_path / "jane" / "t1", named)


def draw(folder: Path, change: Callable[[int, dict[str, object]], object]) -> Path:
    for number, path in enumerate(write_series(folder, change=change)):
        dataset = pydicom.dcmread(path)
        pixels = np.random.default_rng(number).integers(40, 60, (24, 24)).astype(np.uint16)
        pixels[8:14, 8:16] += 150 * (0 < number < 4)
        dataset.Rows, dataset.Columns, dataset.PixelData = 24, 24, pixels.tobytes()
        dataset.save_as(path)
    return folder


def test_a_folder_of_slices_is_one_case_with_a_nifti_and_a_dicom_segmentation(
    series: Path, tmp_path: Path, program: Program
) -> None:
    result = program("predict", series, "--output", tmp_path / "out")
    assert result.status == 0
    assert "5 slices read as post_contrast (its words hold 't1', 'post')" in result.err
    (row,) = rows_of(tmp_path / "out")
    (opened,) = open_series(series.glob("*.dcm"))
    image = load_nibabel().load(row["mask"])
    assert image.shape == opened.stored_shape
    assert np.allclose(image.affine, opened.affine)
    segmentation = pydicom.dcmread(row["segmentation"])
    assert segmentation.SegmentSequence[0].SegmentLabel == "tumour"
    drawn = np.asarray(image.dataobj).transpose(2, 1, 0).astype(bool)
    frames = segmentation.pixel_array.reshape(-1, 24, 24).astype(bool)
    assert frames.sum() == drawn.sum() == int(row["tumour_px"])


def test_no_identifier_reaches_tables_or_what_is_printed(series: Path, tmp_path: Path, program: Program) -> None:
    result = program("predict", series, "--output", tmp_path / "out", "--json")
    for text in (result.out, result.err, (tmp_path / "out" / "predictions.csv").read_text()):
        assert "DOE" not in text
    for path in (tmp_path / "out").glob("*.json*"):
        assert "DOE" not in path.read_text()


def test_a_slice_that_is_missing_or_foreign_is_one_line_and_status_2(
    series: Path, tmp_path: Path, program: Program
) -> None:
    paths = {pydicom.dcmread(path).InstanceNumber: path for path in series.glob("*.dcm")}
    paths[3].rename(tmp_path / "away.dcm")
    result = program("predict", series, "--output", tmp_path / "a")
    assert result.status == 2
    assert f"a slice is missing between {paths[2].name} and {paths[4].name}" in result.err
    shutil.copy(tmp_path / "away.dcm", paths[3])
    stray = pydicom.dcmread(paths[3])
    stray.SeriesInstanceUID = "1.2.77"
    stray.save_as(series / "stray.dcm")
    result = program("predict", series, "--output", tmp_path / "b")
    assert (result.status, "stray.dcm: of another series than the 5 slices" in result.err) == (2, True)


def test_slices_that_belong_to_no_series_stay_pictures(tmp_path: Path, program: Program) -> None:
    def apart(number: int, elements: dict[str, object]) -> None:
        elements["SeriesInstanceUID"] = f"1.2.{number}"

    draw(tmp_path / "loose", apart)
    assert program("predict", tmp_path / "loose", "--output", tmp_path / "out").status == 0
    rows = rows_of(tmp_path / "out")
    assert len(rows) == 5
    assert all(row["mask"].endswith("_mask.png") for row in rows)


def test_a_series_of_another_sequence_is_refused_with_the_way_to_insist(tmp_path: Path, program: Program) -> None:
    flair = draw(tmp_path / "flair", lambda _, elements: elements.update(SeriesDescription="AX FLAIR"))
    result = program("predict", flair, "--output", tmp_path / "out")
    assert result.status == 2
    assert (
        f"the model takes post_contrast. Where that is what it is, give --channel post_contrast={flair}" in result.err
    )
    result = program("predict", "--channel", f"t1c={flair}", "--output", tmp_path / "insisted")
    assert result.status == 0


def test_a_series_without_a_study_has_its_mask_and_says_why_there_is_no_segmentation(
    tmp_path: Path, program: Program
) -> None:
    folder = draw(tmp_path / "x", lambda _, elements: elements.update(StudyInstanceUID=None))
    assert program("predict", folder, "--output", tmp_path / "out").status == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["segmentation"] == ""
    assert "no DICOM segmentation" in row["note"]
    assert Path(row["mask"]).is_file()


def test_the_answer_is_that_of_the_slices_side_by_side(series: Path, tmp_path: Path) -> None:
    (row,) = tumorline.predict(series, output=tmp_path / "out")
    (opened,) = open_series(series.glob("*.dcm"))
    model = tumorline.load("builtin")
    stored = opened.to_stored(read_series(opened)).astype(np.float32)
    expected = np.stack([model.mask(one[None])[0] for one in stored])
    found = np.asarray(load_nibabel().load(row["mask"]).dataobj).transpose(2, 1, 0).astype(bool)
    assert np.array_equal(found, expected)


def test_copies_of_one_slice_are_pictures_and_a_bad_one_costs_only_itself(tmp_path: Path, program: Program) -> None:
    def at_one_place(_: int, elements: dict[str, object]) -> None:
        elements["ImagePositionPatient"] = [1, 2, 3]

    folder = draw(tmp_path / "kinds", at_one_place)
    (folder / "bad.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\xff" * 40)
    assert program("predict", folder, "--output", tmp_path / "out").status == 2
    rows = rows_of(tmp_path / "out")
    assert [bool(row["error"]) for row in rows].count(True) == 1
    assert len(rows) == 6


def test_loose_pictures_beside_a_series_stay_pictures(series: Path, tmp_path: Path, program: Program) -> None:
    def apart(number: int, elements: dict[str, object]) -> None:
        elements["SeriesInstanceUID"] = f"1.9.{number}"

    for number, path in enumerate(sorted(draw(tmp_path / "loose", apart).glob("*.dcm"))):
        shutil.copy(path, series / f"loose{number}.dcm")
    assert program("predict", series, "--output", tmp_path / "out").status == 0
    masks = [row["mask"] for row in rows_of(tmp_path / "out")]
    assert [mask.endswith(".nii.gz") for mask in masks].count(True) == 1
    assert len(masks) == 6
