import numpy as np
import pytest

from tumorline.geometry.distances import MaskArray
from tumorline.metrics.lesion import match_lesions

EMPTY = np.zeros((30, 40), bool)
UNIT = (1.0, 1.0)


def squares(*places: tuple[int, int], side: int = 4) -> MaskArray:
    mask = EMPTY.copy()
    for top, left in places:
        mask[top : top + side, left : left + side] = True
    return mask


def test_each_lesion_is_found_or_missed_and_the_rest_is_invented() -> None:
    """Of three lesions one is found whole and one by half; one component lies where nothing is."""
    truth = squares((0, 0), (0, 20), (20, 0))
    predicted = squares((0, 0), (20, 30))
    predicted[0:4, 20:22] = True
    lesions = match_lesions(truth, predicted)
    assert (len(lesions.matches), lesions.detected, lesions.invented) == (3, 2, 1)
    assert sorted(match.dice for match in lesions.matches) == [0, pytest.approx(2 / 3), 1]
    assert lesions.dice() == pytest.approx((1 + 2 / 3 + 0 + 0) / 4)


def test_a_missed_and_an_invented_lesion_have_the_diagonal_as_hd95() -> None:
    lesions = match_lesions(squares((0, 0), (0, 20)), squares((0, 0), (20, 30)))
    assert lesions.hd95(UNIT, 50) == pytest.approx((0 + 50 + 50) / 3)


def test_the_figures_of_a_slice_without_lesions_are_undefined_whatever_is_invented() -> None:
    for predicted, invented in ((EMPTY, 0), (squares((0, 0), (20, 20)), 2)):
        lesions = match_lesions(EMPTY, predicted)
        assert (lesions.matches, lesions.invented) == ((), invented)
        assert (lesions.dice(), lesions.hd95(UNIT, 50)) == (None, None)


def test_nothing_predicted_misses_every_lesion() -> None:
    lesions = match_lesions(squares((0, 0), (0, 20)), EMPTY)
    assert (len(lesions.matches), lesions.detected, lesions.invented) == (2, 0, 0)
    assert (lesions.dice(), lesions.hd95(UNIT, 50)) == (0, 50)


@pytest.mark.parametrize(("gap", "lesions"), [(1, 1), (6, 1), (7, 2)])
def test_lesions_whose_dilations_touch_are_one(gap: int, lesions: int) -> None:
    """Both grow by 3 pixels: a gap of 6 is filled, in one of 7 a column stays free."""
    assert len(match_lesions(squares((0, 0), (0, 4 + gap)), EMPTY).matches) == lesions


@pytest.mark.parametrize(("gap", "detected"), [(0, 1), (2, 1), (3, 0)])
def test_what_lies_within_three_pixels_belongs_to_a_lesion_with_dice_zero(gap: int, detected: int) -> None:
    lesions = match_lesions(squares((0, 0)), squares((0, 4 + gap)))
    assert (lesions.detected, lesions.invented) == (detected, 1 - detected)
    assert lesions.dice() == 0


def test_pieces_that_touch_at_a_corner_are_one_lesion_and_one_component() -> None:
    diagonal = squares((10, 10), (14, 14))
    lesions = match_lesions(diagonal, diagonal)
    assert (len(lesions.matches), lesions.detected, lesions.invented, lesions.dice()) == (1, 1, 0, 1)
    assert match_lesions(EMPTY, diagonal).invented == 1


def test_a_lesion_is_scored_against_all_that_belongs_to_it() -> None:
    """A lesion of 4 x 12 of which the two ends are found apart."""
    truth = squares((0, 0), (0, 4), (0, 8))
    lesions = match_lesions(truth, squares((0, 0), (0, 8)))
    assert (lesions.detected, lesions.invented) == (1, 0)
    assert lesions.dice() == pytest.approx(2 * 32 / (48 + 32))


def test_a_prediction_across_two_lesions_belongs_to_both() -> None:
    lesions = match_lesions(squares((0, 0), (0, 20)), squares(*((0, left) for left in range(0, 24, 4))))
    assert (lesions.detected, lesions.invented) == (2, 0)
    assert lesions.dice() == pytest.approx(2 * 16 / (16 + 96))


def test_the_distance_of_a_lesion_is_that_of_its_own_boundary() -> None:
    """One lesion exact, one two pixels beside; the spacing is 0.5 mm."""
    lesions = match_lesions(squares((0, 0), (20, 20)), squares((0, 0), (20, 22)))
    assert lesions.hd95((0.5, 0.5), 25) == pytest.approx((0 + 1) / 2)
    assert lesions.hd95((0.5, 0.5), 0.2) == pytest.approx((0 + 0.2) / 2)


def test_cutting_to_the_box_of_both_masks_changes_nothing() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        truth, predicted = (squares(*random.integers(0, 16, (3, 2)), side=3)[:24, :24] for _ in range(2))
        far, cut = (match_lesions(*pair) for pair in ((np.pad(truth, 9), np.pad(predicted, 9)), (truth, predicted)))
        assert (len(far.matches), far.detected, far.invented) == (len(cut.matches), cut.detected, cut.invented)
        assert far.dice() == cut.dice()


def test_voxels_are_connected_over_corners_too() -> None:
    truth = np.zeros((12, 12, 12), bool)
    truth[2, 2, 2] = truth[3, 3, 3] = truth[10, 10, 10] = True
    lesions = match_lesions(truth, truth)
    assert (len(lesions.matches), lesions.detected, lesions.dice()) == (2, 2, 1)
