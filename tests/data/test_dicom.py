import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.pixels.processing import convert_color_space

import tumorline
from tests import sources
from tests.conftest import blob, refused_in_one_line
from tests.formats.test_dicom_series import write_series
from tests.sources import save, save_dicom
from tumorline.audit.check import check
from tumorline.config import DataConfig
from tumorline.data.case import Case, read_image
from tumorline.data.dataset import load_dataset
from tumorline.data.layouts.to_predict.series import gather_series, series_of_channels
from tumorline.data.masks.read import read_mask
from tumorline.data.patients.known import hash_patient
from tumorline.data.source import open_source
from tumorline.errors import UserError
from tumorline.formats import dicom, dicom_slice
from tumorline.formats.dicom import hash_identifier, read_dataset, read_dataset_pixels, read_dicom_header
from tumorline.formats.dicom_series import DicomSeries
from tumorline.inference.jobs import job_of_channels

IMAGE, MASK = blob(32, 1)
PIXELS = IMAGE.astype(np.uint16) * 16


def grey(path: Path) -> np.ndarray:
    return np.asarray(read_image(Case("x", (path,)))[0])


def refusal(path: Path) -> str:
    with refused_in_one_line() as caught:
        grey(path)
    return str(caught.value)


@pytest.mark.parametrize("name", ["x.dcm", "IM0001", "1.2.840.113619.2.17"])
def test_a_slice_is_decoded_by_its_content(tmp_path: Path, name: str) -> None:
    assert np.array_equal(grey(save_dicom(tmp_path / name, PIXELS)), PIXELS)


def test_rescale_slope_and_intercept_are_applied(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "x.dcm", PIXELS, RescaleSlope=2, RescaleIntercept=-100)
    assert np.array_equal(grey(path), 2.0 * PIXELS - 100)


def test_of_an_enhanced_slice_rescaling_and_spacing_stand_in_its_groups(tmp_path: Path) -> None:
    shared, frame, measures, values = (pydicom.Dataset() for _ in range(4))
    measures.PixelSpacing = [0.5, 1.0]
    values.RescaleSlope, values.RescaleIntercept = 2, 100
    shared.PixelMeasuresSequence, frame.PixelValueTransformationSequence = [measures], [values]
    groups: dict[str, Any] = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": [frame]}
    path = save_dicom(tmp_path / "x.dcm", PIXELS, PixelSpacing=None, NumberOfFrames=1, **groups)
    assert read_dicom_header(path).spacing_mm == read_dataset_pixels(pydicom.dcmread(path))[1] == (0.5, 1.0)
    assert np.array_equal(grey(path), 2.0 * PIXELS + 100)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "x.dcm", np.array([[10, 20], [30, 50]]), PhotometricInterpretation="MONOCHROME1")
    assert grey(path).tolist() == [[50, 40], [30, 10]]


@pytest.mark.parametrize("signed", [0, 1])
def test_unused_bits_above_and_below_a_value_are_no_part_of_it(tmp_path: Path, signed: int) -> None:
    values = PIXELS.astype(np.int32) // 4 - 300 * signed
    overlay = np.where(np.indices(values.shape)[0] % 5, 0, 0x1000)
    kind: dict[str, Any] = {"BitsStored": 12, "PixelRepresentation": signed}
    right = save_dicom(tmp_path / "right.dcm", (values & 0xFFF) | overlay, HighBit=11, **kind)
    left = save_dicom(tmp_path / "left.dcm", (values & 0xFFF) << 4 | 7, HighBit=15, **kind)
    assert np.array_equal(grey(right), values)
    assert np.array_equal(grey(left), values)


@pytest.mark.parametrize(("signed", "padding"), [(1, 63536), (0, -2000), (1, -2000)])
def test_padding_is_known_whichever_sign_it_was_written_with(tmp_path: Path, signed: int, padding: int) -> None:
    stored = PIXELS.astype(np.int32)
    stored[:6] = -2000
    path = save_dicom(tmp_path / "x.dcm", stored & 0xFFFF, PixelRepresentation=signed)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "US" if padding > 0 else "SS", padding)
    dataset.save_as(path)
    assert grey(path).min() == PIXELS[6:].min()
    assert np.array_equal(grey(path)[6:], PIXELS[6:])


