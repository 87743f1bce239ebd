"""What Pillow was told by the program that calls us stays as it was told."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tumorline.formats.decode import read_pixels
from tumorline.formats.pillow_limit import own_limit


def save_picture(path: Path) -> Path:
    Image.fromarray(np.eye(40, dtype=np.uint8)).save(path)
    return path


def test_the_limit_of_the_program_is_neither_ours_nor_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_picture(tmp_path / "one.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with ThreadPoolExecutor(4) as threads:
        assert [pixels.shape for pixels in threads.map(lambda _: read_pixels(path, "image"), range(16))] == 16 * [
            (40, 40)
        ]
    assert Image.MAX_IMAGE_PIXELS == 100


def test_the_limit_comes_back_once_the_last_reader_has_left() -> None:
    before = Image.MAX_IMAGE_PIXELS
    outer, inner = own_limit(), own_limit()
    with outer:
        inner.__enter__()
    assert before != Image.MAX_IMAGE_PIXELS
    inner.__exit__(None, None, None)
    assert before == Image.MAX_IMAGE_PIXELS


def test_bombs_are_still_told_to_a_program_that_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_picture(tmp_path / "one.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.warns(Image.DecompressionBombWarning):
        Image.open(path).close()
