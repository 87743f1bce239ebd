import numpy as np
import pytest

from tumorline.geometry import diagonal, distance_to


def test_distances_are_counted_in_the_spacing_of_each_axis() -> None:
    mask = np.zeros((3, 4), bool)
    mask[0, 0] = True
    distances = distance_to(mask, (1, 3))
    assert distances[:, 0].tolist() == [0, 1, 2]
    assert distances[0].tolist() == [0, 3, 6, 9]
    assert distances[2, 1] == pytest.approx(np.sqrt(2**2 + 3**2))


def test_the_nearest_of_several_pixels_counts() -> None:
    mask = np.array([[True, False, False, False, True]])
    assert distance_to(mask, (1, 1)).tolist() == [[0, 1, 2, 1, 0]]


def test_an_empty_mask_is_infinitely_far() -> None:
    assert np.isposinf(distance_to(np.zeros((2, 3), bool), (1, 1))).all()


def test_volumes_have_distances_too() -> None:
    mask = np.zeros((2, 2, 2), bool)
    mask[0, 0, 0] = True
    assert distance_to(mask, (2, 3, 6))[1, 1, 1] == 7


def test_the_diagonal_of_an_image() -> None:
    assert diagonal((3, 4), (1, 1)) == 5
    assert diagonal((3, 2), (1, 2)) == 5
