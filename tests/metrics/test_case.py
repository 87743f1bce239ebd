import numpy as np
import numpy.typing as npt
import pytest

from tumorline.metrics.case import score_case

SIZE = (30, 40)
EMPTY = np.zeros(SIZE, bool)


def box(top: int, left: int, height: int, width: int) -> npt.NDArray[np.bool_]:
    mask = EMPTY.copy()
    mask[top : top + height, left : left + width] = True
    return mask


def test_a_missed_tumour_counts_zero_and_the_diagonal() -> None:
    scores = score_case(box(3, 3, 5, 5), EMPTY, None)
    assert (scores.dice, scores.nsd, scores.hd95, scores.unit) == (0, 0, 50, "px")
    assert (scores.missed, scores.invented, scores.volume_ratio) == (True, False, None)


def test_the_diagonal_is_in_mm_where_the_spacing_is_known() -> None:
    assert score_case(box(3, 3, 5, 5), EMPTY, (2.0, 2.0)).hd95 == 100


def test_the_unit_follows_the_spacing() -> None:
    tumour = box(3, 3, 5, 5)
    assert (score_case(tumour, tumour, None).unit, score_case(tumour, tumour, (0.5, 0.5)).unit) == ("px", "mm")


@pytest.mark.parametrize(("length", "hd95"), [(2, 0), (4, 2)])
def test_hd95_leaves_a_twentieth_of_the_boundary_out(length: int, hd95: float) -> None:
    """A spike of 2 px has 3.4 of 82 px of boundary; of a spike of 4 px, 3.4 of 86 px lie farther than 2 px out."""
    truth = box(2, 2, 20, 20)
    spiked = truth.copy()
    spiked[12, 22 : 22 + length] = True
    assert score_case(truth, spiked, None).hd95 == hd95


def test_nsd_uses_the_tolerance_that_is_given() -> None:
    truth, shifted = box(3, 3, 8, 8), box(3, 6, 8, 8)
    assert score_case(truth, shifted, None, tolerance=3).nsd == 1
    assert score_case(truth, shifted, None).nsd != 1
    assert score_case(truth, shifted, (0.5, 0.5)).nsd == 1


def test_an_invented_tumour_has_no_dice_but_counts_in_dice_all() -> None:
    scores = score_case(EMPTY, box(3, 3, 5, 5), None)
    assert (scores.dice, scores.hd95, scores.dice_all, scores.invented) == (None, None, 0, True)


def test_two_empty_masks_agree() -> None:
    scores = score_case(EMPTY, EMPTY, None)
    assert (scores.dice, scores.dice_all, scores.missed, scores.invented, scores.accuracy) == (None, 1, False, False, 1)


def test_a_prediction_beside_the_tumour_is_a_miss() -> None:
    scores = score_case(box(0, 0, 5, 5), box(20, 20, 5, 5), None)
    assert scores.missed
    assert not scores.detected
    assert (scores.dice, scores.nsd, scores.hd95) == (0, 0, 50)
    assert scores.volume_ratio == 1


def test_pixel_accuracy_stands_beside_that_of_background() -> None:
    scores = score_case(box(0, 0, 10, 12), box(0, 0, 10, 6), None)
    assert scores.accuracy_background == 0.9
    assert scores.accuracy == 0.95


def test_hd95_never_improves_when_the_tumour_is_missed() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        truth = box(*random.integers(0, 20, 2), *random.integers(1, 10, 2))
        predicted = box(*random.integers(0, 20, 2), *random.integers(1, 10, 2))
        found, missed = score_case(truth, predicted, None).hd95, score_case(truth, EMPTY, None).hd95
        assert found is not None
        assert missed is not None
        assert found <= missed


@pytest.mark.parametrize("border", [0, 25])
def test_a_tumour_at_the_images_edge_is_scored(border: int) -> None:
    assert score_case(box(border, 0, 5, 5), box(border, 2, 5, 5), None).hd95 == 2
