"""A series as a volume: its order in space, and what is wrong with one in words."""

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from tests.sources import save_dicom
from tumorline.errors import UserError
from tumorline.evaluation.predictions import write_prediction
from tumorline.formats.dicom_sequence import recognise_sequence
from tumorline.formats.dicom_series import DicomSeries, open_each, read_series
from tumorline.formats.nifti import read_volume_header
from tumorline.geometry.grid import corners_of
from tumorline.geometry.upright import upright_grid
from tumorline.write.dicom_seg import Author, write_dicom_seg
from tumorline.write.nifti import write_label_map, write_volume

SIZE = (4, 6)
"""Rows and columns."""
AXIAL = (1, 0, 0, 0, 1, 0)
OBLIQUE = (0.8, 0.6, 0, 0, 0, -1)
"""Columns lead to the left and back, rows to the feet."""
AUTHOR = Author("builtin", "0123abcd", "0.2.0")
Change = Callable[[int, dict[str, Any]], object]


def write_series(
    folder: Path, count: int = 5, orientation: tuple[float, ...] = AXIAL, change: Change | None = None
) -> list[Path]:
    """Slice k at k * 3 mm along the normal, filled with the number k; names in no order."""
    across, down = np.array(orientation).reshape(2, 3)
    paths = []
    for number in range(count):
        position = np.array([10.0, 20.0, 30.0]) + 3.0 * number * np.cross(across, down)
        elements: dict[str, Any] = {
            "SeriesInstanceUID": "1.2.3",
            "StudyInstanceUID": "1.2.5",
            "FrameOfReferenceUID": "1.2.4",
            "ImageOrientationPatient": list(orientation),
            "ImagePositionPatient": position.round(6).tolist(),
            "PixelSpacing": [0.5, 2.0],
            "InstanceNumber": number + 1,
        }
        if change:
            change(number, elements)
        paths.append(save_dicom(folder / f"{(number * 3) % count}.dcm", np.full(SIZE, number, np.uint16), **elements))
    return paths


def opened(paths: list[Path]) -> DicomSeries:
    (series,), broken = open_each(paths)
    assert not broken
    return series


def refusal(paths: list[Path]) -> str:
    _, broken = open_each(paths)
    problem = min(broken, key=lambda one: len(one.paths)).problem
    assert "\n" not in problem
    return problem


@pytest.mark.parametrize("keyword", ["PixelSpacing", "EchoTime"])
def test_numbers_beyond_all_bounds_are_told_in_one_line(tmp_path: Path, keyword: str) -> None:
    usual, huge = {"PixelSpacing": ([0.5, 2.0], [1e308] * 2), "EchoTime": (9, 1e308)}[keyword]
    paths = write_series(
        tmp_path, change=lambda number, elements: elements.update({keyword: huge if number else usual})
    )
    assert f"{paths[0]}: its {'pixel spacing' if keyword == 'PixelSpacing' else keyword} is " in refusal(paths)


def test_slices_are_sorted_by_place_and_turned_to_the_patient(tmp_path: Path) -> None:
    series = opened(write_series(tmp_path))
    voxels = read_series(series)
    assert voxels.shape == series.grid.shape == (6, 4, 5)
    assert series.grid.spacing_mm == (2.0, 0.5, 3.0)
    assert voxels[0, 0].tolist() == [0, 1, 2, 3, 4]  # the feet first
    # the last column lies furthest to the left of the patient, the last row furthest back: RAS starts there
    assert np.allclose(np.array(series.grid.affine)[:3, 3], [-(10 + 5 * 2.0), -(20 + 3 * 0.5), 30])


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE, (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, -1, 0)])
def test_a_voxel_lies_where_its_header_says(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    paths, (column, row, number) = write_series(tmp_path, orientation=orientation), (4, 1, 3)
    dataset = pydicom.dcmread(paths[number])
    pixels = dataset.pixel_array.copy()
    pixels[row, column] = 99
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(paths[number])
    series = opened(paths)
    across, down = np.array(orientation).reshape(2, 3)
    left, back, head = np.array(series.slices[number].position_mm) + column * 2.0 * across + row * 0.5 * down
    marked = np.zeros(series.stored_shape)
    marked[column, row, number] = 1
    assert np.allclose(series.affine @ [column, row, number, 1], [-left, -back, head, 1])
    turned = np.zeros(series.grid.shape)
    place = np.linalg.inv(np.array(series.grid.affine)) @ [-left, -back, head, 1]
    turned[tuple(place[:3].round().astype(int))] = 1
    assert np.array_equal(read_series(series) == 99, turned)
    assert np.array_equal(series.to_stored(turned), marked.transpose(2, 1, 0))


def test_what_lies_on_slices_that_lean_a_little_is_read_by_programs_that_take_no_sheared_axes(tmp_path: Path) -> None:
    """Positions rounded by a scanner are enough for that."""
    itk = pytest.importorskip("SimpleITK")

    def lean(number: int, elements: dict[str, Any]) -> None:
        elements["ImagePositionPatient"][1] += 0.01 * number

    series = opened(write_series(tmp_path, change=lean))
    write_label_map(tmp_path / "series.nii.gz", np.ones((5, 4, 6)), series.as_volume)
    write_volume(tmp_path / "set.nii.gz", np.ones((6, 4, 5)), series.affine)
    grid = upright_grid(series.grid)
    write_prediction(tmp_path / "masks", "a", ["tumour"], np.ones((1, 5, 4, 6), bool), grid)
    for path in (tmp_path / "series.nii.gz", tmp_path / "set.nii.gz", tmp_path / "masks" / "a.nii.gz"):
        image = itk.ReadImage(str(path))
        ends = [image.TransformIndexToPhysicalPoint(index) for index in ((0, 0, 0), (5, 3, 4))]
        middle = np.mean(ends, axis=0) * [-1, -1, 1]
        assert np.allclose(middle, corners_of(series.grid).mean(1), atol=0.05), path
        assert read_volume_header(path).grid.difference(series.grid) == ""


def test_values_are_rescaled_slice_by_slice_and_inverted_as_one(tmp_path: Path) -> None:
    def rescale(number: int, elements: dict[str, Any]) -> None:
        elements |= {"RescaleSlope": 1 + number, "RescaleIntercept": 5, "PhotometricInterpretation": "MONOCHROME1"}

    voxels = read_series(opened(write_series(tmp_path, change=rescale)))
    values = [number * (1 + number) + 5 for number in range(5)]  # 5 to 25
    assert voxels[0, 0].tolist() == [30 - value for value in values]


def test_a_missing_slice_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path, 7)
    assert f"a slice is missing between {paths[2].name} and {paths[4].name}" in refusal([*paths[:3], *paths[4:]])
    assert "2 slices are missing" in refusal([*paths[:2], *paths[4:]])


