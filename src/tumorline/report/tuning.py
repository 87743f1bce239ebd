"""The page of a search for settings."""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tumorline.file_names import SEARCH_PAGE_NAME
from tumorline.files import write_text
from tumorline.report import charts
from tumorline.report.templates import template

STATES = {"complete": "trained to the end", "pruned": "given up early"}
LABEL = "validation Dice"
LONGEST_NAME = 14

Trial = Mapping[str, Any]


def write_page(search: Mapping[str, Any], output: Path) -> Path:
    """Write `tune.html`: the best values, the course of the search, and each setting against the figure."""
    trials = search["trials"]
    scored = [trial for trial in trials if trial["value"] is not None and trial["state"] in STATES]
    ranked = sorted(trials, key=lambda trial: (trial["state"] != "complete", -(trial["value"] or 0), trial["number"]))
    content = {
        **search,
        "ranked": ranked,
        "best": next((trial for trial in trials if trial["number"] == search["best"]), None),
        "counts": {state: sum(trial["state"] == state for trial in trials) for state in (*STATES, "failed")},
        "course": _course(scored),
        "settings": {key: _setting(key, domain, scored) for key, domain in search["space"].items()},
    }
    write_text(output / SEARCH_PAGE_NAME, template("tune.html").render(**content, text=_text))
    return output / SEARCH_PAGE_NAME


def _course(scored: Sequence[Trial]) -> Markup:
    """The figure of each trial, and the best so far as a line."""
    if not scored:
        return Markup("")
    last = max(2, max(trial["number"] for trial in scored))
    axes = charts.whole_axis(1, last, "trial"), _dice_axis(scored)
    complete = [(trial["number"], trial["value"]) for trial in scored if trial["state"] == "complete"]
    best = accumulate((value for _, value in complete), max)
    line = [(number, value) for (number, _), value in zip(complete, best, strict=True)]
    return Markup(charts.points(_dots(scored, lambda trial: trial["number"]), axes, line))


def _setting(key: str, domain: Mapping[str, Any], scored: Sequence[Trial]) -> Markup:
    """The figure against one setting; choices from left to right in the order of the file."""
    if not scored:
        return Markup("")
    places = {json.dumps(value): number for number, value in enumerate(domain.get("values", ()))}
    if places:
        axis = charts.named_axis([_short(value) for value in domain["values"]], key)
    elif domain["log"]:
        axis = charts.logarithmic_axis(domain["low"], domain["high"], key)
    else:
        axis = charts.linear_axis(domain["low"], domain["high"], key)

    def x(trial: Trial) -> float:
        value = trial["params"][key]
        return places[json.dumps(value)] if places else value

    return Markup(charts.points(_dots(scored, x), (axis, _dice_axis(scored))))


def _dots(scored: Sequence[Trial], x: Callable[[Trial], float]) -> dict[str, list[tuple[float, float]]]:
    """Place and figure of the trials of each state; states that none is in are left out."""
    groups = {
        name: [(x(trial), trial["value"]) for trial in scored if trial["state"] == state]
        for state, name in STATES.items()
    }
    return {name: dots for name, dots in groups.items() if dots}


def _dice_axis(scored: Sequence[Trial]) -> charts.Axis:
    values = [trial["value"] for trial in scored]
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
