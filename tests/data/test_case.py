from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ENCODINGS
from tumorline.data.case import Case, image_hash, read_image
from tumorline.data.masks.read import NotBinaryError, mask_hash, read_mask
from tumorline.errors import UserError

MASK = np.zeros((6, 8), bool)
MASK[1:3, 2:5] = True


def save(array: np.ndarray, path: Path) -> Path:
    Image.fromarray(array).save(path)
    return path


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_mask_reads_the_same_in_every_accepted_encoding(tmp_path: Path, encoding: str) -> None:
    ENCODINGS[encoding](MASK).save(tmp_path / "m.png")
    assert np.array_equal(read_mask(tmp_path / "m.png"), MASK)


def test_a_16_bit_and_a_float_mask_are_read(tmp_path: Path) -> None:
    assert np.array_equal(read_mask(save(MASK.astype(np.uint16) * 65535, tmp_path / "m.png")), MASK)
    assert np.array_equal(read_mask(save(MASK.astype(np.float32), tmp_path / "m.tif")), MASK)


def disc(side: int, radius: float) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return np.asarray((rows - 0.4 * side) ** 2 + (columns - 0.6 * side) ** 2 < radius**2)


@pytest.mark.parametrize("quality", [95, 75, 50])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_mask_saved_as_jpeg_is_the_mask_that_was_saved(tmp_path: Path, quality: int, mode: str) -> None:
    for radius in (1, 4, 20):
        mask = disc(96, radius)
        Image.fromarray(mask).convert(mode).save(tmp_path / "m.jpg", quality=quality)
        assert len(np.unique(np.asarray(Image.open(tmp_path / "m.jpg")))) > 2
        assert np.array_equal(read_mask(tmp_path / "m.jpg"), mask)
        Image.fromarray(mask).convert(mode).save(tmp_path / "m.webp", quality=quality)
        assert np.array_equal(read_mask(tmp_path / "m.webp"), mask)


def test_a_jpeg_of_more_than_two_values_is_refused(tmp_path: Path) -> None:
    three = disc(96, 20) * np.uint8(127) + disc(96, 8) * np.uint8(128)
    ramp = np.tile(np.linspace(0, 255, 96).astype(np.uint8), (96, 1))
    faint = disc(96, 20) * np.uint8(9)
    for pixels in (three, ramp, faint, 255 - 60 * disc(96, 20).astype(np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "m.jpg", quality=75)
        with pytest.raises(
            NotBinaryError, match=r"m\.jpg: mask holds .* 0/255 as PNG, as JPEG loses values, or set data"
        ):
            read_mask(tmp_path / "m.jpg")
    Image.fromarray(three).save(tmp_path / "m.jpg", quality=75)
    assert np.array_equal(read_mask(tmp_path / "m.jpg", threshold=64), disc(96, 20))


def test_values_between_are_refused_where_nothing_was_lost(tmp_path: Path) -> None:
    Image.fromarray(disc(96, 20)).convert("L").save(tmp_path / "m.jpg")
    with pytest.raises(NotBinaryError, match="mask holds the values"):
        read_mask(save(np.asarray(Image.open(tmp_path / "m.jpg")), tmp_path / "m.png"))


def test_an_empty_mask_is_accepted(tmp_path: Path) -> None:
    assert not read_mask(save(np.zeros((4, 4), np.uint8), tmp_path / "m.png")).any()


@pytest.mark.parametrize("values", [(0, 128, 255), (1, 2), (0, 1, 2)])
def test_other_values_are_refused_with_file_and_values(tmp_path: Path, values: tuple[int, ...]) -> None:
    array = np.resize(np.array(values, np.uint8), (4, 6))
    path = save(array, tmp_path / "odd.png")
    listed = ", ".join(str(value) for value in values)
    with pytest.raises(NotBinaryError, match=rf"odd\.png: mask holds the values \{{{listed}\}}"):
        read_mask(path)


def test_a_mask_without_background_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotBinaryError, match=r"\{255\}"):
        read_mask(save(np.full((4, 4), 255, np.uint8), tmp_path / "m.png"))


def test_a_coloured_mask_is_refused_with_its_colours(tmp_path: Path) -> None:
    coloured = np.zeros((4, 4, 3), np.uint8)
    coloured[1, 1], coloured[2, 2] = (255, 0, 0), (0, 255, 0)
    path = save(coloured, tmp_path / "m.png")
    with pytest.raises(NotBinaryError, match=r"3 colours \(#000000, #00ff00, #ff0000\).* or set data\.mask_threshold"):
        read_mask(path)
    assert read_mask(path, threshold=100).sum() == 1  # of green's luminance, 150; red's is 76


def test_a_mask_of_one_colour_on_black_is_read_as_its_palette_would_be(tmp_path: Path) -> None:
    mask = np.eye(4, dtype=bool)
    red = mask[..., None] * np.array([255, 0, 0], np.uint8)
    assert np.array_equal(read_mask(save(red, tmp_path / "m.png")), mask)
    assert np.array_equal(read_mask(save(red, tmp_path / "m.bmp")), mask)
    blue_beside_red = np.where(mask[..., None], red, np.array([0, 0, 255], np.uint8))
    with pytest.raises(NotBinaryError, match="2 colours"):
        read_mask(save(blue_beside_red, tmp_path / "b.png"))


def test_a_threshold_accepts_a_smoothed_mask(tmp_path: Path) -> None:
    path = save(np.array([[0, 90], [160, 255]], np.uint8), tmp_path / "m.png")
    assert read_mask(path, threshold=127).tolist() == [[False, False], [True, True]]


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = save(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8), tmp_path / "cut.png")
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UserError, match=r"cut\.png: unreadable or truncated"):
        read_image(Case("cut", (path,)))


def test_several_frames_are_refused(tmp_path: Path) -> None:
    frame = Image.fromarray(np.zeros((4, 4), np.uint8))
    frame.save(tmp_path / "stack.tif", save_all=True, append_images=[frame])
    with pytest.raises(UserError, match="holds 2 frames"):
        read_image(Case("stack", (tmp_path / "stack.tif",)))


def test_a_grey_picture_and_its_rgb_copy_have_one_content_hash(tmp_path: Path) -> None:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    one = read_image(Case("a", (save(grey, tmp_path / "a.png"),)))
    two = read_image(Case("b", (save(np.stack([grey] * 3, -1), tmp_path / "b.bmp"),)))
    assert one.shape == (1, 6, 8)
    assert image_hash(one) == image_hash(two)


def test_the_mask_hash_is_the_published_one(real_data: Path) -> None:
    assert mask_hash(read_mask(real_data / "cheng" / "masks" / "1.png")) == "1faa02e151044f03"
