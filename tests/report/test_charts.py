import math
import re
from dataclasses import dataclass
from xml.etree import ElementTree

import pytest

from tumorline.report import charts
from tumorline.report.charts import Axis


@dataclass(frozen=True)
class Drawn:
    mean: float
    ci95: list[float] | None
    patients: int


def heights(svg: str) -> list[float]:
    return [float(value) for value in re.findall(r'class="bar"[^>]* height="([\d.]+)"', svg)]


def numbers(svg: str, element: str, attribute: str) -> list[float]:
    return [float(value) for value in re.findall(rf'<{element} [^>]*\b{attribute}="([-\d.]+)"', svg)]


def test_a_position_is_linear_or_logarithmic() -> None:
    assert Axis(0, 10, ()).position(2.5, 100, 200) == 125
    assert Axis(1, 100, (), logarithmic=True).position(10, 0, 80) == pytest.approx(40)
    assert Axis(3, 3, ()).position(3, 0, 80) == 0


def test_an_interval_bar_spans_its_interval() -> None:
    bar = charts.interval_bar(0.5, [0.25, 0.75], width=116)
    assert numbers(bar, "rect", "x") == [33]
    assert numbers(bar, "rect", "width") == [50]
    assert numbers(bar, "circle", "cx") == [58]
    assert "<rect" not in charts.interval_bar(0.5, None)


def test_a_histogram_counts_every_value_once_and_one_belongs_to_the_last_bin() -> None:
    low, high = heights(charts.histogram([0.0, 0.49, 1.0, 0.5, 0.7, 0.99], "Dice", "patients", bins=2))
    assert high == pytest.approx(2 * low, abs=0.2)


def test_a_curve_leaves_out_what_is_not_finite() -> None:
    chart = charts.curves({"loss": [1.0, math.nan, 0.5]}, "loss", best=3)
    (points,) = re.findall(r'points="([^"]*)"', chart)
    assert len(points.split()) == 2
    assert ">best 3<" in chart
    assert 'points=""' in charts.curves({"loss": [math.nan]}, "loss")


def test_a_strip_has_a_dot_for_each_value_and_a_band_only_with_an_interval() -> None:
    figure = Drawn(0.5, None, 2)
    chart = charts.strips({"a": ([0.2, 0.4, 0.9], figure)}, "Dice")
    assert chart.count("<circle") == 3
    assert "2 patients, 3 cases" in chart
    assert chart.count('class="mean"') == 1
    assert 'class="band"' not in chart
    assert 'class="band"' in charts.strips({"a": ([0.2], Drawn(0.5, [0.1, 0.3], 2))}, "Dice")


def test_equal_areas_lie_on_the_line_and_empty_ones_have_no_dot() -> None:
    chart = charts.scatter({"a": [(10.0, 10.0), (100.0, 0.0), (1000.0, 1000.0)]}, "true", "predicted")
    xs, ys = numbers(chart, "circle", "cx"), numbers(chart, "circle", "cy")
    assert len(xs) == 2
    width, height = charts.WIDTH - charts.RIGHT - charts.LEFT, charts.TALL - charts.BOTTOM - charts.TOP
    shares = [
        ((x - charts.LEFT) / width, (charts.TALL - charts.BOTTOM - y) / height) for x, y in zip(xs, ys, strict=True)
    ]
    assert all(across == pytest.approx(up, abs=0.001) for across, up in shares)


def test_names_are_escaped_and_every_chart_is_well_formed() -> None:
    name = "<b>&"
    figure = Drawn(0.5, [0.4, 0.6], 30)
    for chart in (
        charts.strips({name: ([0.5], figure)}, name),
        charts.scatter({name: [(2.0, 3.0)]}, name, name),
        charts.curves({name: [0.1, 0.2]}, name),
        charts.histogram([0.5], name, "patients"),
    ):
        ElementTree.fromstring(f"<div>{chart}</div>")
        assert "<b>" not in chart


@pytest.mark.parametrize("limits", [(0.0, 0.0), (0.2, 1.0), (0.0, 3e-4), (-5.0, 1e6)])
def test_a_linear_axis_contains_its_values_with_few_round_ticks(limits: tuple[float, float]) -> None:
    axis = charts.linear_axis(*limits, "x")
    assert axis.low <= limits[0]
    assert axis.high >= limits[1]
    assert 2 <= len(axis.ticks) <= 8


def test_the_front_joins_what_no_other_beats_in_both_and_the_file_stands_alone() -> None:
    points = {
        "scratch": {"slow": (10.0, 0.8), "beaten": (9.0, 0.5), "fast": (90.0, 0.6)},
        "ImageNet": {"best": (20.0, 0.9)},
    }
    svg = charts.pareto(points, "images a second", "Dice")
    (front,) = re.findall(r'class="mark front" points="([^"]*)"', svg)
    places = dict(
        zip(["slow", "beaten", "fast", "best"], re.findall(r'cx="([0-9.]+)" cy="[0-9.]+" r="5"', svg), strict=False)
    )
    assert len(front.split()) == 2
    assert all(name in svg for name in ("slow", "beaten", "fast", "best", "scratch", "ImageNet"))
    assert places["slow"] not in front
    alone = charts.standalone(svg, ".mark { stroke: red; }")
    assert alone.startswith("<svg")
    assert 'xmlns="http://www.w3.org/2000/svg"' in alone
    assert ".mark { stroke: red; }" in alone


def test_an_axis_of_values_in_the_wrong_order_is_that_of_the_right_one() -> None:
    """What a file that was changed by hand may hold."""
    assert charts.linear_axis(0, -9.0, "x").ticks == charts.linear_axis(-9.0, 0, "x").ticks
