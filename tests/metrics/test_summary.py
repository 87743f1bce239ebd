import json

import numpy as np
import pytest

from tumorline.metrics.case import CaseScores, score_case
from tumorline.metrics.summary import Row, by_group, by_size, interval, summarise

TRUTH = np.zeros((10, 10), bool)
TRUTH[:2, :5] = True


def scores_with_dice(dice: float) -> CaseScores:
    """Ten true pixels of which `10 * dice` are found, and as many wrong ones as are missed."""
    predicted = np.zeros((10, 10), bool)
    found = round(10 * dice)
    predicted[:2, :5] = (np.arange(10) < found).reshape(2, 5)
    predicted[5, : 10 - found] = True
    return score_case(TRUTH, predicted, None)


def row(case: str, patient: str | None, dice: float, class_name: str = "") -> Row:
    return Row(case, patient, {"class_name": class_name}, "test", "tumour", scores_with_dice(dice))


def test_slices_are_averaged_within_a_patient_first() -> None:
    rows = [row("a", "p", 1.0), row("b", "p", 0.8), row("c", "p", 0.6), row("d", "q", 0.2)]
    dice = summarise(rows)["dice"]
    assert dice["mean"] == pytest.approx((0.8 + 0.2) / 2)
    assert dice["mean_over_cases"] == pytest.approx(0.65)
    assert (dice["patients"], dice["range"]) == (2, [pytest.approx(0.2), pytest.approx(0.8)])


def test_the_order_of_the_rows_does_not_matter() -> None:
    random = np.random.default_rng(0)
    rows = [row(str(n), f"p{n // 3}", random.integers(0, 11) / 10) for n in range(90)]
    shuffled = [rows[index] for index in random.permutation(90)]
    assert summarise(rows) == summarise(shuffled)


def test_few_patients_have_no_interval_and_say_so() -> None:
    dice = summarise([row(str(n), str(n), n / 19) for n in range(19)])["dice"]
    assert dice["ci95"] is None
    assert dice["warning"] == "19 patients are too few for an interval; values and range only"
    assert summarise([row(str(n), str(n), 0.5) for n in range(25)])["dice"]["warning"].endswith("rough")


def test_the_interval_surrounds_the_mean_and_narrows_with_patients() -> None:
    random = np.random.default_rng(0)
    few, many = (interval(random.beta(5, 2, size)) for size in (25, 400))
    assert few is not None
    assert many is not None
    assert few[0] < 5 / 7 < few[1]
    assert many[1] - many[0] < 0.5 * (few[1] - few[0])


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(150):
        low, high = interval(random.beta(5, 2, 40), resamples=500) or (0, 0)
        covered += low <= 5 / 7 <= high
    assert 0.88 <= covered / 150 <= 1


def test_equal_patients_have_an_interval_of_no_width() -> None:
    assert interval(np.full(30, 0.7)) == [0.7, 0.7]


def test_missed_and_invented_are_counted_and_tumour_free_cases_kept_apart() -> None:
    empty = np.zeros((10, 10), bool)
    free = Row("f", "p3", {}, "test", "tumour", score_case(empty, empty, None))
    invented = Row("i", "p4", {}, "test", "tumour", score_case(empty, TRUTH, None))
    missed = Row("m", "p5", {}, "test", "tumour", score_case(TRUTH, empty, None))
    summary = summarise([row("a", "p1", 1.0), free, invented, missed])
    assert (summary["missed"], summary["invented"], summary["tumour_cases"]) == (1, 1, 2)
    assert summary["dice"]["mean"] == 0.5
    assert summary["dice_all"] == 0.5
    assert summary["false_positive_rate"] == 0.5
    assert summary["hd95_detected"]["mean"] == 0
    assert summary["volume_ratio_undefined"] == 3


def test_unknown_patients_stand_for_themselves() -> None:
    assert summarise([row("a", None, 1.0), row("b", None, 0.0)])["dice"]["patients"] == 2


def test_classes_and_sizes_are_summed_up_apart() -> None:
    rows = [row("a", "p", 1.0, "x"), row("b", "q", 0.5, "y"), row("c", "r", 0.7, "y")]
    groups = by_group(rows, "class_name")
    assert {name: group["dice"]["mean"] for name, group in groups.items()} == {"x": 1.0, "y": pytest.approx(0.6)}
    sizes = by_size(rows)
    assert list(sizes) == ["small", "medium", "large"]
    assert all(size["limits_px"] == [10, 10] for size in sizes.values())


def test_a_summary_is_json_without_nan() -> None:
    empty = np.zeros((4, 4), bool)
    only_free = [Row("f", "p", {}, "test", "tumour", score_case(empty, empty, None))]
    for rows in ([], only_free, [row("a", "p", 0.0)]):
        json.dumps(summarise(rows), allow_nan=False)