def test_a_spacing_of_one_number_costs_no_patient(tmp_path: Path) -> None:
    header = read_dicom_header(save_dicom(tmp_path / "x.dcm", PIXELS, PixelSpacing=0.5))
    assert header.spacing_mm is None
    assert (header.patient or "").startswith("dicom-")


@pytest.mark.parametrize(
    "written", [("P7_visit1", "P7_visit2", "p007_visit3"), ("UPENN-GBM-00001_11", "UPENN-GBM-00001_21")]
)
def test_visits_in_headers_are_of_one_patient(tmp_path: Path, written: tuple[str, ...]) -> None:
    for number, patient in enumerate(written):
        save_dicom(tmp_path / "images" / f"{number}.dcm", PIXELS, patient)
        save(tmp_path / "masks" / f"{number}.png", MASK)
    cases = open_source(tmp_path).cases
    assert len({case.patient for case in cases}) == 1
    assert [case.patient_written for case in cases] == [hash_identifier(patient) for patient in written]
    kept = open_source(tmp_path, DataConfig(keep_identifiers=True)).cases
    assert {case.shown_patient for case in kept} == {written[0].split("_")[0]}


def test_a_model_of_the_first_version_knows_the_patient_of_a_header(tmp_path: Path) -> None:
    save_dicom(tmp_path / "images" / "x.dcm", PIXELS, "P7_visit2")
    save(tmp_path / "masks" / "x.png", MASK)
    dataset = load_dataset(tmp_path, DataConfig())
    keys = dataset.known_patient_keys(dataset.cases[0], dataset.facts[0])
    assert hash_patient(hash_identifier("P7_visit2")) in keys


def test_an_index_of_files_is_called_that(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "DICOMDIR", PIXELS, PixelData=None, DirectoryRecordSequence=[])
    assert refusal(path) == f"{path}: an index of DICOM files; give the folder that it lies in"


def test_a_mask_may_be_dicom(tmp_path: Path) -> None:
    assert np.array_equal(read_mask(save_dicom(tmp_path / "m.dcm", MASK)), MASK)