@pytest.mark.parametrize(
    ("numbers", "images", "note"),
    [
        (range(1, 8), None, ""),
        (range(2, 9), None, "its instance numbers begin with 2: slices at one end may be missing"),
        (range(8, 1, -1), 7, "its instance numbers begin with 2"),
        ((4, 8, 5, 9, 6, 10, 7), None, "its instance numbers begin with 4"),  # interleaved
        (range(0, 7), None, ""),
        (range(100, 107), None, ""),
        (range(401, 408), None, ""),
        (range(37, 44), None, ""),  # of a study: more before it than it has
        (range(8, 15), None, ""),  # the second of two volumes
        (range(2, 16, 2), 14, ""),  # the second echo
        (range(3, 38, 5), None, ""),
        (range(4, 18, 2), None, "its instance numbers begin with 4"),
        (range(1, 8), 8, "its headers state 8 slices, 7 are there: slices at one end may be missing"),
        (range(1, 8), 7, ""),
        (range(1, 8), 3, ""),
        (range(1, 8), 21, ""),  # of three points in time
        ([None] * 7, 9, "its headers state 9 slices, 7 are there"),
        ([2] * 7, None, ""),
    ],
)
def test_slices_that_an_end_lacks_are_a_note_where_headers_tell(
    tmp_path: Path, numbers: Sequence[int | None], images: int | None, note: str
) -> None:
    def number(place: int, elements: dict[str, Any]) -> None:
        elements |= {"InstanceNumber": numbers[place], "ImagesInAcquisition": images}

    said = opened(write_series(tmp_path, 7, change=number)).note
    assert said.startswith(note) if note else not said


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"ImagesInAcquisition": 24, "NumberOfTemporalPositions": 3}, "its headers state 8 slices, 7 are there"),
        ({"ImagesInAcquisition": 10, "ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]}, ""),
        ({"InConcatenationTotalNumber": 9}, "its headers state 9 files, 7 of them here"),
        ({"ImagesInAcquisition": 0, "NumberOfTemporalPositions": 0}, ""),
    ],
)
def test_what_headers_state_of_all_slices_is_held_against_those_that_are_there(
    tmp_path: Path, elements: dict[str, Any], note: str
) -> None:
    said = opened(write_series(tmp_path, 7, change=lambda _, own: own.update(elements))).note
    assert said.startswith(note) if note else not said


def test_a_slice_that_is_there_twice_is_named(tmp_path: Path) -> None:
    paths = write_series(tmp_path)
    shutil.copy(paths[1], tmp_path / "copy.dcm")
    assert "copy.dcm" in (found := refusal([*paths, tmp_path / "copy.dcm"]))
    assert "a slice is there twice" in found


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"SeriesInstanceUID": "1.2.9"}, "of another series than the 6 slices beside it"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "its orientation is 0 / 1 / 0 / 0 / 0 / -1"),
        ({"PixelSpacing": [1.0, 1.0]}, "its pixel spacing is 1 / 1"),
        ({"ImagePositionPatient": [70, 20, 39]}, "lies 60.0 mm beside the others"),
        ({"ImagePositionPatient": [10, 20, 40]}, "2 to 4 mm apart; expected even steps"),
        ({"ImagePositionPatient": []}, "ImagePositionPatient does not say where"),
        ({"PixelSpacing": [0.0, 1.0]}, "its PixelSpacing is 0 x 1"),
        ({"PixelSpacing": 1.0}, "PixelSpacing does not say where"),
        ({"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]}, "is 0 / 0 / 0 / 0 / 0 / 0; expected two unit vectors"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "expected two unit vectors at right angles"),
        ({"ImageOrientationPatient": [2, 0, 0, 0, 2, 0]}, "expected two unit vectors at right angles"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]}, "a mosaic"),
        ({"PatientID": "OTHER"}, "its PatientID is not that of the 6 others of its series; it is foreign here"),
        ({"StudyInstanceUID": "1.2.99"}, "its StudyInstanceUID is not that of the 6 others"),
        ({"FrameOfReferenceUID": "1.2.99"}, "its FrameOfReferenceUID is not that of the 6 others"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "its PhotometricInterpretation is not that of the 6 others"),
        ({"EchoTime": 90.0}, "its EchoTime is 90, that of 6 others of its series 10; it is foreign here"),
    ],
)
def test_a_foreign_slice_is_named(tmp_path: Path, elements: dict[str, Any], expected: str) -> None:
    def change(number: int, own: dict[str, Any]) -> None:
        own.update({"EchoTime": 10.0, **(elements if number == 3 else {})})

    found = refusal(paths := write_series(tmp_path, 7, change=change))
    assert expected in found
    assert paths[3].name in found or "even steps" in found


