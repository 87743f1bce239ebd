"""Sets of volumes in the names of their makers: which file is what, and what the labels mean."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests import sources
from tests.conftest import blob
from tests.sources import load, nib, save_frames, save_volume
from tumorline.audit.check import check
from tumorline.data.case import read_image
from tumorline.data.source import open_source
from tumorline.errors import UserError
from tumorline.formats import nifti
from tumorline.geometry.upright import upright

IMAGE, MASK = blob(32, 3)
EARLIER = ("_t1", "_t1ce", "_t2", "_flair")
LATER = ("-t1n", "-t1c", "-t2w", "-t2f")


def scan(folder: Path, name: str, images: Sequence[str], truth: str, labels: Sequence[int] = (4,)) -> Path:
    """A scan of two slices, in whose truth each label has a row of its own."""
    for number, ending in enumerate(images):
        save_volume(folder / name / f"{name}{ending}.nii.gz", [np.where(MASK, 200, 10 + number)] * 2)
    plane = np.zeros((32, 32), np.uint8)
    plane[: len(labels)] = np.array(labels)[:, None]
    return save_volume(folder / name / f"{name}{truth}.nii.gz", [plane] * 2)


def rows(folder: Path, **settings: object) -> float:
    """Rows of 32 that are tumour."""
    (dataset,) = [load(folder, **settings)]
    assert not [finding for finding in check(dataset) if finding.severity == "error"]
    return 32 * dataset.facts[0].foreground


def refusal(folder: Path, **settings: object) -> str:
    try:
        message, *_ = [f.message for f in check(load(folder, **settings)) if f.severity == "error"]
    except UserError as error:
        message = str(error)
    assert "\n" not in message
    return message


# ---------------------------------------------------------------- what 3 and 4 mean


def test_in_the_later_names_4_is_the_resection_cavity(tmp_path: Path) -> None:
    scan(tmp_path / "in", "BraTS-GLI-02000-100", LATER, "-seg", (1, 2, 3, 4))
    scan(tmp_path / "in", "BraTS-GLI-02001-100", LATER, "-seg", (1, 2, 4))
    assert rows(tmp_path / "in", label="whole_tumour") == 3
    assert rows(tmp_path / "in", label="tumour_core") == 2
    assert rows(tmp_path / "in", label="enhancing_tumour") == 1


def test_names_of_two_conventions_are_refused_with_both_files(tmp_path: Path) -> None:
    first = scan(tmp_path / "in", "BraTS2021_00001", EARLIER, "_seg", (4,))
    second = scan(tmp_path / "in", "BraTS-GLI-02001-100", LATER, "-seg", (3,))
    assert refusal(tmp_path / "in").startswith(f"{second} marks enhancing tumour by 3, {first} by 4, by their names")


@pytest.mark.parametrize(("images", "truth"), [(EARLIER, "_seg"), (LATER, "-seg")])
def test_labels_of_two_conventions_are_refused_with_both_files(
    tmp_path: Path, images: Sequence[str], truth: str
) -> None:
    first, second = (scan(tmp_path / "in", f"X_{label}", images, truth, (1, label)) for label in (3, 4))
    message = refusal(tmp_path / "in")
    assert message.startswith(f"{first} marks enhancing tumour by 3, {second} by 4; say data.enhancing_label=4")
    if images == LATER:
        assert rows(tmp_path / "in", enhancing_label=3, label="enhancing_tumour") == 1


def test_a_4_that_may_be_a_cavity_or_a_tumour_is_asked_about(tmp_path: Path) -> None:
    truth = scan(tmp_path / "in", "BraTS-GLI-02001-100", LATER, "-seg", (1, 4))
    assert refusal(tmp_path / "in").startswith(f"{truth}: holds the label 4, but no file of {tmp_path / 'in'} 3")
    assert rows(tmp_path / "in", enhancing_label=4) == 2
    assert rows(tmp_path / "in", enhancing_label=3) == 1


def test_a_3_in_the_earlier_names_is_refused(tmp_path: Path) -> None:
    scan(tmp_path / "in", "BraTS2021_00001", EARLIER, "_seg", (1, 3))
    assert "holds the labels {0, 1, 3}; files of these names have 0, 1, 2, 4" in refusal(tmp_path / "in")
    assert rows(tmp_path / "in", enhancing_label=3) == 2


@pytest.mark.parametrize(("labels", "enhancing"), [((1, 4), 1), ((1, 3), 1), ((3, 4), 1), ((1, 2), 0)])
def test_the_labels_of_ucsf_tell_their_convention(tmp_path: Path, labels: Sequence[int], enhancing: int) -> None:
    scan(tmp_path / "in", "UCSF-PDGM-0004_nifti", (), "_x")
    name = "UCSF-PDGM-0004"
    scan(tmp_path / "in", name, ("_T1", "_T1c", "_T2", "_FLAIR", "_T1c_bias", "_ADC"), "_tumor_segmentation", labels)
    assert rows(tmp_path / "in", label="enhancing_tumour") == enhancing
    assert {path.name for case in load(tmp_path / "in").cases for path in case.images} == {f"{name}_T1c.nii.gz"}
    assert {case.patient for case in load(tmp_path / "in").cases} == {name}


@pytest.mark.parametrize("name", ["_postGd_T1", "_ce-gadolinium_T1w", "_T1_GD", "_CT1"])
def test_a_t1_with_a_word_for_its_agent_is_that_after_contrast(tmp_path: Path, name: str) -> None:
    scan(tmp_path / "in", "P7", ("_T1", name, "_T2", "_FLAIR"), "_seg", (1, 3))
    assert rows(tmp_path / "in") == 2
    (case,) = load(tmp_path / "in").cases
    assert (case.id, case.images[0].name) == ("P7", f"P7{name}.nii.gz")


def test_a_truth_that_bears_the_name_of_one_image_stays_its_mask(tmp_path: Path) -> None:
    for name in ("sub-01", "sub-02"):
        save_volume(tmp_path / "in" / f"{name}_ce-gd_T1w.nii.gz", [np.where(MASK, 200, 10)] * 2)
        save_volume(tmp_path / "in" / f"{name}_ce-gd_T1w_seg.nii.gz", [MASK.astype(np.uint8)] * 2)
    dataset = load(tmp_path / "in")
    assert (dataset.source.layout, len(dataset.cases)) == ("suffix pairs of volumes", 2)


def test_names_that_tell_nothing_beside_a_4_are_asked_about(tmp_path: Path) -> None:
    truth = scan(tmp_path / "in", "P7", ("_t1", "_t1c", "_t2", "_flair"), "_seg", (1, 4))
    assert refusal(tmp_path / "in").startswith(f"{truth}: holds the label 4, no file of these 3")
    assert rows(tmp_path / "in", enhancing_label=4) == 2


def test_childrens_tumours_ask_for_their_year(tmp_path: Path) -> None:
    scan(tmp_path / "in", "BraTS-PED-00001-000", LATER, "-seg", (1, 2, 3, 4))
    assert "children's tumours had other labels in 2023 than since 2024; say data.enhancing_label=3" in refusal(
        tmp_path / "in"
    )
    assert rows(tmp_path / "in", enhancing_label=1, label="enhancing_tumour") == 1
    assert rows(tmp_path / "in", enhancing_label=1, label="tumour_core") == 3


# ---------------------------------------------------------------- names


def test_upenn_has_its_files_in_several_folders(tmp_path: Path) -> None:
    name, images = "UPENN-GBM-00001_11", ("_T1", "_T1GD", "_T2", "_FLAIR", "_T1_unstripped")
    truth = scan(tmp_path / "in" / "images_structural", name, images, "_segm", (1, 4))
    automated = truth.with_name(f"{name}_automated_approx_segm.nii.gz")
    moved = tmp_path / "in" / "images_segm" / truth.name
    moved.parent.mkdir()
    truth.rename(moved)
    save_volume(automated, [np.zeros((32, 32))] * 2)
    assert rows(tmp_path / "in") == 2
    assert {case.patient for case in load(tmp_path / "in").cases} == {"UPENN-GBM-00001"}
    moved.unlink()
    codes = {finding.code: finding.message for finding in check(load(tmp_path / "in"))}
    assert codes["automated_truth"].startswith(str(automated))


def test_a_truth_of_another_name_is_that_of_the_only_scan_beside_it(tmp_path: Path) -> None:
    truth = scan(tmp_path / "in", "BraTS20_Training_355", EARLIER, "_seg", (1, 4))
    truth.rename(truth.with_name("W39_1998.09.19_Segm.nii.gz"))
    assert rows(tmp_path / "in") == 2
    (note,) = [finding for finding in check(load(tmp_path / "in")) if finding.code == "truth_of_other_name"]
    assert "W39_1998.09.19_Segm.nii.gz: read as the truth of BraTS20_Training_355" in note.message


def test_a_scan_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    for part in ("a", "b"):
        scan(tmp_path / "in" / part, "BraTS2021_00001", EARLIER, "_seg")
    with pytest.raises(UserError, match="has another file of this name elsewhere; keep one of them"):
        load(tmp_path / "in")


# ---------------------------------------------------------------- geometry


def test_a_channel_stored_another_way_round_lies_on_the_same_grid(tmp_path: Path) -> None:
    truth = scan(tmp_path / "in", "BraTS2021_00002", EARLIER, "_seg")
    image = nib.load(truth.with_name("BraTS2021_00002_t1ce.nii.gz"))
    turned = image.as_reoriented(np.array([[1, -1], [0, 1], [2, -1]]))
    turned.to_filename(truth.with_name("BraTS2021_00002_flair.nii.gz"))
    dataset = load(tmp_path / "in", channels=["post_contrast", "flair"])
    first, second = read_image(dataset.cases[0])
    assert np.array_equal(first, second)
    assert not check(dataset)


@pytest.mark.parametrize(
    ("affine", "words"),
    [
        (np.zeros((4, 4)), "gives an axis no direction"),
        (np.full((4, 4), np.nan), "holds what is no number"),
        (np.diag([1.0, 1, 0, 1]), "gives an axis no direction"),
        (np.ones((4, 4)), "gives an axis no direction"),
    ],
)
def test_a_broken_affine_is_one_line(tmp_path: Path, affine: np.ndarray, words: str) -> None:
    image = nib.Nifti1Image(np.zeros((4, 4, 2), np.int16), np.eye(4))
    image.header["sform_code"] = 1
    for number, row in enumerate("xyz"):
        image.header[f"srow_{row}"] = affine[number]
    image = nib.Nifti1Image(image.dataobj, None, image.header)
    image.to_filename(tmp_path / "a.nii.gz")
    with pytest.raises(UserError, match=rf"a\.nii\.gz: its affine {words}"):
        nifti.read_volume_header(tmp_path / "a.nii.gz")


@pytest.mark.parametrize("dtype", ["u1", "i1", ">i2", "u2", "i4", "u4", "f4", ">f8", "i8"])
@pytest.mark.parametrize("shape", [(3, 2, 2), (3, 2, 2, 1), (3, 2, 2, 1, 1)])
def test_every_number_and_a_trailing_one_are_read(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    values = np.arange(12).reshape(3, 2, 2)
    image = nib.Nifti2Image(values.reshape(shape).astype(dtype), np.eye(4), dtype=np.dtype(dtype))
    image.to_filename(tmp_path / "a.nii")
    assert np.array_equal(nifti.read_volume(tmp_path / "a.nii"), values)


def test_frames_have_to_be_chosen(tmp_path: Path) -> None:
    save_frames(tmp_path / "a.nii.gz", [[IMAGE] * 2, [0 * IMAGE] * 2])
    with pytest.raises(UserError, match="holds 2 frames; expected one volume"):
        nifti.read_volume(tmp_path / "a.nii.gz")
    voxels = nifti.decode_volume(tmp_path / "a.nii.gz")
    assert np.array_equal(upright(nifti.one_frame(tmp_path / "a.nii.gz", voxels, 0))[0], IMAGE)
    with pytest.raises(UserError, match="holds 2 frames; number 2, counted from 0, is not there"):
        nifti.one_frame(tmp_path / "a.nii.gz", voxels, 2)


# ---------------------------------------------------------------- nnU-Net and the Decathlon


def test_channels_may_be_frames_or_files(tmp_path: Path) -> None:
    frames, files = (sources.nnunet(tmp_path / name, 2) for name in ("frames", "files"))
    for path in sorted((files / "imagesTr").iterdir()):
        voxels = nifti.decode_volume(path)
        for number in range(4):
            planes = upright(nifti.one_frame(path, voxels, number))
            save_volume(path.with_name(path.name.replace(".nii", f"_{number:04d}.nii")), list(planes))
        path.unlink()
    for channel in ("flair", "post_contrast", "all"):
        one, other = (load(folder, channel=channel) for folder in (frames, files))
        assert [fact.image_hash for fact in one.facts] == [fact.image_hash for fact in other.facts]
    assert np.array_equal(read_image(one.cases[0])[0, 0], blob(32, 0)[0])
    (files / "imagesTr" / "P_000_0002.nii.gz").unlink()
    assert "no channel 0002 of P_000 in imagesTr/" in refusal(files)


def test_names_of_the_first_task_stand_in_for_its_dataset_json(tmp_path: Path) -> None:
    folder = sources.nnunet(tmp_path / "in", 2)
    (folder / "dataset.json").write_text("{}")
    assert "dataset.json: names no channels and labels; write them into it" in refusal(folder)
    (folder / "dataset.json").unlink()
    assert "dataset.json: is not there to name the channels and labels" in refusal(folder)
    for path in [*folder.glob("*/*.nii.gz")]:
        path.rename(path.with_name(path.name.replace("P_", "BRATS_")))
    dataset = load(folder)
    assert [finding.code for finding in check(dataset)] == ["recognised_by_names"]
    assert np.array_equal(read_image(dataset.cases[0])[0, 0], blob(32, 0)[0])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({"background": 0, "whole_tumor": [1, 2, 3], "tumor_core": [2, 3], "enhancing_tumor": [3]}, ""),
        ({"background": 0, "edema": 1, "ncr": 2, "ET": 3}, ""),
        ({"background": 0, "edema": 1, "ventricle": 2, "ET": 3}, "the label 'ventricle' is not known"),
        ({"background": 0, "edema": "x", "ET": 3}, "the label 'edema' is x; expected whole numbers"),
        ({"background": 0, "lesion": 3}, "names one label, 'lesion'; say what it outlines"),
        ({"background": 0, "lesion": [3]}, ""),
        ({"background": 0, "cyst": [1], "tumor": [3]}, ""),
        ({"background": 0, "edema": [1], "cyst": [3]}, "of tumour_core; there are edema, cyst, say data.regions=NAME"),
        ({"background": 0, "Cyst Fluid": [1], "腫瘍": [3]}, "there are cyst_fluid, label_3, say data.regions=NAME"),
        ({"background": 0, "Cyst": [1], "cyst": [3]}, "labels 'Cyst' and 'cyst' are both cyst; rename one of them"),
        ({"background": 0, "whole tumour": 3}, "names no labels of tumour_core; there are whole_tumour"),
        ({"background": 0, "edema": 1, "ET": 4}, "holds the labels {0, 3}; "),
        ([1], "its labels are no table"),
    ],
)
def test_labels_are_read_from_dataset_json(tmp_path: Path, labels: object, message: str) -> None:
    folder = sources.nnunet(tmp_path / "in", 1)
    (folder / "dataset.json").write_text(json.dumps({"channel_names": {"0": "T1", "2": "T1-Gd"}, "labels": labels}))
    if message:
        with pytest.raises(UserError) as caught:
            raise UserError("; ".join(f.message for f in check(load(folder)) if f.severity == "error"))
        assert message in str(caught.value)
    else:
        assert load(folder).facts[0].foreground == pytest.approx(
            np.mean([blob(32, number)[1].mean() for number in range(2)])
        )


def test_a_sequence_that_dataset_json_does_not_name_is_one_line(tmp_path: Path) -> None:
    folder = sources.nnunet(tmp_path / "in", 1)
    (folder / "dataset.json").write_text('{"channel_names": {"0": "FLAIR"}, "labels": {"background": 0, "TC": 3}}')
    with pytest.raises(UserError, match="names no post_contrast; it has flair"):
        open_source(folder)


def two_parts(folder: Path, with_truth: bool) -> Path:
    """Of three scans the last is in imagesTs, where it has the name of the first."""
    sources.nnunet(folder, 3)
    for kind in ("images", "labels"):
        (folder / f"{kind}Ts").mkdir()
        (folder / f"{kind}Tr" / "P_002.nii.gz").rename(folder / f"{kind}Ts" / "P_000.nii.gz")
    if not with_truth:
        (folder / "labelsTs" / "P_000.nii.gz").unlink()
    return folder


def test_one_name_in_both_parts_is_two_scans(tmp_path: Path) -> None:
    dataset = load(two_parts(tmp_path / "in", with_truth=True))
    assert [(case.id, case.part, case.images[0].parent.name) for case in dataset.cases] == [
        ("P_001", "train", "imagesTr"),
        ("Tr/P_000", "train", "imagesTr"),
        ("Ts/P_000", "test", "imagesTs"),
    ]
    for case, number in zip(dataset.cases, (1, 0, 2), strict=True):
        sample = dataset.read(case)
        image, mask = blob(32, 2 * number)
        assert np.array_equal(sample.image[0, 0], image)
        assert np.array_equal(sample.truth[0, 0], mask)


def test_scans_of_imagests_without_a_truth_are_left_out(tmp_path: Path) -> None:
    dataset = load(two_parts(tmp_path / "in", with_truth=False))
    assert [(case.id, case.part, case.images[0].parent.name) for case in dataset.cases] == [
        ("P_000", "", "imagesTr"),
        ("P_001", "", "imagesTr"),
    ]
    (finding,) = dataset.source.findings
    assert (finding.severity, finding.files) == ("info", (str(tmp_path / "in" / "imagesTs" / "P_000.nii.gz"),))
    assert finding.message == f"{tmp_path / 'in'}: 1 scan of imagesTs/ left out, without a truth in labelsTs/"
    (tmp_path / "in" / "labelsTr" / "P_001.nii.gz").unlink()
    assert "P_001.nii.gz: no truth of this name in labelsTr/" in refusal(tmp_path / "in")


def test_a_truth_of_labelsts_without_its_image_is_one_line(tmp_path: Path) -> None:
    folder = two_parts(tmp_path / "in", with_truth=True)
    (folder / "imagesTs" / "P_000.nii.gz").unlink()
    assert "no channel 0002 of Ts/P_000 in imagesTs/" in refusal(folder)


def test_sets_of_one_name_in_two_folders_stay_apart(tmp_path: Path) -> None:
    for number, place in enumerate(("a", "b")):
        sources.nnunet(tmp_path / "in" / place / "Task01", number + 1)
    cases = open_source(tmp_path / "in").cases
    assert [case.id for case in cases] == ["Task01/P_001", "a/Task01/Tr/P_000", "b/Task01/Tr/P_000"]
