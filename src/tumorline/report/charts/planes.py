"""Charts over two axes: curves, points, lines, counts."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tumorline.escaping import for_page
from tumorline.report.charts.axis import Axis, Scale, linear_axis, logarithmic_ticks, round_ticks, unit_axis
from tumorline.report.charts.frame import (
    BOTTOM,
    HEIGHT,
    KEY_HEIGHT,
    TALL,
    TOP,
    dots,
    frame,
    keys_of_groups,
    label_points,
    legend,
    polyline,
    svg_of,
)


def curves(series: Mapping[str, Sequence[float]], label: str, best: int | None = None, height: float = HEIGHT) -> str:
    """Lines over epochs 1..N; `best` marks an epoch. Values that are not finite are left out."""
    longest = max(len(values) for values in series.values())
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    x_axis = Axis(1, max(2, longest), round_ticks(1, max(2, longest), whole=True), "epoch")
    y_axis = linear_axis(min(finite, default=0), max(finite, default=1), label)
    x, y, parts = frame(x_axis, y_axis, height)
    if best is not None:
        parts.append(f'<line class="mark" x1="{x(best):.1f}" x2="{x(best):.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{x(best) - 4:.1f}" y="{TOP + 10}" text-anchor="end">best {best}</text>')
    for number, values in enumerate(series.values()):
        known = ((x(epoch), y(value)) for epoch, value in enumerate(values, 1) if math.isfinite(value))
        parts.append(polyline(known, f"line series{number}"))
    return svg_of(parts, f"{label} over epochs", height) + legend(series)


def scatter(groups: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Two positive quantities on logarithmic axes of one range, with the line on which they are equal."""
    values = [value for points in groups.values() for point in points for value in point if value > 0]
    low, high = min(values, default=1), max(values, default=10)
    low, high = low / 1.3, max(high, low * 10) * 1.3
    axis = Axis(low, high, logarithmic_ticks(low, high), x_label, logarithmic=True)
    vertical = Axis(low, high, axis.ticks, y_label, logarithmic=True)
    x, y, parts = frame(axis, vertical, TALL)
    parts.append(f'<line class="mark" x1="{x(low):.1f}" y1="{y(low):.1f}" x2="{x(high):.1f}" y2="{y(high):.1f}"/>')
    for number, points in enumerate(groups.values()):
        parts += dots(((x(a), y(b)) for a, b in points if a > 0 and b > 0), number, 3)
    return svg_of(parts, f"{y_label} against {x_label}", TALL) + (legend(groups) if len(groups) > 1 else "")


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]], axes: tuple[Axis, Axis], mark: tuple[float, str] | None = None
) -> str:
    """Lines through points; `mark` is a place on the horizontal axis and what it is."""
    x, y, parts = frame(*axes)
    if mark is not None:
        mark_x, name = x(mark[0]), mark[1]
        parts.append(f'<line class="mark" x1="{mark_x:.1f}" x2="{mark_x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{mark_x + 5:.1f}" y="{HEIGHT - BOTTOM - 8}">{for_page(name)}</text>')
    for number, points in enumerate(series.values()):
        parts.append(polyline(((x(a), y(b)) for a, b in points), f"line series{number}"))
    return svg_of(parts, f"{axes[1].label} against {axes[0].label}") + legend(series)


def pareto(groups: Mapping[str, Mapping[str, tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Named points by group, the horizontal axis logarithmic; a line joins those that no other beats in both."""
    all_points = [point for points in groups.values() for point in points.values()]
    low, high = min(a for a, _ in all_points) / 1.6, max(a for a, _ in all_points) * 1.6
    x_axis = Axis(low, high, logarithmic_ticks(low, high), x_label, logarithmic=True)
    y_axis = linear_axis(min(b for _, b in all_points), max(b for _, b in all_points), y_label)
    x, y, parts = frame(x_axis, y_axis, TALL)
    front = sorted(
        one for one in all_points if not any(a >= one[0] and b >= one[1] and (a, b) != one for a, b in all_points)
    )
    parts.append(polyline(((x(a), y(b)) for a, b in front), "mark front"))
    for number, points in enumerate(groups.values()):
        parts += dots(((x(a), y(b)) for a, b in points.values()), number, 5)
    labels = [(name, x(a), y(b)) for points in groups.values() for name, (a, b) in points.items()]
    parts += label_points(sorted(labels, key=lambda one: one[2]))
    return svg_of([*keys_of_groups(groups), *parts], f"{y_label} against {x_label}", TALL, above=KEY_HEIGHT)


def points(
    groups: Mapping[str, Sequence[tuple[float, float]]],
    axes: tuple[Axis, Axis],
    line: Sequence[tuple[float, float]] = (),
) -> str:
    """Dots in groups, and a line behind them."""
    x, y, parts = frame(*axes)
    if line:
        parts.append(polyline(((x(a), y(b)) for a, b in line), "line series0"))
    for number, members in enumerate(groups.values()):
        parts += dots(((x(a), y(b)) for a, b in members), number, 4)
    return svg_of(parts, f"{axes[1].label} against {axes[0].label}") + legend(groups)


def reliability(bins: Sequence[tuple[float, float]], shares: Sequence[float]) -> str:
    """Share of tumour against mean probability of each bin; a dot's area is the bin's share of the pixels."""
    x, y, parts = frame(unit_axis("predicted probability"), unit_axis("share that is tumour"), TALL)
    parts.append(f'<line class="mark" x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}"/>')
    parts.append(polyline(((x(a), y(b)) for a, b in bins), "line series0"))
    parts += [
        f'<circle class="point series0" cx="{x(a):.1f}" cy="{y(b):.1f}" r="{3 + 16 * math.sqrt(share):.1f}"/>'
        for (a, b), share in zip(bins, shares, strict=True)
    ]
    return svg_of(parts, "reliability diagram", TALL)


def histogram(values: Sequence[float], label: str, what: str, bins: int = 20) -> str:
    """Counts of values in [0, 1], of patients or the like."""
    counts = [0] * bins
    for value in values:
        counts[min(int(value * bins), bins - 1)] += 1
    most = max(counts, default=1) or 1
    x, y, parts = frame(unit_axis(label), linear_axis(0, most, what, whole=True), TALL)
    parts += _bars(counts, [x(number / bins) for number in range(bins + 1)], y)
    return svg_of(parts, f"distribution of {label}", TALL)


def bars(counts: Sequence[int], x_axis: Axis, edges: Sequence[float], what: str = "cases") -> str:
    """Counts between edges, of which there is one more."""
    x, y, parts = frame(x_axis, linear_axis(0, max(counts, default=1) or 1, what, whole=True))
    return svg_of([*parts, *_bars(counts, [*map(x, edges)], y)], f"distribution of {x_axis.label}")


def _bars(counts: Sequence[int], edges: Sequence[float], y: Scale) -> list[str]:
    return [
        f'<rect class="bar" x="{left + 1:.1f}" y="{y(count):.1f}" width="{max(right - left - 2, 1):.1f}" '
        f'height="{y(0) - y(count):.1f}"/>'
        for count, (left, right) in zip(counts, pairwise(edges), strict=False)
    ]
