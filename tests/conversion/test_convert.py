"""DICOM series and their segmentations as a set of NIfTI files: on the grid, by name, or in one line not at all."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import highdicom
import nibabel
import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from pydicom.pixels.utils import pack_bits
from pydicom.sr.codedict import codes

import tumorline
from tests.conftest import Program
from tests.formats.test_dicom_series import AUTHOR, AXIAL, OBLIQUE, Change, opened, write_multi_frame, write_series
from tests.test_identifiers import INVENTED, held, said, written
from tumorline.arrays import MaskArray
from tumorline.config import DataConfig
from tumorline.conversion.outlines import label_values
from tumorline.data.finding import Finding
from tumorline.data.layouts.tree import list_tree
from tumorline.data.layouts.volumes.scan_case import region_of
from tumorline.data.source import channel_names
from tumorline.errors import Interrupted, UserError
from tumorline.formats.dicom_series import DicomSeries, read_series
from tumorline.geometry.upright import upright
from tumorline.write.dicom_seg import write_dicom_seg

SAGITTAL, REVERSED, CORONAL = (0, 1, 0, 0, 0, -1), (1, 0, 0, 0, -1, 0), (1, 0, 0, 0, 0, -1)
nib: Any = nibabel
Numbers = tuple[float, ...]
ALGORITHM = "SegmentAlgorithmType"


def changing(**elements: object) -> Change:
    return lambda _, own: own.update(elements)


def draw(folder: Path, orientation: Numbers = AXIAL, number: int = 1, **elements: object) -> DicomSeries:
    """Five slices of 4 x 6 pixels, T1 after contrast, whose values tell their places."""
    own = {
        "SeriesDescription": "T1 post",
        "SeriesInstanceUID": f"1.2.3.{number}",
        "SeriesNumber": number,
        "Modality": "MR",
        **elements,
    }
    for slice_number, path in enumerate(write_series(folder, orientation=orientation, change=changing(**own))):
        dataset = pydicom.dcmread(path)
        dataset.PixelData = (np.arange(24, dtype=np.uint16) ** number + 100 * slice_number).tobytes()
        dataset.save_as(path)
    return opened(list(folder.glob("*.dcm")))


def outline(series: DicomSeries, regions: int, seed: int = 0) -> MaskArray:
    """Nested random masks `(R, X, Y, Z)`."""
    values = np.random.default_rng(seed).random(series.grid.shape)
    return np.stack([values < 0.4 / (1 + number) for number in range(regions)])


def save(path: Path, masks: MaskArray, regions: Sequence[str], series: DicomSeries) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_dicom_seg(path, masks, tuple(regions), series, AUTHOR)
    return path


def changed(path: Path, change: Callable[[pydicom.Dataset], object]) -> Path:
    dataset = pydicom.dcmread(path)
    change(dataset)
    dataset.save_as(path)
    return path


def unrefer(dataset: pydicom.Dataset) -> None:
    """Nothing but the frame of reference tells of which series it is."""
    del dataset.ReferencedSeriesSequence, dataset.SourceImageSequence
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.DerivationImageSequence


def regions_of(folder: Path) -> dict[str, list[npt.NDArray[Any]]]:
    """Of each scan with a truth the regions in the order of its own voxels."""
    labels = json.loads((folder / "dataset.json").read_text())["labels"]
    return {
        name: [np.isin(np.asarray(nib.load(path).dataobj), values) for path in sorted(folder.glob("labelsTr/*"))]
        for name, values in labels.items()
        if name != "background"
    }


def stored(series: DicomSeries, voxels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """As a file of the series holds them, `(columns, rows, slices)`."""
    return series.to_stored(voxels).transpose(2, 1, 0)


@pytest.mark.parametrize("orientation", [AXIAL, SAGITTAL, CORONAL, OBLIQUE, REVERSED])
def test_a_series_and_its_segmentation_come_back_on_one_grid(tmp_path: Path, orientation: Numbers) -> None:
    """Regions that overlap, from the file that `predict` writes."""
    series = draw(tmp_path / "in", orientation)
    names = ("tumour_core", "whole_tumour", "enhancing_lesion")
    masks = outline(series, 3)[[1, 0, 2]]
    save(tmp_path / "seg" / "a.dcm", masks, names, series)
    (row,) = tumorline.convert([tmp_path / "in", tmp_path / "seg"], tmp_path / "set")
    (image,) = (tmp_path / "set").glob("imagesTr/*_0000.nii.gz")
    assert np.array_equal(nib.load(image).dataobj, stored(series, read_series(series)))
    assert nib.load(image).get_data_dtype() == np.int16
    assert np.allclose(nib.load(image).affine, series.affine, atol=1e-5)
    assert np.allclose(nib.load(row["truth"]).affine, series.affine, atol=1e-5)
    by_itk = pytest.importorskip("SimpleITK").ReadImage(row["truth"])
    assert np.allclose(by_itk.GetOrigin(), series.slices[0].position_mm, atol=1e-4)
    assert np.allclose(by_itk.TransformIndexToPhysicalPoint((0, 0, 4)), series.slices[4].position_mm, atol=1e-4)
    settings = DataConfig.model_validate({"regions": names, "cache": str(tmp_path / "cache")})
    dataset = tumorline.load_dataset(tmp_path / "set", settings)
    (case,) = dataset.cases
    assert (case.id, case.patient, case.channels) == (row["id"], row["patient"], ("post_contrast",))
    sample = dataset.read(case)
    assert np.array_equal(sample.truth, np.stack([upright(mask) for mask in masks]))
    assert np.array_equal(sample.image[0], upright(read_series(series)))


def test_a_set_is_checked_and_evaluated_without_a_word_more(tmp_path: Path, program: Program) -> None:
    for number in (1, 2):
        series = draw(
            tmp_path / f"p{number}", number=number, StudyInstanceUID=f"1.2.5.{number}", PatientID=f"P{number}"
        )
        save(tmp_path / f"p{number}" / "seg.dcm", outline(series, 1, number), ["tumour"], series)
    outcome = program("data", "convert", tmp_path / "p1", tmp_path / "p2", "--output", tmp_path / "set")
    assert outcome.status == 0, outcome.err
    assert outcome.out.splitlines() == [
        f"2 scans with truth, 0 without, 0 left out: {tmp_path / 'set'}",
        f"next: tumorline data check {tmp_path / 'set'}",
    ]
    assert f"{tmp_path / 'p1'}: 5 slices read as post_contrast (its words hold 't1', 'post'); taken as" in outcome.err
    assert f"{tmp_path / 'p1' / 'seg.dcm'}: the truth of {tmp_path / 'p1'}; a program has found" in outcome.err
    checked = program("data", "check", tmp_path / "set")
    assert (checked.status, "0 errors, 0 warnings" in checked.out) == (0, True), checked.out
    scored = program("evaluate", "--data", tmp_path / "set", "--output", tmp_path / "scored")
    assert (scored.status, "OTHER MEANING" in scored.out) == (0, False), scored.err
    assert "MASKS BY A PROGRAM: 2 of 2 cases are scored against a mask that a program has drawn" in scored.out
    assert "by a program" in (tmp_path / "scored" / "evaluation.csv").read_text()


def test_of_a_truth_that_somebody_drew_nothing_is_said(tmp_path: Path) -> None:
    for number in (1, 2):
        series = draw(tmp_path / "in" / str(number), number=number, StudyInstanceUID=f"1.2.5.{number}")
        save(tmp_path / "in" / f"{number}.dcm", outline(series, 1), ["tumour"], series)
    changed(tmp_path / "in" / "1.dcm", lambda dataset: setattr(dataset.SegmentSequence[0], ALGORITHM, "MANUAL"))
    tumorline.convert(tmp_path / "in", tmp_path / "set")
    with (tmp_path / "set" / "patients.csv").open() as table:
        assert sorted(row["truth"] for row in csv.DictReader(table)) == ["", "by a program"]
    (tmp_path / "in" / "2.dcm").unlink()
    tumorline.convert(tmp_path / "in", tmp_path / "drawn")
    assert "truth" not in (tmp_path / "drawn" / "patients.csv").read_text()


def test_the_command_that_follows_reads_all_channels_and_regions(tmp_path: Path, program: Program) -> None:
    series = draw(tmp_path / "in" / "a", SeriesDescription="FLAIR")
    save(tmp_path / "in" / "seg.dcm", outline(series, 2), ["oedema", "cyst"], series)
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set")
    *_, command = outcome.out.splitlines()
    assert command.endswith("--set data.channels=flair --set data.regions=oedema,cyst")
    checked = program(*command.split()[2:])
    assert (checked.status, "0 errors" in checked.out) == (0, True), checked.out
    lacking = program("data", "check", tmp_path / "set", "--set", "data.regions=oedema,cyst")
    assert "names no post_contrast; it has flair, say data.channels=NAME" in lacking.err
    lacking = program("data", "check", tmp_path / "set", "--set", "data.channel=flair")
    assert "names no labels of tumour_core; there are oedema, cyst, say data.regions=NAME" in lacking.err


def without_spacing(dataset: pydicom.Dataset) -> None:
    del dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices


@pytest.mark.parametrize("change", [unrefer, without_spacing, lambda _: None])
@pytest.mark.parametrize("slices", [[1, 3], [0, 2, 4], [4], [0, 1, 4]])
def test_frames_that_are_lacking_are_empty_wherever_they_are(
    tmp_path: Path, slices: list[int], change: Callable[[pydicom.Dataset], object]
) -> None:
    """Writers leave out frames without a segment, so that neither number nor step tells where one lies."""
    series = draw(tmp_path / "in", SAGITTAL)
    masks = np.zeros((1, *series.grid.shape), bool)
    masks[0, slices, 1:3, 2:] = True
    changed(save(tmp_path / "in" / "seg.dcm", masks, ["tumour"], series), change)
    tumorline.convert(tmp_path / "in", tmp_path / "set")
    assert np.array_equal(regions_of(tmp_path / "set")["tumour"][0], stored(series, masks[0]))


def test_frames_in_any_order_of_an_odd_number_of_bits_are_read(tmp_path: Path) -> None:
    """Cut to five of six columns, so that frames begin within a byte."""
    series = draw(tmp_path / "in", OBLIQUE)
    masks = outline(series, 2)
    order = np.random.default_rng(0).permutation(10)

    def change(dataset: pydicom.Dataset) -> None:
        frames = dataset.pixel_array[order][..., :5]
        dataset.PerFrameFunctionalGroupsSequence = [dataset.PerFrameFunctionalGroupsSequence[old] for old in order]
        dataset.Columns, dataset.PixelData = 5, pack_bits(frames.ravel())

    changed(save(tmp_path / "in" / "seg.dcm", masks, ["a", "b"], series), change)
    tumorline.convert(tmp_path / "in", tmp_path / "set")
    for mask, (found,) in zip(masks, regions_of(tmp_path / "set").values(), strict=True):
        assert np.array_equal(found[:5], stored(series, mask)[:5])
        assert not found[5:].any()


def save_as(path: Path, kind: str, values: npt.NDArray[Any], series: DicomSeries) -> None:
    """A segmentation of `(slices, rows, columns[, segments])` as highdicom writes it from a file of each slice."""
    describe = [
        highdicom.seg.SegmentDescription(
            number,
            label,
            codes.cid7150.MorphologicallyAbnormalStructure,
            codes.cid7159.Lesion,
            highdicom.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, label in enumerate(("Tumor", "Enhancing Lesion"), start=1)
    ]
    images = [pydicom.dcmread(one.path) for one in series.slices]
    for image in images:
        image.PatientBirthDate = image.PatientSex = image.StudyDate = image.StudyTime = image.AccessionNumber = ""
        image.StudyID = image.ReferringPhysicianName = ""
        image.SliceThickness = 3
    uids = [highdicom.UID() for _ in range(2)]
    highdicom.seg.Segmentation(
        images, values, kind, describe, uids[0], 900, uids[1], 1, "Maker", "Model", "1", "7", omit_empty_frames=True
    ).save_as(path)


@pytest.mark.parametrize("kind", ["FRACTIONAL", "LABELMAP", "BINARY"])
def test_every_kind_of_segmentation_is_read(tmp_path: Path, kind: str) -> None:
    series = draw(tmp_path / "in", CORONAL)
    random = np.random.default_rng(0)
    labels = random.integers(0, 3, (5, 4, 6)).astype(np.uint8)
    masks = np.stack([labels == 1, labels == 2], -1)
    shares = np.where(masks, 0.5 + 0.5 * random.random(masks.shape), 0.49 * random.random(masks.shape))
    values = {"FRACTIONAL": shares, "LABELMAP": labels, "BINARY": masks.astype(np.uint8)}[kind]
    save_as(tmp_path / "in" / "seg.dcm", kind, values, series)
    tumorline.convert(tmp_path / "in", tmp_path / "set")
    found = regions_of(tmp_path / "set")
    assert list(found) == ["tumour", "enhancing_lesion"]
    for number, region in enumerate(found):
        assert np.array_equal(found[region][0].transpose(2, 1, 0), masks[..., number])


def test_a_segmentation_on_another_grid_lies_where_its_affine_says(tmp_path: Path) -> None:
    """Drawn in coronal planes, saved without a word of the axial series."""
    series = draw(tmp_path / "in")
    other = draw(tmp_path / "other", CORONAL, number=2)
    whole = np.ones((1, *other.grid.shape), bool)
    changed(save(tmp_path / "in" / "seg.dcm", whole, ["tumour"], other), unrefer)
    tumorline.convert(tmp_path / "in", tmp_path / "set")
    (found,) = regions_of(tmp_path / "set")["tumour"]
    columns, rows, slices = np.indices(series.stored_shape)
    places = np.stack([columns, rows, slices, np.ones_like(slices)], -1) @ series.affine.T
    there = np.rint(places @ np.linalg.inv(other.affine).T)[..., :3]
    assert np.array_equal(found, ((there >= 0) & (there < other.stored_shape)).all(-1))
    assert 0 < found.sum() < found.size


def test_of_several_channels_all_lie_on_the_grid_of_the_segmented_one(tmp_path: Path, program: Program) -> None:
    series = draw(tmp_path / "in" / "t1c")
    fine = draw(tmp_path / "in" / "flair", number=2, SeriesDescription="FLAIR", PixelSpacing=[0.4, 1.75])
    save(tmp_path / "in" / "seg.dcm", outline(series, 1), ["tumour"], series)
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set")
    assert outcome.status == 0, outcome.err
    assert f"{tmp_path / 'in' / 'flair'}: resampled onto the grid of t1c" in outcome.err
    content = json.loads((tmp_path / "set" / "dataset.json").read_text())
    assert content["channel_names"] == {"0": "post_contrast", "1": "flair"}
    first, second = (nib.load(path) for path in sorted((tmp_path / "set").glob("imagesTr/*")))
    assert first.shape == second.shape == series.stored_shape
    assert np.array_equal(first.affine, second.affine)
    (tmp_path / "in" / "seg.dcm").unlink()
    assert program("data", "convert", tmp_path / "in", "--output", tmp_path / "bare").status == 0
    images = [nib.load(path) for path in sorted((tmp_path / "bare").glob("imagesTs/*"))]
    assert [np.allclose(image.affine, fine.affine) for image in images] == [True, True]


def test_channels_that_may_have_moved_leave_the_scan_out(tmp_path: Path, program: Program) -> None:
    draw(tmp_path / "in" / "t1c")
    draw(tmp_path / "in" / "flair", number=2, SeriesDescription="FLAIR", FrameOfReferenceUID="1.9")
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set")
    assert outcome.status == 2
    both = f"{tmp_path / 'in' / 'flair'} (flair) and {tmp_path / 'in' / 't1c'}"
    assert outcome.err.splitlines()[-1].startswith(f"error: {both}: have not the same frame of reference")
    assert not (tmp_path / "set").exists()
    assert program("data", "convert", tmp_path / "in", "--output", tmp_path / "set", "--channel", "flair").status == 0


def test_sequences_that_some_scans_lack_are_left_out_and_chosen_ones_leave_out_the_scan(
    tmp_path: Path, program: Program
) -> None:
    for number in (1, 2):
        draw(tmp_path / "in" / f"{number}", number=number, StudyInstanceUID=f"1.2.5.{number}")
    draw(tmp_path / "in" / "3", number=3, StudyInstanceUID="1.2.5.2", SeriesDescription="FLAIR")
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set")
    assert outcome.status == 0
    assert "left out are sequences that some scans lack: flair (1 of 2 scans); --channel NAME chooses" in outcome.err
    assert "0 scans with truth, 2 without, 0 left out" in outcome.out
    assert f"next: tumorline predict {tmp_path / 'set'}" in outcome.out
    chosen = ["--channel", "t1c", "--channel", "flair"]
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "both", *chosen)
    assert outcome.status == 2
    assert f"error: {tmp_path / 'in' / '1'}: no series was recognised as flair" in outcome.err
    assert "0 scans with truth, 1 without, 1 left out" in outcome.out


def test_of_two_series_of_one_sequence_the_segmented_or_the_stated_one_is_taken(
    tmp_path: Path, program: Program
) -> None:
    for number in (4, 7):
        draw(tmp_path / "in" / f"s{number}", number=number)
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "a")
    assert outcome.status == 2
    assert "2 series are post_contrast (s4, s7); give --channel NAME=FOLDER for each channel" in outcome.err
    stated = f"post_contrast={tmp_path / 'in' / 's7'}"
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "b", "--channel", stated)
    assert (outcome.status, "s7: 5 slices read as post_contrast" in outcome.err) == (0, True)
    assert "s4: 5 slices read as post_contrast (its words hold 't1', 'post'); not used" in outcome.err
    for path in [*(tmp_path / "in").glob("s*/*.dcm")]:
        path.rename(tmp_path / "in" / f"{path.parent.name}-{path.name}")
    stated = f"post_contrast={tmp_path / 'in'}#4"
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "c", "--channel", stated)
    assert outcome.status == 0, outcome.err
    series = opened(list((tmp_path / "in").glob("s7-*")))
    save(tmp_path / "in" / "seg.dcm", outline(series, 1), ["tumour"], series)
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "d")
    assert (outcome.status, "#7: 5 slices read as post_contrast" in outcome.err) == (0, True)


def test_a_series_that_no_header_tells_is_what_is_stated(tmp_path: Path, program: Program) -> None:
    draw(tmp_path / "in", SeriesDescription="")
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set")
    assert outcome.status == 2
    assert "no sequence was recognised in every scan; say what they are: --channel NAME=FOLDER" in outcome.err
    stated = ["--channel", f"adc={tmp_path / 'in'}"]
    assert program("data", "convert", tmp_path / "in", "--output", tmp_path / "set", *stated).status == 0
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["channel_names"] == {"0": "adc"}
    assert channel_names(tmp_path / "set") == ("adc",)
    for wrong, words in (("adc=", "expected NAME"), (f"adc={tmp_path / 'no'}", "no DICOM series is there; there are")):
        outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "x", "--channel", wrong)
        assert (outcome.status, words in outcome.err) == (2, True)


@pytest.fixture
def two_scans(tmp_path: Path) -> Path:
    """Two patients; only the second has a segmentation, with two segments."""
    draw(tmp_path / "in" / "a", StudyInstanceUID="1.2.5.1", PatientID="A")
    series = draw(tmp_path / "in" / "b", number=2, StudyInstanceUID="1.2.5.2", PatientID="B", FrameOfReferenceUID="1.8")
    save(tmp_path / "in" / "b" / "seg.dcm", outline(series, 2), ["oedema", "cyst"], series)
    return tmp_path / "in"


def add_segmentation(folder: Path, regions: Sequence[str]) -> Path:
    series = opened(list((folder / "a").glob("*.dcm")))
    return save(folder / "a" / "seg.dcm", outline(series, len(regions), 3), regions, series)


def test_regions_are_united_and_renamed_and_what_a_scan_lacks_is_said(
    two_scans: Path, tmp_path: Path, program: Program
) -> None:
    add_segmentation(two_scans, ["oedema"])
    outcome = program("data", "convert", two_scans, "--output", tmp_path / "set")
    assert "oedema: a segment of 2 of 2 scans" in outcome.err
    assert "cyst: a segment of 1 of 2 scans; empty in the others, which have no such segment" in outcome.err
    regions = ["--region", "whole tumor=Oedema,cyst", "--region", "cyst=cyst"]
    assert program("data", "convert", two_scans, "--output", tmp_path / "named", *regions).status == 0
    content = json.loads((tmp_path / "named" / "dataset.json").read_text())
    assert content["labels"] == {"background": 0, "whole_tumour": [1, 2], "cyst": [2]}
    assert content["regions_class_order"] == [1, 2]
    assert content["numTraining"] == 2
    found = regions_of(tmp_path / "named")["whole_tumour"]
    assert [mask.sum() for mask in found] == [mask.sum() for mask in regions_of(tmp_path / "set")["oedema"]]
    for wrong, words in {
        "a=bone": "no segment is called 'bone'; known: cyst, oedema",
        "a": "expected NAME=LABEL[,LABEL...]",
    }.items():
        outcome = program("data", "convert", two_scans, "--output", tmp_path / "x", "--region", wrong)
        assert (outcome.status, words in outcome.err) == (2, True)


def test_a_scan_whose_truth_cannot_be_told_is_left_out_and_no_other(
    two_scans: Path, tmp_path: Path, program: Program
) -> None:
    path = add_segmentation(two_scans, ["cyst"])
    whole = path.read_bytes()

    def told(name: str) -> str:
        outcome = program("data", "convert", two_scans, "--output", tmp_path / name)
        assert outcome.status == 2
        assert "1 scan with truth" in outcome.out
        (problem,) = [line for line in outcome.err.splitlines() if line.startswith("error: ")]
        return problem.removeprefix("error: ")

    path.with_name("second.dcm").write_bytes(whole)
    assert (
        told("two")
        == f"{path.with_name('second.dcm')} and {path}: two outlines of cyst in one scan; move one of them away, or "
        "rename its segment"
    )
    path.with_name("second.dcm").unlink()
    changed(path, lambda dataset: setattr(dataset, "FrameOfReferenceUID", "1.7"))
    assert told("frame").startswith(f"{path}: has another frame of reference than {path.parent}, to which it refers")
    changed(path, unrefer)
    assert told("orphan").startswith(f"{path}: its series is not among these volumes; give the folder of the series as")
    path.write_bytes(whole[:-1] if len(whole) % 2 else whole[:-2])
    assert told("cut").startswith(f"{path}: ")
    path.write_bytes(whole)
    changed(path, move_away)
    assert told("away") == f"{path}: all that it outlines lies outside of its series; it is of another one"


def move_away(dataset: pydicom.Dataset) -> None:
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        frame.PlanePositionSequence[0].ImagePositionPatient = [position[0] + 500, *position[1:]]


def test_a_slice_that_cannot_be_decoded_leaves_no_file_of_its_scan(two_scans: Path, tmp_path: Path) -> None:
    path = min((two_scans / "a").glob("*.dcm"))
    path.write_bytes(path.read_bytes()[:-8])
    row, lost = tumorline.convert(two_scans, tmp_path / "set")
    assert (bool(row["truth"]), lost["error"].startswith(f"{path}: ")) == (True, True)
    assert not (tmp_path / "set" / "imagesTs").exists()


def lines_of(places: Sequence[Path], output: Path, **options: Any) -> list[str]:
    """What is said while a set is made, and the errors."""
    said: list[str] = []
    rows = tumorline.convert(list(places), output, notify=said.append, **options)
    return [*said, *(row["error"] for row in rows if row["error"])]


def test_a_region_a_file_becomes_one_truth(tmp_path: Path) -> None:
    """Also where they are drawn on different series of the study: on the grid of the smaller voxels."""
    coarse = draw(tmp_path / "in" / "flair", number=2, SeriesDescription="FLAIR", PixelSpacing=[1.0, 2.0])
    series = draw(tmp_path / "in" / "t1c")
    masks = outline(series, 1)
    save(tmp_path / "in" / "oedema.dcm", np.ones((1, *coarse.grid.shape), bool), ["oedema"], coarse)
    save(tmp_path / "in" / "core.dcm", masks, ["tumour_core"], series)
    changed(tmp_path / "in" / "core.dcm", lambda dataset: setattr(dataset.SegmentSequence[0], ALGORITHM, "MANUAL"))
    said = lines_of([tmp_path / "in"], tmp_path / "set")
    found = regions_of(tmp_path / "set")
    assert np.array_equal(found["tumour_core"][0], stored(series, masks[0]))
    assert found["oedema"][0].all()
    assert "by a program" in (tmp_path / "set" / "patients.csv").read_text()
    grid = f"{tmp_path / 'in' / 'oedema.dcm'}: drawn on another grid than that of its scan; its outlines are resampled"
    assert [line for line in said if "grid" in line and "oedema" in line] == [grid]
    assert "oedema: a segment of 1 of 1 scan" in said


def test_segmentations_on_series_that_may_have_moved_leave_the_scan_out(tmp_path: Path) -> None:
    for number, name in ((1, "T1 post"), (2, "FLAIR")):
        series = draw(
            tmp_path / "in" / name, number=number, SeriesDescription=name, FrameOfReferenceUID=f"1.2.4.{number}"
        )
        save(tmp_path / "in" / f"{number}.dcm", outline(series, 1), [f"region {number}"], series)
    with pytest.raises(UserError, match=r"\(segmented\) and .*: have not the same frame of reference"):
        tumorline.convert(tmp_path / "in", tmp_path / "set", channels=["post_contrast"])


def test_a_segmentation_of_several_series_on_one_grid_is_of_all(tmp_path: Path) -> None:
    """As that of registered sequences: it does not matter on which of them it lies."""
    series = draw(tmp_path / "in" / "t1c")
    draw(tmp_path / "in" / "flair", number=2, SeriesDescription="FLAIR")
    draw(tmp_path / "in" / "t2", number=3, SeriesDescription="T2", PixelSpacing=[1.0, 1.0])
    masks = outline(series, 1)
    changed(save(tmp_path / "seg.dcm", masks, ["tumour"], series), unrefer)
    said = lines_of([tmp_path / "in", tmp_path / "seg.dcm"], tmp_path / "set")
    both = f"{tmp_path / 'in' / 'flair'}, {tmp_path / 'in' / 't1c'}"
    assert any(line.startswith(f"{tmp_path / 'seg.dcm'}: the truth of {both};") for line in said)
    assert np.array_equal(regions_of(tmp_path / "set")["tumour"][0], stored(series, masks[0]))


def relabelled(*labels: str) -> Callable[[pydicom.Dataset], None]:
    def change(dataset: pydicom.Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        for segment, label in zip(dataset.SegmentSequence, labels, strict=True):
            segment.SegmentLabel = label

    return change


def test_regions_of_labels_in_other_letters_are_named_and_not_taken_by_number(tmp_path: Path, program: Program) -> None:
    """Numbered alike in two files they were taken for one."""
    for number, labels in ((1, ("肿瘤", "水肿 T2")), (2, ("水肿 T2", "肿瘤"))):
        series = draw(tmp_path / "in" / str(number), number=number, StudyInstanceUID=f"1.2.5.{number}")
        masks = np.zeros((2, *series.grid.shape), bool)
        masks[labels.index("肿瘤"), :2], masks[labels.index("水肿 T2"), 3:] = True, True
        changed(save(tmp_path / "in" / f"{number}.dcm", masks, ["a", "b"], series), relabelled(*labels))
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set")
    cure = "call each region by a name: --region NAME=肿瘤 --region NAME=水肿_t2"
    assert (outcome.status, outcome.err.splitlines()[-1].endswith(cure)) == (2, True), outcome.err
    regions = ["--region", "tumour=肿瘤", "--region", "oedema=水肿 T2"]
    assert program("data", "convert", tmp_path / "in", "--output", tmp_path / "set", *regions).status == 0
    sizes = {name: [int(mask.sum()) for mask in masks] for name, masks in regions_of(tmp_path / "set").items()}
    assert sizes == {"tumour": [40, 40], "oedema": [60, 60]}


def test_labels_that_mean_something_else_in_the_table_get_another_name(tmp_path: Path, program: Program) -> None:
    """nnU-Net's own words, and numbers, which are read as values."""
    series = draw(tmp_path / "in")
    path = save(tmp_path / "in" / "seg.dcm", outline(series, 4), ["a", "b", "c", "d"], series)
    changed(path, relabelled("Background", "ignore", "2", "Edema"))
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set")
    labels = json.loads((tmp_path / "set" / "dataset.json").read_text())["labels"]
    assert labels.pop("background") == 0
    assert {*labels} == {"segment_background", "segment_ignore", "segment_2", "oedema"}
    *_, command = outcome.out.splitlines()
    assert "0 errors" in program(*command.split()[2:]).out


