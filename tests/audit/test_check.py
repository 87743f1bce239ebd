from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PairFolder
from tumorline.audit.check import as_json, check, stop_on_errors
from tumorline.config import DataConfig, SplitConfig
from tumorline.data.dataset import load_dataset
from tumorline.data.split import split_dataset
from tumorline.errors import UserError


def codes(folder: Path) -> dict[str, str]:
    return {finding.code: finding.severity for finding in check(load_dataset(folder, DataConfig()))}


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


def test_unknown_patients_and_duplicates_are_warnings(pair_folder: PairFolder) -> None:
    folder = pair_folder(with_patients=False)
    Image.open(folder / "images" / "s000.png").save(folder / "images" / "s001.png")
    assert codes(folder) == {"patients_unknown": "warning", "duplicate": "warning"}


def test_the_json_lists_exact_pairs(pair_folder: PairFolder) -> None:
    folder = pair_folder()
    Image.open(folder / "images" / "s000.png").convert("RGB").save(folder / "images" / "s005.png")
    dataset = load_dataset(folder, DataConfig())
    result = as_json(dataset, check(dataset))
    assert (result["schema_version"], result["cases"], result["patients"]) == (1, 20, 10)
    assert [(pair["a"], pair["b"], pair["kind"]) for pair in result["pairs"]] == [("s000", "s005", "exact")]


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
