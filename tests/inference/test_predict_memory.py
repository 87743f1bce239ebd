"""The memory of a predict does not grow with the number of its files."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="asks the system as POSIX does")]
MORE_MIB = 40
"""For the rows of the table and what the system's allocator keeps."""


ASK = """
import subprocess, sys, resource
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
"""A small process between: the peak of a child begins with that of whoever starts it."""


def peak_mib(images: list[Path], output: Path) -> float:
    command = [sys.executable, "-m", "tumorline", "predict", *map(str, images), "--output", str(output)]
    asked = subprocess.run([sys.executable, "-c", ASK, *command], check=True, capture_output=True, text=True)
    return int(asked.stdout) / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def test_ten_times_as_many_pictures_take_no_more_memory(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 255, (512, 512)).astype(np.uint8)
    image[100:400, 100:400] = 200
    paths = [tmp_path / f"{number:03d}.png" for number in range(400)]
    for number, path in enumerate(paths):
        Image.fromarray(np.roll(image, number, axis=0)).save(path)
    few, many = peak_mib(paths[:40], tmp_path / "few"), peak_mib(paths, tmp_path / "many")
    assert many < few + MORE_MIB
    assert many < 1024