def test_several_frames_colour_and_no_pixels_are_refused(tmp_path: Path) -> None:
    assert "holds 2 frames, one is expected" in refusal(save_dicom(tmp_path / "a.dcm", PIXELS, NumberOfFrames=2))
    mosaic = save_dicom(tmp_path / "m.dcm", PIXELS, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"])
    assert f"{mosaic}: a mosaic, many slices laid into one picture; save it as one slice a file" in refusal(mosaic)
    colour = save_dicom(tmp_path / "b.dcm", PIXELS, PhotometricInterpretation="RGB")
    assert "RGB pixels; accepted are MONOCHROME1, MONOCHROME2, PALETTE COLOR" in refusal(colour)
    empty = dict.fromkeys(("Rows", "Columns", "PixelData"))
    report = save_dicom(tmp_path / "c.dcm", PIXELS, "", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", **empty)
    assert "DICOM file with no pixels; accepted are" in refusal(report)


@pytest.mark.parametrize("syntax", [pydicom.uid.ExplicitVRLittleEndian, pydicom.uid.RLELossless])
def test_an_image_that_ends_before_or_within_its_pixels_is_called_damaged(tmp_path: Path, syntax: str) -> None:
    dataset = pydicom.dcmread(save_dicom(tmp_path / "a.dcm", PIXELS))
    if syntax == pydicom.uid.RLELossless:
        dataset.compress(syntax, generate_instance_uid=False)
        dataset.save_as(tmp_path / "a.dcm")
    content = (tmp_path / "a.dcm").read_bytes()
    for end in (content.index(b"\x28\x00\x10\x00"), content.index(b"\xe0\x7f\x10\x00"), len(content) - 100):
        (tmp_path / "a.dcm").write_bytes(content[:end])
        cure = "holds the header of an image and no pixels: it is cut off or damaged; give the whole file"
        message = refusal(tmp_path / "a.dcm")
        assert f"{tmp_path / 'a.dcm'}: {cure}" == message or "unreadable or truncated DICOM" in message


def colours(path: Path, pixels: np.ndarray, interpretation: str, planar: int = 0) -> Path:
    """A slice whose pixels `(H, W, 3)` are bytes."""
    stored = np.moveaxis(pixels, -1, 0) if planar else pixels
    elements: dict[str, Any] = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "SamplesPerPixel": 3}
    elements |= {"PlanarConfiguration": planar, "PixelData": stored.tobytes()}
    return save_dicom(path, pixels[..., 0], PhotometricInterpretation=interpretation, **elements)


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("interpretation", ["RGB", "YBR_FULL"])
def test_grey_that_is_stored_as_colours_is_read(tmp_path: Path, interpretation: str, planar: int) -> None:
    pixels = np.repeat(IMAGE[..., None], 3, axis=-1)
    stored = pixels if interpretation == "RGB" else convert_color_space(pixels, "RGB", interpretation)
    assert np.array_equal(grey(colours(tmp_path / "x.dcm", stored, interpretation, planar)), IMAGE)


@pytest.mark.parametrize("interpretation", ["RGB", "YBR_FULL"])
def test_colours_are_refused_by_what_they_are(tmp_path: Path, interpretation: str) -> None:
    pixels = np.repeat(IMAGE[..., None], 3, axis=-1)
    pixels[3, 4] = (200, 0, 40)
    path = colours(tmp_path / "x.dcm", pixels, interpretation)
    assert (
        "x.dcm: DICOM file in colour; accepted are MONOCHROME1, MONOCHROME2, PALETTE COLOR, and RGB that is grey"
        in refusal(path)
    )


@pytest.mark.parametrize("missing", ["", " ", None])
def test_an_empty_photometric_interpretation_is_named(tmp_path: Path, missing: str | None) -> None:
    path = save_dicom(tmp_path / "x.dcm", PIXELS, PhotometricInterpretation=missing)
    expected = "does not say whether its pixels are bright on dark (PhotometricInterpretation is empty); accepted are"
    assert expected in refusal(path)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "cut.dcm", PIXELS)
    path.write_bytes(path.read_bytes()[:-500])
    assert "cut.dcm: unreadable or truncated DICOM" in refusal(path)
    (tmp_path / "text.dcm").write_text("hello")
    assert "text.dcm: unreadable or truncated DICOM" in refusal(tmp_path / "text.dcm")


@pytest.mark.parametrize(
    ("syntax", "begin", "fault"),
    [
        (pydicom.uid.JPEGLossless, b"\xff\xd8", "which cannot be decoded here"),
        (
            pydicom.uid.JPEG2000Lossless,
            b"\xff\x4f\xff\x51",
            "which are damaged or of a kind that cannot be decoded here",
        ),
    ],
)
def test_compressed_pixels_that_cannot_be_decoded_are_named(
    tmp_path: Path, syntax: pydicom.uid.UID, begin: bytes, fault: str
) -> None:
    path = save_dicom(tmp_path / "x.dcm", PIXELS)
    dataset = pydicom.dcmread(path)
    dataset.PixelData = encapsulate([begin + bytes(50)])
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path)
    assert f"pixels in '{syntax.name}', {fault}" in refusal(path)


def test_spacing_and_patient_come_from_the_header_and_no_identifier_is_shown(tmp_path: Path) -> None:
    folder = sources.dicom(tmp_path / "source", 4)
    source = open_source(folder)
    assert {case.spacing_mm for case in source.cases} == {(0.5, 0.75)}
    assert len({case.patient for case in source.cases}) == 4
    assert source.cases == open_source(folder).cases
    for command in (["check", "--json"], ["split"]):
        arguments = [sys.executable, "-m", "tumorline", "data", *command, str(folder)]
        shown = subprocess.run(arguments, capture_output=True, text=True, check=True)
        assert "DOE" not in shown.stdout + shown.stderr


