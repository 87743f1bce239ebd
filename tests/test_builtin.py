"""The model that comes with the package."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tumorline
from tests.conftest import blob
from tumorline.errors import UserError
from tumorline.listing import headline_figure
from tumorline.model_file import BUILTIN, LISTED, find_model, listed_models, read_info


@pytest.mark.parametrize("name", listed_models())
def test_a_model_of_the_package_is_small_and_holds_no_path_of_a_machine(name: str) -> None:
    folders = (b"/home/", b"/root/", b"/tmp/", b"/src/", b"/runs/", b"/shared/", b"/site-packages/")
    for suffix in (".safetensors", ".onnx", ".md"):
        content = (LISTED / f"{name}{suffix}").read_bytes()
        assert len(content) <= 15_000_000
        assert not [folder for folder in folders if folder in content]


def test_it_says_what_it_is() -> None:
    card = (LISTED / f"{BUILTIN}.md").read_text(encoding="utf-8")
    for words in ("not a\nmedical device", "Jun Cheng et al.", "CC BY 4.0", "figshare 1512427", "95 % interval"):
        assert words in card
    info = read_info(find_model(Path(BUILTIN)))
    assert not info.split.leaking
    assert (info.metrics.headline or {})["headline_status"] == ["out of fold"]


def test_its_dice_is_said_of_the_patients_that_have_a_tumour() -> None:
    info = read_info(find_model(Path(BUILTIN)))
    headline = info.metrics.headline or {}
    tumour = headline["regions"]["tumour"]
    told = tumour.get("dice_of_sources", {"": tumour["dice"]})
    assert sum(dice["patients"] for dice in told.values()) < headline["patients"]  # heads without a tumour have none
    for dice in told.values():
        assert f"on {dice['patients']} patients" in headline_figure(info)
    assert headline_figure(info).endswith(", out of fold")


def test_it_is_the_default_of_predict(tmp_path: Path) -> None:
    Image.fromarray(blob(64, 0)[0]).save(tmp_path / "scan.png")
    (row,) = tumorline.predict(tmp_path / "scan.png", output=tmp_path / "out")
    assert row["error"] is None
    for name in ("scan_mask.png", "scan_overlay.png", "predictions.json", "predictions.csv"):
        assert (tmp_path / "out" / name).is_file()


def test_without_data_it_has_nothing_to_be_evaluated_on() -> None:
    with pytest.raises(UserError, match="it has no test part at hand; give --data SOURCE"):
        tumorline.evaluate()


def test_every_encoding_of_a_slice_gives_the_same_tumour(real_data: Path, tmp_path: Path) -> None:
    grey = Image.open(real_data / "cheng" / "images" / "4.jpg").convert("L")
    grey.save(tmp_path / "grey.png")
    grey.convert("RGB").save(tmp_path / "colour.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 100).save(tmp_path / "deep.png")
    grey.save(tmp_path / "photo.jpg", quality=95)
    rows = tumorline.predict(sorted(tmp_path.glob("*.*")), output=tmp_path / "out", precision="float32")
    masks = {
        name: np.asarray(Image.open(tmp_path / "out" / f"{name}_mask.png")) > 0 for name in ("grey", "colour", "deep")
    }
    assert masks["grey"].any()
    assert (masks["grey"] == masks["colour"]).all()
    assert (masks["grey"] == masks["deep"]).all()
    sizes = [row["tumour_px"] for row in rows]
    assert max(sizes) - min(sizes) < 0.05 * max(sizes)


def part_of_cheng(real_data: Path, folder: Path, part: str, most: int) -> Path:
    """A few slices of one part of the reference split, as a source of their own."""
    with (Path(__file__).parents[1] / "configs" / "splits" / "cheng.csv").open(newline="") as file:
        groups = {row["patient_group"] for row in csv.DictReader(file) if row["split"] == part}
    with (real_data / "cheng" / "patients.csv").open(newline="") as file:
        names = [row["id"] for row in csv.DictReader(file) if row["patient_group"] in groups]
    there = [name for name in names if (real_data / "cheng" / "images" / f"{name}.jpg").is_file()]
    for name in there[:: max(1, len(there) // most)][:most]:
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(real_data / "cheng" / kind / f"{name}.{suffix}", folder / kind / f"{name}.{suffix}")
    return folder


def test_it_refuses_to_be_scored_on_its_training_slices(real_data: Path, tmp_path: Path) -> None:
    source = part_of_cheng(real_data, tmp_path / "train", "train", 6)
    known = r"every case is known to this model from its training \(6 train\): it was trained on all patients"
    stand = r"Its figures out of fold stand in its card \('tumorline models' shows them\): Dice by patient 0\.7"
    with pytest.raises(UserError, match=rf"{known}\. {stand}"):
        tumorline.evaluate(data=source, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_it_finds_most_tumours_of_patients_that_it_has_seen(real_data: Path, tmp_path: Path) -> None:
    source = part_of_cheng(real_data, tmp_path / "test", "test", 12)
    summary = tumorline.evaluate(data=source, output=tmp_path / "out", allow_training_cases=True)
    assert summary["case_status"] == {"train": 12}
    assert summary["regions"]["tumour"]["dice"]["mean_over_cases"] > 0.8


def test_a_simulated_slice_has_the_mask_that_it_had(tmp_path: Path) -> None:
    """`tumorline data simulate` made the slice (seed 7, ten patients of two slices); seven pixels lie near 0.5."""
    golden = Path(__file__).parent / "golden" / "builtin"
    (row,) = tumorline.predict(golden / "slice.png", output=tmp_path / "out")
    expected = np.asarray(Image.open(golden / "expected_mask.png"))
    assert expected.sum() == 154
    assert (np.asarray(Image.open(row["mask"])) != 255 * expected.astype(np.uint8)).sum() <= 5
    assert (row["note"], row["error"]) == (None, None)
