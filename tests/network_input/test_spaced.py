"""Volumes at the network's spacing and back, and the patches that are drawn from them."""

import numpy as np
import pytest

from tumorline.network_input.patches import PatchPlan, cut_patch, draw_patch, region_places
from tumorline.network_input.spaced import head_box, place_head, resize_volume, to_spaced, truth_to_spaced


def head(space: tuple[int, int, int] = (20, 32, 24)) -> np.ndarray:
    """A ball of 100 with a core of 200 in a black volume, two channels."""
    centre = [side / 2 - 0.5 for side in space]
    away = np.sqrt(
        sum(((at - middle) / side) ** 2 for at, middle, side in zip(np.indices(space), centre, space, strict=True))
    )
    ball = np.where(away < 0.3, 100.0, 0.0) + np.where(away < 0.1, 100.0, 0.0)
    return np.stack([ball, ball / 2]).astype(np.float32)


def test_the_box_holds_the_head_of_every_channel() -> None:
    image = np.zeros((2, 10, 12, 14), np.float32)
    image[0, 4:6, 5:7, 6:8] = 1
    image[1, 5:8, 5:7, 6:8] = 300
    assert head_box(image) == (slice(2, 10), slice(3, 9), slice(4, 10))
    assert head_box(np.zeros((1, 3, 4, 5), np.float32)) == (slice(0, 3), slice(0, 4), slice(0, 5))


def test_the_head_comes_at_the_wanted_spacing_and_normalised() -> None:
    image = head()
    placement = place_head(image, (3.0, 1.0, 1.0), (1.5, 2.0, 2.0))
    sides = [along.stop - along.start for along in placement.box]
    assert placement.spaced == (2 * sides[0], round(sides[1] / 2), round(sides[2] / 2))
    spaced = to_spaced(image, placement)
    assert spaced.shape == (2, *placement.spaced)
    assert np.allclose(spaced[0], spaced[1], atol=1e-4)  # half as bright is the same to the network
    assert np.isfinite(spaced).all()


def test_a_mask_goes_to_the_network_and_back_to_its_place() -> None:
    image = head((20, 40, 40))
    truth = image[:1] > 150
    placement = place_head(image, (2.0, 1.0, 1.0), (2.0, 2.0, 2.0))
    back = placement.to_native(truth_to_spaced(truth, placement).astype(np.float32)) >= 0.5
    dice = 2 * (back & truth).sum() / (back.sum() + truth.sum())
    assert dice > 0.9
    assert np.allclose(np.argwhere(back[0]).mean(0), np.argwhere(truth[0]).mean(0), atol=0.3)


def test_at_its_own_spacing_nothing_is_interpolated() -> None:
    image = head()
    placement = place_head(image, (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
    answer = np.random.default_rng(0).random((3, *placement.spaced), np.float32)
    native = placement.to_native(answer)
    assert np.array_equal(native[(slice(None), *placement.box)], answer)
    assert native.sum() == pytest.approx(answer.sum(), rel=1e-5)


def test_resampling_keeps_a_ramp_and_the_mean() -> None:
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32), (4, 8, 16))
    assert np.allclose(resize_volume(ramp, (4, 8, 8))[0, 0, 1:-1], np.arange(0.5, 16, 2)[1:-1], atol=1e-4)
    assert resize_volume(ramp, (2, 4, 8)).mean() == pytest.approx(7.5, abs=1e-3)


# ---------------------------------------------------------------- patches

PLAN = PatchPlan((8, 8, 8), region_share=1.0)


def starts(plan: PatchPlan, space: tuple[int, ...], truth: np.ndarray, count: int = 200) -> np.ndarray:
    places = region_places(truth)
    return np.array([draw_patch(np.random.default_rng(number), plan, space, places) for number in range(count)])


def test_a_patch_for_a_region_holds_a_voxel_of_it_and_lies_in_the_case() -> None:
    truth = np.zeros((2, 20, 20, 20), bool)
    truth[0, 1, 18, 10] = truth[1, 15, 3, 3] = True
    found = starts(PLAN, (20, 20, 20), truth)
    assert found.min() >= 0
    assert found.max() <= 12
    held = [[truth[region][tuple(slice(at, at + 8) for at in start)].any() for region in (0, 1)] for start in found]
    assert np.any(held, axis=1).all()
    assert 0.35 < np.mean([one[0] for one in held]) < 0.65  # each region has its turn alike


def test_the_stated_share_is_drawn_for_a_region() -> None:
    truth = np.zeros((1, 64, 64, 64), bool)
    truth[0, 60, 60, 60] = True
    found = starts(PatchPlan((8, 8, 8), 0.3), (64, 64, 64), truth, 400)
    held = np.mean([truth[0][tuple(slice(at, at + 8) for at in start)].any() for start in found])
    assert 0.22 < held < 0.4


def test_a_case_smaller_than_the_patch_lies_in_its_middle() -> None:
    image = np.arange(2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4, 1).repeat(20, axis=3)
    start = draw_patch(np.random.default_rng(0), PLAN, (4, 4, 20), region_places(np.zeros((1, 4, 4, 20), bool)))
    assert start[:2] == (-2, -2)
    patch = cut_patch(image, start, (8, 8, 8))
    assert np.array_equal(patch[:, 2:6, 2:6], image[..., :8])
    assert (patch[:, 0] == image.min((1, 2, 3))[:, None, None]).all()


def test_a_case_without_a_region_is_seen_all_over() -> None:
    found = starts(PLAN, (20, 20, 20), np.zeros((1, 20, 20, 20), bool))
    assert found.min() == 0
    assert found.max() == 12


def test_places_of_a_large_region_are_few_and_spread() -> None:
    truth = np.ones((1, 30, 30, 30), bool)
    (places,) = region_places(truth)
    assert 1000 < len(places) <= 2000
    assert np.ptp(places[:, 0]) >= 28
