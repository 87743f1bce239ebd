"""Augmented versions of a picture are one picture, and stay on one side of a split."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import blob
from tests.sources import save
from tumorline.audit.check import check
from tumorline.config import DataConfig, SplitConfig
from tumorline.data.case import Case
from tumorline.data.dataset import load_dataset
from tumorline.data.splits.augmented_copies import copy_groups
from tumorline.data.splits.split import split_dataset

HASH = "1ab12ab12ab12ab12ab12ab12ab12abc"


def export(name: str, version: int) -> str:
    return f"{name}_jpg.rf.{version}{HASH[1:]}"


def grouped(names: Sequence[str], **patients: str) -> list[list[str]]:
    cases = [Case(name, (Path("set", f"{name}.png"),), patient=patients.get(name)) for name in names]
    return [[case.id for case in group] for group in copy_groups(cases)]


@pytest.mark.parametrize(
    "copies",
    [
        ["x", "x_aug0", "x_aug_1", "x_augmented"],
        ["x", "x_flip", "x_hflip", "x_flip_lr", "x-vertical-flip", "x_flipped"],
        ["x", "x_rot90", "x_rotate_15", "x_rotated", "x_rot-15"],
        ["x", "x_blur", "x_noise2", "x_brightness", "x_mirror", "x_zoom1"],
        ["x", "x_aug1_flip", "aug_x", "aug_x_0_1234", "x_aug_0_1234"],
        [export("x", 0), export("x", 1), f"x_png.rf.{HASH}", f"x.rf.{HASH}"],
        [export("x_flip", 0), export("x", 1)],
        ["a/x", "a/x_aug0"],
        ["images/x", "images/x_aug0"],
        ["train/original/x", "train/augmented/x_aug0"],
    ],
    ids=lambda copies: copies[1],
)
def test_augmented_copies_are_found_by_their_names(copies: list[str]) -> None:
    assert grouped([*copies, "y", "other_1", "other_2"]) == [copies]


def test_copies_whose_picture_is_not_there_are_those_of_one_name() -> None:
    assert grouped(["x_rot90", "x_flip", "y_rot90", "y_flip", "z_flip"]) == [
        ["x_rot90", "x_flip"],
        ["y_rot90", "y_flip"],
    ]
    assert grouped(["aug_0_1234", "aug_0_77", "aug_1_5", "aug_1_777"]) == [
        ["aug_0_1234", "aug_0_77"],
        ["aug_1_5", "aug_1_777"],
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["x", "y", "x_1", "x_2"],
        [f"glioma_aug_{number}" for number in range(9)] + [f"pituitary_aug_{number}" for number in range(9)],
        ["a/x", "b/x_aug0"],
        ["train/x", "test/x"],
        ["August_1", "August_2", "cropping", "P01_t1", "P01_t2"],
        [export("x", 0), export("y", 0)],
        ["x_aug0", "y_aug0"],
    ],
    ids=lambda names: names[0],
)
def test_other_names_are_those_of_different_pictures(names: list[str]) -> None:
    assert grouped(names) == []


def test_copies_are_found_across_parts_but_numbers_that_begin_anew_are_not() -> None:
    assert grouped(["train/scan7", "test/scan7_aug0"]) == [["train/scan7", "test/scan7_aug0"]]
    both = [["train/scan7", "train/scan7_aug0"], ["test/scan7", "test/scan7_aug0"]]
    assert grouped([name for names in both for name in names]) == both
    assert grouped(["train/7", "test/7_aug0"]) == []


def test_a_name_that_several_patients_have_is_of_no_one_picture() -> None:
    assert grouped(["x", "x_aug0"], x="P1", x_aug0="P2") == []
    assert grouped(["x", "x_aug0"], x="P1") == [["x", "x_aug0"]]


def test_a_table_may_call_files_otherwise() -> None:
    cases = [Case(str(number), (Path("set", name),)) for number, name in enumerate(["x.png", "x_aug0.png", "y.png"])]
    assert [[case.id for case in group] for group in copy_groups(cases)] == [["0", "1"]]


def write(folder: Path, names: Sequence[str]) -> Path:
    for number, name in enumerate(names):
        image, mask = blob(32, number)
        save(folder / f"{name}.png", image)
        save(folder / f"{name}_mask.png", mask)
    return folder


def test_copies_stay_on_one_side_and_are_counted(tmp_path: Path) -> None:
    write(tmp_path, [f"s{number}{copy}" for number in range(6) for copy in ("", "_aug0", "_aug1")])
    dataset = load_dataset(tmp_path, DataConfig())
    split = split_dataset(dataset, SplitConfig())
    for number in range(6):
        assert len({split.parts[f"s{number}{copy}"] for copy in ("", "_aug0", "_aug1")}) == 1
    found = [finding for finding in check(dataset, split) if finding.code.startswith("augmented")]
    said = "by their names 18 cases are augmented copies of 6 pictures (for example s0 and s0_aug0); "
    kept = "a split by patient keeps those of one picture in one part"
    assert [(one.severity, one.message) for one in found] == [("warning", f"{tmp_path}: {said}{kept}")]


def test_stated_parts_that_divide_the_copies_of_a_picture_are_an_error_with_its_cure(tmp_path: Path) -> None:
    names = [
        f"{part}/{export(f'scan{number}', version)}"
        for number in range(4)
        for version, part in enumerate(("train", "train", "test" if number == 3 else "train"))
    ]
    dataset = load_dataset(write(tmp_path, [*names, "test/other1", "test/other2"]), DataConfig())
    [found] = [finding for finding in check(dataset) if finding.code == "augmented_copies_cross"]
    assert found.severity == "error"
    assert (
        "are augmented copies of one picture, but are in test and train; the copies of 1 picture lie" in found.message
    )
    assert found.message.endswith("; --set split.stated=false splits anew, by patient")
    anew = check(dataset, split_dataset(dataset, SplitConfig(stated=False)))
    assert "augmented_copies_cross" not in {finding.code for finding in anew}
    by_slice = check(dataset, split_dataset(dataset, SplitConfig(stated=False, by="slice")))
    assert {finding.severity for finding in by_slice if finding.code == "augmented_copies_cross"} == {"warning"}