@pytest.mark.parametrize("identifier", [lambda number: "" if number else "JANE", str])
def test_a_slice_that_does_not_say_whose_it_is_is_not_foreign(tmp_path: Path, identifier: Callable[[int], str]) -> None:
    """Not stated, or made up for each file by whoever took the names out."""
    paths = write_series(tmp_path, change=lambda number, own: own.update({"PatientID": identifier(number)}))
    assert len(opened(paths).slices) == 5


@pytest.mark.parametrize("keyword", ["ImageOrientationPatient", "PixelSpacing"])
def test_numbers_that_differ_by_rounding_are_alike_on_whichever_side_they_are_rounded(
    tmp_path: Path, keyword: str
) -> None:
    values = {"PixelSpacing": [0.5, 2.0004995], "ImageOrientationPatient": [1, 0.0004995, 0, 0, 1, 0]}[keyword]

    def change(number: int, elements: dict[str, Any]) -> None:
        elements[keyword] = [values[0], values[1] + 1e-6 * (number % 2), *values[2:]]

    assert len(opened(write_series(tmp_path, change=change)).slices) == 5


@pytest.mark.parametrize("number", ["A", "1.5", "1\\2", ""])
def test_an_instance_number_that_is_none_costs_no_volume(tmp_path: Path, number: str) -> None:
    for path in (paths := write_series(tmp_path)):
        content = path.read_bytes()
        start = content.index(b"\x20\0\x13\0IS")
        length = int.from_bytes(content[start + 6 : start + 8], "little")
        element = content[start : start + 6] + (4).to_bytes(2, "little") + number.ljust(4).encode()
        path.write_bytes(content[:start] + element + content[start + 8 + length :])
    assert len(opened(paths).slices) == 5


def test_a_tilted_gantry_is_named(tmp_path: Path) -> None:
    def tilt(number: int, elements: dict[str, Any]) -> None:
        elements["ImagePositionPatient"] = [10, 20 + number * 0.8, 30 + number * 3]

    assert "lean by 14.9 degrees (gantry tilt)" in refusal(write_series(tmp_path, change=tilt))


def test_volumes_at_one_place_are_named(tmp_path: Path) -> None:
    first = write_series(tmp_path / "a", change=lambda _, own: own.update(EchoTime=20))
    second = write_series(tmp_path / "b", change=lambda _, own: own.update(EchoTime=80))
    assert "a series of 2 volumes at one place (4D), which differ in echo times" in refusal([*first, *second])


@pytest.mark.parametrize(
    ("keyword", "words"), [("TriggerTime", "times"), ("AcquisitionTime", "times"), ("FrameType", "kinds of image")]
)
def test_volumes_at_one_place_are_told_by_what_they_differ(tmp_path: Path, keyword: str, words: str) -> None:
    values = {"TriggerTime": ("0", "70"), "AcquisitionTime": ("101010", "101120"), "FrameType": ("M_FFE", "PHASE")}
    first, second = values[keyword]
    files = write_series(tmp_path / "a", change=lambda _, own: own.update({keyword: first}))
    files += write_series(tmp_path / "b", change=lambda _, own: own.update({keyword: second}))
    assert f"a series of 2 volumes at one place (4D), which differ in {words}" in refusal(files)


def test_volumes_at_one_place_that_are_not_each_whole_are_named(tmp_path: Path) -> None:
    first = write_series(tmp_path / "a", change=lambda _, own: own.update(EchoTime=20))
    second = write_series(tmp_path / "b", 4, change=lambda _, own: own.update(EchoTime=80))
    assert "several volumes at one place (4D), which differ in echo times, not each whole; give the files of one" in (
        refusal([*first, *second])
    )
    assert "a slice is there twice, take one of them away" in refusal([*first, second[1]])


def test_frames_are_named_by_file_and_number(tmp_path: Path) -> None:
    path = write_multi_frame(tmp_path / "x.dcm", [0, 1, 2, 40, 41, 42])
    assert refusal([path]) == (
        f"{path}: 37 slices are missing between frame 3 of x.dcm and frame 4 of x.dcm (114 mm apart); "
        "where it holds several stacks, save each as a file of its own"
    )
    paths = write_enhanced(tmp_path / "in", [[0, 1, 2], [4, 5, 6]])
    assert "in: a slice is missing between frame 3 of 0.dcm and frame 1 of 1.dcm (6 mm apart)" in refusal(paths)
    first, second = write_enhanced(tmp_path / "twice", [[0, 1, 2], [2, 3, 4]])
    found = f"{second}: its frame 1 lies where frame 3 of {first.name} lies; save them with each slice once"
    assert refusal([first, second]) == found


def frames_with(tmp_path: Path, order: list[int], elements: Callable[[int], dict[str, dict[str, Any]]]) -> Path:
    """A file of many frames with a further functional group at each."""
    path = write_multi_frame(tmp_path / "x.dcm", order)
    dataset = pydicom.dcmread(path)
    del dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence
    for number, own in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        own.update(group({"PlaneOrientationSequence": {"ImageOrientationPatient": list(AXIAL)}, **elements(number)}))
    dataset.save_as(path)
    return path


