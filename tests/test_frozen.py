"""What version 0.1.0 wrote is read for ever: `tests/frozen`."""

import json
import shutil
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

import tumorline
from tests.conftest import Program
from tumorline.model_file import read_info

FROZEN = Path(__file__).with_name("frozen") / "0.1.0"


@pytest.fixture
def frozen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to work in; its configurations name the source relative to it."""
    monkeypatch.chdir(shutil.copytree(FROZEN, tmp_path / "0.1.0"))
    return Path()


def mask(path: Path) -> npt.NDArray[np.bool_]:
    return np.asarray(Image.open(path)) > 0


def test_the_model_pair_draws_the_masks_that_it_drew(frozen: Path) -> None:
    masks = sorted((frozen / "run" / "predictions").glob("*.png"))
    pictures = [frozen / "source" / "images" / path.name for path in masks]
    rows = tumorline.predict(pictures, frozen / "run", frozen / "out")
    assert len(rows) == 6
    assert [row["error"] for row in rows] == [None] * 6
    for row, before in zip(rows, masks, strict=True):
        assert np.array_equal(mask(Path(row["mask"])), mask(before)), before.name
    assert any(row["tumour_px"] for row in rows)


def test_the_model_file_says_what_it_said() -> None:
    info = read_info(FROZEN / "run" / "model.safetensors")
    assert (info.name, info.regions, info.image_size) == ("frozen", ["tumour"], 32)
    assert info.temperature == pytest.approx(0.2094, abs=1e-4)
    assert info.threshold == 0.6
    assert {part: len(names) for part, names in info.known_cases.contents.items()} == {
        "train": 10,
        "validation": 2,
        "test": 4,
    }


def test_the_run_is_evaluated_again_to_the_same_figures(frozen: Path) -> None:
    before = json.loads((frozen / "run" / "summary.json").read_text())
    summary = tumorline.evaluate(frozen / "run", output=frozen / "again", trust_paths=True)
    assert summary["case_status"] == {"train": 10, "validation": 2, "test": 4}
    now, then = summary["regions"]["tumour"], before["regions"]["tumour"]
    assert now["dice"]["range"] == pytest.approx(then["dice"]["range"])
    assert now["missed"] == then["missed"]


def test_run_and_evaluation_are_compared(program: Program, frozen: Path) -> None:
    status, out, _ = program("compare", "run", "evaluation", "--output", "compared")
    assert status == 0
    assert "run minus evaluation: Dice -0.020" in out
    assert (frozen / "compared" / "compare.html").is_file()


def test_the_run_is_reported(program: Program, frozen: Path) -> None:
    status, _, _ = program("report", "run", "--trust-paths")
    page = (frozen / "run" / "report.html").read_text()
    assert status == 0
    assert "Dice" in page
    assert 'class="contour truth"' in page


def test_the_ensemble_answers(frozen: Path) -> None:
    picture = frozen / "source" / "images" / "simulated-s3-p003-0.png"
    (row,) = tumorline.predict(picture, frozen / "ensemble.safetensors", frozen / "out")
    assert row["error"] is None
    assert len(read_info(frozen / "ensemble.safetensors").members) == 2


def test_the_state_of_a_training_is_read(frozen: Path) -> None:
    pytest.importorskip("torch")
    weights = (frozen / "trained" / "best.safetensors").read_bytes()
    tumorline.resume(frozen / "trained", test=False, trust_paths=True)
    assert (frozen / "trained" / "best.safetensors").read_bytes() == weights


@pytest.mark.slow
def test_a_run_that_was_not_tested_is_finished(frozen: Path) -> None:
    pytest.importorskip("torch")
    tumorline.resume(frozen / "trained", trust_paths=True)
    assert json.loads((frozen / "trained" / "summary.json").read_text())["case_status"]["test"] == 4
    assert tumorline.load(frozen / "trained").info.name == "frozen"
