import numpy as np
import numpy.typing as npt
import pytest

from tumorline.metrics.surface import (
    SurfaceDistances,
    average_surface_distance,
    hausdorff,
    normalised_surface_dice,
    signed_offset,
    surface_distances,
)


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
    assert distances.truth_sizes.sum() == pytest.approx(4 * 5 + 4 * np.sqrt(0.5))
    wide = surface_distances(square(4, 4), square(4, 4), (1, 3))
    assert wide.truth_sizes.sum() == pytest.approx(2 * 5 * 1 + 2 * 5 * 3 + 4 * np.sqrt(10) / 2)


def test_each_side_is_measured_along_its_own_axis() -> None:
    bar = np.zeros((10, 10), bool)
    bar[2:4, 1:8] = True
    lengths = surface_distances(bar, bar, (1, 3)).truth_sizes.sum()
    assert lengths == pytest.approx(2 * 6 * 3 + 2 * 1 * 1 + 4 * np.sqrt(10) / 2)


def test_pixels_that_touch_at_a_corner_have_both_boundaries_there() -> None:
    touching = np.zeros((4, 4), bool)
    touching[1, 1] = touching[2, 2] = True
    for mask in (touching, np.fliplr(touching)):
        lengths = surface_distances(mask, mask, (1, 1)).truth_sizes.sum()
        assert lengths == pytest.approx(8 * np.sqrt(0.5))


def test_a_percentile_is_of_length_and_not_of_elements() -> None:
    """Two elements of length 1 at distance 0 and one of length 8 at distance 5."""
    outside = np.zeros(1, bool)
    distances = SurfaceDistances(np.array([0.0, 0, 5]), np.zeros(1), np.array([1.0, 1, 8]), np.ones(1), outside)
    assert hausdorff(distances, 50) == 5
    assert hausdorff(distances, 20) == 0


def test_a_distance_counts_in_both_directions() -> None:
    truth = square(4, 4)
    extra = truth | square(20, 20, 2)
    for pair in ((truth, extra), (extra, truth)):
        assert hausdorff(surface_distances(*pair, (1, 1))) == pytest.approx(np.hypot(12, 12))


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


def test_nsd_weighs_each_boundary_by_its_own_length() -> None:
    outside = np.zeros(2, bool)
    distances = SurfaceDistances(np.zeros(1), np.array([0.0, 9]), np.array([2.0]), np.array([3.0, 5]), outside)
    assert normalised_surface_dice(distances, 2) == (2 + 3) / (2 + 8)


def test_the_average_weighs_elements_by_size_and_takes_both_boundaries_together() -> None:
    """2 of length at distance 1 and 3 + 5 of length at distances 0 and 4."""
    outside = np.zeros(2, bool)
    distances = SurfaceDistances(np.ones(1), np.array([0.0, 4]), np.array([2.0]), np.array([3.0, 5]), outside)
    assert average_surface_distance(distances) == (2 * 1 + 3 * 0 + 5 * 4) / 10


def test_a_shifted_edge_is_averaged_with_the_edges_that_agree() -> None:
    """Bars across the whole height that end two pixels apart: only the ends differ."""
    short, long = np.zeros((40, 30), bool), np.zeros((40, 30), bool)
    short[:, :10] = long[:, :12] = True
    average = average_surface_distance(surface_distances(short, long, (1, 1)))
    total = (
        surface_distances(short, short, (1, 1)).truth_sizes.sum()
        + surface_distances(long, long, (1, 1)).truth_sizes.sum()
    )
    assert average == pytest.approx(2 * 2 * 40 / total, rel=0.05)


@pytest.mark.parametrize("pixels", [1, 2, 3])
@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 0.5)])
def test_the_offset_is_how_far_a_square_was_grown_or_shrunk(pixels: int, spacing: tuple[float, float]) -> None:
    """A grown square's sides lie that far out, its four corners a little farther; a shrunk one's lie that far in."""
    truth, grown = square(8, 8, 12, 30), square(8 - pixels, 8 - pixels, 12 + 2 * pixels, 30)
    shrunk = square(8 + pixels, 8 + pixels, 12 - 2 * pixels, 30)
    step = pixels * spacing[0]
    assert signed_offset(surface_distances(truth, grown, spacing)) == pytest.approx(step, rel=0.05)
    assert signed_offset(surface_distances(truth, grown, spacing)) >= step
    assert signed_offset(surface_distances(truth, shrunk, spacing)) == pytest.approx(-step)
    assert signed_offset(surface_distances(truth, truth, spacing)) == 0


def test_the_offset_of_a_grown_cube() -> None:
    truth, grown = np.zeros((20, 20, 20), bool), np.zeros((20, 20, 20), bool)
    truth[6:14, 6:14, 6:14] = grown[5:15, 5:15, 5:15] = True
    assert signed_offset(surface_distances(truth, grown, (2, 2, 2))) == pytest.approx(2, rel=0.1)
    assert signed_offset(surface_distances(grown, truth, (2, 2, 2))) == pytest.approx(-2)


def test_too_large_here_and_too_small_there_cancel() -> None:
    """A square shifted by three pixels is 3 out on one side and 3 in on the other: small offset, large average."""
    distances = surface_distances(square(8, 6, 10, 30), square(8, 9, 10, 30), (1, 1))
    assert abs(signed_offset(distances)) < 0.5
    assert average_surface_distance(distances) > 1


def test_two_voxels_four_steps_apart_in_a_volume() -> None:
    one, other = np.zeros((9, 5, 5), bool), np.zeros((9, 5, 5), bool)
    one[1, 2, 2] = other[5, 2, 2] = True
    assert hausdorff(surface_distances(one, other, (3, 1, 1))) == 12


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found \(24, 24\) and \(24, 23\), 2 spacings"):
        surface_distances(square(1, 1), square(1, 1)[:, :23], (1, 1))


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
