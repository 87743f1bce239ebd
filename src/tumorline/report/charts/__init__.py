"""Charts as SVG text that takes its colours from the page, so that light, dark and print need no second drawing."""

from tumorline.report.charts.axis import (
    Axis,
    apart_ticks,
    linear_axis,
    logarithmic_axis,
    named_axis,
    unit_axis,
    whole_axis,
)
from tumorline.report.charts.frame import BOTTOM, HEIGHT, LEFT, RIGHT, TALL, TOP, WIDTH, apart_rows, legend, standalone
from tumorline.report.charts.planes import bars, curves, histogram, lines, pareto, points, reliability, scatter
from tumorline.report.charts.rows import Strip, interval_bar, levels, strips, thinned

__all__ = [
    "BOTTOM",
    "HEIGHT",
    "LEFT",
    "RIGHT",
    "TALL",
    "TOP",
    "WIDTH",
    "Axis",
    "Strip",
    "apart_rows",
    "apart_ticks",
    "bars",
    "curves",
    "histogram",
    "interval_bar",
    "legend",
    "levels",
    "linear_axis",
    "lines",
    "logarithmic_axis",
    "named_axis",
    "pareto",
    "points",
    "reliability",
    "scatter",
    "standalone",
    "strips",
    "thinned",
    "unit_axis",
    "whole_axis",
]
