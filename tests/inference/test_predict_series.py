"""From DICOM slices to masks that lie on them."""

import csv
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import tumorline
from tests.conftest import Program
from tests.formats.test_dicom_series import Change, require_valid, write_enhanced, write_multi_frame, write_series
from tests.inference.test_predict_scans import model_of
from tumorline.errors import Interrupted, UserError
from tumorline.formats.dicom_series import open_each, read_series
from tumorline.formats.nifti import load_nibabel
from tumorline.geometry.grid import Grid
from tumorline.inference.model import Model

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


@pytest.fixture
def bright(monkeypatch: pytest.MonkeyPatch) -> Model:
    """A model that draws what is bright; the one that comes with the program draws nothing in these slices."""
    model = model_of(["post_contrast"], ("tumour",), lambda windows: windows - np.float32(1), image_size=48)
    monkeypatch.setattr("tumorline.api.predicting.load", lambda *_, **__: model)
    return model


def test_a_folder_of_slices_is_one_case_with_a_nifti_and_a_dicom_segmentation(
    bright: Model, series: Path, tmp_path: Path, program: Program
) -> None:
    result = program("predict", series, "--output", tmp_path / "out")
    assert result.status == 0
    assert "5 slices read as post_contrast (its words hold 't1', 'post')" in result.err
    (row,) = rows_of(tmp_path / "out")
    (opened,), _ = open_each(series.glob("*.dcm"))
    image = load_nibabel().load(row["mask"])
    assert image.shape == opened.stored_shape
    assert np.allclose(image.affine, opened.affine)
    segmentation = pydicom.dcmread(row["segmentation"])
    assert segmentation.SegmentSequence[0].SegmentLabel == "tumour"
    drawn = np.asarray(image.dataobj).transpose(2, 1, 0).astype(bool)
    frames = segmentation.pixel_array.reshape(-1, 24, 24).astype(bool)
    assert np.array_equal(frames, drawn[drawn.any((1, 2))])
    assert drawn.sum() == int(row["tumour_px"]) > 0


