import numpy as np
import pytest

from tumorline.formats.grey import RANGE_PERCENTILES, grey_range
from tumorline.network_input.fit import Placement, mask_to_network, to_native, to_network


def test_a_wide_image_keeps_its_aspect_and_is_centred() -> None:
    image = np.random.default_rng(0).random((1, 20, 40), np.float32)
    square, placement = to_network(image, 40)
    assert square.shape == (1, 40, 40)
    assert placement.window == (slice(10, 30), slice(0, 40))
    assert np.all(square[0, :10] == square.min())


def test_the_network_sees_mean_zero_and_deviation_one() -> None:
    """Of 1024 pixels one that is far brighter than the rest is clipped, and one that is far darker."""
    image = np.random.default_rng(0).normal(1000, 300, (2, 32, 32)).astype(np.float32)
    image[:, 3, 4], image[:, 20, 9] = 1e6, -1e6
    square, _ = to_network(image, 32)
    assert np.abs(square).max() < 4
    assert np.allclose(square.mean((1, 2)), 0, atol=1e-5)
    assert np.allclose(square.std((1, 2)), 1, atol=1e-4)


def test_a_linear_change_of_the_grey_values_changes_nothing() -> None:
    image = np.random.default_rng(0).random((1, 24, 24), np.float32)
    assert np.allclose(to_network(image, 16)[0], to_network(image * 4000 + 70, 16)[0], atol=1e-3)


def test_a_constant_image_becomes_zeros() -> None:
    assert not to_network(np.full((1, 8, 8), 7, np.float32), 16)[0].any()


def test_a_mask_goes_to_the_network_and_back_where_it_was() -> None:
    mask = np.zeros((30, 60), bool)
    mask[10:20, 20:40] = True
    placement = Placement((30, 60), 120)
    small = mask_to_network(mask, placement)
    assert small.sum() == 4 * mask.sum()
    assert np.array_equal(to_native(small[None].astype(np.float32), placement)[0] >= 0.5, mask)


@pytest.mark.parametrize(("pixel", "inner"), [((2.0, 1.0), (40, 40)), ((1.0, 2.0), (10, 40)), ((1.0, 1.0), (20, 40))])
def test_long_pixels_become_square(pixel: tuple[float, float], inner: tuple[int, int]) -> None:
    image = np.random.default_rng(0).random((1, 20, 40), np.float32)
    square, placement = to_network(image, 40, pixel)
    assert placement.inner == inner
    around = np.ones((40, 40), bool)
    around[placement.window] = False
    assert np.all(square[0][around] == square.min())
    mask = np.zeros((20, 40), bool)
    mask[5:15, 10:30] = True
    fine = Placement((20, 40), 160, pixel)
    assert np.array_equal(to_native(mask_to_network(mask, fine)[None].astype(np.float32), fine)[0] >= 0.5, mask)


@pytest.mark.parametrize("largest", [1, 3, 255, 256, 4095, 65535])
@pytest.mark.parametrize("lowest", [0.0, -1024.0, 0.5])
def test_counted_percentiles_are_numpys_to_the_last_bit(largest: int, lowest: float) -> None:
    random = np.random.default_rng(largest)
    for sides in [(1, 1), (2, 3), (17, 19), (64, 40)]:
        levels = random.integers(0, largest + 1, sides)
        levels[random.random(sides) < 0.3] = 0
        plane = levels.astype(np.float32) + np.float32(lowest)
        expected = np.percentile(plane, RANGE_PERCENTILES)
        assert grey_range(plane) == tuple(expected)
        assert grey_range(plane + np.float32(0.25) * (levels % 2)) == tuple(
            np.percentile(plane + np.float32(0.25) * (levels % 2), RANGE_PERCENTILES)
        )