def test_segments_that_become_one_region_are_said(tmp_path: Path) -> None:
    series = draw(tmp_path / "in")
    masks = outline(series, 2)
    path = changed(save(tmp_path / "in" / "seg.dcm", masks, ["a", "b"], series), relabelled("Cyst (+)", "cyst (-)"))
    assert f"{path}: its segments 1, 2 are all cyst, one region" in lines_of([tmp_path / "in"], tmp_path / "set")
    assert np.array_equal(regions_of(tmp_path / "set")["cyst"][0], stored(series, np.asarray(masks.any(axis=0))))


def test_a_truth_of_another_patient_by_its_header_is_said(tmp_path: Path) -> None:
    series = draw(tmp_path / "in", PatientID="A")
    path = save(tmp_path / "in" / "seg.dcm", outline(series, 1), ["tumour"], series)
    assert not [line for line in lines_of([tmp_path / "in"], tmp_path / "own") if "patient" in line]
    changed(path, lambda dataset: setattr(dataset, "PatientID", "B"))
    (said,) = [line for line in lines_of([tmp_path / "in"], tmp_path / "set") if "patient" in line]
    assert said == f"{path}: is of another patient than {tmp_path / 'in'}, by its PatientID"


def test_what_outlines_nothing_or_lies_outside_is_said(tmp_path: Path) -> None:
    series = draw(tmp_path / "in")
    path = save(tmp_path / "in" / "seg.dcm", np.zeros((1, *series.grid.shape), bool), ["tumour"], series)
    assert any(
        line.startswith(f"{path}: nothing is outlined in it") for line in lines_of([tmp_path / "in"], tmp_path / "a")
    )

    def push(dataset: pydicom.Dataset) -> None:
        for frame in dataset.PerFrameFunctionalGroupsSequence:
            x, y, z = frame.PlanePositionSequence[0].ImagePositionPatient
            frame.PlanePositionSequence[0].ImagePositionPatient = [x, y, z + 3.0]

    changed(save(path, np.ones((1, *series.grid.shape), bool), ["tumour"], series), push)
    lost = f"{path}: 20.0% of what it outlines lies outside of its scan and is lost"
    assert [line for line in lines_of([tmp_path / "in"], tmp_path / "b") if "of what it outlines" in line] == [lost]


