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
    truth, predicted = np.zeros((50, 50), bool), np.zeros((50, 50), bool)
    truth[25, 25] = True
    region = calibration.region_of_interest(truth, predicted)
    assert region[25, 34:37].tolist() == [True, True, False]
    assert not calibration.region_of_interest(predicted, predicted).any()


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
    assert calibration.area_under_risk_coverage([0.9, 0.5, 0.8, 0.1], [0.0, 0.5, 0.1, 1.0]) == pytest.approx(0.1625)


def test_equal_confidence_says_nothing() -> None:
    assert calibration.risk_coverage([0.5, 0.5], [0.0, 1.0])[1].tolist() == [0.5, 0.5]
    assert calibration.area_under_risk_coverage([], []) is None