def test_a_stopped_predict_looks_for_its_segmentations_where_the_folder_lies_now(series: Path, tmp_path: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        tumorline.predict(series, output=tmp_path / "out", progress=stop)
    (written,) = (tmp_path / "out").rglob("*.dcm")
    written.unlink()
    with pytest.raises(Interrupted):
        tumorline.predict(series, output=tmp_path / "out", progress=stop)
    assert written.is_file()
    (tmp_path / "out").rename(tmp_path / "moved")
    (row,) = tumorline.predict(series, output=tmp_path / "moved")
    assert row["segmentation"] == str(tmp_path / "moved" / written.name)


def test_a_table_of_cases_may_name_folders_of_series(series: Path, tmp_path: Path, program: Program) -> None:
    places = {"a": "jane/t1", "b": "jane/t1#7", "c": "jane/t2", "d": f"jane/t1/{next(series.glob('*.dcm')).name}"}
    table = tmp_path / "cases.csv"
    table.write_text("id,image\n" + "".join(f"{name},{place}\n" for name, place in places.items()))
    result = program("predict", table, "--output", tmp_path / "out")
    first, numbered, lost, slice_alone = rows_of(tmp_path / "out")
    assert Path(first["mask"]).name == "a_mask.nii.gz"
    assert Path(first["segmentation"]).is_file()
    assert numbered["error"].startswith(f"{series}#7: no DICOM series of this number or file; give one of {series}")
    assert lost["error"] == f"{tmp_path / 'jane/t2'}: no such file or folder (line 4 of {table})"
    assert Path(slice_alone["mask"]).suffix == ".png"
    assert "5 slices read as post_contrast" in result.err


def test_a_series_that_lacks_slices_at_an_end_is_noted_and_numbers_that_run_over_a_study_are_not(
    series: Path, tmp_path: Path, program: Program
) -> None:
    for path in series.glob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.InstanceNumber += 4
        dataset.save_as(path)
    result = program("predict", series, "--output", tmp_path / "a")
    note = "its instance numbers begin with 5: slices at one end may be missing"
    assert note in result.err
    (row,) = rows_of(tmp_path / "a")
    assert row["note"].startswith(f"{series}: {note}")
    scout = {"SeriesInstanceUID": "1.2.9", "SeriesDescription": "localizer"}
    write_series(series.parent / "scout", 4, change=lambda _, own: own.update(scout))
    result = program("predict", series.parent, "--output", tmp_path / "b")
    assert (result.status, "may be missing" in result.err) == (0, False)


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


def test_the_answer_is_that_of_the_slices_side_by_side(bright: Model, series: Path, tmp_path: Path) -> None:
    """Seen in their proportions: pixels are four times as wide as high."""
    (row,) = tumorline.predict(series, output=tmp_path / "out")
    (opened,), _ = open_each(series.glob("*.dcm"))
    stored = opened.to_stored(read_series(opened)).astype(np.float32)
    expected = np.stack([bright.mask(one[None], Grid(one.shape, (0.5, 2.0)))[0] for one in stored])
    found = np.asarray(load_nibabel().load(row["mask"]).dataobj).transpose(2, 1, 0).astype(bool)
    assert np.array_equal(found, expected)
    assert found[1:4, 9:13, 9:15].all()


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


OBJECTS = {"PR": "1.2.840.10008.5.1.4.1.1.11.1", "SR": "1.2.840.10008.5.1.4.1.1.88.22"}
"""Modalities and SOP classes of what an archive exports beside images."""


@pytest.fixture
def objects(series: Path) -> Path:
    """A presentation state, a report, a directory and a segmentation of five frames beside the slices."""
    first = pydicom.dcmread(min(series.glob("*.dcm")))
    for modality, kind in OBJECTS.items():
        other = pydicom.Dataset()
        other.Modality, other.SOPClassUID, other.PatientID = modality, kind, first.PatientID
        other.SeriesInstanceUID = other.SOPInstanceUID = pydicom.uid.generate_uid()
        other.file_meta = pydicom.dataset.FileMetaDataset()
        other.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        other.save_as(series / f"{modality}.dcm", enforce_file_format=True)
    write_multi_frame(series / "X5.dcm", [0, 1, 2, 3, 4])
    drawn = pydicom.dcmread(series / "X5.dcm")
    drawn.Modality = "SEG"
    drawn.save_as(series / "X5.dcm")
    shutil.copy(series / "SR.dcm", series / "DICOMDIR")
    return series


def test_what_is_no_image_is_left_out_of_a_series_and_named(objects: Path, tmp_path: Path, program: Program) -> None:
    shown = program("predict", objects, "--output", tmp_path / "out")
    assert (shown.status, len(rows_of(tmp_path / "out"))) == (0, 1)
    assert "left out are 3 DICOM files without an image of a scan (for example PR.dcm)" in shown.err
    for path in objects.glob("[0-9]*.dcm"):
        path.unlink()
    alone = program("predict", objects, "--output", tmp_path / "none")
    assert alone.status == 2
    assert "no image in this folder" in alone.err


def screenshots(folder: Path, count: int) -> None:
    """Secondary captures that bear the words of the series that they show, and no place."""
    names = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7", "SeriesInstanceUID": "1.2.70", "SeriesDescription": "T1 post"}
    nowhere = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"))
    for number, path in enumerate(write_series(folder / "drawn", count, change=changing({**names, **nowhere}))):
        path.rename(folder / f"shot{number}.dcm")
    (folder / "drawn").rmdir()


@pytest.mark.parametrize(("where", "count"), [("t1", 1), ("t1", 7), ("shots", 7)])
def test_screenshots_beside_a_series_are_left_out_and_said(
    tmp_path: Path, program: Program, where: str, count: int
) -> None:
    t1 = named_series(tmp_path / "study" / "t1", "1.2.31", "AX T1 post")
    screenshots(tmp_path / "study" / where, count)
    for given in ([tmp_path / "study"], ["--channel", f"t1c={t1}"]):
        result = program("predict", *given, "--output", tmp_path / f"out{len(given)}")
        assert result.status == 0, result.err
        assert len(rows_of(tmp_path / f"out{len(given)}")) == 1
    shown = program("predict", tmp_path / "study", "--output", tmp_path / "out1").err
    assert "without an image of a scan (for example shot0.dcm)" in shown


def test_screenshots_alone_are_pictures(tmp_path: Path, program: Program) -> None:
    screenshots(tmp_path / "shots", 4)
    assert program("predict", tmp_path / "shots", "--output", tmp_path / "out").status == 0
    assert len(rows_of(tmp_path / "out")) == 4


def test_a_slice_whose_header_is_cut_is_no_object_without_pixels(
    series: Path, tmp_path: Path, program: Program
) -> None:
    (last,) = [path for path in series.glob("*.dcm") if pydicom.dcmread(path).InstanceNumber == 5]
    last.write_bytes(last.read_bytes()[:330])
    shown = program("predict", series, "--output", tmp_path / "out")
    assert shown.status == 2
    assert f"{last}: unreadable or truncated DICOM" in shown.err or f"{last}: holds the header of an image" in shown.err


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"SeriesDescription": "AX FLAIR"}, "taken as post_contrast, its header tells flair (its words hold 'flair')"),
        ({"Modality": "CT"}, "taken as post_contrast, its header tells CT (its modality)"),
        ({"SeriesDescription": "T1 post"}, ""),
        ({}, ""),
    ],
)
def test_a_slice_of_another_sequence_is_said(tmp_path: Path, elements: dict[str, object], note: str) -> None:
    folder = draw(tmp_path / "in", lambda _, own: own.update(elements))
    (row,) = tumorline.predict(folder / "3.dcm", "builtin", tmp_path / "out")
    assert (row["note"] or "") == note


