"""A predict that was killed: nothing half-written, started again it does what is left, and the table is the same."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import Program, blob
from tumorline.files import read_csv
from tumorline.output.journal import JOURNAL_NAME

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills a process as only POSIX does")


def pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        Image.fromarray(blob(48, number % 7)[0]).save(folder / f"{number:04d}.png")
    return folder


def killed_after(masks: int, images: Path, output: Path) -> bool:
    """Start predict and kill it once so many masks are there; whether it was before its end."""
    command = [sys.executable, "-m", "tumorline", "predict", str(images), "--output", str(output)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ends = time.monotonic() + 120
    while child.poll() is None and len(list(output.glob("*_mask.png"))) < masks and time.monotonic() < ends:
        time.sleep(0.002)
    is_killed = child.poll() is None
    os.kill(child.pid, signal.SIGKILL) if is_killed else None
    child.communicate()
    return is_killed


def require_whole(output: Path) -> None:
    """Whatever bears a name can be read to its end."""
    for path in output.glob("*.png"):
        with Image.open(path) as image:
            image.load()


def times_done(output: Path) -> Counter[str]:
    lines = [json.loads(line) for line in (output / JOURNAL_NAME).read_text().splitlines() if line.strip()]
    return Counter(line["done"] for line in lines if "done" in line)


def without_folder(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [
        {key: Path(value).name if key in ("mask", "overlay") else value for key, value in row.items()} for row in rows
    ]


def require_same_in_the_end(images: Path, tmp_path: Path, kills: list[int], program: Program) -> None:
    output = tmp_path / "killed"
    hits = 0
    for masks in kills:
        hits += killed_after(masks, images, output)
        require_whole(output)
        is_done = len(list(output.glob("*_mask.png"))) == len(list(images.iterdir()))
        assert is_done or not (output / "predictions.csv").exists(), "it may be killed after its last step"
    assert hits
    assert program("predict", images, "--output", output).status == 0
    assert program("predict", images, "--output", tmp_path / "whole").status == 0
    done = times_done(output)
    assert set(done.values()) == {1}
    assert len(done) == len(list(images.iterdir()))
    assert not list(output.glob(".*.part"))
    tables = [read_csv(folder / "predictions.csv") for folder in (output, tmp_path / "whole")]
    assert without_folder(tables[0]) == without_folder(tables[1])
    for path in (tmp_path / "whole").glob("*.png"):
        assert (output / path.name).read_bytes() == path.read_bytes()


def test_a_predict_that_was_killed_goes_on(tmp_path: Path, program: Program) -> None:
    require_same_in_the_end(pictures(tmp_path / "in", 24), tmp_path, [4], program)


@pytest.mark.slow
def test_a_predict_of_600_files_that_was_killed_five_times_goes_on(tmp_path: Path, program: Program) -> None:
    require_same_in_the_end(pictures(tmp_path / "in", 600), tmp_path, [5, 90, 200, 350, 590], program)
    shutil.rmtree(tmp_path / "in")
