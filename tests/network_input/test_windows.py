"""What a network sees of pictures and volumes, and how its answers come back."""

from typing import Literal

import numpy as np
import pytest

from tumorline.geometry.grid import Grid
from tumorline.geometry.slices import from_slices, plane_of, to_slices
from tumorline.model_info import InputSpec
from tumorline.network_input import fit
from tumorline.network_input.normalise import normalise_volume
from tumorline.network_input.windows import prepare_input


def _volume(channels: int = 2, depth: int = 5) -> np.ndarray:
    random = np.random.default_rng(0)
    return (random.random((channels, depth, 12, 16)) + np.linspace(0, 9, 16)).astype(np.float32)


def test_a_picture_is_one_window_as_fit_makes_it() -> None:
    image = _volume()[:, 0]
    found = prepare_input(image, 16, InputSpec())
    square, placement = fit.to_network(image, 16)
    assert np.array_equal(found.planes[:, 0], square)
    assert np.array_equal(found.batch([0])[0], square)
    answer = np.random.default_rng(1).random((1, 3, 16, 16), np.float32)
    assert np.array_equal(found.to_native(answer), fit.to_native(answer[0], placement))


def test_a_volume_is_its_axial_slices_from_the_feet_up() -> None:
    image = _volume()
    found = prepare_input(image, 16, InputSpec())
    for number in range(5):
        assert np.array_equal(found.planes[:, number], fit.to_network(image[:, number], 16)[0])
    answer = np.random.default_rng(1).random((5, 3, 16, 16), np.float32)
    back = found.to_native(answer)
    assert back.shape == (3, 5, 12, 16)
    assert np.array_equal(back[:, 3], fit.to_native(answer[3], found.placement))


def test_neighbours_are_channels_slice_by_slice_and_the_ends_are_repeated() -> None:
    found = prepare_input(_volume(), 16, InputSpec(context=1))
    low, middle, high = (found.planes[:, number] for number in (0, 1, 2))
    first, second = found.batch([0, 1])
    assert np.array_equal(first, np.concatenate([low, low, middle]))
    assert np.array_equal(second, np.concatenate([low, middle, high]))


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_a_volume_goes_to_slices_and_back_where_it_was(axis: str) -> None:
    volume = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert np.array_equal(from_slices(to_slices(volume, axis), axis), volume)


def test_coronal_slices_go_from_front_to_back_and_sagittal_ones_from_right_to_left_with_the_top_up() -> None:
    volume = np.arange(3 * 4 * 5).reshape(3, 4, 5)
    for up, back, left in ((2, 0, 0), (0, 1, 3)):
        assert to_slices(volume, "coronal")[back, 2 - up, left] == volume[up, back, left]
        assert to_slices(volume, "sagittal")[left, 2 - up, back] == volume[up, back, left]


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_answers_of_slices_come_back_into_the_volume(axis: Literal["axial", "coronal", "sagittal"]) -> None:
    image = np.zeros((1, 8, 16, 16), np.float32)
    image[0, 2:4, 3:6, 8:12] = 5
    found = prepare_input(image, 16, InputSpec(axis=axis))
    seen = found.planes.swapaxes(0, 1)  # as if the network answered what it sees
    back = found.to_native((seen > 0.5).astype(np.float32))
    assert np.array_equal(back > 0.5, image > 0)


