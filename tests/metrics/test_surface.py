import numpy as np
import numpy.typing as npt
import pytest

from tumorline.metrics.surface import hausdorff, normalised_surface_dice, surface_distances


def square(top: int, left: int, side: int = 6, size: int = 24) -> npt.NDArray[np.bool_]:
    mask = np.zeros((size, size), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_a_mask_against_itself_has_distance_zero() -> None:
    distances = surface_distances(square(4, 4), square(4, 4), (1, 1))
    assert hausdorff(distances) == 0
    assert normalised_surface_dice(distances, 0) == 1


def test_the_boundary_of_a_square_has_its_length_with_cut_corners() -> None:
    distances = surface_distances(square(4, 4), square(4, 4), (1, 1))
    assert distances.truth_lengths.sum() == pytest.approx(4 * 5 + 4 * np.sqrt(0.5))
    wide = surface_distances(square(4, 4), square(4, 4), (1, 3))
    assert wide.truth_lengths.sum() == pytest.approx(2 * 5 * 1 + 2 * 5 * 3 + 4 * np.sqrt(10) / 2)


def test_a_shift_of_two_pixels_is_two_pixels_times_the_spacing() -> None:
    truth = square(4, 4)
    assert hausdorff(surface_distances(truth, square(4, 6), (1, 1))) == 2
    assert hausdorff(surface_distances(truth, square(4, 6), (1, 3))) == 6
    assert hausdorff(surface_distances(truth, square(6, 4), (1, 3))) == 2


def test_the_95th_percentile_leaves_out_a_short_spike() -> None:
    spiked = square(4, 4, side=12)
    spiked[10, 16:20] = True
    distances = surface_distances(square(4, 4, side=12), spiked, (1, 1))
    assert hausdorff(distances) == 4
    assert hausdorff(distances, 80) == 0


def test_nsd_counts_what_lies_within_the_tolerance() -> None:
    distances = surface_distances(square(4, 4), square(4, 7), (1, 1))
    assert normalised_surface_dice(distances, 3) == 1
    assert 0 < normalised_surface_dice(distances, 1) < 1


def test_cropping_does_not_change_a_distance() -> None:
    one = surface_distances(square(0, 0), square(17, 18), (1, 1))
    two = surface_distances(np.pad(square(0, 0), 9), np.pad(square(17, 18), 9), (1, 1))
    assert np.allclose(one.from_truth, two.from_truth)
    assert np.allclose(one.from_predicted, two.from_predicted)


def test_a_single_pixel_is_measured() -> None:
    assert hausdorff(surface_distances(square(3, 3, 1), square(3, 8, 1), (2, 2))) == 10


def test_empty_masks_are_refused() -> None:
    with pytest.raises(ValueError, match="an empty mask has no boundary"):
        surface_distances(square(1, 1), square(1, 1, 0), (1, 1))
