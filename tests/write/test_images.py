from pathlib import Path

import numpy as np
from PIL import Image

from tumorline.write.images import (
    PREDICTED_RGB,
    REGIONS_RGB,
    TRUTH_RGB,
    draw_overlay,
    window,
    write_mask,
    write_overlay,
)

MASK = np.zeros((20, 30), bool)
MASK[5:12, 8:20] = True
IMAGE = np.linspace(0, 1000, 600, dtype=np.float32).reshape(20, 30)


def test_a_mask_is_written_as_0_and_255(tmp_path: Path) -> None:
    write_mask(tmp_path / "deep" / "m.png", MASK)
    picture = Image.open(tmp_path / "deep" / "m.png")
    assert picture.mode == "L"
    assert np.array_equal(np.asarray(picture), MASK * 255)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["m.png"]


def test_an_overlay_has_the_images_size_and_outlines_in_two_colours() -> None:
    pixels = draw_overlay(IMAGE, MASK[None], truth=np.roll(MASK, 3, axis=0))
    assert pixels.shape == (20, 30, 3)
    assert tuple(pixels[5, 10]) == PREDICTED_RGB
    assert tuple(pixels[14, 10]) == TRUTH_RGB
    assert len(set(pixels[0, 0].tolist())) == 1


def test_a_window_spreads_the_grey_values_and_takes_constants() -> None:
    assert (window(IMAGE).min(), window(IMAGE).max()) == (0, 255)
    assert not window(np.full((4, 4), 7, np.float32)).any()


def test_regions_within_others_have_colours_of_their_own(tmp_path: Path) -> None:
    inner = np.zeros_like(MASK)
    inner[7:10, 12:16] = True
    for name, masks in (("a", [MASK, inner]), ("b", [inner, MASK])):
        write_overlay(tmp_path / f"{name}.png", IMAGE, np.stack(masks))
    outer_first, inner_first = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in "ab")
    assert (tuple(outer_first[5, 10]), tuple(outer_first[7, 13])) == REGIONS_RGB[:2]
    assert (tuple(inner_first[7, 13]), tuple(inner_first[5, 10])) == REGIONS_RGB[:2]