def test_a_table_of_patients_wins_over_the_header(tmp_path: Path) -> None:
    folder = sources.dicom(tmp_path / "source", 2)
    (folder / "patients.csv").write_text("id,patient\n0,A\n1,A\n2,B\n3.dcm,B\n")
    assert [case.patient for case in open_source(folder).cases] == ["A", "A", "B", "B"]


def test_a_table_may_name_dicom_files(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a", PIXELS)
    save_dicom(tmp_path / "m.dcm", MASK)
    (tmp_path / "cases.csv").write_text("id,patient,image,mask\nx,,a,m.dcm\n")
    dataset = load_dataset(tmp_path / "cases.csv", DataConfig())
    assert np.array_equal(dataset.read(dataset.cases[0])[0][0], PIXELS)
    assert dataset.cases[0].spacing_mm == (0.5, 0.75)
    assert (dataset.cases[0].patient or "").startswith("dicom-")


def test_a_header_without_patient_or_spacing_leaves_them_unknown(tmp_path: Path) -> None:
    save_dicom(tmp_path / "x", PIXELS, patient="", PixelSpacing=None)
    save(tmp_path / "x_mask.png", MASK)
    dataset = load_dataset(tmp_path, DataConfig())
    assert (dataset.cases[0].patient, dataset.cases[0].spacing_mm) == (None, None)
    assert [finding.code for finding in check(dataset)] == ["patients_unknown"]


def test_dicom_and_png_of_equal_values_are_duplicates(tmp_path: Path) -> None:
    save_dicom(tmp_path / "a.dcm", PIXELS)
    save(tmp_path / "b.png", PIXELS)
    for name in ("a", "b"):
        save(tmp_path / f"{name}_mask.png", MASK)
    facts = load_dataset(tmp_path, DataConfig()).facts
    assert facts[0].image_hash == facts[1].image_hash


def test_predict_takes_a_slice_and_a_folder_of_slices(tiny_run: Path, tmp_path: Path) -> None:
    for name in ("a.dcm", "IM0002", "1.2.17", "1.2.18"):
        save_dicom(tmp_path / "in" / name, PIXELS)
    (tmp_path / "in" / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    rows = tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "out")
    assert [row["error"] for row in rows] == [None] * 4
    assert (tmp_path / "out" / "1.2.17_mask.png").is_file()
    command = ["predict", str(tmp_path / "in" / "a.dcm"), "--model", str(tiny_run), "--output", str(tmp_path / "one")]
    arguments = [sys.executable, "-m", "tumorline", *command, "--json"]
    shown = subprocess.run(arguments, capture_output=True, text=True, check=True)
    (row,) = json.loads(shown.stdout)
    assert "DOE" not in shown.stdout + shown.stderr
    assert np.asarray(Image.open(row["mask"])).shape == (32, 32)
    assert np.ptp(np.asarray(Image.open(row["overlay"]).convert("L"))) > 200


def test_predict_reads_mat_and_lgg_files_as_their_source_does(tiny_run: Path, tmp_path: Path) -> None:
    flair, mask = blob(32, 7)
    sources.save_mat(tmp_path / "in" / "1.mat", flair, mask)
    name = "TCGA_AA_0001_19990101_1"
    save(tmp_path / "in" / f"{name}.tif", np.stack([flair * 0, flair, flair[::-1]], -1))
    save(tmp_path / "in" / f"{name}_mask.tif", mask)
    save(tmp_path / "in" / "plain.png", flair)
    rows = tumorline.predict(tmp_path / "in", tiny_run, tmp_path / "out")
    assert [Path(row["input"]).name for row in rows] == [f"{name}.tif", "plain.png", "1.mat"]
    assert len({(row["tumour_px"], row["confidence"]) for row in rows}) == 1


def test_a_real_series_is_read(real_data: Path, tmp_path: Path) -> None:
    files = sorted((real_data / "dicom").iterdir())
    assert len(files) == 24
    for file in files:
        (tmp_path / file.name).symlink_to(file)
        save(tmp_path / f"{file.stem}_mask.png", np.eye(320, 260, dtype=np.uint8))
    dataset = load_dataset(tmp_path, DataConfig())
    identifier = str(pydicom.dcmread(files[0]).PatientID)
    assert {fact.shape for fact in dataset.facts} == {(1, 320, 260)}
    assert {case.spacing_mm for case in dataset.cases} == {(0.6875, 0.6875)}
    assert len({case.patient for case in dataset.cases}) == 1
    assert identifier not in repr(dataset)
    assert not {finding.severity for finding in check(dataset)} & {"error"}


# ---------------------------------------------------------------- series as they are told


def remarks(folder: Path) -> list[str]:
    return gather_series([(folder, sorted(folder.iterdir()))], ["post_contrast"]).remarks


@pytest.mark.parametrize("series", ["", "1.2.{}"])
def test_slices_without_a_common_series_are_told_with_the_option_that_stacks_them(tmp_path: Path, series: str) -> None:
    write_series(tmp_path / "in", change=lambda number, own: own.update(SeriesInstanceUID=series.format(number)))
    assert remarks(tmp_path / "in") == [
        f"{tmp_path / 'in'}: 5 DICOM slices are read as pictures, as they name no common series (SeriesInstanceUID); "
        "where they are one volume, give --channel post_contrast=FOLDER"
    ]
    assert len(series_at(tmp_path / "in", "post_contrast").slices) == 5


def test_slices_of_a_series_that_do_not_say_where_they_lie_are_told(tmp_path: Path) -> None:
    write_series(tmp_path / "in", change=lambda _, own: own.update(ImagePositionPatient=None))
    assert remarks(tmp_path / "in") == [
        f"{tmp_path / 'in'}: 5 DICOM slices are read as pictures, as they do not say where they lie "
        "(ImagePositionPatient); where they are one volume, save it as NIfTI"
    ]


def test_loose_pictures_of_people_are_not_told(tmp_path: Path) -> None:
    changes = {"SeriesInstanceUID": "1.2.{}", "patient": "P{}"}
    write_series(
        tmp_path / "in",
        change=lambda number, own: own.update({key: text.format(number) for key, text in changes.items()}),
    )
    assert remarks(tmp_path / "in") == []


def test_series_in_folders_of_one_name_are_told_by_the_folders_above(tmp_path: Path) -> None:
    for number in (1, 2):
        elements = {"SeriesInstanceUID": f"1.2.3{number}", "SeriesDescription": "T1 post"}
        place = tmp_path / "scans" / str(number) / "DICOM" / "files"
        write_series(place, change=lambda _, own, said=elements: own.update(said))  # type: ignore[misc]
    files = sorted((tmp_path / "scans").rglob("*.dcm"))
    (scan,) = gather_series([(tmp_path, files)], ["post_contrast", "flair"], may_lack=True).scans
    assert "2 series are post_contrast (1/DICOM/files, 2/DICOM/files); give --channel NAME=FOLDER" in scan.problem


def test_series_are_no_cases_of_a_data_set_and_the_cure_is_said(tmp_path: Path) -> None:
    for place in (tmp_path / "a", tmp_path / "b" / "images" / "p1"):
        write_series(place, change=lambda _, own: own.update(SeriesDescription="T1 post"))
    (tmp_path / "b" / "masks").mkdir()
    save_dicom(tmp_path / "b" / "masks" / "p1.dcm", np.zeros((4, 6), np.uint16), Modality="SEG")
    cure = "of a DICOM series, which only predict reads as a volume; to train or evaluate: tumorline data convert"
    for folder in ("a", "b"):
        with pytest.raises(UserError, match=f"{cure} {tmp_path / folder} --output SET"):
            open_source(tmp_path / folder)


def test_a_segmentation_or_a_folder_of_slices_named_as_a_file_says_the_cure(tmp_path: Path) -> None:
    write_series(tmp_path / "series")
    sources.save_volume(tmp_path / "images" / "p1.nii.gz", [IMAGE, IMAGE, IMAGE])
    frames = save_dicom(tmp_path / "masks" / "p1.dcm", np.zeros((4, 6), np.uint16), Modality="SEG", NumberOfFrames=2)
    rows = {"series,images/p1.nii.gz": "of a DICOM series", "images/p1.nii.gz,masks/p1.dcm": "DICOM, where the other"}
    for number, (row, words) in enumerate(rows.items()):
        (tmp_path / f"{number}.csv").write_text(f"id,image,mask\na,{row}\n")
        with pytest.raises(UserError, match=f"{words}.*; to train or evaluate.*tumorline data convert"):
            open_source(tmp_path / f"{number}.csv")
    with pytest.raises(UserError, match=r"p1\.dcm: DICOM, where the other files of the scan are NIfTI; to train"):
        open_source(tmp_path)
    assert "a DICOM segmentation of 2 frames, one is expected; give it and its series to" in refusal(frames)


def test_a_volume_beside_a_picture_or_another_format_in_one_row_is_one_line(tmp_path: Path) -> None:
    sources.save_volume(tmp_path / "a.nii.gz", [IMAGE, IMAGE, IMAGE])
    save(tmp_path / "m.png", MASK)
    (tmp_path / "m.nrrd").write_text("NRRD0004")
    for mask, words in (("m.png", "no NIfTI, as the other files"), ("m.nrrd", "volumes of this format are not read")):
        (tmp_path / "cases.csv").write_text(f"id,image,mask\na,a.nii.gz,{mask}\n")
        with pytest.raises(UserError, match=f"{mask}: {words}"):
            open_source(tmp_path / "cases.csv")


# ---------------------------------------------------------------- several series in one folder


CHANNELS = ["flair", "post_contrast"]


def of_one_folder(folder: Path, **descriptions: str | tuple[str, int]) -> None:
    """Series whose files begin with their key; with a number where there is one."""
    for key, said in descriptions.items():
        description, number = said if isinstance(said, tuple) else (said, None)
        elements = {"SeriesInstanceUID": f"1.2.{key}", "SeriesDescription": description, "SeriesNumber": number}
        for path in write_series(folder / key, change=lambda _, own, said=elements: own.update(said)):  # type: ignore[misc]
            path.rename(folder / f"{key}{path.name}")
        (folder / key).rmdir()


def offered(folder: Path, channels: Sequence[str] = CHANNELS) -> list[str]:
    """The options that the remarks on a folder offer."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    found = gather_series([(folder, files)], channels, may_lack=True)
    return re.findall(r"--channel (\S+=\S+)", " ".join([*found.remarks, *(scan.problem for scan in found.scans)]))


def series_at(place: Path, channel: str) -> DicomSeries:
    (series,) = series_of_channels([place], [channel])
    return series


def test_series_of_one_folder_are_named_by_their_numbers_and_such_names_are_taken(tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    of_one_folder(folder, a=("T1 post", 4), b=("AX FLAIR", 7), c=("localizer", 1))
    assert offered(folder) == [f"flair={folder}#7", f"post_contrast={folder}#4"]
    job = job_of_channels(offered(folder), CHANNELS)
    assert [series.sequence for series in job.series] == ["flair", "post_contrast"]
    assert job.target == Path("scans")
    with pytest.raises(UserError) as error:
        series_at(folder, "flair")
    numbered = f"{folder}#4 (post_contrast), {folder}#7 (flair), {folder}#1"
    assert str(error.value) == f"{folder}: holds 3 DICOM series; give one of them: {numbered}"
    with pytest.raises(UserError) as error:
        series_at(Path(f"{folder}#3"), "flair")
    assert str(error.value) == f"{folder}#3: no DICOM series of this number or file; give one of {numbered}"


def test_series_without_numbers_of_their_own_are_named_by_a_file(tmp_path: Path) -> None:
    of_one_folder(tmp_path / "in", a=("T1 post", 4), b=("AX FLAIR", 4))
    of_one_folder(tmp_path / "in" / "deep", c="AX T2")
    names = [f"flair={tmp_path / 'in'}#b0.dcm", f"post_contrast={tmp_path / 'in'}#a0.dcm"]
    assert offered(tmp_path / "in") == names
    assert [series.sequence for series in job_of_channels(names, CHANNELS).series] == CHANNELS
    assert series_at(Path(f"{tmp_path / 'in'}#deep/c3.dcm"), "t2").sequence == "t2"


def test_series_spread_over_folders_that_they_share_are_named_and_taken(tmp_path: Path) -> None:
    of_one_folder(tmp_path / "in", a=("T1 post", 4), b=("AX FLAIR", 7))
    for number, path in enumerate(sorted((tmp_path / "in").iterdir())):
        place = tmp_path / "in" / f"IM{number // 4}"
        place.mkdir(exist_ok=True)
        path.rename(place / path.name)
    assert offered(tmp_path / "in") == [f"flair={tmp_path / 'in'}#7", f"post_contrast={tmp_path / 'in'}#4"]
    assert {len(series.slices) for series in job_of_channels(offered(tmp_path / "in"), CHANNELS).series} == {5}


def test_of_a_model_of_one_channel_too_series_of_one_folder_are_named(tmp_path: Path) -> None:
    of_one_folder(tmp_path / "in", a=("ADC", 4), b=("AX FLAIR", 7))
    found = gather_series([(tmp_path / "in", sorted((tmp_path / "in").iterdir()))], ["post_contrast"])
    assert f"{tmp_path / 'in'}#4: 5 slices of an unknown sequence" in found.remarks[0]
    assert found.remarks[0].endswith("; where it is another, give --channel post_contrast=FOLDER#NUMBER")
    (insist,) = (scan.problem for scan in found.scans if scan.problem)
    assert insist.endswith(f"give --channel post_contrast={tmp_path / 'in'}#7")
    assert job_of_channels([f"post_contrast={tmp_path / 'in'}#7"], ["post_contrast"]).series[0].sequence == "flair"


def test_of_a_folder_of_which_several_series_are_named_each_header_is_read_as_often_as_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "in"
    of_one_folder(folder, a=("T1 post", 4), b=("AX FLAIR", 7))
    opened: list[Path] = []

    def noted(path: Path, **wanted: Any) -> pydicom.Dataset:
        opened.append(path)
        return read_dataset(path, **wanted)

    for module in (dicom, dicom_slice):
        monkeypatch.setattr(module, "read_dataset", noted)
    series_at(Path(f"{folder}#7"), "flair")
    once = sorted(opened)
    opened.clear()
    job_of_channels([f"flair={folder}#7", f"post_contrast={folder}#4"], CHANNELS)
    assert sorted(opened) == once


def test_a_series_that_is_named_and_no_volume_is_one_line(tmp_path: Path) -> None:
    of_one_folder(tmp_path / "in", a=("T1 post", 4), b=("AX FLAIR", 7))
    (first_slice, *_) = (path for path in (tmp_path / "in").glob("b*") if pydicom.dcmread(path).InstanceNumber == 3)
    first_slice.unlink()
    with pytest.raises(UserError, match="a slice is missing between"):
        series_at(Path(f"{tmp_path / 'in'}#7"), "flair")
    assert series_at(Path(f"{tmp_path / 'in'}#04"), "flair").sequence == "post_contrast"


def test_a_folder_whose_name_holds_the_mark_is_a_folder(tmp_path: Path) -> None:
    of_one_folder(tmp_path / "scan#4", a=("T1 post", 4))
    assert series_at(tmp_path / "scan#4", "post_contrast").number == 4
    with pytest.raises(UserError, match=r"scan#5: no such file or folder"):
        job_of_channels([f"t1c={tmp_path / 'scan#5'}"], ["post_contrast"])


def test_an_index_beside_folders_of_slices_hides_none_of_them(tmp_path: Path) -> None:
    of_one_folder(tmp_path / "disk" / "IM0", a="T1 post")
    index = pydicom.dcmread(next((tmp_path / "disk" / "IM0").iterdir()), stop_before_pixels=True)
    index.SOPClassUID = "1.2.840.10008.1.3.10"
    del index.Rows
    index.save_as(tmp_path / "disk" / "DICOMDIR")
    assert len(series_at(tmp_path / "disk", "post_contrast").slices) == 5
