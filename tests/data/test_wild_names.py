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
