"""Charts as SVG text that takes its colours from the page, so that light, dark and print need no second drawing."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tumorline.escaping import for_page
from tumorline.wording import numbered

Scale = Callable[[float], float]


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

WIDTH, HEIGHT, TALL = 520.0, 250.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 12.0, 40.0


@dataclass(frozen=True)
class Axis:
    """A range of values with its ticks; `label` is written along the axis."""

    low: float
    high: float
    ticks: Sequence[float]
    label: str = ""
    logarithmic: bool = False
    names: Sequence[str] = ()
    """What is written at the ticks, where that is not their number."""

    def words(self, number: int) -> str:
        """What is written at a tick."""
        return self.names[number] if self.names else f"{self.ticks[number]:g}"

    def name(self, number: int) -> str:
        return for_page(self.words(number))

    def position(self, value: float, start: float, end: float) -> float:
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log(low), math.log(high), math.log(max(value, self.low))
        return start + (value - low) / ((high - low) or 1) * (end - start)


LETTER = 6.4
"""About how wide a letter of a tick is."""
NAME_LETTER, WIDEST_NAME = 7.2, 236.0
"""About how wide a letter of a row's name is, and the most room that names take."""
KEY_HEIGHT = 20.0
"""Of the line above a picture in which it names its groups."""
FIFTHS = (0, 0.2, 0.4, 0.6, 0.8, 1)
UNIT = {label: Axis(0, 1, FIFTHS, label) for label in ("Dice", "threshold", "share of cases kept")}


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


def curves(series: Mapping[str, Sequence[float]], label: str, best: int | None = None, height: float = HEIGHT) -> str:
    """Lines over epochs 1..N; `best` marks an epoch. Values that are not finite are left out."""
    longest = max(len(values) for values in series.values())
    finite = [value for values in series.values() for value in values if math.isfinite(value)]
    x_axis = Axis(1, max(2, longest), _nice(1, max(2, longest), whole=True), "epoch")
    y_axis = linear_axis(min(finite, default=0), max(finite, default=1), label)
    x, y, parts = _frame(x_axis, y_axis, height)
    if best is not None:
        parts.append(f'<line class="mark" x1="{x(best):.1f}" x2="{x(best):.1f}" y1="{TOP}" y2="{height - BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{x(best) - 4:.1f}" y="{TOP + 10}" text-anchor="end">best {best}</text>')
    for number, values in enumerate(series.values()):
        points = " ".join(f"{x(i):.1f},{y(v):.1f}" for i, v in enumerate(values, 1) if math.isfinite(v))
        parts.append(f'<polyline class="line series{number}" points="{points}"/>')
    return _svg(parts, f"{label} over epochs", height) + legend(series)


def strips(groups: Mapping[str, Strip], label: str, axis: Axis | None = None, most_dots: int = 0) -> str:
    """One row per group: a dot per value, the mean as a bar, its 95 % interval as a band; on an axis from 0 to 1.

    Of more than `most_dots` values an even choice is drawn (0: all).
    """
    longest = max((len(name) for name in groups), default=0)
    row, left = 46.0, min(max(168.0, 14 + NAME_LETTER * longest), WIDEST_NAME)
    height = row * len(groups) + 50
    axis = axis or Axis(0, 1, FIFTHS, label)

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
        parts += [
            f'<circle class="point series{number % 4}" cx="{x(v):.1f}" cy="{middle + _jitter(i) * 13:.1f}" r="2.6"/>'
            for i, v in enumerate(thinned(values, most_dots) if most_dots else values)
        ]
        parts += _mean(figure, x, middle)
    return _svg(parts, f"{label} by group", height)


def thinned(values: Sequence[float], most: int) -> list[float]:
    """No more than so many of the values, from the lowest to the highest, in an order that parts neighbours."""
    ordered = sorted(values)
    count = min(len(ordered), most)
    places = {round(number * (len(ordered) - 1) / max(1, count - 1)) for number in range(count)}
    return [ordered[place] for place in sorted(places, key=lambda place: place * 0.6180339887 % 1)]


def _shortened(name: str, room: float) -> str:
    """A name beside a row, as much as there is room for; the whole of it is shown where the pointer rests."""
    most = int((room - 14) / NAME_LETTER)
    if len(name) <= most:
        return for_page(name)
    return f"{for_page(name[: most - 1])}…<title>{for_page(name)}</title>"


