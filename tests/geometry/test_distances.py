import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from tumorline.geometry.distances import bounding_box, diagonal, nearest_distance, signed_distance


def test_distances_are_counted_in_the_spacing_of_each_axis() -> None:
    points = np.array([[0, 0], [1, 0], [2, 0], [0, 3], [2, 1]])
    distances = nearest_distance(points, np.array([[0, 0]]), (1, 3))
    assert distances.tolist() == [0, 1, 2, 9, pytest.approx(np.sqrt(2**2 + 3**2))]


def test_the_nearest_of_several_points_counts() -> None:
    points = np.array([[0, column] for column in range(5)])
    assert nearest_distance(points, points[[0, 4]], (1, 1)).tolist() == [0, 1, 2, 1, 0]


def test_equal_steps_are_equally_far_wherever_they_are() -> None:
    """0.4 * 12 - 0.4 * 7 is not 2 in floating point; a tolerance of 2 mm must not depend on that."""
    points = np.arange(40)[:, None]
    assert {float(nearest_distance(points[[n]], points[[n + 5]], (0.4,))[0]) for n in range(35)} == {2.0}


def test_nothing_is_infinitely_far() -> None:
    assert np.isposinf(nearest_distance(np.zeros((3, 2), int), np.zeros((0, 2), int), (1, 1))).all()


def test_volumes_have_distances_too() -> None:
    assert nearest_distance(np.array([[1, 1, 1]]), np.array([[0, 0, 0]]), (2, 3, 6)).tolist() == [7]


def test_the_diagonal_of_an_image() -> None:
    assert diagonal((3, 4), (1, 1)) == 5
    assert diagonal((3, 2), (1, 2)) == 5


def test_a_box_holds_all_of_a_mask_and_no_more() -> None:
    mask = np.zeros((5, 6, 7), bool)
    mask[1, 2, 3] = mask[3, 2, 6] = True
    assert bounding_box(mask) == (slice(1, 4), slice(2, 3), slice(3, 7))
    assert bounding_box(mask[0]) == (slice(0, 0), slice(0, 0))


@pytest.mark.parametrize("shape", [(9, 7), (5, 6, 7)])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.98])
def test_signed_distances_are_those_to_the_nearest_of_the_other_kind(shape: tuple[int, ...], share: float) -> None:
    for seed in range(10):
        mask = np.random.default_rng(seed).random(shape) < share
        if mask.any() and not mask.all():
            expected = distance_transform_edt(~mask) - distance_transform_edt(mask)
            assert np.array_equal(signed_distance(mask), expected)


def test_a_mask_without_a_boundary_has_no_distances() -> None:
    assert not signed_distance(np.zeros((4, 5), bool)).any()
    assert not signed_distance(np.ones((4, 5), bool)).any()
