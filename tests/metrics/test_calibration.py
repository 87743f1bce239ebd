"""Reliability, temperature, risk against coverage."""

import numpy as np
import pytest

from tumorline.metrics import calibration


def counted(probability: list[float], truth: list[bool]) -> calibration.Reliability:
    return calibration.reliability(np.array(probability), np.array(truth), np.ones(len(truth), bool))


def test_half_right_at_one_half_is_calibrated() -> None:
    assert calibration.expected_calibration_error(counted([0.5] * 4, [True, False, True, False])) == 0


def test_certain_and_wrong_half_the_time_is_off_by_one_half() -> None:
    assert calibration.expected_calibration_error(counted([1.0] * 4, [True, False, True, False])) == 0.5


def test_the_error_weighs_bins_by_their_pixels() -> None:
    counts = counted([0.0] * 9 + [1.0], [False] * 10)
    assert calibration.expected_calibration_error(counts) == pytest.approx(0.1)


def test_nothing_counted_has_no_error() -> None:
    assert calibration.expected_calibration_error(calibration.total([])) is None


def test_sums_are_those_of_all_pixels_and_scaling_gives_each_the_same_weight() -> None:
    right, wrong = counted([1.0] * 9, [True] * 9), counted([1.0], [False])
    assert calibration.expected_calibration_error(calibration.total([right, wrong])) == pytest.approx(0.1)
    alike = calibration.total([right.scaled(), wrong.scaled()])
    assert calibration.expected_calibration_error(alike) == pytest.approx(0.5)


def test_the_region_reaches_ten_pixels_beyond_either_mask() -> None:
    """A true pixel near the upper border and a predicted one near the right one."""
    truth, predicted = np.zeros((30, 50), bool), np.zeros((30, 50), bool)
    truth[3, 20] = predicted[19, 46] = True
    region = calibration.region_of_interest(truth, predicted)
    assert np.flatnonzero(region[3]).tolist() == list(range(10, 31))
    assert np.flatnonzero(region[:, 20]).tolist() == list(range(14))
    assert np.flatnonzero(region[19]).tolist() == list(range(36, 50))
    assert (region[9, 28], region[10, 28]) == (True, False), "8 across and 6 down are 10"
    assert not calibration.region_of_interest(truth & predicted, truth & predicted).any()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_made_the_logits_is_found(temperature: float) -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 2, 100_000)
    truth = random.random(100_000) < 1 / (1 + np.exp(-logits))
    assert calibration.fit_temperature(logits * temperature, truth) == pytest.approx(temperature, rel=0.03)


def test_one_kind_of_pixel_leaves_the_temperature_at_one() -> None:
    assert calibration.fit_temperature(np.array([1.0, 2.0]), np.array([True, True])) == 1


def test_risk_grows_with_coverage_where_confidence_finds_the_failures() -> None:
    coverage, risk = calibration.risk_coverage([0.9, 0.5, 0.8, 0.1], [0.0, 0.5, 0.1, 1.0])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0.0, 0.05, 0.2, 0.4])


def test_equal_confidence_says_nothing() -> None:
    assert calibration.risk_coverage([0.5, 0.5], [0.0, 1.0])[1].tolist() == [0.5, 0.5]


def test_confidence_is_the_dice_that_the_probabilities_expect() -> None:
    probability = np.array([[1.0, 1.0, 0.5, 0.0]])
    assert calibration.confidence(probability, probability >= 0.5) == pytest.approx(2 * 2.5 / (2.5 + 3))
    assert calibration.confidence(probability, np.zeros((1, 4), bool)) is None


def test_the_right_area_is_drawn_where_the_model_is_surest() -> None:
    probability = np.array([[0.9, 0.8, 0.4, 0.1]])
    truth = np.array([[True, False, True, False]])
    assert calibration.dice_at_true_area(probability, truth) == 0.5
    assert calibration.dice_at_true_area(probability, np.zeros((1, 4), bool)) is None


def test_of_equally_sure_pixels_none_is_preferred_for_where_it_lies() -> None:
    truth = np.zeros((1, 10), bool)
    truth[0, -2:] = True
    sure_of_half = np.array([[1.0] * 5 + [0.0] * 5])
    for probability, expected in ((np.zeros((1, 10)), 0.2), (sure_of_half, 0.0), (sure_of_half[:, ::-1], 0.4)):
        assert calibration.dice_at_true_area(probability, truth) == pytest.approx(expected)
        assert calibration.dice_at_true_area(probability[:, ::-1], truth[:, ::-1]) == pytest.approx(expected)


def test_a_mask_twice_too_large_loses_a_third_of_its_dice_to_the_area() -> None:
    probability = np.array([[0.9, 0.9, 0.6, 0.6]])
    truth = np.array([[True, True, False, False]])
    case = calibration.judge("p", probability, truth, probability >= 0.5)
    assert case.dice == pytest.approx(2 / 3)
    assert case.dice_lost_to_area == pytest.approx(1 / 3)


def test_a_summary_says_what_confidence_is_worth() -> None:
    def case(dice: float, confidence: float | None) -> calibration.Certainty:
        return calibration.Certainty(f"p{dice}", dice, 1.0, confidence, counted([0.9, 0.1], [True, False]))

    found = calibration.summarise_calibration([case(0.9, 0.95), case(0.5, 0.6), case(0.0, None)])
    assert found.risk_coverage
    assert found.risk_coverage.risk == pytest.approx([0.1, 0.3, 1.6 / 3])
    assert found.risk_coverage.area == found.risk_coverage.area_best
    assert found.without_confidence == 1
    assert found.expected_calibration_error == pytest.approx(0.1)
    assert [one.tumour for one in found.reliability] == [0, 1]
    limits = [limit for one in found.reliability for limit in (one.lowest, one.highest)]
    assert limits == pytest.approx([1 / 15, 2 / 15, 13 / 15, 14 / 15])
    assert found.dice_lost_to_area.mean == pytest.approx((0.1 + 0.5 + 1.0) / 3)


def test_patients_count_alike_however_many_cases_they_have_and_cases_however_many_pixels() -> None:
    """One patient has a large case that is right and a small one that is half right, another one that is wrong."""
    right, half, wrong = counted([1.0] * 9, [True] * 9), counted([1.0] * 2, [True, False]), counted([1.0], [False])
    cases = [calibration.Certainty(name, 0.5, 0.5, 0.5, own) for name, own in (("p", right), ("p", half), ("q", wrong))]
    found = calibration.summarise_calibration(cases)
    assert found.expected_calibration_error == pytest.approx(((0 + 0.5) / 2 + 1) / 2)


def test_without_a_tumour_there_is_no_risk() -> None:
    empty = calibration.judge("p", np.zeros((4, 4)), np.zeros((4, 4), bool), np.zeros((4, 4), bool))
    found = calibration.summarise_calibration([empty])
    assert (found.risk_coverage, found.expected_calibration_error) == (None, None)


def test_empty_masks_of_cases_without_a_tumour_are_not_missing_from_the_curve() -> None:
    truth, nothing = np.eye(4, dtype=bool), np.zeros((4, 4), bool)
    missed, free = (calibration.judge("p", np.zeros((4, 4)), mask, nothing) for mask in (truth, nothing))
    assert calibration.summarise_calibration([missed, free, free]).without_confidence == 1
