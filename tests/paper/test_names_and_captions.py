"""Figures and tables of a kit bear names of their own, and captions that say what they are of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tumorline.paper import _write_tables
from tumorline.paper.captions import caption_of
from tumorline.paper.contents import contents_of_study
from tumorline.paper.drawings import charts_in
from tumorline.paper.parts import DICE, INTERVAL
from tumorline.paper.study import Study
from tumorline.paper.tables import Column, Row, Table, labels_of
from tumorline.results import Summary, read_summary

RUN = Path(__file__).parents[1] / "frozen" / "0.1.0" / "run"
PANELS = [{"title": "bias field", "unit": "log of the largest factor", "chart": "<svg>"}]


def captions(content: Mapping[str, Any]) -> dict[str, str]:
    return {chart.name: caption_of(chart) for chart in charts_in(content)}


def summary_by(*attributes: str) -> Summary:
    found = read_summary(RUN / "summary.json")
    figures = found.regions["tumour"]
    groups = dict(list(figures.by_class.items())[:1])
    named = {name: {name: next(iter(groups.values()))} for name in attributes}
    return found.model_copy(update={"regions": {"tumour": figures.model_copy(update={"by_attribute": named})}})


def rows_of(rows: list[Row]) -> tuple[list[str], list[dict[str, Any]]]:
    return Table("t", "t", [Column("group", "group"), DICE, INTERVAL], rows).for_csv()


def test_a_figure_under_stress_says_which_change_and_its_unit() -> None:
    found = captions({"regions": [{"region": "tumour_core", "stress": {"panels": PANELS}}]})
    assert [*found] == ["tumour_core-stress-bias field"]
    (caption,) = found.values()
    assert "tumour core: Dice under a change of the images: bias field (log of the largest factor);" in caption


def test_a_figure_by_attribute_names_it_and_one_of_a_matrix_its_model() -> None:
    found = captions({"regions": [{"region": "tumour", "by_attribute": {"scan site": "<svg>"}}]})
    assert found["tumour-by_attribute-scan site"].startswith("tumour: Dice by scan site, which the source states: one")
    assert captions({"dice": {"m {1}": "<svg>"}})["dice-m {1}"].startswith("Dice of m {1} by set: one dot a patient")


@pytest.mark.parametrize("model", ["boundary_loss", "moderate", "stress", "differences"])
def test_a_caption_is_not_chosen_by_a_part_of_a_name(model: str) -> None:
    assert captions({"dice": {model: "<svg>"}})[f"dice-{model}"].startswith(f"Dice of {model} by set")


def test_a_region_is_not_taken_for_a_training() -> None:
    found = captions({"regions": [{"region": "training", "areas": "<svg>"}], "training": {"loss": "<svg>"}})
    assert found["training-areas"].startswith("training: Predicted against true size")
    assert found["training-loss"].startswith("Loss on training and validation part")


def test_what_is_called_alike_is_numbered() -> None:
    assert labels_of(["by-性别", "by-扫描仪", "by-Site", "by-site", "a", "a", "a-2"]) == [
        *("by--", "by---2", "by-Site", "by-site-2", "a", "a-2", "a-2-2")
    ]


def test_tables_by_attributes_lose_none_and_mix_none(tmp_path: Path) -> None:
    names = ("性别", "扫描仪", "class", "size")
    tables = contents_of_study(RUN, Study(summary_by(*names))).tables
    labels = _write_tables(tables, tmp_path)
    assert len({*labels}) == len(tables) == len([*tmp_path.glob("*.csv")])
    for name in names:
        caption = f"Figures by {name}, which the source states"
        label = next(label for label, table in zip(labels, tables, strict=True) if table.caption == caption)
        lines = (tmp_path / f"{label}.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in lines] == ["group", name]
        assert f"\\label{{tab:{label}}}" in (tmp_path / f"{label}.tex").read_text()


def test_limits_are_two_columns_whether_they_are_known_or_not() -> None:
    unknown: Row = {"group": "a", "dice": 0.5, "ci95": None}
    known: Row = {"group": "b", "dice": 0.5, "ci95": [0.4, 0.6]}
    columns = ["group", "dice", "ci95_low", "ci95_high"]
    assert [rows_of(rows)[0] for rows in ([unknown], [known], [unknown, known])] == [columns] * 3
    assert rows_of([unknown])[1] == [{"group": "a", "dice": 0.5, "ci95_low": None, "ci95_high": None}]