def levels(figures: Mapping[str, Shown], label: str) -> str:
    """The mean of a figure between 0 and 1 at named levels from left to right, with its 95 % interval as a bar."""
    ticks = range(len(figures))
    x, y, parts = _frame(Axis(-0.5, len(figures) - 0.5, ()), Axis(0, 1, FIFTHS, label), HEIGHT)
    base = HEIGHT - BOTTOM + 16
    means = [figure.mean for figure in figures.values()]
    line = " ".join(f"{x(i):.1f},{y(mean):.1f}" for i, mean in zip(ticks, means, strict=True) if mean is not None)
    parts.append(f'<polyline class="line series0" points="{line}"/>')
    named = apart_ticks([(x(number), name) for number, name in enumerate(figures)])
    for number, (name, figure) in enumerate(figures.items()):
        if number in named:
            parts.append(f'<text class="tick middle" x="{x(number):.1f}" y="{base}">{for_page(name)}</text>')
        if figure.ci95:
            top, bottom = y(figure.ci95[1]), y(figure.ci95[0])
            parts.append(
                f'<rect class="band" x="{x(number) - 7:.1f}" y="{top:.1f}" width="14" height="{bottom - top:.1f}"/>'
            )
        if figure.mean is not None:
            parts.append(f'<circle class="dot" cx="{x(number):.1f}" cy="{y(figure.mean):.1f}" r="4"/>')
    return _svg(parts, f"{label} by level")