def test_a_series_of_ct_is_refused_with_the_way_to_insist(tmp_path: Path, program: Program) -> None:
    folder = draw(tmp_path / "ct", lambda _, own: own.update({"Modality": "CT", "SeriesDescription": "T1 post"}))
    shown = program("predict", folder, "--output", tmp_path / "out")
    assert shown.status == 2
    assert "5 slices read as CT (its modality)" in shown.err
    assert program("predict", "--channel", f"post_contrast={folder}", "--output", tmp_path / "insisted").status == 0


def test_warnings_of_the_writer_which_may_quote_a_name_are_never_shown() -> None:
    """From any thread: a filter of the moment, as `catch_warnings` sets it, holds in one only."""
    script = (
        "import threading, warnings, tumorline.write.dicom_seg\n"
        "quoted = ('JANE-DOE is no name', UserWarning, 'base.py', 1, 'highdicom.base')\n"
        "thread = threading.Thread(target=warnings.warn_explicit, args=quoted)\n"
        "thread.start(); thread.join()\n"
        "import logging; logging.getLogger('highdicom.image').warning('JANE-DOE is there twice'); print('done')"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")


def test_warnings_of_the_writer_are_not_shown_to_who_has_taken_back_his_filters_since(
    series: Path, tmp_path: Path
) -> None:
    for path in series.iterdir():
        dataset = pydicom.dcmread(path)
        dataset.PatientName = "JANE"  # of which highdicom warns
        dataset.save_as(path)
    for number in range(2):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            tumorline.predict(series, output=tmp_path / f"{number}")


@pytest.fixture
def two_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(["flair", "post_contrast"], ("tumour",), lambda windows: windows[:, :1])
    monkeypatch.setattr("tumorline.api.predicting.load", lambda *_, **__: model)


def test_series_of_one_study_that_lie_in_several_folders_are_one_case(
    two_channels: None, tmp_path: Path, program: Program
) -> None:
    folders = [
        named_series(tmp_path / "far" / "a", "1.2.31", "AX T1 post"),
        named_series(tmp_path / "near" / "b", "1.2.32", "AX FLAIR"),
        named_series(tmp_path / "near" / "c", "1.2.33", "localizer"),
    ]
    result = program("predict", *folders, "--output", tmp_path / "out")
    assert result.status == 0, result.err
    (row,) = rows_of(tmp_path / "out")
    assert row["channels"] == f"flair={folders[1] / '0.dcm'}; post_contrast={folders[0] / '0.dcm'}"
    assert f"{folders[1]}: 5 slices read as flair (its words hold 'flair'); taken as flair" in result.err
    assert f"{folders[2]}: 5 slices of an unknown sequence (its words hold 'locali'); not used" in result.err
    offered = f"--channel flair={folders[1]} --channel post_contrast={folders[0]}"
    assert f"where one of these is wrong, give {offered} with the right one" in result.err
    chosen = ["--channel", f"flair={folders[2]}", "--channel", f"t1c={folders[0]}"]
    result = program("predict", *chosen, "--output", tmp_path / "chosen")
    assert result.status == 0
    assert "taken as flair, as you say" in result.err
    (row,) = rows_of(tmp_path / "chosen")
    assert "taken as flair, its headers do not tell the sequence (its words hold 'locali')" in row["note"]


def test_a_study_without_a_channel_is_one_line_that_says_what_there_is(
    two_channels: None, tmp_path: Path, program: Program
) -> None:
    folder = named_series(tmp_path / "study" / "a", "1.2.31", "AX T1 post")
    named_series(tmp_path / "study" / "b", "1.2.32", "ADC")
    result = program("predict", tmp_path / "study", "--output", tmp_path / "out")
    assert result.status == 2
    assert "no series was recognised as flair; give --channel NAME=FOLDER for each channel" in result.err
    assert f"{folder}: 5 slices read as post_contrast" in result.err
    assert "of an unknown sequence (its words hold 'adc')" in result.err


def test_of_a_study_a_model_of_one_channel_takes_its_own(tmp_path: Path, program: Program) -> None:
    named_series(tmp_path / "study" / "a", "1.2.31", "AX T1 post")
    other = named_series(tmp_path / "study" / "b", "1.2.32", "AX FLAIR")
    result = program("predict", tmp_path / "study", "--output", tmp_path / "out")
    assert result.status == 0
    assert f"{other}: 5 slices read as flair (its words hold 'flair'); left out, the model takes post_contrast" in (
        result.err
    )
    (row,) = rows_of(tmp_path / "out")
    assert Path(row["mask"]).name == "a_mask.nii.gz"


def test_a_file_of_many_frames_is_predicted_as_a_volume(tmp_path: Path, program: Program) -> None:
    path = write_multi_frame(tmp_path / "frames.dcm", [2, 0, 3, 1])
    result = program("predict", path, "--output", tmp_path / "out")
    assert result.status == 0, result.err
    (row,) = rows_of(tmp_path / "out")
    assert load_nibabel().load(row["mask"]).shape == (6, 4, 4)
    assert pydicom.dcmread(row["segmentation"]).ReferencedSeriesSequence[0].SeriesInstanceUID == "1.2.3"
    result = program("predict", "--channel", f"t1c={path}", "--output", tmp_path / "named")
    assert result.status == 0


@pytest.mark.parametrize("frames", [[[0, 1, 2], [3, 4, 5]], [[0, 1], [2, 3]], [[0], [1], [2], [3]]])
def test_files_of_frames_of_one_series_are_one_volume_wherever_they_lie(
    tmp_path: Path, program: Program, frames: list[list[int]]
) -> None:
    paths = write_enhanced(tmp_path / "in", frames)
    for number, path in enumerate(paths):
        (tmp_path / "apart" / str(number)).mkdir(parents=True)
        shutil.copy(path, tmp_path / "apart" / str(number) / path.name)
    count = sum(map(len, frames))
    for place in ("in", "apart") if len(frames[0]) > 2 else ("in",):
        result = program("predict", tmp_path / place, "--output", tmp_path / f"out-{place}")
        assert result.status == 0, result.err
        (row,) = rows_of(tmp_path / f"out-{place}")
        assert load_nibabel().load(row["mask"]).shape == (6, 4, count)
        (referenced,) = pydicom.dcmread(row["segmentation"]).ReferencedSeriesSequence
        assert len(referenced.ReferencedInstanceSequence) == len(paths)


def test_folders_of_one_name_are_cases_of_the_folders_above(tmp_path: Path, program: Program) -> None:
    folders = [named_series(tmp_path / patient / "DICOM", f"1.2.3{patient}", "T1 post") for patient in "123"]
    result = program("predict", *folders, "--output", tmp_path / "out", "--no-overlay")
    assert result.status == 0, result.err
    masks = [Path(row["mask"]).relative_to(tmp_path / "out").as_posix() for row in rows_of(tmp_path / "out")]
    assert masks == [f"{patient}/DICOM_mask.nii.gz" for patient in "123"]


def test_series_of_several_patients_in_one_folder_are_named_alike(tmp_path: Path, program: Program) -> None:
    for patient in "AB":
        elements = {"SeriesInstanceUID": f"1.2.3{patient == 'A':d}", "StudyInstanceUID": f"1.2.4{patient == 'A':d}"}
        for path in draw(tmp_path / patient, changing({**elements, "patient": patient})).iterdir():
            (tmp_path / "all").mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / "all" / f"{patient}{path.name}")
    result = program("predict", tmp_path / "all", "--output", tmp_path / "out")
    assert result.status == 0, result.err
    masks = [Path(row["mask"]).relative_to(tmp_path / "out").as_posix() for row in rows_of(tmp_path / "out")]
    assert masks == ["all/A0_mask.nii.gz", "all/B0_mask.nii.gz"]


