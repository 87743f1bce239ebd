"""Scans in the names that people give them: which file is the truth of which scan, and which is none."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import blob
from tests.data.test_volume_sets import EARLIER, LATER, refusal, scan
from tests.sources import load, save_volume
from tumorline.audit.check import check
from tumorline.data.source import open_source

IMAGE, MASK = blob(32, 3)


def save_truth(path: Path, labels: Sequence[int] = (1, 2, 4)) -> Path:
    """Two slices in which each label has a row of its own."""
    plane = np.zeros((32, 32), np.uint8)
    plane[: len(labels)] = np.array(labels)[:, None]
    return save_volume(path, [plane] * 2)


def bare_scan(folder: Path, truth: str = "seg", seed: int = 0) -> Path:
    """A scan whose files are called by their sequences alone; `seed` tells it from others."""
    for number, word in enumerate(("flair", "t1", "t1ce", "t2")):
        save_volume(folder / f"{word}.nii.gz", [blob(32, seed + number)[0]] * 2)
    return save_truth(folder / f"{truth}.nii.gz")


def rows_by_case(folder: Path, **settings: object) -> dict[str, float]:
    """Rows of 32 that are tumour, of each case of a set without errors."""
    dataset = load(folder, **settings)
    assert not [finding for finding in check(dataset) if finding.severity == "error"]
    return {case.id: 32 * fact.foreground for case, fact in zip(dataset.cases, dataset.facts, strict=True)}


# ---------------------------------------------------------------- files called by their sequence alone


def test_a_folder_of_files_called_by_their_sequence_is_a_scan(tmp_path: Path) -> None:
    for number, name in enumerate(("P01/week_0", "P01/week_9", "P02/week_0")):
        bare_scan(tmp_path / "in" / name, seed=10 * number)
    assert rows_by_case(tmp_path / "in") == dict.fromkeys(("P01/week_0", "P01/week_9", "P02/week_0"), 2)
    assert [case.patient for case in open_source(tmp_path / "in").cases] == ["P01", "P01", "P02"]
    assert list(rows_by_case(tmp_path / "in" / "P02" / "week_0")) == ["week_0"]


def test_a_scan_of_such_folders_that_lacks_its_truth_is_named(tmp_path: Path) -> None:
    bare_scan(tmp_path / "in" / "P01")
    bare_scan(tmp_path / "in" / "P02").unlink()
    assert refusal(tmp_path / "in").startswith(f"{tmp_path / 'in' / 'P02'}: no truth volume of P02")


def test_a_truth_of_one_sequence_in_such_a_folder_stays_its_mask(tmp_path: Path) -> None:
    for name in ("flair", "flair_seg"):
        save_volume(tmp_path / "in" / "P01" / f"{name}.nii.gz", [IMAGE if name == "flair" else MASK] * 2)
    assert load(tmp_path / "in").source.layout == "suffix pairs of volumes"


# ---------------------------------------------------------------- words for the truth


@pytest.mark.parametrize(
    "word", ["_mask", "_segmentation", "_dseg", "_tumorMask", "_GlistrBoost_ManuallyCorrected", "_gtv", "-label"]
)
def test_words_for_a_truth(tmp_path: Path, word: str) -> None:
    scan(tmp_path / "in", "P1", EARLIER, word, (1, 2, 4))
    assert rows_by_case(tmp_path / "in") == {"P1": 2}


def test_a_mask_counts_for_nothing_where_the_set_has_truths_of_other_names(tmp_path: Path) -> None:
    scan(tmp_path / "in", "P1", EARLIER, "_seg")
    scan(tmp_path / "in", "P2", EARLIER, "_mask")
    assert refusal(tmp_path / "in").startswith(f"{tmp_path / 'in' / 'P2'}: no truth volume of P2")


def test_what_a_program_found_is_said_of_glistrboost_too(tmp_path: Path) -> None:
    truth = scan(tmp_path / "in", "TCGA-02-0006_1996.08.23", ("_t1", "_t1Gd", "_t2", "_flair"), "_GlistrBoost")
    (found,) = [finding for finding in check(load(tmp_path / "in")) if finding.code == "automated_truth"]
    assert found.message.startswith(str(truth))


def test_a_truth_whose_name_the_scan_lengthens_is_read_without_a_note(tmp_path: Path) -> None:
    endings = [f"_brain{ending.replace('-', '_')}" for ending in LATER]
    scan(tmp_path / "in", "PatientID_0003_Timepoint_1", endings, "_tumorMask", (1, 2, 3, 4))
    assert list(rows_by_case(tmp_path / "in", label="whole_tumour").values()) == [3]
    (case,) = open_source(tmp_path / "in").cases
    assert case.patient == "PatientID_0003"
    assert not open_source(tmp_path / "in").findings


# ---------------------------------------------------------------- masks of other things


@pytest.mark.parametrize("word", ["_brain_seg", "_brain_mask", "_head-seg"])
def test_a_mask_of_the_brain_is_no_truth(tmp_path: Path, word: str) -> None:
    scan(tmp_path / "in", "P1", EARLIER, word, (1,))
    assert "no truth volume of P1" in refusal(tmp_path / "in")


def test_a_tumour_of_the_brain_is_one(tmp_path: Path) -> None:
    scan(tmp_path / "in", "P1", EARLIER, "_brain_tumor_segmentation", (1,))
    assert rows_by_case(tmp_path / "in") == {"P1": 1}


def test_a_mask_of_the_brain_beside_the_truth_is_passed_over(tmp_path: Path) -> None:
    scan(tmp_path / "in", "P1", EARLIER, "_seg", (1, 2, 4))
    save_truth(tmp_path / "in" / "P1" / "P1_brain_seg.nii.gz", (1,) * 20)
    assert rows_by_case(tmp_path / "in") == {"P1": 2}


# ---------------------------------------------------------------- what the labels mean


@pytest.mark.parametrize("labels", [(255,), (1, 2, 3, 4), (1, 2, 5)])
def test_labels_that_are_none_of_brats_are_refused_with_the_cure(tmp_path: Path, labels: Sequence[int]) -> None:
    scan(tmp_path / "in", "P1", EARLIER, "_seg", labels)
    assert refusal(tmp_path / "in").endswith(
        "files of these names have 0, 1, 2, 4; set data.enhancing_label where 3 or 4 means something else here, "
        "data.label_values where others do, or data.mask_threshold=0 where all but 0 is the one region that is asked "
        "for"
    )


def test_a_threshold_makes_one_region_of_all_labels(tmp_path: Path) -> None:
    scan(tmp_path / "in", "P1", EARLIER, "_seg", (1, 3, 255))
    dataset = load(tmp_path / "in", mask_threshold=0)
    assert (32 * dataset.facts[0].foreground, dataset.source.label) == (3, "")
    assert rows_by_case(tmp_path / "in", mask_threshold=1, label="whole_tumour") == {"P1": 2}
    said = "data.mask_threshold makes one region of a mask, but data.regions names 2; leave one of them out"
    assert said in refusal(tmp_path / "in", mask_threshold=0, regions=["whole_tumour", "tumour_core"])


def test_a_scan_that_lacks_a_sequence_does_not_put_the_labels_of_the_others_in_doubt(tmp_path: Path) -> None:
    for number in range(3):
        scan(tmp_path / "in", f"BraTS2021_{number:05d}", EARLIER, "_seg")
    lacking = tmp_path / "in" / "BraTS2021_00001"
    (lacking / "BraTS2021_00001_t1ce.nii.gz").unlink()
    assert refusal(tmp_path / "in").startswith(f"{lacking}: no post_contrast volume of BraTS2021_00001")


def test_a_set_without_any_enhancing_tumour_is_asked_about(tmp_path: Path) -> None:
    for number in range(2):
        scan(tmp_path / "in", f"P{number}", EARLIER, "_seg", (1, 2))
    (found,) = [finding for finding in check(load(tmp_path / "in")) if finding.code == "labels_perhaps_others"]
    assert found.severity == "warning"
    assert found.message == (
        f"{tmp_path / 'in'}: no mask holds 3 or 4, by which BraTS marks enhancing tumour; 1 is read as its core and 2 "
        "as its oedema. Where they mean something else, data.label_values says it, and data.label=whole_tumour is "
        "right for both"
    )
    scan(tmp_path / "in", "P3", EARLIER, "_seg", (1, 2, 4))
    assert "labels_perhaps_others" not in {finding.code for finding in check(load(tmp_path / "in"))}


def test_labels_that_only_labels_tell_are_said(tmp_path: Path) -> None:
    scan(tmp_path / "in", "P1", ("_t1", "_t1c", "_t2", "_flair"), "_seg", (1, 2, 3))
    (found,) = check(load(tmp_path / "in"))
    assert (found.severity, found.code) == ("warning", "labels_perhaps_others")
    assert found.message == (
        f"{tmp_path / 'in'}: no name says what the labels mean; they are read as BraTS's since 2023 (1 the core that "
        "does not enhance, 2 oedema, 3 enhancing). Where this is right say data.enhancing_label=3; else "
        "data.label_values says what they mean"
    )
    assert not check(load(tmp_path / "in", enhancing_label=3))
    scan(tmp_path / "ucsf", "UCSF-PDGM-0004", ("_T1", "_T1c", "_T2", "_FLAIR"), "_tumor_segmentation", (1, 2, 3))
    assert not check(load(tmp_path / "ucsf"))


# ---------------------------------------------------------------- what is left out, and what is lacking


@pytest.mark.parametrize("folder", ["MICCAI_BraTS2020_ValidationData", "BraTS-GLI-Challenge-ValidationData", "testing"])
def test_scans_of_a_public_part_without_truths_are_left_out(tmp_path: Path, folder: str) -> None:
    scan(tmp_path / "in" / "TrainingData", "BraTS2021_00001", EARLIER, "_seg")
    for number in (2, 3):
        scan(tmp_path / "in" / folder, f"BraTS2021_{number:05d}", EARLIER, "_seg").unlink()
    assert list(rows_by_case(tmp_path / "in")) == ["BraTS2021_00001"]
    (note,) = open_source(tmp_path / "in").findings
    assert (note.severity, note.code) == ("info", "without_truth")
    assert note.message == (
        f"{tmp_path / 'in'}: 2 scans of validation or test left out, without a truth (for example BraTS2021_00002)"
    )
    (tmp_path / "in" / folder).rename(tmp_path / "in" / "other")
    assert "no truth volume of BraTS2021_00002" in refusal(tmp_path / "in")


def test_a_truth_in_another_format_is_named(tmp_path: Path) -> None:
    truth = scan(tmp_path / "in", "P1", EARLIER, "_seg")
    other = truth.with_name("P1_seg.mgz")
    truth.rename(other)
    assert refusal(tmp_path / "in").endswith(
        f"{other}: volumes of this format are not read; save them as NIfTI (.nii.gz)"
    )


def test_a_sequence_that_a_set_lacks_is_said_with_those_it_has(tmp_path: Path) -> None:
    scan(tmp_path / "in", "P1", ("_flair", "_t2"), "_seg", (1,))
    assert refusal(tmp_path / "in").endswith(
        "no post_contrast volume of P1 (a name that ends in t1ce or t1c or t1gd or t1ce_bias or t1c_bias); it has "
        "t2 and flair: choose what all scans have as data.channels (one as data.channel), or leave it out: "
        "data.leave_out=P1"
    )


def test_volumes_of_unknown_names_are_told_of_the_table(tmp_path: Path) -> None:
    save_volume(tmp_path / "in" / "P1" / "a.nii.gz", [IMAGE] * 2)
    assert refusal(tmp_path / "in").endswith("or a CSV that lists them (id, patient, image_flair, image_t1c, mask)")
