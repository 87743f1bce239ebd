"""What a model knows of its patients, whatever version wrote it down and however they are called now."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PairFolder, blob
from tests.sources import save_volume
from tumorline.audit.between import compare_sets, load_pictures
from tumorline.config import DataConfig
from tumorline.data.dataset import load_dataset
from tumorline.evaluation.status import case_status
from tumorline.model_file import read_info, save_model
from tumorline.model_info import KnownCases, ModelInfo

FROZEN = Path(__file__).parents[1] / "frozen" / "0.1.0" / "run" / "model.safetensors"


def kept_by_0_1_0(patient: str, namespace: str = "") -> str:
    return sha256(f"patient:{namespace}/{patient}".encode()).hexdigest()[:16]


def model_of_0_1_0(path: Path, trained: list[str], tested: tuple[str, ...] = (), namespace: str = "") -> ModelInfo:
    """A model file that holds the hashes which version 0.1.0 made of these patients' names."""
    parts = {
        "train": [kept_by_0_1_0(name, namespace) for name in trained],
        "validation": [],
        "test": [kept_by_0_1_0(name, namespace) for name in tested],
    }
    known = KnownCases(patients=parts, contents={"train": [], "validation": [], "test": []})
    save_model(path, {"w": np.zeros(1)}, read_info(FROZEN).model_copy(update={"known_cases": known}))
    return read_info(path)


def scans(folder: Path, *names: str) -> Path:
    for number, name in enumerate(names):
        image, mask = blob(32, number)
        for kind in ("t1n", "t1c", "t2w", "t2f"):
            save_volume(folder / name / f"{name}-{kind}.nii.gz", [image])
        save_volume(folder / name / f"{name}-seg.nii.gz", [mask * np.uint8(3)])
    return folder


def pictures(folder: Path, **patients: str) -> Path:
    pairs = PairFolder(folder)
    for number, name in enumerate(patients):
        image, mask = blob(32, number)
        pairs.add(name, Image.fromarray(image), Image.fromarray(mask))
    rows = [f"{name},{patient}" for name, patient in patients.items()]
    (folder / "patients.csv").write_text("\n".join(["id,patient", *rows]) + "\n")
    return folder


@pytest.mark.parametrize(
    ("trained", "now"),
    [
        ("BraTS-GLI-00005-000", "BraTS-GLI-00005-000"),
        ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001"),
        ("BraTS-GLI-00005-117", "BraTS-GLI-00005-001"),
        ("BraTS2021_00005", "BraTS-GLI-00005-001"),
        ("BraTS2021_00758", "BraTS-GLI-00626-000"),
        ("BraTS-GLI-00557-000", "BraTS2021_00639"),
        ("BraTS-MEN-00005-001", "BraTS-MEN-00005-000"),
        ("Brats17_TCIA_105_1", "Brats18_TCIA02_105_1"),
        ("sub-07_ses-1", "sub-07_ses-2"),
    ],
)
def test_a_scan_of_a_patient_of_a_model_of_0_1_0_is_known(tmp_path: Path, trained: str, now: str) -> None:
    info = model_of_0_1_0(tmp_path / "m.safetensors", [trained])
    dataset = load_dataset(scans(tmp_path / "s", now, "BraTS-GLI-01234-000"), DataConfig())
    assert set(case_status(info, dataset).items()) == {
        (now, "train"),
        ("BraTS-GLI-01234-000", "unseen"),
    }


def test_a_visit_that_0_1_0_tested_of_a_patient_that_it_trained_on_is_training(tmp_path: Path) -> None:
    info = model_of_0_1_0(tmp_path / "m.safetensors", ["BraTS-GLI-00005-000"], ("BraTS-GLI-00005-001",))
    dataset = load_dataset(scans(tmp_path / "s", "BraTS-GLI-00005-001"), DataConfig())
    contents = {"train": [], "validation": [], "test": [dataset.facts[0].image_hash]}
    known = info.known_cases.model_copy(update={"contents": contents})
    status = case_status(info.model_copy(update={"known_cases": known}), dataset)
    assert set(status.values()) == {"train"}