def named_series(folder: Path, uid: str, description: str) -> Path:
    return draw(folder, lambda _, elements: elements.update(SeriesInstanceUID=uid, SeriesDescription=description))


def test_a_real_series_lies_where_simpleitk_finds_it_and_reads_back_in_three_ways(
    real_data: Path, tmp_path: Path
) -> None:
    sitk = pytest.importorskip("SimpleITK")
    highdicom = pytest.importorskip("highdicom")
    (row,) = tumorline.predict(real_data / "dicom", output=tmp_path / "out")
    names = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(real_data / "dicom"))
    source, mask = sitk.ReadImage(names), sitk.ReadImage(row["mask"])
    assert mask.GetSize() == source.GetSize() == (260, 320, 24)
    for place in [(0, 0, 0), (259, 0, 23), (130, 319, 7)]:
        there = source.TransformPhysicalPointToIndex(mask.TransformIndexToPhysicalPoint(place))
        assert np.allclose(
            mask.TransformIndexToPhysicalPoint(place), source.TransformIndexToPhysicalPoint(there), atol=1e-3
        )
    voxels = sitk.GetArrayFromImage(sitk.Resample(mask, source, sitk.Transform(), sitk.sitkNearestNeighbor)).astype(
        bool
    )
    assert voxels.sum() == row["tumour_px"] > 20000  # (slices, rows, columns), in the order of the files
    instances = [pydicom.dcmread(name, specific_tags=["SOPInstanceUID"]).SOPInstanceUID for name in names]
    by_source = highdicom.seg.segread(row["segmentation"]).get_pixels_by_source_instance(
        instances, segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    assert np.array_equal(by_source[..., 0].astype(bool), voxels)
    plain = pydicom.dcmread(row["segmentation"])
    found = np.zeros_like(voxels)
    for frame, group in zip(plain.pixel_array, plain.PerFrameFunctionalGroupsSequence, strict=True):
        origin = group.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        found[instances.index(origin)] |= frame.astype(bool)
    assert np.array_equal(found, voxels)
    require_valid(Path(row["segmentation"]))


def changing(elements: dict[str, Any]) -> Change:
    """What gives every slice these elements."""
    return lambda _, own: own.update(elements)


def localizer(folder: Path, description: str = "localizer") -> Path:
    """Two stacks of four slices, axial and coronal, under one number of a series."""
    for number, orientation in enumerate([(1, 0, 0, 0, 1, 0), (1, 0, 0, 0, 0, -1)]):
        names = {"SeriesInstanceUID": "1.2.50", "SeriesDescription": description}
        paths = write_series(folder / "drawn", 4, orientation, changing(names))
        for path in paths:
            path.rename(folder / f"loc{number}_{path.name}")
    (folder / "drawn").rmdir()
    return folder


@pytest.mark.parametrize("where", ["t1", "loc"])
def test_a_localizer_costs_nothing_wherever_it_lies(tmp_path: Path, program: Program, where: str) -> None:
    named_series(tmp_path / "study" / "t1", "1.2.31", "AX T1 post")
    folder = localizer(tmp_path / "study" / where)
    result = program("predict", tmp_path / "study", "--output", tmp_path / "out")
    assert result.status == 0, result.err
    assert f"{folder}: left out a series of an unknown sequence (its words hold 'locali'), which is no volume" in (
        result.err
    )
    assert len(rows_of(tmp_path / "out")) == 1


def test_diffusion_at_several_b_values_costs_nothing(tmp_path: Path, program: Program) -> None:
    folder = named_series(tmp_path / "flat", "1.2.31", "AX T1 post")
    for b_value in (0, 1000):
        names = {"SeriesInstanceUID": "1.2.60", "SeriesDescription": "DWI", "DiffusionBValue": b_value}
        for path in draw(tmp_path / "b", changing(names)).iterdir():
            path.rename(folder / f"b{b_value}_{path.name}")
    result = program("predict", folder, "--output", tmp_path / "out")
    assert result.status == 0, result.err
    assert "which is no volume: " in result.err
    assert "a series of 2 volumes at one place (4D), which differ in b-values" in result.err
    chosen = program("predict", "--channel", f"t1c={folder}", "--output", tmp_path / "chosen")
    assert chosen.status == 0, chosen.err
    assert "left out a series of an unknown sequence (its words hold 'dwi')" in chosen.err


def test_a_broken_series_of_the_wanted_channel_stays_an_error(tmp_path: Path, program: Program) -> None:
    folder = localizer(named_series(tmp_path / "flat", "1.2.31", "AX T1 post"), "T1 post")
    result = program("predict", folder, "--output", tmp_path / "out")
    assert result.status == 2
    assert [bool(row["error"]) for row in rows_of(tmp_path / "out")].count(True) == 1
    chosen = program("predict", "--channel", f"t1c={folder}", "--output", tmp_path / "chosen")
    assert (chosen.status, "its orientation is" in chosen.err) == (2, True)


def test_a_localizer_alone_is_an_error(tmp_path: Path, program: Program) -> None:
    result = program("predict", localizer(tmp_path / "loc"), "--output", tmp_path / "out")
    assert (result.status, "its orientation is" in result.err) == (2, True)


def test_of_several_channels_a_broken_series_of_none_is_said(
    two_channels: None, tmp_path: Path, program: Program
) -> None:
    named_series(tmp_path / "study" / "a", "1.2.31", "AX T1 post")
    named_series(tmp_path / "study" / "b", "1.2.32", "AX FLAIR")
    loc = localizer(tmp_path / "study" / "loc")
    result = program("predict", tmp_path / "study", "--output", tmp_path / "out")
    assert result.status == 0, result.err
    assert f"{loc}: left out a series of an unknown sequence" in result.err
    localizer(tmp_path / "study" / "loc", "FLAIR")
    result = program("predict", tmp_path / "study", "--output", tmp_path / "broken")
    assert (result.status, "its orientation is" in result.err) == (2, True)


def test_series_of_two_patients_under_one_study_are_two_cases(
    two_channels: None, tmp_path: Path, program: Program
) -> None:
    """Whoever took the names out gave all the same study; no channel is taken from another head."""
    for patient in ("A", "B"):
        for uid, description in ((f"1.2.3{patient == 'A':d}", "AX T1 post"), (f"1.2.4{patient == 'A':d}", "AX FLAIR")):
            elements = {"SeriesInstanceUID": uid, "SeriesDescription": description, "patient": patient}
            draw(tmp_path / "all" / patient / description[-4:], changing(elements))
    result = program("predict", tmp_path / "all", "--output", tmp_path / "out")
    assert result.status == 0, result.err
    rows = rows_of(tmp_path / "out")
    assert [row["channels"].count(f"/{patient}/") for row, patient in zip(rows, "AB", strict=True)] == [2, 2]
    shutil.rmtree(tmp_path / "all" / "A" / "LAIR")
    shutil.rmtree(tmp_path / "all" / "B" / "post")
    result = program("predict", tmp_path / "all", "--output", tmp_path / "mixed")
    assert result.status == 2
    assert "no series was recognised as flair" in result.err


def test_two_frames_of_reference_are_a_note(two_channels: None, tmp_path: Path, program: Program) -> None:
    one = named_series(tmp_path / "study" / "a", "1.2.31", "AX FLAIR")
    elements = {"SeriesInstanceUID": "1.2.32", "SeriesDescription": "AX T1 post", "FrameOfReferenceUID": "1.2.4.9"}
    other = draw(tmp_path / "study" / "b", lambda _, own: own.update(elements))
    assert program("predict", tmp_path / "study", "--output", tmp_path / "out").status == 0
    (row,) = rows_of(tmp_path / "out")
    assert row["note"].startswith(f"{other}: has another frame of reference: the head may have moved between the two")
    assert "1.2.4.9" not in row["note"]
    elements = {**elements, "FrameOfReferenceUID": "1.2.4", "patient": "OTHER"}
    other = draw(tmp_path / "other", lambda _, own: own.update(elements))
    given = ["--channel", f"flair={one}", "--channel", f"t1c={other}"]
    assert program("predict", *given, "--output", tmp_path / "given").status == 0
    (row,) = rows_of(tmp_path / "given")
    assert f"{other}: is of another patient, by its PatientID (against a)" in row["note"]


def test_a_series_that_is_spread_over_folders_is_one(tmp_path: Path, program: Program) -> None:
    whole = named_series(tmp_path / "whole", "1.2.31", "AX T1 post")
    for path in whole.iterdir():
        half = tmp_path / "split" / f"IM{pydicom.dcmread(path).InstanceNumber > 4:d}"
        half.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, half / path.name)
    for given in ([tmp_path / "split"], ["--channel", f"t1c={tmp_path / 'split'}"]):
        result = program("predict", *given, "--output", tmp_path / f"out{len(given)}")
        assert result.status == 0, result.err
        (row,) = rows_of(tmp_path / f"out{len(given)}")
        assert load_nibabel().load(row["mask"]).shape[2] == 5
    (third,) = [path for path in (tmp_path / "split" / "IM0").iterdir() if pydicom.dcmread(path).InstanceNumber == 3]
    third.unlink()
    result = program("predict", tmp_path / "split", "--output", tmp_path / "gap")
    assert (result.status, "a slice is missing between" in result.err) == (2, True)
    assert len(rows_of(tmp_path / "gap")) == 1


