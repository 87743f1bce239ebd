"""Results that 0.1.0 left without a journal are replaced where the user says so, and nothing else with them."""

import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Program
from tests.strange_models import FROZEN, write_pair

IMAGES = FROZEN / "source" / "images"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An evaluation of 0.1.0, and a model."""
    monkeypatch.chdir(tmp_path)
    write_pair(tmp_path / "model")
    folder = Path(shutil.copytree(FROZEN / "evaluation", "results"))
    for path in folder.rglob("*.*"):
        os.utime(path, (1e9, 1e9))
    return folder


def evaluate(program: Program, *more: str) -> tuple[int, str]:
    outcome = program("evaluate", "model", "--data", FROZEN / "source", "--output", "results", *more)
    return outcome.status, outcome.err


def predict(program: Program, *more: str) -> tuple[int, str]:
    outcome = program("predict", IMAGES, "--model", "model", "--output", "out", *more)
    return outcome.status, outcome.err


def test_an_evaluation_is_replaced_where_the_user_says_so(program: Program, results: Path) -> None:
    before = (results / "summary.json").read_text()
    status, said = evaluate(program)
    assert (status, said.count("\n")) == (2, 1)
    assert "results: holds the results of 'evaluate' already; choose another --output, or replace them with" in said
    assert evaluate(program, "--overwrite") == (0, "")
    assert (results / "summary.json").read_text() != before
    assert (results / "report.html").is_file()


@pytest.mark.parametrize("mine", ["notes.txt", "predictions/mine.png", "corrected"])
def test_what_is_the_users_own_stays(program: Program, results: Path, mine: str) -> None:
    path = next((results / "predictions").iterdir()) if mine == "corrected" else results / mine
    path.write_bytes(b"mine")
    now = time.time() if mine == "corrected" else 1e9
    os.utime(path, (now, now))
    status, said = evaluate(program, "--overwrite")
    assert (status, "which Tumorline did not write" in said) == (2, True)
    assert path.read_bytes() == b"mine"
    assert (results / "summary.json").is_file()


def test_predictions_are_replaced_where_the_user_says_so(program: Program, results: Path) -> None:
    """0.1.0 wrote what this version writes, but for the journal."""
    assert predict(program)[0] == 0
    Path("out/.tumorline.jsonl").unlink()
    status, said = predict(program)
    assert (status, "holds the results of 'predict' already" in said) == (2, True)
    mask = next(Path("out").glob("*_mask.png"))
    Image.new("L", (4, 4)).save(mask)
    os.utime(mask, (1e9, 1e9))
    assert predict(program, "--overwrite")[0] == 0
    assert Image.open(mask).size != (4, 4)
