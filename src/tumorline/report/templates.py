"""What all pages have in common: the template that they fill, its filters, its scripts and its policy."""

import math
from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tumorline.escaping import for_markdown, one_line
from tumorline.metrics.headline import name_figure
from tumorline.viewer.assets import content_policy, inline_module, inline_style
from tumorline.wording import in_words, said_once, short_p

TOOLBAR = ("toolbar.js",)
BROWSING = ("viewer.js", "browser.js", "toolbar.js")
BROWSING_STYLES = ("viewer.css", "browser.css")


@cache
def template(name: str, browses: bool = False) -> Any:
    """A page of this package, with its filters; one that `browses` has the viewer and the table of its cases.

    It is compiled once a process, which takes longer than to fill it.
    """
    environment = Environment(
        loader=PackageLoader("tumorline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=harmless(for_markdown if name.endswith(".md") else one_line),
    )
    environment.filters |= {
        "number": shown_number,
        "signed": _signed,
        "percent": _percent,
        "words": in_words,
        "count": shown_count,
        "figure_name": name_figure,
        "p": short_p,
        "once": said_once,
    }
    environment.globals |= _parts(browses)
    return environment.get_template(name)


@cache
def _parts(browses: bool) -> dict[str, Markup]:
    """Scripts, the policy that lets them run, and styles."""
    script = inline_module(*(BROWSING if browses else TOOLBAR))
    styles = inline_style(*(BROWSING_STYLES if browses else ()))
    return {"script": Markup(script), "policy": Markup(content_policy([script])), "styles": Markup(styles)}


def harmless(escape: Callable[[str], str]) -> Callable[[Any], Any]:
    """What a template is to do with each value before it is written: texts are escaped, our own markup is not."""
    return lambda value: escape(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def shown_number(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def shown_count(value: float) -> str:
    """A large count as it is read: 7.9 k, 1.2 M, 3.4 G; a small one is not rounded away."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g}"


def _signed(value: float | None, digits: int = 3) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{value:+.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"
