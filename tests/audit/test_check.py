from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests import sources
from tests.conftest import PairFolder, Program, blob
from tests.sources import save
from tumorline.audit.case_findings import find_unusable
from tumorline.audit.check import as_json, check, stop_on_errors
from tumorline.config import DataConfig, SplitConfig
from tumorline.data.dataset import load_dataset
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError


def codes(folder: Path, mask_threshold: float | None = None) -> dict[str, str]:
    settings = DataConfig(mask_threshold=mask_threshold)
    return {finding.code: finding.severity for finding in check(load_dataset(folder, settings))}


def test_a_clean_folder_has_no_findings(pair_folder: PairFolder) -> None:
    assert codes(pair_folder()) == {}


def test_a_picture_without_a_partner_is_an_error(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    (folder / "masks" / "s003.png").unlink()
    (folder / "images" / "s004.png").unlink()
    findings = [f for f in check(load_dataset(folder, DataConfig())) if f.code == "unpaired"]
    assert [Path(finding.files[0]).name for finding in findings] == ["s003.png", "s004.png"]
    assert {finding.severity for finding in findings} == {"error"}


def test_a_truncated_file_is_an_error(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    path = folder / "images" / "s002.png"
    path.write_bytes(path.read_bytes()[:200])
    assert codes(folder) == {"unreadable": "error"}


def test_a_damaged_channel_is_the_file_of_its_finding(tmp_path: Path) -> None:
    flair = sources.brats(tmp_path, 1) / "BraTS2021_00000" / "BraTS2021_00000_flair.nii.gz"
    dataset = load_dataset(tmp_path, DataConfig(channels=("post_contrast", "flair")))
    assert find_unusable(dataset) == []
    content = flair.read_bytes()
    flair.write_bytes(content[:-20] + bytes(20))
    (found,) = find_unusable(load_dataset(tmp_path, DataConfig(channels=("post_contrast", "flair"))))
    assert (found.files, found.message.startswith(f"{flair}: ")) == ((str(flair),), True)


def test_names_that_differ_in_their_last_words_alone_are_a_warning(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    names = [f"P{number // 2}-{'erste' if number % 2 else 'zweite'}" for number in range(20)]
    rows = [f"s{number:03d},{name}" for number, name in enumerate(names)]
    (folder / "patients.csv").write_text("\n".join(["id,patient", *rows]) + "\n")
    (found,) = check(load_dataset(folder, DataConfig()))
    assert (found.code, found.severity) == ("visits_perhaps", "warning")
    assert found.message.startswith(
        f"{folder}: 20 names of patients differ in their last words or numbers alone, as 'P0-erste' a"
    )
    assert "where they are visits, say so in a patients.csv (id, patient)" in found.message


def test_names_that_differ_in_their_last_numbers_alone_are_a_warning(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    rows = [f"s{number:03d},P{number // 5}_{number % 5}" for number in range(20)]
    (folder / "patients.csv").write_text("\n".join(["id,patient", *rows]) + "\n")
    (found,) = check(load_dataset(folder, DataConfig()))
    assert (found.code, found.severity) == ("visits_perhaps", "warning")
    assert "20 names of patients differ in their last words or numbers alone, as 'P0_0' and 'P0_1' do" in found.message


def test_a_pair_of_different_size_stops_with_both_sizes(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    Image.fromarray(np.eye(16, dtype=np.uint8)).save(folder / "masks" / "s002.png")
    with pytest.raises(UserError, match=r"s002\.png: image 32 x 32, mask 16 x 16"):
        stop_on_errors(check(load_dataset(folder, DataConfig())))


def test_a_mask_with_three_values_stops_with_the_values(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    Image.fromarray(np.resize(np.array([0, 7, 9], np.uint8), (32, 32))).save(folder / "masks" / "s002.png")
    with pytest.raises(UserError, match=r"s002\.png: mask holds the values \{0, 7, 9\}"):
        stop_on_errors(check(load_dataset(folder, DataConfig())))


def test_images_and_masks_that_were_swapped_are_told_so(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    (folder / "images").rename(folder / "other")
    (folder / "masks").rename(folder / "images")
    (folder / "other").rename(folder / "masks")
    with pytest.raises(UserError, match=r"images/s000\.png holds two values alone: are images and masks swapped\?"):
        stop_on_errors(check(load_dataset(folder, DataConfig())))


def test_suspicious_masks_and_images_are_warnings(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    flat = Image.fromarray(np.full((32, 32), 90, np.uint8))
    most = np.ones((32, 32), np.uint8)
    most[:8] = 0
    pair_folder.add("s000", flat, Image.fromarray(np.zeros((32, 32), np.uint8)))
    pair_folder.add("s001", Image.open(folder / "images" / "s001.png"), Image.fromarray(most))
    assert codes(folder) == {"constant": "warning", "empty": "warning", "over_half": "warning"}


def test_images_in_colour_are_a_warning_and_grey_ones_as_rgb_are_none(pair_folder: PairFolder) -> None:
    folder = pair_folder(encoding="grey RGB")
    drawn = np.stack([np.asarray(Image.open(folder / "images" / "s003.png"))] * 3, -1)
    Image.fromarray(drawn).save(folder / "images" / "s003.png")
    assert codes(folder) == {}
    drawn[4, 4:9] = (255, 0, 0)
    Image.fromarray(drawn).save(folder / "images" / "s003.png")
    (finding,) = check(load_dataset(folder, DataConfig()))
    assert (finding.code, finding.severity) == ("coloured", "warning")
    assert finding.message == (
        f"{folder}/images/s003.png: 1 of 20 images are in colour, which is read as luminance; outlines drawn into them "
        "would give the tumours away, so give the images without, in grey"
    )


def test_masks_saved_with_loss_are_read_and_told(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    exact = load_dataset(folder, DataConfig())
    for path in sorted((folder / "masks").iterdir())[:3]:
        Image.open(path).convert("L").save(path.with_suffix(".jpg"), quality=75)
        path.unlink()
    dataset = load_dataset(folder, DataConfig())
    assert [fact.mask_hash for fact in dataset.facts] == [fact.mask_hash for fact in exact.facts]
    (finding,) = check(dataset)
    assert (finding.code, finding.severity, len(finding.files)) == ("lossy_masks", "warning", 3)
    assert finding.message.startswith(f"{folder}/masks/s000.jpg: 3 of 20 masks were saved with loss (JPEG); ")
    assert "lossy_masks" not in codes(folder, mask_threshold=127)


def test_pictures_that_are_turned_without_their_masks_are_told(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind, names in (("images", ("s003", "s004")), ("masks", ("s004",))):
        for path in (folder / kind / f"{name}.png" for name in names):
            stored = np.ascontiguousarray(np.rot90(np.asarray(Image.open(path).convert("L"))))
            Image.fromarray(stored).save(path, exif=exif)
    (finding,) = check(load_dataset(folder, DataConfig()))
    assert (finding.code, finding.severity) == ("turned_alone", "warning")
    assert finding.message.startswith(f"{folder}/images/s003.png: 1 of 20 images are turned as their EXIF orientation")


def test_unknown_patients_and_duplicates_are_warnings(pair_folder: PairFolder) -> None:
    folder = pair_folder(with_patients=False)
    Image.open(folder / "images" / "s000.png").save(folder / "images" / "s001.png")
    assert codes(folder) == {"patients_unknown": "warning", "duplicate": "warning"}


def copy_images(folder: Path, *names: str) -> None:
    """The image of the first name under the others too."""
    for name in names[1:]:
        Image.open(folder / "images" / f"{names[0]}.png").save(folder / "images" / f"{name}.png")


def test_equal_images_are_one_line_with_those_of_several_patients_first(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    copy_images(folder, "s000", "s001")
    copy_images(folder, "s002", "s003", "s004")
    (finding,) = check(load_dataset(folder, DataConfig()))
    assert finding.message == (
        f"{folder}/images/s002.png: exact duplicate of s003.png, s004.png under different patients; 2 groups of exact "
        "duplicates (1 under different patients), see 'pairs' of --json"
    )
    assert len(finding.files) == 5


def test_equal_images_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for number, name in enumerate(("a/x", "a/y", "b/x", "b/z")):
        image, mask = blob(32, number % 2)
        save(tmp_path / f"{name}.png", image)
        save(tmp_path / f"{name}_mask.png", mask)
    (message,) = [f.message for f in check(load_dataset(tmp_path, DataConfig())) if f.code == "duplicate"]
    assert message.startswith(f"{tmp_path}/a/x.png: exact duplicate of b/x.png; 2 groups of exact duplicates")


@pytest.mark.parametrize("copy", ["other", "one/again", "one"])
def test_a_folder_that_is_a_copy_of_another_is_one_line(tmp_path: Path, copy: str) -> None:
    one = tmp_path / "one"
    for number in range(3):
        for below in (one, tmp_path / copy / "set"):
            image, mask = blob(32, number)
            save(below / f"p{number}" / "x.png", image)
            save(below / f"p{number}" / "y.png", np.zeros_like(image))
            save(below / f"p{number}" / "y_mask.png", mask)
            save(below / f"p{number}" / "x_mask.png", mask)
    others = {"patients_unknown", "constant"}
    (finding,) = [f for f in check(load_dataset(tmp_path, DataConfig())) if f.code not in others]
    assert (finding.code, finding.severity, len(finding.files)) == ("folder_twice", "warning", 6)
    assert finding.message == (
        f"{tmp_path}/{copy}/set: all 3 images are equal to those of the same names in {one}; keep one of the two "
        "folders, or give one of them as the source"
    )


def test_several_folders_that_are_copies_are_one_line(tmp_path: Path) -> None:
    for number in range(6):
        image, mask = blob(32, number)
        for patient in (f"p{number // 2}", f"q{number // 2}"):
            save(tmp_path / patient / f"{number}.png", image)
            save(tmp_path / patient / f"{number}_mask.png", mask)
    (message,) = [f.message for f in check(load_dataset(tmp_path, DataConfig())) if f.code != "patients_unknown"]
    assert message.startswith(f"{tmp_path}/q0: all 2 images are equal to those of the same names in {tmp_path}/p0; ")
    assert message.endswith("; 2 more folders are there twice")


def test_equal_images_on_two_sides_of_a_split_are_one_line(pair_folder: PairFolder, tmp_path: Path) -> None:
    folder = pair_folder(patients=4, slices=1)
    copy_images(folder, "s000", "s001")
    copy_images(folder, "s002", "s003")
    table = tmp_path / "split.csv"
    table.write_text("id,split\ns000,train\ns001,test\ns002,validation\ns003,train\n")
    dataset = load_dataset(folder, DataConfig())
    findings = check(dataset, split_dataset(dataset, SplitConfig(file=str(table))))
    (message,) = [finding.message for finding in findings if finding.code == "duplicate_crosses"]
    assert message == (
        f"{folder}/images/s000.png: equal to s001.png, but they are in test and train; 2 groups of equal images lie on "
        "two sides of the split"
    )


def test_the_json_lists_exact_pairs(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    Image.open(folder / "images" / "s000.png").convert("RGB").save(folder / "images" / "s005.png")
    dataset = load_dataset(folder, DataConfig())
    result = as_json(dataset, check(dataset))
    assert (result["schema_version"], result["cases"], result["patients"]) == (1, 20, 10)
    assert [(pair["a"], pair["b"], pair["kind"]) for pair in result["pairs"]] == [("s000", "s005", "exact")]


@pytest.mark.parametrize("stages", [4, 1])
def test_stages_of_a_disease_are_nobodys_names(tmp_path: Path, stages: int) -> None:
    for number in range(16):
        name = f"stage{number % stages + 1}/scan_{number // stages + 1}"
        image, mask = blob(32, number)
        save(tmp_path / f"{name}.png", image)
        save(tmp_path / f"{name}_mask.png", mask)
    dataset = load_dataset(tmp_path, DataConfig())
    assert [finding.code for finding in check(dataset)] == ["patients_unknown"]
    assert set(split_dataset(dataset, SplitConfig()).parts.values()) == {"train", "validation", "test"}


def test_a_patient_on_both_sides_of_a_given_split_is_an_error(pair_folder: PairFolder, tmp_path: Path) -> None:
    folder = pair_folder(patients=3, slices=2)
    table = tmp_path / "split.csv"
    table.write_text("id,split\ns000,train\ns001,test\ns002,validation\ns003,validation\n")
    dataset = load_dataset(folder, DataConfig())
    split = split_dataset(dataset, SplitConfig(file=str(table)))
    with pytest.raises(UserError, match="patient P0-00 is in test and train"):
        stop_on_errors(check(dataset, split))


def test_blank_slices_in_several_parts_are_no_duplicates(pair_folder: PairFolder, tmp_path: Path) -> None:
    folder = pair_folder(patients=3, slices=2)
    pair_folder.blank("s000", "s002", "s004")
    table = tmp_path / "split.csv"
    table.write_text("patient,split\nP0-00,train\nP0-01,test\nP0-02,validation\n")
    dataset = load_dataset(folder, DataConfig())
    findings = check(dataset, split_dataset(dataset, SplitConfig(file=str(table))))
    assert {finding.code for finding in findings} == {"constant", "empty", "few_patients"}


def test_mixed_sizes_are_told(real_data: Path) -> None:
    dataset = load_dataset(real_data / "cheng_png", DataConfig())
    messages = [finding.message for finding in check(dataset) if finding.code == "mixed_sizes"]
    assert "24 of 512 x 512, 3 of 256 x 256" in messages[0]


@pytest.mark.parametrize(("patients", "parts"), [(10, ["validation", "test"]), (60, [])])
def test_parts_of_few_patients_are_warned_of(patients: int, parts: list[str], pair_folder: PairFolder) -> None:
    dataset = load_dataset(pair_folder(patients=patients, slices=1, size=16), DataConfig())
    split = split_dataset(dataset, SplitConfig(train=0.8))
    said = [finding.message for finding in check(dataset, split) if finding.code == "few_patients"]
    assert len(said) == len(parts)
    assert all(f"the {part} part is one patient; give it more" in text for part, text in zip(parts, said, strict=True))


def test_of_many_findings_of_a_kind_some_are_printed_and_all_are_counted(
    pair_folder: PairFolder, program: Program
) -> None:
    source = pair_folder(patients=6)
    for mask in (source / "masks").iterdir():
        Image.fromarray(np.full((32, 32), 7, np.uint8)).save(mask)
    shown = program("data", "check", source).out
    assert shown.count("error [not_binary] ") == 11
    assert "error [not_binary] and 2 more, which --json lists" in shown
    assert "12 errors" in shown