@pytest.mark.parametrize("kind", ["LABELMAP", "BINARY"])
def test_a_segment_that_is_not_described_is_one_line(tmp_path: Path, kind: str) -> None:
    series = draw(tmp_path / "in")
    labels = np.random.default_rng(0).integers(0, 3, (5, 4, 6)).astype(np.uint8)
    save_as(tmp_path / "in" / "seg.dcm", kind, labels, series)
    path = changed(tmp_path / "in" / "seg.dcm", lambda dataset: dataset.SegmentSequence.pop())
    with pytest.raises(UserError, match=r"outlines a segment 2 that it does not describe \(only 1\)") as caught:
        tumorline.convert(tmp_path / "in", tmp_path / "set")
    assert str(caught.value).startswith(f"{path}: ")


def test_outlines_of_radiotherapy_are_named(tmp_path: Path) -> None:
    series = draw(tmp_path / "in")
    for name in ("a.dcm", "b.dcm"):
        contours = pydicom.dcmread(series.paths[0])
        del contours.PixelData, contours.Rows, contours.Columns
        contours.SOPClassUID, contours.Modality = pydicom.uid.RTStructureSetStorage, "RTSTRUCT"
        contours.SeriesInstanceUID = "1.9"
        (tmp_path / "rt").mkdir(exist_ok=True)
        contours.save_as(tmp_path / "rt" / name)
    (line,) = [line for line in lines_of([tmp_path / "in", tmp_path / "rt"], tmp_path / "set") if "RTSTRUCT" in line]
    assert line.startswith(f"{tmp_path / 'rt' / 'a.dcm'} and 1 more: outlines of radiotherapy (RTSTRUCT) are not read;")


