"""The page of an evaluation of several regions, of pictures and of volumes."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.report.evaluated import REGIONS, evaluated
from tests.report.test_card import two_sources
from tumorline.comparison import compare
from tumorline.metrics.case import score_case
from tumorline.metrics.summary import Row, are_mixed
from tumorline.report import write_report
from tumorline.report.browsing import table_of_rows
from tumorline.report.cases import Drawing
from tumorline.report.compared_cases import entries_of, table_of_models
from tumorline.report.comparison import write_comparison
from tumorline.results import read_summary

PICTURE, VOLUME = (40, 48), (12, 40, 48)


def page_of(folder: Path, space: tuple[int, ...], regions: int = 3) -> str:
    made = evaluated(folder, space, regions=regions)
    return write_report(made.folder, made.read_case).read_text()


@pytest.mark.parametrize("space", [PICTURE, VOLUME], ids=["pictures", "volumes"])
def test_each_region_has_its_line_and_its_own_figures(space: tuple[int, ...], tmp_path: Path) -> None:
    page = page_of(tmp_path, space)
    summary = read_summary(tmp_path / "summary.json")
    means = [figures.dice.mean or 0.0 for figures in summary.regions.values()]
    assert f'<div class="big">{sum(means) / 3:.3f}</div>' in page
    for region, mean in zip(REGIONS, means, strict=True):
        assert f'<a href="#{region}">{region.replace("_", " ")}</a></td><td class="right"><b>{mean:.3f}</b>' in page
        assert f'<h2 class="region" id="{region}">' in page
        assert f'<div class="big">{mean:.3f}<small>' in page


def test_beside_the_mean_over_sources_stands_the_dice_of_each(tmp_path: Path) -> None:
    made = evaluated(tmp_path, PICTURE, regions=1)
    summary = json.loads((tmp_path / "summary.json").read_text())
    (figures,) = summary["regions"].values()
    groups = two_sources().regions["tumour"].by_attribute["source"]
    figures["by_attribute"] = {"source": {name: group.model_dump(mode="json") for name, group in groups.items()}}
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    page = re.sub(r"</?b>", "", write_report(made.folder, made.read_case).read_text())
    assert "cheng 0.750 (0.729 to 0.771) on 24 patients" in page
    assert "brats2021 0.375 on 2 patients" in page
    assert "A mean over sources is the figure of none of them." in page


def test_a_case_is_shown_with_the_contours_of_all_regions(tmp_path: Path) -> None:
    page = page_of(tmp_path, PICTURE)
    pictures = page.count("<figure>")
    assert pictures > 3
    for number in range(3):
        assert page.count(f'class="contour truth region{number}"') == pictures
        assert page.count(f'class="contour predicted region{number}"') == pictures
    assert re.search(r"enhancing tumour –: true 0 px, predicted \d+ px", page), "the last case has none"


def test_a_volume_is_shown_in_three_planes_with_its_millilitres(tmp_path: Path) -> None:
    page = page_of(tmp_path, VOLUME)
    volumes = page.count('<div class="planes"')
    assert volumes == page.count("<figure>") > 3
    for plane in ("axial", "coronal", "sagittal"):
        assert page.count(f', {plane}"') == volumes
    assert re.search(r"whole tumour \d\.\d{3}: true \d+\.\d\d ml, predicted \d+\.\d\d ml", page)
    assert "predicted volume in ml" in page
    assert "Predicted against true volume" in page
    assert re.search(r"In 1 of 1 volumes without enhancing tumour the model draws one", page)
    assert re.search(r"By patient \d+\.\d\d ml are drawn there", page)
    summary = read_summary(tmp_path / "summary.json")
    error = summary.regions["whole_tumour"].volume_error_ml
    assert error
    assert f'<td class="right">{error.mean:.2f}<br>' in page
    assert not re.search(
        r"\bslices?\b", page.split("What these figures say")[0].split("<style>")[1].split("</style>")[1]
    )


def test_volumes_of_one_region_have_no_overview(tmp_path: Path) -> None:
    page = page_of(tmp_path, VOLUME, regions=1)
    assert "mean over regions" not in page
    assert '<h2 class="region"' not in page
    assert page.count('class="contour truth"') == 3 * page.count("<figure>")
    assert "predicted minus true volume" in page


def compared(tmp_path: Path, space: tuple[int, ...]) -> tuple[str, dict[str, Any]]:
    """Two models, of which the second one finds nothing of the innermost region."""
    first = evaluated(tmp_path / "first", space)
    second = evaluated(tmp_path / "second", space, lost=2)
    models = {"first": first.folder, "second": second.folder}
    result = compare(models, {})
    source = Drawing(first.read_case, REGIONS, first.folder / "predictions", REGIONS)
    page = write_comparison(result, list(models.values()), tmp_path, source).read_text()
    return page, result.to_json()


def test_volumes_are_compared_by_region_in_three_planes_and_millilitres(tmp_path: Path) -> None:
    page, result = compared(tmp_path, VOLUME)
    by_region = {pair["region"]: pair for pair in result["pairs"] if pair["metric"] == "volume_error_absolute_ml"}
    assert by_region["whole_tumour"]["difference"]["mean"] == 0
    assert by_region["enhancing_tumour"]["difference"]["mean"] < 0
    assert {one["region"] for one in result["disagreements"]} == {"enhancing_tumour"}
    assert page.count('<div class="planes"') == 2 * len(result["disagreements"]) > 0
    assert "absolute error, ml" in page
    assert "volume ratio" in page


def test_pictures_are_compared_without_millilitres(tmp_path: Path) -> None:
    page, result = compared(tmp_path, PICTURE)
    assert "volume_error_absolute_ml" not in {pair["metric"] for pair in result["pairs"]}
    assert "volume_error_absolute_ml" not in result["contenders"][0]["figures"]
    assert ", ml" not in page
    assert "area ratio" in page


def test_undrawn_cases_leave_the_figures(tmp_path: Path) -> None:
    made = evaluated(tmp_path, VOLUME)
    page = write_report(made.folder).read_text()
    assert "The pictures could not be made" in page
    assert '<a href="#tumour_core">' in page


def scored(name: str, shape: tuple[int, ...], spacing_mm: tuple[float, ...] | None) -> Row:
    truth = np.ones(shape, bool)
    return Row(name, None, {}, "test", "tumour", score_case(truth, truth, spacing_mm))


def test_a_size_that_is_unknown_in_ml_is_told_in_pixels_beside_volumes() -> None:
    rows = [scored("volume", (2, 10, 10), (1.0,) * 3), scored("picture", (4, 4), None), scored("far", (2, 4, 4), None)]
    compared = table_of_models(entries_of({(name, "set"): rows for name in ("a", "b")}), ["a", "b"], ["tumour"])
    alone = table_of_rows(rows, ["tumour"], {})
    for table in (compared, alone):
        view = table.views[0]
        px, ml = ([column.name for column in view.columns].index(f"true, {unit}") for unit in ("px", "ml"))
        assert [(line[px], line[ml]) for line in view.values] == [(None, 0.2), (16, None), (32, None)]


def test_pictures_beside_volumes_are_called_cases() -> None:
    picture, volume = (
        Row(name, None, {}, "test", "tumour", score_case(truth, truth, None))
        for name, truth in (("picture", np.ones((4, 4), bool)), ("volume", np.ones((2, 4, 4), bool)))
    )
    assert are_mixed([picture, volume])
    assert not are_mixed([picture])
    assert not are_mixed([volume])
