"""The page of a search for settings."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from markupsafe import Markup

from tumorline.file_names import SEARCH_PAGE_NAME
from tumorline.files import write_text
from tumorline.report import charts
from tumorline.report.templates import template

STATES = {"complete": "trained to the end", "pruned": "given up early"}
LABEL = "validation Dice"
LONGEST_NAME = 14


class ShownDomain(TypedDict, total=False):
    """What was tried of one setting: `values`, or a range of numbers."""

    values: list[Any]
    low: float
    high: float
    log: bool


class ShownTrial(TypedDict):
    number: int
    state: str
    value: float | None
    """The best validation Dice by patient; None before there is any."""
    dice: Sequence[float]
    """Of each epoch."""
    params: Mapping[str, Any]
    error: str


class Search(TypedDict):
    """What the page of a search shows."""

    name: str
    space: Mapping[str, ShownDomain]
    recipe: Mapping[str, object]
    """The recipe's own value of each setting."""
    trials: Sequence[ShownTrial]
    wanted: int
    best: int | None
    """Number of the best trial."""
    patients: int | None
    """Of validation; None where it is not known."""


class Dot(NamedTuple):
    """A trial with a figure."""

    number: int
    state: str
    value: float
    params: Mapping[str, Any]


def write_page(search: Search, output: Path) -> Path:
    """Write `tune.html`: the best values, the course of the search, and each setting against the figure."""
    trials = search["trials"]
    dots = [dot for trial in trials if (dot := _as_dot(trial))]
    ranked = sorted(trials, key=lambda trial: (trial["state"] != "complete", -(trial["value"] or 0), trial["number"]))
    content = {
        **search,
        "ranked": ranked,
        "best": next((trial for trial in trials if trial["number"] == search["best"]), None),
        "counts": {state: sum(trial["state"] == state for trial in trials) for state in (*STATES, "failed")},
        "course": _course(dots),
        "settings": {key: _setting(key, domain, dots) for key, domain in search["space"].items()},
    }
    write_text(output / SEARCH_PAGE_NAME, template("tune.html").render(**content, text=_text))
    return output / SEARCH_PAGE_NAME


def _as_dot(trial: ShownTrial) -> Dot | None:
    if trial["value"] is None or trial["state"] not in STATES:
        return None
    return Dot(trial["number"], trial["state"], trial["value"], trial["params"])


def _course(dots: Sequence[Dot]) -> Markup:
    """The figure of each trial, and the best so far as a line."""
    if not dots:
        return Markup("")
    last_trial = max(2, max(dot.number for dot in dots))
    axes = charts.whole_axis(1, last_trial, "trial"), _dice_axis(dots)
    complete = [(dot.number, dot.value) for dot in dots if dot.state == "complete"]
    best = accumulate((value for _, value in complete), max)
    line = [(number, value) for (number, _), value in zip(complete, best, strict=True)]
    return Markup(charts.points(_by_state(dots, lambda dot: dot.number), axes, line))


def _setting(key: str, domain: ShownDomain, dots: Sequence[Dot]) -> Markup:
    """The figure against one setting; choices from left to right in the order of the file."""
    if not dots:
        return Markup("")
    places = {json.dumps(value): number for number, value in enumerate(domain.get("values", ()))}
    if places:
        axis = charts.named_axis([_short(value) for value in domain["values"]], key)
    elif domain["log"]:
        axis = charts.logarithmic_axis(domain["low"], domain["high"], key)
    else:
        axis = charts.linear_axis(domain["low"], domain["high"], key)

    def x(dot: Dot) -> float:
        value: float = dot.params[key]
        return places[json.dumps(value)] if places else value

    return Markup(charts.points(_by_state(dots, x), (axis, _dice_axis(dots))))


def _by_state(dots: Sequence[Dot], x: Callable[[Dot], float]) -> dict[str, list[tuple[float, float]]]:
    """Place and figure of the trials of each state; states that none is in are left out."""
    groups = {name: [(x(dot), dot.value) for dot in dots if dot.state == state] for state, name in STATES.items()}
    return {name: places for name, places in groups.items() if places}


def _dice_axis(dots: Sequence[Dot]) -> charts.Axis:
    values = [dot.value for dot in dots]
    return charts.linear_axis(min(values), max(values), LABEL)


def _short(value: Any) -> str:
    text = _text(value)
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


def _text(value: Any) -> str:
    """A setting as it is read: four digits of a number, text without quotes."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if value is None:
        return "–"
    return value if isinstance(value, str) else json.dumps(value)