@pytest.mark.parametrize(("trained", "now"), [("17", "17.0"), ("17.0", "17"), ("0017", "17"), ("P7", "P7_visit2")])
def test_a_patient_of_a_table_is_known_however_it_is_written_now(tmp_path: Path, trained: str, now: str) -> None:
    info = model_of_0_1_0(tmp_path / "m.safetensors", [trained])
    status = case_status(info, load_dataset(pictures(tmp_path / "s", a=now, b="other"), DataConfig()))
    assert status == {"a": "train", "b": "unseen"}


def test_own_patients_that_0_1_0_put_beside_a_recognised_set_are_known_and_its_numbers_mean_nothing_elsewhere(
    tmp_path: Path,
) -> None:
    info = model_of_0_1_0(tmp_path / "m.safetensors", ["MR-12", "17"], namespace="cheng")
    status = case_status(info, load_dataset(pictures(tmp_path / "s", a="MR-12", b="17"), DataConfig()))
    assert status == {"a": "train", "b": "unseen"}


def test_a_blank_slice_is_not_known_by_its_image(tmp_path: Path) -> None:
    info = model_of_0_1_0(tmp_path / "m.safetensors", ["seen"])
    folder = pictures(tmp_path / "s", a="seen", b="other", c="other")
    PairFolder(folder).blank("a", "b")
    dataset = load_dataset(folder, DataConfig())
    contents = {"train": [dataset.facts[0].image_hash], "validation": [], "test": []}
    known = info.known_cases.model_copy(update={"contents": contents})
    status = case_status(info.model_copy(update={"known_cases": known}), dataset)
    assert status == {"a": "train", "b": "unseen", "c": "unseen"}


def test_what_is_kept_is_one_hash_a_patient_and_found_again(tmp_path: Path) -> None:
    dataset = load_dataset(scans(tmp_path / "s", "A01_1", "A01_2", "A02_1", "A02_2"), DataConfig())
    keys = [dataset.patient_keys(*pair) for pair in zip(dataset.cases, dataset.facts, strict=True)]
    assert [len(each) for each in keys] == [1] * 4
    assert keys[0] == keys[1] != keys[2]


def test_a_single_later_visit_is_known_by_what_comes_before_its_number(tmp_path: Path) -> None:
    names = ["HOSP01_1", "HOSP01_2", "HOSP02_1", "HOSP02_2"]
    seen = load_dataset(scans(tmp_path / "s", *names), DataConfig())
    kept = seen.patient_keys(seen.cases[0], seen.facts[0])
    later = load_dataset(scans(tmp_path / "later", "HOSP01_3"), DataConfig())
    assert kept & later.known_patient_keys(later.cases[0], later.facts[0])


def test_a_patient_of_a_collection_is_known_under_the_name_of_a_table_too(tmp_path: Path) -> None:
    info = model_of_0_1_0(tmp_path / "m.safetensors", ["BraTS-GLI-00005-000"])
    folder = pictures(tmp_path / "s", **{"BraTS2021_00005_70": "p1", "x": "p2"})
    assert case_status(info, load_dataset(folder, DataConfig())) == {"BraTS2021_00005_70": "train", "x": "unseen"}


def test_an_audit_of_two_sets_finds_the_patient_of_another_visit(tmp_path: Path) -> None:
    first = load_pictures(scans(tmp_path / "a", "BraTS-GLI-00005-000", "BraTS-GLI-00006-000"), DataConfig())
    image, _ = blob(32, 99)
    for name in ("BraTS2021_00005_slice_3", "BraTS2021_00005_slice_4", "other"):
        (tmp_path / "b").mkdir(exist_ok=True)
        Image.fromarray(image).save(tmp_path / "b" / f"{name}.png")
    audit = compare_sets(first, load_pictures(tmp_path / "b", DataConfig()))
    assert audit.patients == 1
    assert [(found.code, found.severity) for found in audit.findings] == [("same_patients", "error")]


def test_folders_that_write_a_patient_in_two_ways_hold_one(tmp_path: Path) -> None:
    dataset = load_dataset(scans(tmp_path, "P01_visit1", "p1_visit2", "P02_visit1"), DataConfig())
    assert [case.patient for case in dataset.cases] == ["P01", "P02", "P01"]
