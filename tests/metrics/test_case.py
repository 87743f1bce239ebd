from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from tumorline.metrics import case
from tumorline.metrics.case import CaseScores, Pair, score_case, score_cases

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


def test_no_distance_ever_improves_when_the_tumour_is_missed() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        truth = box(*random.integers(0, 20, 2), *random.integers(1, 10, 2))
        predicted = box(*random.integers(0, 20, 2), *random.integers(1, 10, 2))
        found, missed = score_case(truth, predicted, None), score_case(truth, EMPTY, None)
        for name in ("hd95", "average_surface_distance", "lesion_hd95"):
            assert getattr(found, name) <= getattr(missed, name) == 50


@pytest.mark.parametrize("border", [0, 25])
def test_a_tumour_at_the_images_edge_is_scored(border: int) -> None:
    assert score_case(box(border, 0, 5, 5), box(border, 2, 5, 5), None).hd95 == 2


def test_empty_masks_leave_offset_and_lesion_figures_undefined() -> None:
    """Truth and prediction of 5 x 5 pixels in an image whose diagonal is 50."""
    tumour = box(3, 3, 5, 5)
    missed, invented, free = score_cases([Pair(tumour, EMPTY), Pair(EMPTY, tumour), Pair(EMPTY, EMPTY)])
    assert (missed.average_surface_distance, missed.signed_offset) == (50, None)
    assert (missed.lesions_truth, missed.lesions_detected, missed.lesions_invented) == (1, 0, 0)
    assert (missed.lesion_dice, missed.lesion_hd95) == (0, 50)
    assert (invented.average_surface_distance, invented.signed_offset, invented.lesion_dice) == (None, None, None)
    assert (invented.lesions_truth, invented.lesions_detected, invented.lesions_invented) == (0, 0, 1)
    assert (free.lesions_truth, free.lesions_invented, free.lesion_dice, free.lesion_hd95) == (0, 0, None, None)


def test_the_offset_of_a_prediction_elsewhere_is_measured() -> None:
    """Only the pixel's corners count: the nearest is 9 px away from the tumour, the farthest 10 px."""
    tumour, elsewhere = box(0, 0, 10, 1), box(5, 10, 1, 1)
    scores = score_case(tumour, elsewhere, None)
    assert (scores.signed_offset, scores.average_surface_distance) == (9.5, 50)


def test_one_lesion_found_whole_has_the_figures_of_the_case() -> None:
    scores = score_case(box(3, 3, 8, 8), box(3, 6, 8, 8), (0.5, 0.5))
    assert (scores.lesion_dice, scores.lesion_hd95) == (scores.dice, scores.hd95)


def test_a_volume_is_scored_in_mm() -> None:
    """A block of 3 x 4 x 5 voxels, predicted one slice too thick; slices are 3 mm apart, pixels 1 mm."""
    truth, predicted = np.zeros((6, 10, 10), bool), np.zeros((6, 10, 10), bool)
    truth[1:4, 3:7, 3:8] = predicted[1:5, 3:7, 3:8] = True
    scores = score_case(truth, predicted, (3, 1, 1))
    assert (scores.truth_px, scores.predicted_px, scores.volume_ratio) == (60, 80, 4 / 3)
    assert (scores.depth, scores.height, scores.width, scores.unit) == (6, 10, 10, "mm")
    assert (scores.hd95, scores.lesion_hd95) == (3, 3)
    assert score_case(truth, np.zeros_like(truth), (3, 1, 1)).hd95 == pytest.approx(np.sqrt(18**2 + 10**2 + 10**2))
    assert score_case(truth, truth, None).unit == "px"


def test_a_volume_has_figures_in_ml() -> None:
    """60 and 80 voxels of 3 mm3; the spacing's word is taken unless the affine's is given."""
    truth, predicted = np.zeros((6, 10, 10), bool), np.zeros((6, 10, 10), bool)
    truth[1:4, 3:7, 3:8] = predicted[1:5, 3:7, 3:8] = True
    scores = score_case(truth, predicted, (3, 1, 1))
    found = [scores.truth_ml, scores.predicted_ml, scores.volume_error_ml]
    assert found == pytest.approx([0.18, 0.24, 0.06])
    [sheared] = score_cases([Pair(truth, predicted, (3, 1, 1), voxel_ml=0.002)])
    assert [sheared.truth_ml, sheared.predicted_ml] == pytest.approx([0.12, 0.16])
    assert score_case(truth, np.zeros_like(truth), (3, 1, 1)).volume_error_ml == pytest.approx(-0.18)
    assert score_case(truth, predicted, None).truth_ml is None
    assert score_case(truth[2], predicted[2], (1, 1)).truth_ml is None


PAIRS = [Pair(box(3, 3, 5, side), box(4, 4, 5, 5), (1.0, 2.0)) for side in range(1, 5)]
ONE_BY_ONE = [score_case(pair.truth, pair.predicted, pair.spacing_mm) for pair in PAIRS]


def test_many_cases_are_scored_as_one_by_one_and_asked_for_one_by_one() -> None:
    asked = []

    def pairs() -> Iterator[Pair]:
        for number, pair in enumerate(PAIRS):
            asked.append(number)
            yield pair

    assert score_cases(pairs()) == ONE_BY_ONE
    assert asked == [0, 1, 2, 3]


def test_little_work_is_done_without_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "ProcessPoolExecutor", None)
    assert score_cases(PAIRS, processes=2) == ONE_BY_ONE


@pytest.mark.slow
def test_processes_give_the_same_scores_in_the_same_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "POOL_AFTER_S", 0)
    assert score_cases(PAIRS, processes=2) == ONE_BY_ONE


def test_the_work_that_was_begun_is_finished_by_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    """One case here, the rest elsewhere; `elsewhere` stands for the processes."""
    elsewhere: list[CaseScores] = []

    def pool(windows: Iterator[case._Window], processes: int) -> list[CaseScores]:
        elsewhere.extend(map(case._score, windows))
        return elsewhere

    monkeypatch.setattr(case, "POOL_AFTER_S", 1e-9)
    monkeypatch.setattr(case, "_score_in_pool", pool)
    assert score_cases(PAIRS, processes=2) == ONE_BY_ONE
    assert elsewhere == ONE_BY_ONE[1:]
