"""Charts with a row for each group: its figure with the interval, and its values."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from tumorline.escaping import for_page
from tumorline.report.charts.axis import Axis, Scale, apart_ticks, unit_axis
from tumorline.report.charts.frame import BOTTOM, HEIGHT, RIGHT, WIDTH, dots, frame, polyline, svg_of
from tumorline.wording import numbered


class Shown(Protocol):
    """What is drawn of a figure."""

    @property
    def mean(self) -> float | None: ...
    @property
    def ci95(self) -> Sequence[float] | None: ...
    @property
    def patients(self) -> int: ...


Strip = tuple[Sequence[float], Shown]
"""The values of a group, and its figure from the summary."""
NAME_LETTER, WIDEST_NAME = 7.2, 236.0
"""About how wide a letter of a row's name is, and the most room that names take."""


def interval_bar(mean: float, interval: Sequence[float] | None, width: float = 420) -> str:
    """A line from 0 to 1 with the interval as a band and the mean as a dot."""

    def x(value: float) -> float:
        return 8 + value * (width - 16)

    band = ""
    if interval:
        low, high = (x(limit) for limit in interval)
        band = f'<rect class="band" x="{low:.1f}" y="9" width="{high - low:.1f}" height="14"/>'
    ticks = "".join(
        f'<text x="{x(tick):.1f}" y="42" class="tick middle">{tick:g}</text>' for tick in (0, 0.25, 0.5, 0.75, 1)
    )
    return (
        f'<svg viewBox="0 0 {width:g} 48" role="img" aria-label="Dice from 0 to 1">'
        f'<line class="axis" x1="8" y1="16" x2="{width - 8:g}" y2="16"/>{band}'
        f'<circle class="dot" cx="{x(mean):.1f}" cy="16" r="7"/>{ticks}</svg>'
    )


def strips(groups: Mapping[str, Strip], label: str, axis: Axis | None = None, most_dots: int = 0) -> str:
    """One row per group: a dot per value, the mean as a bar, its 95 % interval as a band; on an axis from 0 to 1.

    Of more than `most_dots` values an even choice is drawn (0: all).
    """
    longest = max((len(name) for name in groups), default=0)
    row, left = 46.0, min(max(168.0, 14 + NAME_LETTER * longest), WIDEST_NAME)
    height = row * len(groups) + 50
    axis = axis or unit_axis(label)

    def x(value: float) -> float:
        return axis.position(value, left, WIDTH - RIGHT)

    parts = [
        f'<line class="grid" x1="{x(t):.1f}" x2="{x(t):.1f}" y1="4" y2="{height - 46}"/>'
        f'<text class="tick middle" x="{x(t):.1f}" y="{height - 32}">{t:g}</text>'
        for t in axis.ticks
    ]
    centre = (left + WIDTH - RIGHT) / 2
    parts.append(f'<text class="label middle" x="{centre:.1f}" y="{height - 10}">{for_page(axis.label)}</text>')
    for number, (name, (values, figure)) in enumerate(groups.items()):
        middle = row * number + row / 2 + 2
        parts.append(
            f'<text class="name" x="{left - 10}" y="{middle - 2}" text-anchor="end">{_shortened(name, left)}</text>'
        )
        cases = "" if len(values) == figure.patients else f", {numbered(len(values), 'case')}"
        note = f"{numbered(figure.patients, 'patient')}{cases}"
        parts.append(f'<text class="tick" x="{left - 10}" y="{middle + 13}" text-anchor="end">{note}</text>')
        parts += _band(figure, x, middle)
        shown = enumerate(thinned(values, most_dots) if most_dots else values)
        parts += dots(((x(value), middle + _jitter(index) * 13) for index, value in shown), number, 2.6)
        parts += _mean(figure, x, middle)
    return svg_of(parts, f"{label} by group", height)


def thinned(values: Sequence[float], most: int) -> list[float]:
    """No more than so many of the values, from the lowest to the highest, in an order that parts neighbours."""
    ordered = sorted(values)
    count = min(len(ordered), most)
    indices = {round(number * (len(ordered) - 1) / max(1, count - 1)) for number in range(count)}
    return [ordered[index] for index in sorted(indices, key=lambda index: index * 0.6180339887 % 1)]


def _shortened(name: str, room: float) -> str:
    """A name beside a row, as much as there is room for; the whole of it is shown where the pointer rests."""
    most = int((room - 14) / NAME_LETTER)
    if len(name) <= most:
        return for_page(name)
    return f"{for_page(name[: most - 1])}…<title>{for_page(name)}</title>"


def levels(figures: Mapping[str, Shown], label: str) -> str:
    """The mean of a figure between 0 and 1 at named levels from left to right, with its 95 % interval as a bar."""
    x, y, parts = frame(Axis(-0.5, len(figures) - 0.5, ()), unit_axis(label), HEIGHT)
    base = HEIGHT - BOTTOM + 16
    means = [figure.mean for figure in figures.values()]
    parts.append(polyline(((x(i), y(mean)) for i, mean in enumerate(means) if mean is not None), "line series0"))
    labelled = apart_ticks([(x(number), name) for number, name in enumerate(figures)])
    for number, (name, figure) in enumerate(figures.items()):
        if number in labelled:
            parts.append(f'<text class="tick middle" x="{x(number):.1f}" y="{base}">{for_page(name)}</text>')
        if figure.ci95:
            top, bottom = y(figure.ci95[1]), y(figure.ci95[0])
            parts.append(
                f'<rect class="band" x="{x(number) - 7:.1f}" y="{top:.1f}" width="14" height="{bottom - top:.1f}"/>'
            )
        if figure.mean is not None:
            parts.append(f'<circle class="dot" cx="{x(number):.1f}" cy="{y(figure.mean):.1f}" r="4"/>')
    return svg_of(parts, f"{label} by level")


def _band(figure: Shown, x: Scale, middle: float) -> list[str]:
    if not figure.ci95:
        return []
    low, high = x(figure.ci95[0]), x(figure.ci95[1])
    return [f'<rect class="band" x="{low:.1f}" y="{middle - 17}" width="{high - low:.1f}" height="34"/>']


def _mean(figure: Shown, x: Scale, middle: float) -> list[str]:
    if figure.mean is None:
        return []
    mean_x = f"{x(figure.mean):.1f}"
    return [f'<line class="mean" x1="{mean_x}" x2="{mean_x}" y1="{middle - 17}" y2="{middle + 17}"/>']


def _jitter(index: int) -> float:
    """A fixed, evenly spread offset in [-1, 1]."""
    return 2 * ((index * 0.6180339887) % 1) - 1
