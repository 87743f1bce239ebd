"""The words beside a headline figure."""

from types import SimpleNamespace

import numpy as np
import pytest

from tumorline.cli.shown_results import _headline_lines
from tumorline.cross_dataset import COLUMNS, _matrix_figures
from tumorline.evaluation.summary import region_figures
from tumorline.metrics.case import score_case
from tumorline.metrics.headline import count_cases, count_false_lesions, count_false_positives, name_figure, short_names
from tumorline.metrics.summary import Row
from tumorline.paper.parts import GROUP
from tumorline.results import Lesions, Metrics, Summary

SUMMARY = Summary.model_construct(
    cases=34,
    patients=12,
    headline_status=["test"],
    case_status={"train": 60, "test": 34, "validation": 24},
    split=SimpleNamespace(patients_unknown=False),
)


def test_it_is_said_what_was_left_out_and_why() -> None:
    assert count_cases(SUMMARY.model_copy(update={"left_out": {"blank slices": 10}})) == (
        "34 of 128 cases given, 12 patients (test); "
        "left out 60: the model was trained on them; 24: the model was tuned on them; 10: blank slices"
    )


def test_cases_of_unknown_patients_are_not_counted_as_patients() -> None:
    unknown = SUMMARY.model_copy(update={"split": SimpleNamespace(patients_unknown=True), "case_status": {}})
    assert count_cases(unknown.model_copy(update={"patients": 34})) == "34 cases, patients unknown (test)"
    assert "12 patients, each case of an unknown one as one" in count_cases(unknown)


def test_a_summary_of_0_1_0_says_it_too_and_one_of_all_cases_needs_no_more() -> None:
    assert count_cases(SUMMARY).startswith("34 of 118 cases given, 12 patients (test); left out 60: ")
    statuses = {"case_status": {"test": 20, "unseen": 14}, "headline_status": ["test", "unseen"]}
    assert count_cases(SUMMARY.model_copy(update={**statuses, "patients": 1})) == "34 cases, 1 patient (test, unseen)"


@pytest.mark.parametrize(
    ("lesions", "said"),
    [
        ({"invented": 55, "cases_with_invented": 20}, "55 in 20 of 34 cases"),
        ({"invented": 0, "cases_with_invented": 0}, "0"),
        ({"invented": 55}, "55"),
        (None, "not counted when this was evaluated"),
    ],
)
def test_false_lesions_are_counted_in_all_cases(lesions: dict[str, int] | None, said: str) -> None:
    counted = {"truth": 60, "detected": 50, **lesions} if lesions else None
    figures = Metrics.model_construct(cases=34, lesions=counted and Lesions.model_validate(counted))
    assert count_false_lesions(figures) == said


def test_false_positives_need_cases_without_a_tumour() -> None:
    figures = Metrics.model_construct(invented=1, tumour_free_cases=4)
    assert count_false_positives(figures) == "1 of 4 cases without a tumour (25.0%)"
    none = count_false_positives(Metrics.model_construct(invented=0, tumour_free_cases=0))
    assert none == "cannot be measured here: no case without a tumour"


def test_a_ratio_of_sizes_says_whether_it_is_the_mean_or_the_median() -> None:
    truth, pictures = np.arange(100).reshape(10, 10) < 10, [np.arange(100).reshape(10, 10) < n for n in (10, 10, 40)]
    rows = [Row(f"c{n}", f"p{n}", {}, "test", "tumour", score_case(truth, p, None)) for n, p in enumerate(pictures)]
    figures = region_figures(rows)
    (line,) = (line for line in _headline_lines(figures) if line.startswith("predicted / true"))
    assert line == "predicted / true area, mean by patient 2.00, median 1.00"
    cells = _matrix_figures(figures)
    assert (cells["volume_ratio"], cells["volume_ratio_median"]) == (2, 1)
    assert {"volume_ratio", "volume_ratio_median"} <= {*COLUMNS}
    assert [short_names(of_volumes)["volume_ratio"] for of_volumes in (False, True)] == [
        *("mean area ratio", "mean volume ratio")
    ]
    assert "mean size ratio" in [column.heading for column in GROUP]


def test_figures_are_called_by_what_they_are_of() -> None:
    assert [name_figure("accuracy", of_volumes) for of_volumes in (False, True)] == ["pixel accuracy", "voxel accuracy"]
    assert name_figure("precision", True) == "precision"
