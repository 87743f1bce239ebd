import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from tumorline.metrics.surface import SurfaceDistances, hausdorff, normalised_surface_dice, surface_distances


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


def test_each_side_is_measured_along_its_own_axis() -> None:
    bar = np.zeros((10, 10), bool)
    bar[2:4, 1:8] = True
    lengths = surface_distances(bar, bar, (1, 3)).truth_lengths.sum()
    assert lengths == pytest.approx(2 * 6 * 3 + 2 * 1 * 1 + 4 * np.sqrt(10) / 2)


def test_pixels_that_touch_at_a_corner_have_both_boundaries_there() -> None:
    touching = np.zeros((4, 4), bool)
    touching[1, 1] = touching[2, 2] = True
    for mask in (touching, np.fliplr(touching)):
        lengths = surface_distances(mask, mask, (1, 1)).truth_lengths.sum()
        assert lengths == pytest.approx(8 * np.sqrt(0.5))


def test_a_percentile_is_of_length_and_not_of_elements() -> None:
    """Two elements of length 1 at distance 0 and one of length 8 at distance 5."""
    distances = SurfaceDistances(np.array([0.0, 0, 5]), np.zeros(1), np.array([1.0, 1, 8]), np.ones(1))
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
    distances = SurfaceDistances(np.zeros(1), np.array([0.0, 9]), np.array([2.0]), np.array([3.0, 5]))
    assert normalised_surface_dice(distances, 2) == (2 + 3) / (2 + 8)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (1.0, 3.0), (0.49, 0.7)])
def test_nsd_agrees_with_monai_on_sub_voxel_boundaries(spacing: tuple[float, float]) -> None:
    torch = pytest.importorskip("torch")
    from tumorline.models.torchvision_cure import cure_torchvision

    cure_torchvision()
    monai = pytest.importorskip("monai.metrics")
    random = np.random.default_rng(0)
    for _ in range(8):
        truth, predicted = ndimage.gaussian_filter(random.standard_normal((2, 20, 26)), (0, 2, 2)) > 0.05
        pair = [torch.from_numpy(mask)[None, None].float() for mask in (predicted, truth)]
        expected = monai.compute_surface_dice(
            *pair, [2.0], include_background=True, spacing=list(spacing), use_subvoxels=True
        )
        ours = normalised_surface_dice(surface_distances(truth, predicted, spacing), 2.0)
        assert ours == pytest.approx(expected.item(), abs=1e-6)


def test_masks_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"found \(24, 24\) and \(24, 23\)"):
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
