"""What is shown of a summary and a matrix of several regions."""

import json
from pathlib import Path
from typing import Any

import pytest

from tumorline.cli.printing import print_table
from tumorline.cli.shown_results import fold_rows, print_headline, print_matrix
from tumorline.cross_dataset import _matrix_row, _sentence
from tumorline.metrics.figure import figure_of
from tumorline.metrics.headline import count_volumes
from tumorline.report.matrix import write_page
from tumorline.results import Figure, Fold, Metrics, Summary, read_summary
from tumorline.results.compared import Matrix, MatrixCell

FROZEN = Path(__file__).with_name("frozen") / "0.1.0" / "run" / "summary.json"
REGIONS = ("whole_tumour", "enhancing_tumour")


def summary_of_two(dice: tuple[float, float] = (0.9, 0.4)) -> Summary:
    """The frozen summary as if it had two regions, which differ in their mean Dice."""
    one: dict[str, Any] = json.loads(FROZEN.read_text())
    figures = one["regions"]["tumour"]
    regions = {
        name: figures | {"dice": figures["dice"] | {"mean": mean}} for name, mean in zip(REGIONS, dice, strict=True)
    }
    baselines = {name: dict.fromkeys(REGIONS, scored["tumour"]) for name, scored in one["baselines"].items()}
    kept = {key: value for key, value in one.items() if key not in ("operating_point", "validation", "calibration")}
    return Summary.model_validate(kept | {"schema_version": 2, "regions": regions, "baselines": baselines})


def millilitres(mean: float) -> Figure:
    return Figure(mean=mean, median=mean, range=[mean, mean], ci95=None, mean_over_cases=mean, patients=3, warning=None)


def with_volumes(figures: Metrics) -> Metrics:
    volumes = {"truth_ml": 10.0, "predicted_ml": 8.0, "volume_error_ml": -2.0, "volume_error_absolute_ml": 3.0}
    found = {name: millilitres(mean) for name, mean in volumes.items()}
    return figures.model_copy(update={**found, "predicted_ml_tumour_free": millilitres(0.25)})


def test_the_headline_is_printed_by_region_below_their_mean(capsys: pytest.CaptureFixture[str]) -> None:
    print_headline(summary_of_two())
    shown = capsys.readouterr().out
    assert "mean over regions of the Dice by patient 0.650" in shown
    assert "whole_tumour: Dice by patient 0.900" in shown
    assert shown.count("cases given, ") == 1, "the cases are those of all regions"
    assert "enhancing_tumour: Dice by patient 0.400" in shown


@pytest.mark.parametrize(
    ("dice", "said"),
    [
        ([0.0] * 24, "0.000 (24 patients with one value: resampling tells no interval)"),
        ([0.25, 0.5], "0.375 (2 patients are too few for an interval; values and range only: 0.250 to 0.500)"),
        ([0.5], "0.500 (1 patient is too few for an interval; values and range only)"),
    ],
)
def test_why_there_is_no_interval_is_said_by_the_figure(
    dice: list[float], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    summary = read_summary(FROZEN)
    figures = summary.regions["tumour"]
    own = {"dice": figure_of((f"P{number}", value) for number, value in enumerate(dice))}
    print_headline(summary.model_copy(update={"regions": {"tumour": figures.model_copy(update=own)}}))
    assert f"tumour: Dice by patient {said}\n" in capsys.readouterr().out


def test_volumes_are_told_in_millilitres() -> None:
    figures = with_volumes(summary_of_two().regions["whole_tumour"])
    assert count_volumes(figures) == (
        "true 10.00 ml, predicted 8.00 ml, error -2.00 ml, absolute 3.00 ml; 0.25 ml predicted in cases without"
    )


def test_folds_have_a_line_for_each_region() -> None:
    summary = summary_of_two()
    folds = [Fold(fold="fold-0", region=name, **dict(figures)) for name, figures in summary.regions.items()]
    rows = fold_rows(summary.model_copy(update={"folds": folds}))
    assert [(row["fold"], row["region"], row["dice"]) for row in rows] == [
        ("fold-0", "whole_tumour", "0.900"),
        ("out of fold", "whole_tumour", "0.900"),
        ("fold-0", "enhancing_tumour", "0.400"),
        ("out of fold", "enhancing_tumour", "0.400"),
    ]


def test_a_table_keeps_its_columns_where_a_row_lacks_one(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": 1, "b": 2}, {"b": 3, "c": 4}])
    assert capsys.readouterr().out == "a\tb\tc\n1\t2\t\n\t3\t4\n"


def matrix_of_two() -> Matrix:
    shared: dict[str, Any] = {"model": "m", "error": None, "cases": 8, "patients": 4, "dice_of_cases": [0.5]}
    cells = [
        MatrixCell(set=name, folder=f"m--{name}", domain=domain, region=region, figures=figures, **shared)
        for name, domain, dice in (("home", "in-domain", (0.9, 0.6)), ("away", "external", (0.8, 0.1)))
        for region, figures in summary_of_two(dice).regions.items()
    ]
    sentences = [sentence for cell in cells if (sentence := _sentence(cell, cells))]
    described: dict[str, Any] = {
        "layout": "x",
        "channel": None,
        "label": None,
        "patients_unknown": False,
        "sizes": {},
        "spacing_mm": None,
        "background_share": 0.1,
        "tumour_share": 0.1,
        "tumour_brightness": 0.1,
        "tumour_free_share": 0.1,
    }
    models = {"m": {"data": {}, "threshold": [0.5, 0.4]}}
    return Matrix.model_validate(
        {
            "schema_version": 1,
            "models": models,
            "sets": dict.fromkeys(("home", "away"), described),
            "cells": cells,
            "sentences": sentences,
        }
    )


def test_a_matrix_tells_each_region_against_the_same_one_at_home(tmp_path: Path) -> None:
    result = matrix_of_two()
    assert [sentence.split(";")[0] for sentence in result.sentences] == [
        "m on away, whole_tumour: Dice 0.800 against 0.900 on home (-0.100)",
        "m on away, enhancing_tumour: Dice 0.100 against 0.600 on home (-0.500)",
    ]
    assert [_matrix_row(cell)["region"] for cell in result.cells] == [*REGIONS, *REGIONS]
    write_page(result, tmp_path)
    page = (tmp_path / "matrix.html").read_text()
    assert page.count("<td>enhancing tumour</td>") == 2
    assert "away, whole_tumour" in page


def test_a_matrix_is_printed_by_region(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    print_matrix(matrix_of_two(), tmp_path, as_json=False)
    header, *rows = capsys.readouterr().out.splitlines()
    assert header.split("\t")[:4] == ["model", "set", "domain", "region"]
    assert rows[1].split("\t")[3] == "enhancing_tumour"