@pytest.mark.parametrize("step_mm", [1.0, 6.0])
def test_a_step_that_is_stated_wrongly_moves_nothing(tmp_path: Path, step_mm: float) -> None:
    series = draw(tmp_path / "in", OBLIQUE)
    masks = outline(series, 1)

    def change(dataset: pydicom.Dataset) -> None:
        dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].SpacingBetweenSlices = step_mm

    changed(save(tmp_path / "in" / "seg.dcm", masks, ["tumour"], series), change)
    assert not [line for line in lines_of([tmp_path / "in"], tmp_path / "set") if "another grid" in line]
    assert np.array_equal(regions_of(tmp_path / "set")["tumour"][0], stored(series, masks[0]))


def test_a_segmentation_that_may_be_of_two_series_is_one_line(tmp_path: Path, program: Program) -> None:
    series = draw(tmp_path / "in" / "a")
    draw(tmp_path / "in" / "b", number=2, SeriesDescription="FLAIR", StudyInstanceUID="1.2.6")
    path = changed(save(tmp_path / "in" / "seg.dcm", outline(series, 1), ["tumour"], series), unrefer)
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "set", "--channel", "t1c")
    assert outcome.status == 2
    assert f"error: {path}: may be of 2 series ({tmp_path / 'in' / 'a'}, {tmp_path / 'in' / 'b'}); give" in outcome.err


