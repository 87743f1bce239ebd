"""What is around a chart: its axes, the names of its groups, the picture itself."""

import math
from collections.abc import Iterable, Sequence

from tumorline.escaping import for_page
from tumorline.report.charts.axis import LETTER, Axis, Scale, apart_ticks

WIDTH, HEIGHT, TALL = 520.0, 250.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 62.0, 14.0, 12.0, 40.0
KEY_HEIGHT = 20.0
"""Of the line above a picture in which it names its groups."""


def keys_of_groups(names: Iterable[str]) -> list[str]:
    """A dot and its name for each group, in a line above the picture, as far as there is room."""
    parts, left = list[str](), LEFT
    for number, name in enumerate(names):
        wide = 26 + LETTER * len(name)
        if left + wide > WIDTH and parts:
            break
        parts.append(f'<circle class="point series{number % 4}" cx="{left + 5:.0f}" cy="-8" r="5"/>')
        parts.append(f'<text class="tick" x="{left + 15:.0f}" y="-4">{for_page(name)}</text>')
        left += wide
    return parts


def standalone(svg: str, style: str) -> str:
    """A chart as a file of its own, with the page's style and ground."""
    begin = svg.index(">")
    rules = f"{style} svg {{ background: var(--card); font-family: system-ui, sans-serif; }}"
    body = svg[begin + 1 : svg.index("</svg>")]
    return f'{svg[:begin]} xmlns="http://www.w3.org/2000/svg"><style>{rules}</style>{body}</svg>\n'


def legend(names: Iterable[str]) -> str:
    entries = "".join(
        f'<span><i class="swatch series{number % 4}"></i>{for_page(name)}</span>' for number, name in enumerate(names)
    )
    return f'<p class="legend">{entries}</p>'


def frame(x_axis: Axis, y_axis: Axis, height: float = HEIGHT) -> tuple[Scale, Scale, list[str]]:
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
        tick_x = x(x_axis.ticks[number])
        parts.append(
            f'<text class="tick middle" x="{tick_x:.1f}" y="{height - BOTTOM + 16}">{x_axis.name(number)}</text>'
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


def polyline(points: Iterable[tuple[float, float]], style: str) -> str:
    text = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polyline class="{style}" points="{text}"/>'


def dots(points: Iterable[tuple[float, float]], group: int, radius: float) -> list[str]:
    """The points of a group, in its colour."""
    shape = f'circle class="point series{group % 4}"'
    return [f'<{shape} cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>' for x, y in points]


def label_points(points: Sequence[tuple[str, float, float]]) -> list[str]:
    """Names beside their points, from the top down, each on the side with more room and below those already there."""
    parts, labels = [], list[tuple[float, float]]()
    for name, x, y in points:
        text_y = y + 4
        while any(abs(text_y - label_y) < 12 and abs(x - beside) < 150 for beside, label_y in labels):
            text_y += 4
        labels.append((x, text_y))
        left = x > (LEFT + WIDTH - RIGHT) / 2
        beside, anchor = (x - 9, "end") if left else (x + 9, "start")
        parts.append(
            f'<text class="tick" x="{beside:.1f}" y="{text_y:.1f}" text-anchor="{anchor}">{for_page(name)}</text>'
        )
    return parts


def svg_of(parts: Sequence[str], title: str, height: float = HEIGHT, above: float = 0.0) -> str:
    """`above` is room over the picture's upper edge, whose own places begin at 0."""
    box = f"0 {-above:g} {WIDTH:g} {height + above:g}"
    return f'<svg viewBox="{box}" role="img" aria-label="{for_page(title)}">{"".join(parts)}</svg>'