SPACED = {"axial": (2.0, 1.0, 1.5), "coronal": (1.5, 2.0, 1.0), "sagittal": (1.5, 1.0, 2.0)}
"""Spacing in mm (slices, rows, columns) of which slices in each direction have pixels of two sides, 1 and 1.5."""


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("normalisation", ["picture", "volume"])
def test_slices_of_a_volume_get_square_pixels(
    axis: Literal["axial", "coronal", "sagittal"], normalisation: Literal["picture", "volume"]
) -> None:
    """A block of as many mm along each axis is a square in each slice that crosses it."""
    spacing = SPACED[axis]
    sides = [round(48 / side) for side in spacing]
    image = np.zeros((1, *sides), np.float32)
    block = image[0][tuple(slice(round(12 / side), round(36 / side)) for side in spacing)]
    block[:] = np.random.default_rng(0).uniform(5, 6, block.shape)
    seen = prepare_input(image, 48, InputSpec(axis=axis, normalisation=normalisation), spacing)
    middle = seen.planes[0, seen.count // 2]
    bright = middle > (middle.min() + np.median(middle[middle > 0])) / 2
    rows, columns = (np.flatnonzero(bright.any(axis)) for axis in (1, 0))
    assert (len(rows), len(columns)) == (24, 24)
    truth = seen.truth(image > 0)
    assert truth[seen.count // 2, 0].sum() == 24 * 24
    assert np.array_equal(seen.to_native(truth.astype(np.float32)) >= 0.5, image > 0)


def test_slices_that_show_nothing_are_blank() -> None:
    image = _volume(depth=4)
    image[:, 1] = 7
    found = prepare_input(image, 16, InputSpec())
    assert found.blanks.tolist() == [False, True, False, False]
    assert (found.shown, found.blank) == ([0, 2, 3], False)
    assert prepare_input(np.zeros((1, 3, 8, 8), np.float32), 16, InputSpec()).blank


def test_a_volume_is_normalised_over_its_head() -> None:
    """Among 512 voxels of it one is far brighter and one far darker than the rest, and is clipped."""
    channel = np.zeros((4, 20, 24), np.float32)
    channel[1:3, 2:18, 4:20] = 5000 + np.random.default_rng(0).normal(0, 50, (2, 16, 16))
    channel[1, 5, 7], channel[2, 9, 6] = 9999, 1
    normal = normalise_volume(channel)
    head = channel > 0
    assert np.abs(normal).max() < 4
    assert normal[head].mean() == pytest.approx(0, abs=1e-4)
    assert normal[head].std() == pytest.approx(1, abs=1e-4)
    assert np.all(normal[~head] == normal[head].min())
    assert np.allclose(normal, normalise_volume(channel * 30), atol=1e-4)


def test_a_head_around_which_all_is_zero_may_have_darker_voxels() -> None:
    channel = np.zeros((4, 8, 8), np.float32)
    channel[1:3, 2:6, 2:6] = np.random.default_rng(0).normal(0, 1, (2, 4, 4))
    assert normalise_volume(channel)[0, 0, 0] == normalise_volume(channel).min()


@pytest.mark.parametrize("value", [0.0, 3.0, np.nan])
def test_a_volume_of_one_value_becomes_zeros(value: float) -> None:
    assert not normalise_volume(np.full((2, 4, 4), value, np.float32)).any()


def test_a_volume_that_is_normalised_as_one_keeps_the_differences_between_its_slices() -> None:
    image = np.zeros((1, 4, 16, 16), np.float32)
    image[0, 1, 4:12, 4:12], image[0, 2, 4:12, 4:12] = 100, 300
    planes = prepare_input(image, 16, InputSpec(normalisation="volume")).planes[0]
    assert planes[1].max() < planes[2].max()
    assert planes[0].min() == planes[3].max() == planes.min()


@pytest.mark.parametrize(
    ("spacing_mm", "wanted", "expected"),
    [
        (None, "axial", "axial"),
        ((1.0, 1.0, 1.0), "axial", "axial"),
        ((6.0, 0.7, 0.7), "axial", "axial"),
        ((0.7, 6.0, 0.7), "axial", "coronal"),
        ((0.7, 0.7, 6.0), "axial", "sagittal"),
        ((0.7, 0.7, 1.4), "axial", "axial"),
        ((6.0, 0.7, 0.7), "coronal", "axial"),
        ((0.7, 6.0, 0.7), "coronal", "coronal"),
    ],
)
def test_a_volume_is_cut_as_it_was_acquired_where_pixels_would_be_long(
    spacing_mm: tuple[float, ...] | None, wanted: str, expected: str
) -> None:
    assert plane_of(Grid((9, 9, 9), spacing_mm), wanted) == expected


@pytest.mark.parametrize(
    ("space", "wanted", "expected"),
    [
        ((1, 9, 9), "coronal", "axial"),
        ((9, 1, 9), "axial", "coronal"),
        ((9, 9, 1), "axial", "sagittal"),
        ((9, 1, 1), "coronal", "coronal"),
        ((9, 9), "coronal", "coronal"),
    ],
)
def test_a_volume_of_one_slice_is_seen_as_that_slice_however_thin(
    space: tuple[int, ...], wanted: str, expected: str
) -> None:
    assert plane_of(Grid(space), wanted) == expected
    assert plane_of(Grid(space, (1.0,) * len(space)), wanted) == expected