def test_nothing_to_convert_is_one_line(tmp_path: Path, program: Program) -> None:
    (tmp_path / "empty").mkdir()
    outcome = program("data", "convert", tmp_path / "empty", "--output", tmp_path / "set")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith(f"error: {tmp_path / 'empty'}: no DICOM series here")
    draw(tmp_path / "in")
    outcome = program("data", "convert", tmp_path / "in", "--output", tmp_path / "in" / "set")
    assert (outcome.status, "lies in the data folder" in outcome.err) == (2, True)


@pytest.mark.slow
def test_a_stopped_command_goes_on_and_a_finished_set_is_not_replaced(two_scans: Path, tmp_path: Path) -> None:
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the same command goes on"):
        tumorline.convert(two_scans, tmp_path / "set", progress=stop)
    (image,) = (tmp_path / "set").glob("images*/*.nii.gz")
    before = image.stat().st_mtime_ns
    assert not (tmp_path / "set" / "dataset.json").exists()
    rows = tumorline.convert(two_scans, tmp_path / "set")
    assert [bool(row["truth"]) for row in rows] == [False, True]
    assert image.stat().st_mtime_ns == before
    with pytest.raises(UserError, match="holds the results of 'data convert' already"):
        tumorline.convert(two_scans, tmp_path / "set")
    add_segmentation(two_scans, ["oedema"])
    rows = tumorline.convert(two_scans, tmp_path / "set", overwrite=True)
    assert all(row["truth"] for row in rows)
    assert not (tmp_path / "set" / "imagesTs").exists()


