import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tumorline.evaluation.summary import region_figures
from tumorline.metrics.case import CaseScores, score_case
from tumorline.metrics.figure import figure_of, interval
from tumorline.metrics.summary import VOLUME_FIGURES, Row, by_group, by_size, summarise_rows

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
    dice = summarise_rows(rows).dice
    assert dice.mean == pytest.approx((0.8 + 0.2) / 2)
    assert dice.mean_over_cases == pytest.approx(0.65)
    assert dice.patients == 2
    assert dice.range == pytest.approx([0.2, 0.8])


def test_median_and_quartiles_are_over_patients() -> None:
    """Half of the cases are one patient's."""
    values = [("a", 0.0), ("b", 0.3), ("c", 0.8), ("d", 0.9), *[("e", 1.0)] * 4]
    dice = summarise_rows([row(str(number), *value) for number, value in enumerate(values)]).dice
    assert dice.median == pytest.approx(0.8)
    assert dice.quartiles == pytest.approx([0.3, 0.9])
    assert dice.mean == pytest.approx(0.6)


@pytest.mark.parametrize("name", ["dice", "iou", "precision", "recall", "nsd", "hd95", "volume_ratio", "accuracy"])
def test_each_figure_is_the_one_of_its_name(name: str) -> None:
    """Five columns of which two are found and three are wrong, in an image of 100 pixels: no two figures agree."""
    predicted = np.zeros((10, 10), bool)
    predicted[:2, 3:9] = True
    scores = score_case(TRUTH, predicted, None)
    expected = {"dice": 8 / 22, "iou": 4 / 18, "precision": 4 / 12, "recall": 4 / 10, "volume_ratio": 1.2}
    found = summarise_rows([Row("a", "p", {}, "test", "tumour", scores)]).to_json()[name]["mean"]
    assert found == pytest.approx(expected.get(name, getattr(scores, name)))
    assert len({scores.dice, scores.iou, scores.precision, scores.recall, scores.nsd, scores.hd95}) == 6


def test_distances_in_mm_and_in_pixels_have_no_mean_but_by_source() -> None:
    own, other = {"source": "a"}, {"source": "b"}
    picture = Row("a", "p", own, "test", "tumour", score_case(TRUTH, TRUTH, None))
    volume = Row("b", "q", other, "test", "tumour", score_case(TRUTH, TRUTH, (1.0, 1.0)))
    both = summarise_rows([picture, volume])
    for name in ("hd95", "average_surface_distance", "signed_offset", "lesion_hd95"):
        figure = getattr(both, name)
        assert (figure.mean, figure.unit) == (None, "")
        assert figure.warning == "undefined: distances in mm and in pixels have no mean"
        assert getattr(summarise_rows([picture]), name).unit == "px"
    assert both.dice.mean == 1
    assert (both.nsd.mean, both.nsd.unit) == (None, "")
    assert both.nsd.warning == "undefined: shares within 2 mm and within 2 pixels have no mean"
    groups = by_group([picture, volume], "source")
    assert {name: (group.hd95_detected.mean, group.hd95_detected.unit) for name, group in groups.items()} == {
        "a": (0, "px"),
        "b": (0, "mm"),
    }


def test_a_miss_counts_in_the_average_surface_distance_and_not_in_that_of_the_detected() -> None:
    """A tumour found exactly and one missed, in images whose diagonal is 10 times the root of 2."""
    missed = Row("m", "q", {}, "test", "tumour", score_case(TRUTH, np.zeros_like(TRUTH), None))
    summary = summarise_rows([row("a", "p", 1.0), missed]).to_json()
    assert summary["average_surface_distance"]["mean"] == pytest.approx(np.sqrt(200) / 2)
    assert summary["average_surface_distance_detected"]["mean"] == 0
    assert (summary["signed_offset"]["patients"], summary["volume_ratio_undefined"]) == (1, 1)
    assert (summary["lesion_dice"]["mean"], summary["lesion_hd95"]["mean"]) == (0.5, pytest.approx(np.sqrt(200) / 2))