def test_a_series_with_a_folder_for_each_slice_is_one(tmp_path: Path, program: Program) -> None:
    for number, path in enumerate(named_series(tmp_path / "whole", "1.2.31", "AX T1 post").iterdir()):
        (tmp_path / "store" / f"{number:02x}" / "a7").mkdir(parents=True)
        path.rename(tmp_path / "store" / f"{number:02x}" / "a7" / "instance")
    result = program("predict", tmp_path / "store", "--output", tmp_path / "out")
    assert result.status == 0, result.err
    (row,) = rows_of(tmp_path / "out")
    assert load_nibabel().load(row["mask"]).shape[2] == 5


def test_copies_of_a_series_in_another_folder_stay_apart(tmp_path: Path, program: Program) -> None:
    whole = named_series(tmp_path / "all" / "a", "1.2.31", "AX T1 post")
    shutil.copytree(whole, tmp_path / "all" / "b")
    (tmp_path / "all" / "key").mkdir()
    shutil.copy(whole / "3.dcm", tmp_path / "all" / "key" / "3.dcm")
    assert program("predict", tmp_path / "all", "--output", tmp_path / "out").status == 0
    assert sorted(Path(row["mask"]).name for row in rows_of(tmp_path / "out")) == [
        *("3_mask.png", "a_mask.nii.gz", "b_mask.nii.gz")
    ]


def test_a_series_whose_first_slice_was_moved_is_not_shown(series: Path, tmp_path: Path) -> None:
    rows = tumorline.predict(series, output=tmp_path / "out")
    assert len(tumorline.view(rows).cases) == 1
    Path(rows[0]["input"]).rename(tmp_path / "moved.dcm")
    with pytest.raises(UserError, match="no longer the first slice of its series; put its slices back"):
        tumorline.view(rows)