@pytest.mark.slow
def test_label_values_follow_what_is_there_when_a_mended_scan_joins(two_scans: Path, tmp_path: Path) -> None:
    """The scan that was done before is written anew, as the values of its regions are others now."""
    path = add_segmentation(two_scans, ["whole_tumour", "cyst"])
    whole = path.read_bytes()
    path.write_bytes(whole[:-4])
    first = tumorline.convert(two_scans, tmp_path / "set", regions=["a=whole_tumour", "b=cyst", "c=oedema"])
    assert [bool(row["error"]) for row in first] == [False, True]
    path.write_bytes(whole)
    tumorline.convert(two_scans, tmp_path / "set", regions=["a=whole_tumour", "b=cyst", "c=oedema"])
    tumorline.convert(two_scans, tmp_path / "fresh", regions=["a=whole_tumour", "b=cyst", "c=oedema"])
    again, fresh = regions_of(tmp_path / "set"), regions_of(tmp_path / "fresh")
    assert again.keys() == fresh.keys()
    assert all(np.array_equal(*pair) for name in again for pair in zip(again[name], fresh[name], strict=True))


def test_nothing_that_is_written_or_said_holds_an_identifier(tmp_path: Path, program: Program) -> None:
    own: dict[str, Any] = {key: value for key, value in INVENTED.items() if key != "SeriesInstanceUID"}
    series = draw(tmp_path / "in", SeriesInstanceUID=INVENTED["SeriesInstanceUID"], **own)
    save(tmp_path / "in" / "seg.dcm", outline(series, 1), ["tumour"], series)
    outcome = program("--debug", "data", "convert", tmp_path / "in", "--output", tmp_path / "out" / "set")
    assert outcome.status == 0, outcome.err
    assert held(said(outcome)) == set()
    files = list(written(tmp_path / "out"))
    assert [path.name for path, text in files if held(text)] == []
    assert len(files) == 5
    kept = [tmp_path / "in", "--output", tmp_path / "kept", "--keep-identifiers"]
    assert program("data", "convert", *kept).status == 0
    with (tmp_path / "kept" / "patients.csv").open() as table:
        (row,) = csv.DictReader(table)
    assert (row["id"], row["patient"]) == (INVENTED["SeriesInstanceUID"], INVENTED["PatientID"])
    assert program("data", "check", tmp_path / "kept").status == 0


