"""The memory of a predict does not grow with the number of its files."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="asks the system as POSIX does")]
MORE_MIB = 40
"""For the rows of the table and what the system's allocator keeps."""


def peak_mib(images: list[Path], output: Path) -> float:
    command = [sys.executable, "-m", "tumorline", "predict", *map(str, images), "--output", str(output)]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    assert status == 0
    return used.ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def test_ten_times_as_many_pictures_take_no_more_memory(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (512, 512)).astype(np.uint8)
    image[100:400, 100:400] = 200
    paths = [tmp_path / f"{number:03d}.png" for number in range(400)]
    for number, path in enumerate(paths):
        Image.fromarray(np.roll(image, number, axis=0)).save(path)
    few, many = peak_mib(paths[:40], tmp_path / "few"), peak_mib(paths, tmp_path / "many")
    assert many < few + MORE_MIB
    assert many < 1024