def test_lesions_are_counted_over_all_cases() -> None:
    two = TRUTH.copy()
    two[9, 9] = True
    cases = [score_case(two, TRUTH, None), score_case(TRUTH, two, None)]
    rows = [Row(str(number), None, {}, "test", "tumour", scores) for number, scores in enumerate(cases)]
    assert summarise_rows(rows).to_json()["lesions"] == {
        "truth": 3,
        "detected": 2,
        "invented": 1,
        "missed": 1,
        "cases_with_invented": 1,
    }
    free = Row("free", None, {}, "test", "tumour", score_case(np.zeros_like(TRUTH), TRUTH, None))
    found = Row("found", None, {}, "test", "tumour", score_case(TRUTH, two, None))
    lesions = summarise_rows([free, found]).lesions
    assert lesions is not None
    assert (lesions.invented, lesions.invented_beside_tumours, lesions.tumour_cases_with_invented) == (2, 1, 1)


def test_figures_that_old_rows_lack_are_undefined() -> None:
    old = replace(scores_with_dice(1.0), lesions_truth=None, lesion_dice=None, signed_offset=None)
    summary = summarise_rows([Row("a", "p", {}, "test", "tumour", old)]).to_json()
    assert (summary["lesions"], summary["signed_offset"]["mean"], summary["dice"]["mean"]) == (None, None, 1)


def test_the_order_of_the_rows_does_not_matter() -> None:
    random = np.random.default_rng(0)
    rows = [row(str(n), f"p{n // 3}", random.integers(0, 11) / 10) for n in range(90)]
    shuffled = [rows[index] for index in random.permutation(90)]
    assert summarise_rows(rows) == summarise_rows(shuffled)


def test_few_patients_have_no_interval_and_say_so() -> None:
    dice = summarise_rows([row(str(n), str(n), n / 19) for n in range(19)]).dice
    assert dice.ci95 is None
    assert dice.warning == "19 patients are too few for an interval; values and range only"


@pytest.mark.parametrize(("patients", "rough"), [(20, True), (29, True), (30, False)])
def test_from_20_patients_there_is_an_interval_and_below_30_it_is_called_rough(patients: int, rough: bool) -> None:
    dice = summarise_rows([row(str(n), str(n), n % 11 / 10) for n in range(patients)]).dice
    low, high = dice.ci95 or (0, 0)
    assert low < (dice.mean or 0) < high
    assert dice.warning == (f"{patients} patients: the interval is rough" if rough else None)


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


def test_the_interval_follows_the_skew_of_the_patients() -> None:
    """Most patients near 1 and a few at 0: the mean's error reaches further down than up."""
    values = np.array([0.9] * 36 + [0.0] * 4)
    low, high = interval(values) or (0, 0)
    plain = stats.bootstrap((values,), np.mean, n_resamples=5000, method="percentile", rng=0).confidence_interval
    assert values.mean() - low > high - values.mean()
    assert low < plain.low


def test_of_patients_with_one_value_no_interval_is_told() -> None:
    """Nothing invented in 30 heads is no proof that nothing ever will be."""
    figure = figure_of((str(number), 0.0) for number in range(30))
    assert (figure.mean, figure.ci95) == (0, None)
    assert figure.warning == "30 patients with one value: resampling tells no interval"
    assert interval(np.zeros(30)) == [0, 0]  # of differences between a model and itself


def test_missed_and_invented_are_counted_and_tumour_free_cases_kept_apart() -> None:
    empty = np.zeros((10, 10), bool)
    free = Row("f", "p3", {}, "test", "tumour", score_case(empty, empty, None))
    invented = Row("i", "p4", {}, "test", "tumour", score_case(empty, TRUTH, None))
    missed = Row("m", "p5", {}, "test", "tumour", score_case(TRUTH, empty, None))
    summary = summarise_rows([row("a", "p1", 1.0), free, invented, missed])
    assert (summary.missed, summary.invented, summary.tumour_cases) == (1, 1, 2)
    assert summary.dice.mean == 0.5
    assert summary.dice_all == 0.5
    assert summary.false_positive_rate == 0.5
    assert summary.hd95_detected.mean == 0
    assert summary.volume_ratio_undefined == 3


def test_unknown_patients_stand_for_themselves() -> None:
    assert summarise_rows([row("a", None, 1.0), row("b", None, 0.0)]).dice.patients == 2