def test_visits_in_headers_are_of_one_patient(tmp_path: Path) -> None:
    for visit in "12":
        draw(tmp_path / "in" / visit, StudyInstanceUID=f"1.2.5.{visit}", PatientID=f"P7_visit{visit}")
    rows = tumorline.convert(tmp_path / "in", tmp_path / "set")
    assert len({row["patient"] for row in rows}) == 1
    assert len({row["id"] for row in rows}) == 2


def test_a_scan_is_called_as_a_prediction_of_its_series_is(tmp_path: Path) -> None:
    draw(tmp_path / "in")
    (row,) = tumorline.convert(tmp_path / "in", tmp_path / "set")
    (predicted,) = tumorline.predict(tmp_path / "in", output=tmp_path / "out")
    assert (row["id"], row["patient"]) == (predicted["series"], predicted["patient"])


def test_rescaled_values_are_kept(tmp_path: Path) -> None:
    series = draw(tmp_path / "in", RescaleSlope="0.25", RescaleIntercept="-3")
    tumorline.convert(tmp_path / "in", tmp_path / "set")
    (image,) = (tmp_path / "set").glob("imagesTs/*")
    assert nib.load(image).get_data_dtype() == np.float32
    assert np.array_equal(nib.load(image).dataobj, stored(series, read_series(series)))