def scatter(groups: Mapping[str, Sequence[tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Two positive quantities on logarithmic axes of one range, with the line on which they are equal."""
    values = [value for points in groups.values() for point in points for value in point if value > 0]
    low, high = min(values, default=1), max(values, default=10)
    low, high = low / 1.3, max(high, low * 10) * 1.3
    axis = Axis(low, high, _logarithmic_ticks(low, high), x_label, logarithmic=True)
    vertical = Axis(low, high, axis.ticks, y_label, logarithmic=True)
    x, y, parts = _frame(axis, vertical, TALL)
    parts.append(f'<line class="mark" x1="{x(low):.1f}" y1="{y(low):.1f}" x2="{x(high):.1f}" y2="{y(high):.1f}"/>')
    for number, points in enumerate(groups.values()):
        parts += [
            f'<circle class="point series{number % 4}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="3"/>'
            for a, b in points
            if a > 0 and b > 0
        ]
    return _svg(parts, f"{y_label} against {x_label}", TALL) + (legend(groups) if len(groups) > 1 else "")


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]], axes: tuple[Axis, Axis], mark: tuple[float, str] | None = None
) -> str:
    """Lines through points; `mark` is a place on the horizontal axis and what it is."""
    x, y, parts = _frame(*axes)
    if mark is not None:
        place, name = x(mark[0]), mark[1]
        parts.append(f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{place + 5:.1f}" y="{HEIGHT - BOTTOM - 8}">{for_page(name)}</text>')
    for number, points in enumerate(series.values()):
        text = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)
        parts.append(f'<polyline class="line series{number}" points="{text}"/>')
    return _svg(parts, f"{axes[1].label} against {axes[0].label}") + legend(series)


def pareto(groups: Mapping[str, Mapping[str, tuple[float, float]]], x_label: str, y_label: str) -> str:
    """Named points by group, the horizontal axis logarithmic; a line joins those that no other beats in both."""
    every = [point for points in groups.values() for point in points.values()]
    low, high = min(a for a, _ in every) / 1.6, max(a for a, _ in every) * 1.6
    x_axis = Axis(low, high, _logarithmic_ticks(low, high), x_label, logarithmic=True)
    y_axis = linear_axis(min(b for _, b in every), max(b for _, b in every), y_label)
    x, y, parts = _frame(x_axis, y_axis, TALL)
    front = sorted(one for one in every if not any(a >= one[0] and b >= one[1] and (a, b) != one for a, b in every))
    text = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in front)
    parts.append(f'<polyline class="mark front" points="{text}"/>')
    for number, points in enumerate(groups.values()):
        kind = f'circle class="point series{number % 4}"'
        parts += [f'<{kind} cx="{x(a):.1f}" cy="{y(b):.1f}" r="5"/>' for a, b in points.values()]
    named = [(name, x(a), y(b)) for points in groups.values() for name, (a, b) in points.items()]
    parts += _labels(sorted(named, key=lambda one: one[2]))
    return _svg([*_keys(groups), *parts], f"{y_label} against {x_label}", TALL, above=KEY_HEIGHT)


def _keys(names: Iterable[str]) -> list[str]:
    """A dot and its name for each group, in a line above the picture, as far as there is room."""
    parts, place = list[str](), LEFT
    for number, name in enumerate(names):
        wide = 26 + LETTER * len(name)
        if place + wide > WIDTH and parts:
            break
        parts.append(f'<circle class="point series{number % 4}" cx="{place + 5:.0f}" cy="-8" r="5"/>')
        parts.append(f'<text class="tick" x="{place + 15:.0f}" y="-4">{for_page(name)}</text>')
        place += wide
    return parts


def standalone(svg: str, style: str) -> str:
    """A chart as a file of its own, with the page's style and ground."""
    begin = svg.index(">")
    own = f"{style} svg {{ background: var(--card); font-family: system-ui, sans-serif; }}"
    body = svg[begin + 1 : svg.index("</svg>")]
    return f'{svg[:begin]} xmlns="http://www.w3.org/2000/svg"><style>{own}</style>{body}</svg>\n'


def points(
    groups: Mapping[str, Sequence[tuple[float, float]]],
    axes: tuple[Axis, Axis],
    line: Sequence[tuple[float, float]] = (),
) -> str:
    """Dots in groups, and a line behind them."""
    x, y, parts = _frame(*axes)
    if line:
        text = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in line)
        parts.append(f'<polyline class="line series0" points="{text}"/>')
    for number, members in enumerate(groups.values()):
        parts += [
            f'<circle class="point series{number % 4}" cx="{x(a):.1f}" cy="{y(b):.1f}" r="4"/>' for a, b in members
        ]
    return _svg(parts, f"{axes[1].label} against {axes[0].label}") + legend(groups)


def reliability(bins: Sequence[tuple[float, float]], shares: Sequence[float]) -> str:
    """Share of tumour against mean probability of each bin; a dot's area is the bin's share of the pixels."""
    x, y, parts = _frame(Axis(0, 1, FIFTHS, "predicted probability"), Axis(0, 1, FIFTHS, "share that is tumour"), TALL)
    parts.append(f'<line class="mark" x1="{x(0):.1f}" y1="{y(0):.1f}" x2="{x(1):.1f}" y2="{y(1):.1f}"/>')
    text = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in bins)
    parts.append(f'<polyline class="line series0" points="{text}"/>')
    parts += [
        f'<circle class="point series0" cx="{x(a):.1f}" cy="{y(b):.1f}" r="{3 + 16 * math.sqrt(share):.1f}"/>'
        for (a, b), share in zip(bins, shares, strict=True)
    ]
    return _svg(parts, "reliability diagram", TALL)


def histogram(values: Sequence[float], label: str, what: str, bins: int = 20) -> str:
    """Counts of values in [0, 1], of patients or the like."""
    counts = [0] * bins
    for value in values:
        counts[min(int(value * bins), bins - 1)] += 1
    most = max(counts, default=1) or 1
    x_axis = Axis(0, 1, FIFTHS, label)
    x, y, parts = _frame(x_axis, linear_axis(0, most, what, whole=True), TALL)
    for number, count in enumerate(counts):
        left, right = x(number / bins), x((number + 1) / bins)
        parts.append(
            f'<rect class="bar" x="{left + 1:.1f}" y="{y(count):.1f}" width="{right - left - 2:.1f}" '
            f'height="{y(0) - y(count):.1f}"/>'
        )
    return _svg(parts, f"distribution of {label}", TALL)


def bars(counts: Sequence[int], x_axis: Axis, edges: Sequence[float], what: str = "cases") -> str:
    """Counts between edges, of which there is one more."""
    x, y, parts = _frame(x_axis, linear_axis(0, max(counts, default=1) or 1, what, whole=True))
    for count, left, right in zip(counts, map(x, edges), map(x, edges[1:]), strict=False):
        parts.append(
            f'<rect class="bar" x="{left + 1:.1f}" y="{y(count):.1f}" width="{max(right - left - 2, 1):.1f}" '
            f'height="{y(0) - y(count):.1f}"/>'
        )
    return _svg(parts, f"distribution of {x_axis.label}")


def legend(names: Iterable[str]) -> str:
    entries = "".join(
        f'<span><i class="swatch series{number % 4}"></i>{for_page(name)}</span>' for number, name in enumerate(names)
    )
    return f'<p class="legend">{entries}</p>'


def linear_axis(low: float, high: float, label: str, whole: bool = False) -> Axis:
    """An axis that begins and ends at round numbers around the values; a single value is shown against 0."""
    low, high = min(low, high), max(low, high)
    if low == high:
        low, high = min(low, 0.0), max(high, 0.0) or 1.0
    ticks = _nice(low, high, whole)
    return Axis(min(low, ticks[0]), max(high, ticks[-1]), ticks, label)


def logarithmic_axis(low: float, high: float, label: str) -> Axis:
    """An axis over positive values by their powers of ten."""
    low, high = (low / 2, high * 2) if low == high else (low, high)
    return Axis(low, high, _logarithmic_ticks(low * 0.999, high * 1.001), label, logarithmic=True)


def whole_axis(low: int, high: int, label: str) -> Axis:
    """An axis over whole numbers that ends where they end."""
    return Axis(low, high, _nice(low, high, whole=True), label)


def named_axis(names: Sequence[str], label: str) -> Axis:
    """Equal places from left to right, numbered from 0, each with its name."""
    return Axis(-0.5, len(names) - 0.5, range(len(names)), label, names=names)


def _frame(x_axis: Axis, y_axis: Axis, height: float = HEIGHT) -> tuple[Scale, Scale, list[str]]:
    """Scales to pixels, and grid, ticks and labels."""

    def x(value: float) -> float:
        return x_axis.position(value, LEFT, WIDTH - RIGHT)

    def y(value: float) -> float:
        return y_axis.position(value, height - BOTTOM, TOP)

    parts = []
    for tick in (y_axis.ticks[number] for number in apart_rows([y(tick) for tick in y_axis.ticks])):
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for number in apart_ticks([(x(tick), x_axis.words(number)) for number, tick in enumerate(x_axis.ticks)]):
        place = x(x_axis.ticks[number])
        parts.append(
            f'<text class="tick middle" x="{place:.1f}" y="{height - BOTTOM + 16}">{x_axis.name(number)}</text>'
        )
    base = height - BOTTOM
    parts.append(f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{base}" y2="{base}"/>')
    parts.append(
        f'<text class="label middle" x="{(LEFT + WIDTH - RIGHT) / 2}" y="{height - 4}">{for_page(x_axis.label)}</text>'
    )
    centre = (TOP + height - BOTTOM) / 2
    parts.append(
        f'<text class="label middle" transform="translate(12 {centre}) rotate(-90)">{for_page(y_axis.label)}</text>'
    )
    return x, y, parts


def apart_ticks(ticks: Sequence[tuple[float, str]]) -> list[int]:
    """Those of the ticks (place and text) from the left whose texts, set in their middle, do not touch."""
    kept, end = list[int](), -math.inf
    for number, (place, text) in enumerate(ticks):
        half = LETTER * len(text) / 2
        if place - half >= end + LETTER / 2:
            kept.append(number)
            end = place + half
    return kept


LINE = 14.0
"""The height of a line of text."""


def apart_rows(places: Sequence[float]) -> list[int]:
    """Those of the places from the bottom that are a line of text apart."""
    kept, last = list[int](), math.inf
    for number, place in enumerate(places):
        if abs(last - place) >= LINE:
            kept.append(number)
            last = place
    return kept


def _labels(points: Sequence[tuple[str, float, float]]) -> list[str]:
    """Names beside their points, from the top down, each on the side with more room and below those already there."""
    parts, taken = [], list[tuple[float, float]]()
    for name, x, y in points:
        place = y + 4
        while any(abs(place - other) < 12 and abs(x - beside) < 150 for beside, other in taken):
            place += 4
        taken.append((x, place))
        left = x > (LEFT + WIDTH - RIGHT) / 2
        beside, anchor = (x - 9, "end") if left else (x + 9, "start")
        parts.append(
            f'<text class="tick" x="{beside:.1f}" y="{place:.1f}" text-anchor="{anchor}">{for_page(name)}</text>'
        )
    return parts


def _band(figure: Shown, x: Scale, middle: float) -> list[str]:
    if not figure.ci95:
        return []
    low, high = x(figure.ci95[0]), x(figure.ci95[1])
    return [f'<rect class="band" x="{low:.1f}" y="{middle - 17}" width="{high - low:.1f}" height="34"/>']


def _mean(figure: Shown, x: Scale, middle: float) -> list[str]:
    if figure.mean is None:
        return []
    place = f"{x(figure.mean):.1f}"
    return [f'<line class="mean" x1="{place}" x2="{place}" y1="{middle - 17}" y2="{middle + 17}"/>']


def _svg(parts: Sequence[str], title: str, height: float = HEIGHT, above: float = 0.0) -> str:
    """`above` is room over the picture's upper edge, whose own places begin at 0."""
    box = f"0 {-above:g} {WIDTH:g} {height + above:g}"
    return f'<svg viewBox="{box}" role="img" aria-label="{for_page(title)}">{"".join(parts)}</svg>'


def _jitter(index: int) -> float:
    """A fixed, evenly spread offset in [-1, 1]."""
    return 2 * ((index * 0.6180339887) % 1) - 1


def _nice(low: float, high: float, whole: bool = False) -> list[float]:
    """About five round numbers that lie around a range."""
    span = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    step = max(1, round(step)) if whole else step
    first, last = (
        (math.ceil(low / step), math.floor(high / step))
        if whole
        else (
            math.floor(low / step),
            math.ceil(high / step),
        )
    )
    return [round(number * step, 10) for number in range(first, last + 1)]


def _logarithmic_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5, 10, ... within a range; the powers of ten alone where it is wide."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1,) if high / low > 2000 else (1, 2, 5)
    return [factor * 10.0**decade for decade in decades for factor in factors if low <= factor * 10.0**decade <= high]