def test_volumes_in_one_file_are_to_be_saved_apart(tmp_path: Path) -> None:
    path = frames_with(tmp_path, [0, 1, 2] * 2, lambda n: {"MREchoSequence": {"EffectiveEchoTime": 10 + n // 3}})
    assert refusal([path]) == (
        f"{path}: a series of 2 volumes at one place (4D), which differ in echo times; "
        "save one of them as a file of its own"
    )
    other = {"PlaneOrientationSequence": {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}}
    path = frames_with(tmp_path, [0, 1, 2, 3, 4], lambda n: other if n > 2 else {})
    assert refusal([path]) == (
        f"{path}: the orientation of 3 of its frames is 1 / 0 / 0 / 0 / 1 / 0, that of others 0 / 1 / 0 / 0 / 0 / -1; "
        "save each volume as a file of its own"
    )
    path = write_multi_frame(tmp_path / "x.dcm", [0, 1, 2, 1])
    assert refusal([path]) == f"{path}: its frames 2 and 4 lie at one place; save it with each slice once"


def test_slices_that_name_a_series_each_are_one(tmp_path: Path) -> None:
    """Whoever took the names out made them up file by file."""
    paths = write_series(tmp_path, change=lambda number, own: own.update(SeriesInstanceUID=f"1.2.9.{number}"))
    assert read_series(opened(paths))[0, 0].tolist() == [0, 1, 2, 3, 4]


def test_two_whole_series_of_one_folder_stay_two(tmp_path: Path) -> None:
    first = write_series(tmp_path / "a")
    second = write_series(tmp_path / "b", 4, change=lambda _, own: own.update(SeriesInstanceUID="1.2.9"))
    whole, broken = open_each([*first, *second])
    assert ([len(series.slices) for series in whole], broken) == ([5, 4], [])


def test_a_picture_is_no_volume(tmp_path: Path) -> None:
    assert "a series of 2 slices; a volume has 3 and more" in refusal(write_series(tmp_path, 2))


def write_multi_frame(path: Path, order: list[int]) -> Path:
    """An enhanced MR image: one file, frame n at `order[n]` * 3 mm, filled with that number, rescaled by 2."""
    save_dicom(path, np.stack([np.full(SIZE, number, np.uint16) for number in order]), NumberOfFrames=len(order))
    dataset = pydicom.dcmread(path)
    for keyword in ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing"):
        if keyword in dataset:
            del dataset[keyword]
    dataset.Rows, dataset.Columns = SIZE
    dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", "1.2.4"
    dataset.SOPClassUID, dataset.StudyInstanceUID = "1.2.840.10008.5.1.4.1.1.4.1", "1.2.5"
    shared: dict[str, dict[str, Any]] = {
        "PlaneOrientationSequence": {"ImageOrientationPatient": list(AXIAL)},
        "PixelMeasuresSequence": {"PixelSpacing": [0.5, 2.0]},
        "PixelValueTransformationSequence": {"RescaleSlope": 2, "RescaleIntercept": 0},
    }
    dataset.SharedFunctionalGroupsSequence = [group(shared)]
    dataset.PerFrameFunctionalGroupsSequence = [
        group({"PlanePositionSequence": {"ImagePositionPatient": [10, 20, 30 + 3 * number]}}) for number in order
    ]
    dataset.save_as(path)
    return path


def group(sequences: dict[str, dict[str, Any]]) -> pydicom.Dataset:
    made = pydicom.Dataset()
    for name, elements in sequences.items():
        item = pydicom.Dataset()
        for keyword, value in elements.items():
            setattr(item, keyword, value)
        setattr(made, name, [item])
    return made


def test_a_file_of_many_frames_is_a_volume(tmp_path: Path) -> None:
    series = opened([write_multi_frame(tmp_path / "x.dcm", [2, 0, 3, 1])])
    assert read_series(series)[0, 0].tolist() == [0, 2, 4, 6]
    assert [one.frame for one in series.slices] == [1, 3, 0, 2]


@pytest.mark.parametrize(
    ("elements", "sequence"),
    [
        ({"SeriesDescription": "T1post"}, "post_contrast"),
        ({"SeriesDescription": "AX T1 SE +C"}, "post_contrast"),
        ({"ProtocolName": "B T1 AXIAL SE +"}, "post_contrast"),
        ({"SeriesDescription": "T1 MPRAGE", "ContrastBolusAgent": "10cc Multihance"}, "post_contrast"),
        ({"SeriesDescription": "T1 MPRAGE", "ContrastBolusAgent": "NONE"}, "pre_contrast"),
        ({"SeriesDescription": "T1 pre", "ContrastBolusAgent": "Gadovist"}, "pre_contrast"),
        ({"SeriesDescription": "t1 without contrast"}, "pre_contrast"),
        ({"SeriesDescription": "AX T2 FLAIR"}, "flair"),
        ({"SeriesDescription": "tra dark-fluid"}, "flair"),
        ({"RepetitionTime": 9000, "EchoTime": 120, "InversionTime": 2500}, "flair"),
        ({"SeriesDescription": "AX T2 TSE"}, "t2"),
        ({"RepetitionTime": 4000, "EchoTime": 100}, "t2"),
        ({"RepetitionTime": 600, "EchoTime": 9}, "pre_contrast"),
        ({"RepetitionTime": 2300, "EchoTime": 3, "InversionTime": 900, "ContrastBolusAgent": "GD"}, "post_contrast"),
        ({"Modality": "CT", "SeriesDescription": "brain post contrast t1 protocol"}, "CT"),
        ({"Modality": "PT"}, "PT"),
        ({"Modality": "OT", "SeriesDescription": "AX T2 TSE"}, "t2"),
        ({"SeriesDescription": "ep2d_diff_ADC"}, ""),
        ({"SeriesDescription": "T2* GRE"}, ""),
        ({"SeriesDescription": "localizer", "RepetitionTime": 8, "EchoTime": 3}, ""),
        ({}, ""),
    ],
)
def test_a_sequence_is_recognised_by_words_and_times(elements: dict[str, Any], sequence: str) -> None:
    found, reason = recognised(**elements)
    assert found == sequence
    assert reason


MAKERS = {
    "flair": (
        *(
            "AX T2 FLAIR",
            "Ax T2 FLAIR POST",
            "SAG CUBE T2 FLAIR",
            "t2_tirm_tra_dark-fluid_fs",
            "t2_spc_da-fl_flair_sag",
        ),
        *("FLAIR_longTR", "3D Brain View FLAIR", "sFLAIR tra", "OAx T2 FLAIR +C"),
    ),
    "t2": ("t2_tse_tra_512", "AX T2 PROPELLER", "T2W_TSE", "eT2W_TSE", "AxT2 FSE", "T2 vor KM", "3DT2 SPACE"),
    "post_contrast": (
        *("Ax T1 +C", "+C Ax T1 FSE", "AX T1 FSE+C", "AX T1 C+", "AX T1 W/ GAD", "AX T1 GADO", "T1post", "T1 POST-GAD"),
        *("t1_mprage_sag_KM", "T1 SE tra nach KM", "t1_se_tra mit KM", "T1 FS tra +KM", "T1W_SE_GD", "sT1W_3D_TFE CE"),
        *(
            "T1 TSE avec gado",
            "T1 apres injection",
            "T1 con contrasto",
            "T1 con contraste",
            "T1 con mdc",
            "t1c",
            "T1-C",
        ),
        *("Sag T1 FLAIR +C", "T1_TIRM_dark-fluid KM", "MPR T1 POST thick cor", "BRAVO +C", "Ax 3D SPGR post", "T1ce"),
        *("T1 pre-op with contrast", "T1 POSTCONTRAST posterior fossa", "AX VIBE C+"),
        *("T1 na contrast", "T1 efter kontrast", "T1 med kontrast", "T1 com contraste", "T1 PÓS CONTRASTE", "T1 c/c"),
        *(
            "T1 kontrastlı",
            "T1 KONTRASTLI",
            "T1 con CIV",
            "T1 dopo mdc",
            "SE T1 INJECTEE",
            "T1 Dotarem",
            "T1 MULTIHANCE",
        ),
        *(
            "T1 с контрастом",
            "T1 постконтраст",
            "T1造影",
            "造影後 T1",
            "T1增强",
            "AX T1 W/C",
            "T1 +K",
            "T1 apre\u0300s gado",
        ),
    ),
    "pre_contrast": (
        *("Ax T1", "Sag T1 FLAIR", "T1W FLAIR", "FLAIR T1 sag", "t1_tirm_tra_dark-fluid", "sT1W_SE", "3DT1", "AXT1 SE"),
        *("T1 SE tra ohne KM", "T1 vor KM", "t1 vor", "t1_se_nativ", "T1 native", "SAG T1 SANS GADO", "T1 sans inj"),
        *(
            "T1 w/o",
            "T1 W/O GAD",
            "AX T1 WO",
            "AX T1 WO CONTRAST",
            "T1 without contrast",
            "t1 precontrast",
            "T1 PREGAD",
        ),
        *("T1 pre gado", "T1 NC", "T1 non-contrast", "T1 NONCON", "T1 no contrast", "T1 unenhanced", "T1 C-"),
        *("Ax T1 posterior fossa", "T1 post-op", "T1 POSTOP", "T1 senza mdc", "T1 sin contraste", "T1 avant injection"),
        *("T1 zonder contrast", "T1 voor contrast", "T1 utan kontrast", "T1 uten kontrast", "T1 uden kontrast"),
        *(
            "T1 före kontrast",
            "T1 fo\u0308re kontrast",
            "T1 før kontrast",
            "T1 s/ contraste",
            "T1 S/C",
            "T1 sem contraste",
        ),
        *("T1 pré contraste", "T1 KONTRASTSIZ", "T1 kontrastsız", "T1 kontrast\u0131 yok", "T1 bez kontrastu"),
        *("T1 przed kontrastem", "T1 o. KM", "T1 o KM", "T1 before contrast", "T1 BEFORE GD", "T1 prima di mdc"),
        *(
            "T1 antes del contraste",
            "T1 sin CIV",
            "T1 без контраста",
            "T1 до контраста",
            "T1 非造影",
            "T1造影前",
            "T1平扫",
        ),
    ),
    "": (
        *("ep2d_diff_3scan_trace_p2_ADC", "Ax DWI", "eADC", "DTI_64", "ep2d_bold_rest", "fMRI", "ep2d_T2_perf", "DSC"),
        *("RelCBF", "relCBV T1", "MTT", "pcasl", "SWI_Images", "Mag_Images", "mIP_Images(SW)", "SWAN", "AX MPGR T2"),
        *("T2* GRE", "T2_star", "T2_GRE_hemo", "t2_fl2d_tra_hemo", "T2W_FFE", "localizer", "AAHead_Scout", "SURVEY"),
        *("3-Plane Loc", "3Pl Loc", "ASSET calibration", "T1 map", "T2 mapping", "gre_field_mapping", "tof_fl3d_tra"),
        *("MRA T1 3D TOF", "Phase Contrast T1 flash", "t2_tirm_cor_fs STIR", "AX T1 +C SUB", "svs_se_135", "T2 CISS"),
    ),
}
"""How makers and sites of several countries describe series, by the sequence that these are."""


@pytest.mark.parametrize(("text", "sequence"), [(text, name) for name, texts in MAKERS.items() for text in texts])
@pytest.mark.parametrize("keyword", ["SeriesDescription", "ProtocolName"])
def test_descriptions_of_all_makers_are_understood(text: str, sequence: str, keyword: str) -> None:
    assert recognised(**{keyword: text})[0] == sequence
    assert recognised(**{keyword: text}, RepetitionTime=22, EchoTime=3.6)[0] == sequence


BOTH = (
    *(
        "w/wo",
        "W WO",
        "WWO CONTRAST",
        "w/ & w/o",
        "without and with contrast",
        "with and without contrast",
        "pre + post",
    ),
    *("mit und ohne KM", "vor und nach KM", "avec et sans gado", "W/O AND W/ CONTRAST", "without and with", "pre/post"),
)


@pytest.mark.parametrize("text", BOTH)
def test_with_and_without_in_one_text_leaves_it_to_the_agent(text: str) -> None:
    sequence, reason = recognised(SeriesDescription=f"T1 {text}", ContrastBolusAgent="Gadavist")
    assert (sequence, reason.rpartition(", ")[2]) == ("post_contrast", "a contrast agent is named")
    sequence, reason = recognised(SeriesDescription=f"T1 {text}")
    assert (sequence, reason.rpartition(", ")[2]) == ("pre_contrast", "no contrast agent is named")


@pytest.mark.parametrize(
    ("description", "protocol", "sequence"),
    [
        ("Ax T1 +C", "BRAIN WITHOUT AND WITH CONTRAST", "post_contrast"),
        ("Ax T1", "BRAIN W/WO CONTRAST", "pre_contrast"),
        ("Ax T1", "BRAIN TUMOR POST OP", "pre_contrast"),
        ("Ax T1 pre", "BRAIN +C", "pre_contrast"),
        ("Ax T2", "BRAIN TUMOR PERFUSION", "t2"),
        ("T2W_TSE", "T1W contrast", "t2"),
        ("sag 1 mm", "t1_mprage_KM", "post_contrast"),
        ("KM", "t1_mprage", "post_contrast"),
        ("vor KM", "t1_mprage +C", "pre_contrast"),
        ("RelCBF", "T1", ""),
        ("", "T1", "pre_contrast"),
    ],
)
def test_the_protocol_counts_only_where_the_description_tells_nothing(
    description: str, protocol: str, sequence: str
) -> None:
    assert recognised(SeriesDescription=description, ProtocolName=protocol)[0] == sequence


@pytest.mark.parametrize(
    ("agents", "sequence"),
    [
        ([{"CodeMeaning": "Gadobutrol"}], "post_contrast"),
        ([{}], "post_contrast"),
        ([{"CodeMeaning": "None"}], "pre_contrast"),
        ([], "pre_contrast"),
    ],
)
def test_the_agent_of_enhanced_mr_is_read(agents: list[dict[str, str]], sequence: str) -> None:
    coded = group({"ContrastBolusAgentSequence": agents[0]} if agents else {})
    assert recognised(SeriesDescription="3D T1 TFE", **{e.keyword: e.value for e in coded})[0] == sequence


ABROAD = ("nativ", "nessuno", "ninguno", "aucun", "Geen", "ingen", "yok", "нет", "なし", "not used")


@pytest.mark.parametrize(
    "agent", ["NONE", "no", "No contrast", "ohne", "kein KM", "w/o", "0", "N", "n/a", " ", *ABROAD]
)
def test_an_agent_that_is_none_is_no_agent(agent: str) -> None:
    assert recognised(SeriesDescription="T1", ContrastBolusAgent=agent)[0] == "pre_contrast"


def recognised(**elements: Any) -> tuple[str, str]:
    header = pydicom.Dataset()
    for keyword, value in elements.items():
        setattr(header, keyword, value)
    return recognise_sequence(header)


def test_the_reason_quotes_no_name() -> None:
    header = pydicom.Dataset()
    header.SeriesDescription = "T1 POST Jane Doe"
    assert "doe" not in recognise_sequence(header)[1].lower()


# ---------------------------------------------------------------- segmentations


def drawn(series: DicomSeries) -> np.ndarray:
    """Two nested regions."""
    masks = np.zeros((2, *series.grid.shape), bool)
    masks[0, 1:5, 1:3, 1:4] = True
    masks[1, 2, 1, 2] = True
    return masks


@pytest.mark.parametrize("orientation", [AXIAL, OBLIQUE, (-1, 0, 0, 0, -1, 0)])
def test_a_segmentation_reads_back_as_it_was_drawn(tmp_path: Path, orientation: tuple[float, ...]) -> None:
    highdicom = pytest.importorskip("highdicom")
    series = opened(write_series(tmp_path / "in", orientation=orientation))
    masks = drawn(series)
    write_dicom_seg(tmp_path / "seg.dcm", masks, ("whole_tumour", "enhancing_tumour"), series, AUTHOR)
    segmentation = highdicom.seg.segread(tmp_path / "seg.dcm")
    frames = segmentation.get_pixels_by_source_instance(
        [one.instance for one in series.slices], segment_numbers=[1, 2], assert_missing_frames_are_empty=True
    )
    expected = np.stack([series.to_stored(mask) for mask in masks], axis=-1)
    assert np.array_equal(frames.astype(bool), expected)
    assert [item.SegmentLabel for item in segmentation.SegmentSequence] == ["whole tumour", "enhancing tumour"]


def test_a_segmentation_of_a_file_of_many_frames_refers_to_its_frames(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    series = opened([write_multi_frame(tmp_path / "x.dcm", [2, 0, 3, 1])])
    masks = np.zeros((1, *series.grid.shape), bool)
    masks[0, 1:3, 1:3, 3] = True  # the uppermost slice, the third frame
    write_dicom_seg(tmp_path / "seg.dcm", masks, ("tumour",), series, AUTHOR)
    frames = highdicom.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_frame(
        series.slices[0].instance, [1, 2, 3, 4], segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    assert frames[..., 0].any(axis=(1, 2)).tolist() == [False, False, True, False]


@pytest.mark.parametrize("per_frame", [["PlaneOrientation"], ["PixelMeasures"], ["PlaneOrientation", "PixelMeasures"]])
def test_what_stands_at_each_frame_alike_allows_a_segmentation(tmp_path: Path, per_frame: list[str]) -> None:
    highdicom = pytest.importorskip("highdicom")
    path = write_multi_frame(tmp_path / "x.dcm", [2, 0, 3, 1])
    dataset = pydicom.dcmread(path)
    shared = dataset.SharedFunctionalGroupsSequence[0]
    for name in [f"{one}Sequence" for one in per_frame]:
        for own in dataset.PerFrameFunctionalGroupsSequence:
            own[name] = shared[name]
        del shared[name]
    if len(per_frame) > 1:
        del dataset.SharedFunctionalGroupsSequence
    dataset.save_as(path)
    series = opened([path])
    masks = np.zeros((1, *series.grid.shape), bool)
    masks[0, 1:3, 1:3, 3] = True  # the uppermost slice, the third frame
    write_dicom_seg(tmp_path / "seg.dcm", masks, ("tumour",), series, AUTHOR)
    frames = highdicom.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_frame(
        series.slices[0].instance, [1, 2, 3, 4], segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    assert frames[..., 0].any(axis=(1, 2)).tolist() == [False, False, True, False]
    assert pydicom.dcmread(path) == dataset


def test_a_real_series_goes_there_and_back(tmp_path: Path, real_data: Path) -> None:
    pytest.importorskip("highdicom")
    series = opened(sorted((real_data / "dicom").glob("*.dcm")))
    assert (series.sequence, series.stored_shape) == ("post_contrast", (260, 320, 24))
    assert series.grid.spacing_mm == pytest.approx((0.6875, 0.6875, 6.5))
    masks = np.zeros((1, *series.grid.shape), bool)
    masks[0, 100:120, 100:140, 5:8] = True
    write_dicom_seg(tmp_path / "seg.dcm", masks, ("tumour",), series, AUTHOR)
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert np.array_equal(read.pixel_array.astype(bool), series.to_stored(masks[0])[5:8])
    require_valid(tmp_path / "seg.dcm")


def test_an_empty_segmentation_is_written(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    series = opened(write_series(tmp_path / "in"))
    write_dicom_seg(tmp_path / "seg.dcm", np.zeros((1, *series.grid.shape), bool), ("tumour",), series, AUTHOR)
    assert not highdicom.seg.segread(tmp_path / "seg.dcm").pixel_array.any()


def test_a_source_without_a_study_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    series = opened(write_series(tmp_path / "in", change=lambda _, own: own.update(StudyInstanceUID=None)))
    with pytest.raises(UserError, match="its headers lack StudyInstanceUID, which a DICOM segmentation needs"):
        write_dicom_seg(tmp_path / "seg.dcm", drawn(series), ("whole_tumour", "enhancing_tumour"), series, AUTHOR)
    assert not (tmp_path / "seg.dcm").exists()


NAMES = [
    ("", "John^Doe"),
    ("ISO 2022 IR 100", "M\u00fcller^J\u00f6rg"),
    ("ISO_IR 100", "M\u00fcller^J\u00f6rg"),
    (["", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"),
    (["", "ISO 2022 IR 149"], "Hong^Gildong=\u6d2a^\u5409\u6d1e=\ud64d^\uae38\ub3d9"),
    ("ISO_IR 192", "\u0141ukasz^\u017b"),
    ("GB18030", "Wang^X=\u738b^\u5c0f"),
    (None, "John^Doe"),
]


@pytest.mark.parametrize(("characters", "name"), NAMES)
def test_a_segmentation_names_the_patient_as_the_source_does_in_any_script(
    tmp_path: Path, characters: Any, name: str
) -> None:
    pytest.importorskip("highdicom")
    elements = {"SpecificCharacterSet": characters, "PatientName": name, "ReferringPhysicianName": name}
    series = opened(write_series(tmp_path / "in", change=lambda _, own: own.update(elements)))
    write_dicom_seg(tmp_path / "seg.dcm", drawn(series)[:1], ("tumour",), series, AUTHOR)
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    assert (str(read.PatientName), str(read.ReferringPhysicianName)) == (name, name)
    assert read.SpecificCharacterSet == "ISO_IR 192"


@pytest.mark.parametrize(
    ("keyword", "value", "written"),
    [
        ("PatientSex", "U", ""),
        ("PatientSex", "F", "F"),
        ("PatientBirthDate", "19700000", ""),
        ("PatientBirthDate", "19700131", "19700131"),
        ("StudyDate", "unknown", ""),
        ("StudyTime", "10:22:33", ""),
        ("StudyTime", "102233.5", "102233.5"),
    ],
)
def test_a_value_that_is_none_of_its_kind_is_left_empty_in_a_segmentation(
    tmp_path: Path, keyword: str, value: str, written: str
) -> None:
    pytest.importorskip("highdicom")
    series = opened(write_series(tmp_path / "in", change=lambda _, own: own.update({keyword: value})))
    write_dicom_seg(tmp_path / "seg.dcm", drawn(series)[:1], ("tumour",), series, AUTHOR)
    assert str(pydicom.dcmread(tmp_path / "seg.dcm")[keyword].value or "") == written


def write_enhanced(folder: Path, frames: list[list[int]]) -> list[Path]:
    """Files of many frames that are one series."""
    folder.mkdir()
    paths = [write_multi_frame(folder / f"{number}.dcm", order) for number, order in enumerate(frames)]
    for path in paths:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.save_as(path)
    return paths


def test_a_segmentation_of_one_frame_a_file_is_written(tmp_path: Path) -> None:
    highdicom = pytest.importorskip("highdicom")
    series = opened(write_enhanced(tmp_path / "in", [[2], [0], [1], [3]]))
    masks = np.zeros((1, *series.grid.shape), bool)
    masks[0, 1:3, 1:3, 3] = True  # the uppermost slice
    write_dicom_seg(tmp_path / "seg.dcm", masks, ("tumour",), series, AUTHOR)
    frames = highdicom.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_instance(
        [one.instance for one in series.slices], segment_numbers=[1], assert_missing_frames_are_empty=True
    )
    assert np.array_equal(frames[..., 0].astype(bool), series.to_stored(masks[0]))
    assert "Enhanced MR Image Storage" in (said := str(pydicom.dcmread(tmp_path / "seg.dcm")))
    assert ": MR Image Storage" not in said


@pytest.mark.parametrize("frames", [[[0, 1, 2], [3, 4, 5]], [[4, 0, 2], [5, 3, 1]], [[5, 1, 3, 2, 0], [4]]])
def test_a_segmentation_of_several_files_of_many_frames_refers_to_the_frames_of_each(
    tmp_path: Path, frames: list[list[int]]
) -> None:
    highdicom = pytest.importorskip("highdicom")
    paths = write_enhanced(tmp_path / "in", frames)
    series = opened(paths)
    masks = drawn(series)
    masks[0, 1:3, 1:3, 4] = True
    write_dicom_seg(tmp_path / "seg.dcm", masks, ("whole_tumour", "enhancing_tumour"), series, AUTHOR)
    read = pydicom.dcmread(tmp_path / "seg.dcm")
    instances = [str(pydicom.dcmread(path).SOPInstanceUID) for path in paths]
    (referenced,) = read.ReferencedSeriesSequence
    assert [one.ReferencedSOPInstanceUID for one in referenced.ReferencedInstanceSequence] == instances
    assert {one.ReferencedSOPClassUID for one in read.SourceImageSequence} == {pydicom.uid.EnhancedMRImageStorage}
    expected = np.stack([series.to_stored(mask) for mask in masks], axis=-1)
    by_frame = {(one.instance, one.frame): number for number, one in enumerate(series.slices)}
    found = np.zeros_like(expected)
    for pixels, own in zip(read.pixel_array, read.PerFrameFunctionalGroupsSequence, strict=True):
        source = own.DerivationImageSequence[0].SourceImageSequence[0]
        number = by_frame[source.ReferencedSOPInstanceUID, int(source.get("ReferencedFrameNumber", 1)) - 1]
        assert own.PlanePositionSequence[0].ImagePositionPatient == list(series.slices[number].position_mm)
        segment = own.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        found[number, ..., segment - 1] = pixels
    assert np.array_equal(found, expected)
    many = [instance for instance, order in zip(instances, frames, strict=True) if len(order) > 1]
    for instance in many:
        numbers = [by_frame[instance, frame] for frame in range(sum(one == instance for one, _ in by_frame))]
        frames_of_file = highdicom.seg.segread(tmp_path / "seg.dcm").get_pixels_by_source_frame(
            instance,
            list(range(1, len(numbers) + 1)),
            segment_numbers=[1, 2],
            ignore_spatial_locations=True,
            assert_missing_frames_are_empty=True,
        )
        assert np.array_equal(frames_of_file.astype(bool), expected[numbers])
    require_valid(tmp_path / "seg.dcm")


def require_valid(path: Path) -> None:
    """By `dciodvfy`, where it is installed."""
    if validator := shutil.which("dciodvfy"):
        said = subprocess.run([validator, path], capture_output=True, text=True, check=False).stderr
        assert "Error" not in said


def test_files_of_one_name_get_no_segmentation_which_could_not_tell_them_apart(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    paths = write_series(tmp_path / "in", change=lambda _, own: own.update(SOPInstanceUID="1.2.9"))
    series = opened(paths)
    first, second = series.paths[:2]
    message = re.escape(f"{second}: its SOPInstanceUID is that of {first.name}, so that a DICOM segmentation cannot")
    with pytest.raises(UserError, match=message):
        write_dicom_seg(tmp_path / "seg.dcm", drawn(series)[:1], ("tumour",), series, AUTHOR)


def test_slices_that_name_a_series_each_have_a_segmentation_that_refers_to_each(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")
    series = opened(write_series(tmp_path / "in", change=lambda n, own: own.update(SeriesInstanceUID=f"1.2.9.{n}")))
    write_dicom_seg(tmp_path / "seg.dcm", drawn(series)[:1], ("tumour",), series, AUTHOR)
    referenced = pydicom.dcmread(tmp_path / "seg.dcm").ReferencedSeriesSequence
    assert sorted(one.SeriesInstanceUID for one in referenced) == [f"1.2.9.{n}" for n in range(5)]


@pytest.mark.parametrize(
    ("elements", "thickness"),
    [
        ({"SpacingBetweenSlices": 1, "SliceThickness": 2}, 2),
        ({"SpacingBetweenSlices": -3}, 3),
        ({"SliceThickness": 0}, 3),
        ({"SliceThickness": ""}, 3),
    ],
)
def test_a_segmentation_states_the_steps_by_the_positions(
    tmp_path: Path, elements: dict[str, Any], thickness: float
) -> None:
    pytest.importorskip("highdicom")
    series = opened(write_series(tmp_path / "in", change=lambda _, own: own.update(elements)))
    write_dicom_seg(tmp_path / "seg.dcm", drawn(series)[:1], ("tumour",), series, AUTHOR)
    shared = pydicom.dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert (shared.SpacingBetweenSlices, shared.SliceThickness) == (3, thickness)
    require_valid(tmp_path / "seg.dcm")


def test_orientations_that_differ_by_rounding_allow_a_segmentation(tmp_path: Path) -> None:
    pytest.importorskip("highdicom")

    def rounded(number: int, own: dict[str, Any]) -> None:
        own["ImageOrientationPatient"] = [1, 0, number * 1e-5, 0, 1, 0]

    series = opened(write_series(tmp_path / "in", change=rounded))
    write_dicom_seg(tmp_path / "seg.dcm", drawn(series)[:1], ("tumour",), series, AUTHOR)
    shared = pydicom.dcmread(tmp_path / "seg.dcm").SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    assert np.allclose(shared.ImageOrientationPatient, AXIAL, atol=1e-4)


def test_headers_that_do_not_allow_a_segmentation_are_no_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("highdicom")
    series = opened(write_series(tmp_path / "in"))

    def refuse(*_: object) -> None:
        raise ValueError("JANE-DOE")

    monkeypatch.setattr("tumorline.write.dicom_seg._segmentation", refuse)
    with pytest.raises(UserError, match=r"dcm: its headers do not allow a DICOM segmentation \(ValueError\); mend"):
        write_dicom_seg(tmp_path / "seg.dcm", drawn(series)[:1], ("tumour",), series, AUTHOR)
    assert not (tmp_path / "seg.dcm").exists()