def test_a_file_of_many_frames_and_its_segmentation_may_be_named_as_files(tmp_path: Path) -> None:
    write_multi_frame(tmp_path / "frames.dcm", [2, 0, 4, 1, 3])
    series = opened([tmp_path / "frames.dcm"])
    masks = outline(series, 1)
    save(tmp_path / "seg.dcm", masks, ["tumour"], series)
    stated = [f"t2={tmp_path / 'frames.dcm'}"]
    tumorline.convert([tmp_path / "frames.dcm", tmp_path / "seg.dcm"], tmp_path / "set", channels=stated)
    assert np.array_equal(regions_of(tmp_path / "set")["tumour"][0], stored(series, masks[0]))


def test_a_folder_that_cannot_be_listed_is_said(
    two_scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = Finding("locked", "error", "folder cannot be listed", ())
    tree = list_tree(two_scans)
    monkeypatch.setattr("tumorline.data.layouts.contents.list_tree", lambda _: tree._replace(findings=(locked,)))
    *_, row = tumorline.convert(two_scans, tmp_path / "set")
    assert row["error"] == "folder cannot be listed"


def test_ct_is_a_channel_where_it_is_asked_for(tmp_path: Path) -> None:
    draw(tmp_path / "in", Modality="CT")
    tumorline.convert(tmp_path / "in", tmp_path / "set", channels=["CT"])
    assert json.loads((tmp_path / "set" / "dataset.json").read_text())["channel_names"] == {"0": "ct"}


def test_names_of_segments_are_names_of_regions() -> None:
    names = {
        "Enhancing Lesion": "enhancing_lesion",
        "Tumor": "tumour",
        "tumor core": "tumour_core",
        "Œdème 2": "deme_2",
    }
    assert {label: region_of(label) for label in names} == names
    assert region_of("Ödem (links)") == "odem_links"
    assert region_of("??") == ""


def test_each_combination_has_a_value_and_smaller_regions_are_written_over_larger_ones() -> None:
    made = label_values(["core", "whole", "cyst", "never"], [0b0010, 0b0011, 0b0110])
    assert made.of_regions() == {"whole": [1, 3, 4], "core": [3], "cyst": [4], "never": [2]}
    assert made.label_map(np.array([0, 0b0010, 0b0011, 0b0110], np.uint32)).tolist() == [0, 1, 3, 4]


def test_a_real_series_and_its_prediction_are_a_set(real_data: Path, tmp_path: Path, program: Program) -> None:
    (row,) = tumorline.predict(real_data / "dicom", output=tmp_path / "predicted")
    given = [real_data / "dicom", tmp_path / "predicted", "--output", tmp_path / "set"]
    assert program("data", "convert", *given).status == 0
    (truth,) = (tmp_path / "set").glob("labelsTr/*")
    assert np.array_equal(nib.load(truth).dataobj, nib.load(row["mask"]).dataobj)
    assert np.allclose(nib.load(truth).affine, nib.load(row["mask"]).affine)
    assert "0 errors, 0 warnings" in program("data", "check", tmp_path / "set").out