def test_classes_and_sizes_are_summed_up_apart() -> None:
    rows = [row("a", "p", 1.0, "x"), row("b", "q", 0.5, "y"), row("c", "r", 0.7, "y")]
    groups = by_group(rows, "class_name")
    assert {name: group.dice.mean for name, group in groups.items()} == {"x": 1.0, "y": pytest.approx(0.6)}
    assert groups["y"].volume_ratio.mean == pytest.approx(1.0)
    assert (groups["y"].tumour_cases, groups["y"].missed, groups["y"].hd95_detected.patients) == (2, 0, 2)
    sizes = by_size(rows)
    assert list(sizes) == ["small", "medium", "large"]
    assert all(size.limits_px == [10, 10] for size in sizes.values())


def test_sizes_run_from_small_to_large() -> None:
    rows = []
    for width in (9, 1, 5, 7, 3, 2):
        truth = np.zeros((10, 10), bool)
        truth[:2, :width] = True
        rows.append(Row(str(width), str(width), {}, "test", "tumour", score_case(truth, truth, None)))
    sizes = by_size(rows)
    limits = {name: size.limits_px for name, size in sizes.items()}
    assert limits == {"small": [2, 4], "medium": [6, 10], "large": [14, 18]}
    assert [size.cases for size in sizes.values()] == [2, 2, 2]


def test_a_summary_is_json_without_nan() -> None:
    empty = np.zeros((4, 4), bool)
    only_free = [Row("f", "p", {}, "test", "tumour", score_case(empty, empty, None))]
    for rows in ([], only_free, [row("a", "p", 0.0)]):
        json.dumps(summarise_rows(rows).to_json(), allow_nan=False)


def volume_row(case: str, true: int, predicted: int, spacing: float = 10.0) -> Row:
    """A row of so many voxels of 1 ml, unless the spacing says otherwise, the predicted ones from the same end."""
    masks = [(np.arange(30) < count).reshape(30, 1, 1) for count in (true, predicted)]
    return Row(case, case, {}, "test", "tumour", score_case(masks[0], masks[1], (spacing,) * 3))


def test_volumes_are_summarised_in_ml() -> None:
    """Errors are over cases with a tumour; what was invented in others stands by itself."""
    found = summarise_rows([volume_row("a", 10, 6), volume_row("b", 8, 10), volume_row("c", 0, 3)])
    means = {name: value["mean"] for name, value in found.to_json().items() if name in VOLUME_FIGURES}
    assert (means["truth_ml"], means["predicted_ml"]) == (pytest.approx(9), pytest.approx(8))
    assert (means["volume_error_ml"], means["volume_error_absolute_ml"]) == (pytest.approx(-1), pytest.approx(3))
    assert means["predicted_ml_tumour_free"] == pytest.approx(3)
    assert means["brats2023_lesion_hd95"] == pytest.approx(((found.hd95.mean or 0) * 2 + 374) / 3)
    assert found.brats2023_lesions
    assert (found.brats2023_lesions.truth, found.brats2023_lesions.invented) == (2, 1)


def test_what_pictures_do_not_have_is_not_published() -> None:
    published = json.dumps(region_figures([row("a", "p", 1.0)]).to_json())
    assert "by_size" in published
    assert "_ml" not in published
    assert "brats" not in published


def test_volumes_are_grouped_by_ml_and_not_by_voxels() -> None:
    found = by_size([volume_row("a", 20, 20, spacing=1.0), volume_row("b", 2, 2), volume_row("c", 3, 3)])
    assert {name: group.limits_px for name, group in found.items()} == {
        "small": [20, 20],
        "medium": [2, 2],
        "large": [3, 3],
    }
    assert found["small"].limits_ml == pytest.approx([0.02, 0.02])


def test_pictures_and_volumes_are_grouped_by_size_each_by_themselves() -> None:
    pictures = [row(name, name, 1.0) for name in "abc"]
    found = by_size([*pictures, volume_row("v", 20, 20, spacing=1.0), volume_row("w", 2, 2)])
    assert {name: group.cases for name, group in found.items()} == {
        **{f"{size} pictures": 1 for size in ("small", "medium", "large")},
        "small volumes": 1,
        "medium volumes": 1,
    }
    assert found["small pictures"].limits_ml is None
    assert found["small volumes"].limits_ml == pytest.approx([0.02, 0.02])
