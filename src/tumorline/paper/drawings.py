"""The charts of a page as figures of their own: drawings that any program shows, without a style sheet.

Their look is that of the page when it is printed: rules and colours are read from its style sheet.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

NAMESPACE = "http://www.w3.org/2000/svg"
FONTS = "Helvetica, Arial, 'Liberation Sans', sans-serif"
LETTER, LEGEND_ROW, LEGEND_GAP = 6.1, 20.0, 34.0
"""Of a legend: width of a letter, height of a row, and what stands between two names."""
UNNAMED = ("chart", "panels")
"""Keys of a page's content that say nothing of the charts below them."""
OF_REGIONS = "regions"
"""The key of a page's content below which the charts of each region are."""
BESIDE = 10.0
"""White beside the drawing, for what reaches out of the chart."""

Style = dict[str, str]


def portable(chart: str) -> Element:
    """A chart of `report.charts`, with its legend, as an SVG element whose shapes bear their own style."""
    tree = ElementTree.fromstring(f"<chart>{chart}</chart>")
    shown = tree[0]
    left, top, width, height = (float(number) for number in shown.attrib["viewBox"].split())
    names = ["".join(entry.itertext()) for entry in tree.iter("span")]
    legend, below = _legend(names, shown, width, top + height)
    drawn = Element("svg", {"xmlns": NAMESPACE, "font-family": FONTS})
    SubElement(drawn, "title").text = shown.attrib.get("aria-label", "")
    for shape in (*shown, *legend):
        drawn.append(_styled(shape))
    sides = (left - BESIDE, top - BESIDE, width + 2 * BESIDE, height + below + 2 * BESIDE)
    drawn.attrib |= {"viewBox": " ".join(f"{side:g}" for side in sides)}
    drawn.attrib |= {"width": f"{sides[2]:g}", "height": f"{sides[3]:g}"}
    return drawn


def to_text(drawing: Element) -> str:
    return ElementTree.tostring(drawing, encoding="unicode") + "\n"


def is_chart(text: object) -> bool:
    """Whether a part of a page's content is a chart."""
    return isinstance(text, str) and text.lstrip().startswith("<svg")


@dataclass(frozen=True)
class FoundChart:
    """A chart of a page's content."""

    names: tuple[str, ...]
    """Where it stands in the content, from the outermost on: (regions, tumour, by_class)."""
    unit: str
    """Of what it shows the change of; empty where it states none."""
    drawn: str

    @property
    def name(self) -> str:
        return "-".join(self.names[self.names[0] == OF_REGIONS :])


def charts_in(content: object, names: tuple[str, ...] = (), unit: str = "") -> Iterator[FoundChart]:
    """The charts of a page's content."""
    if is_chart(content):
        yield FoundChart(names, unit, str(content))
    elif isinstance(content, Mapping):
        unit = str(content.get("unit", unit))
        for key, value in content.items():
            yield from charts_in(value, names if key in UNNAMED else (*names, str(key)), unit)
    elif isinstance(content, list | tuple):
        for value in content:
            title = value.get("region") or value.get("title") if isinstance(value, Mapping) else None
            yield from charts_in(value, (*names, str(title)) if title else names, unit)


def _legend(names: list[str], chart: Element, width: float, bottom: float) -> tuple[list[Element], float]:
    """Samples of the series with their names below the chart, and the height that they take."""
    shapes, x, y = list[Element](), 0.0, bottom + LEGEND_ROW - 6
    lines = {class_name for shape in chart.iter() if "line" in (classes := _classes(shape)) for class_name in classes}
    for number, name in enumerate(names):
        needed = LETTER * len(name) + LEGEND_GAP
        if x and x + needed > width:
            x, y = 0.0, y + LEGEND_ROW
        shapes += [_sample(f"series{number % 4}", lines, x, y), _name_beside(name, x + 24, y + 4)]
        x += needed
    return shapes, y - bottom + LEGEND_ROW / 2 if names else 0.0


def _sample(series: str, lines: set[str], x: float, y: float) -> Element:
    if series in lines:
        ends = {"x1": f"{x:g}", "x2": f"{x + 19:g}", "y1": f"{y:g}", "y2": f"{y:g}"}
        return Element("line", {"class": f"line {series}", **ends})
    return Element("circle", {"class": f"point {series}", "cx": f"{x + 9:g}", "cy": f"{y:g}", "r": "4"})


def _name_beside(text: str, x: float, y: float) -> Element:
    shape = Element("text", {"class": "tick", "x": f"{x:g}", "y": f"{y:g}"})
    shape.text = text
    return shape


def _styled(shape: Element) -> Element:
    """A copy with the style of its classes as attributes; what stands in the shape itself stays."""
    attributes = {name: value for name, value in shape.attrib.items() if name not in ("class", "style")}
    copy = Element(shape.tag, {**style_of(shape.tag, _classes(shape)), **attributes})
    copy.text, copy.tail = shape.text, shape.tail
    copy.extend(_styled(child) for child in shape)
    return copy


def _classes(shape: Element) -> frozenset[str]:
    return frozenset(shape.attrib.get("class", "").split())


def style_of(tag: str, classes: frozenset[str]) -> Style:
    """The declarations of all rules that fit, the later ones first."""
    style: Style = {}
    for rule_tag, rule_classes, declared in _rules():
        if rule_tag in ("", tag) and rule_classes <= classes:
            style |= declared
    return style


@cache
def _rules() -> list[tuple[str, frozenset[str], Style]]:
    """What the style sheets say of shapes within an `svg`: tag, classes, attributes."""
    sheet = "".join(resources.files("tumorline.report").joinpath(f"{name}.css").read_text() for name in SHEETS)
    colours = _printed_colours(sheet)
    rules = []
    for selectors, body in re.findall(
        r"([^{}]+)\{([^{}]*)\}", re.sub(r"@media[^{]*\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}", "", sheet)
    ):
        for selector in selectors.split(","):
            if match := re.fullmatch(r"\s*svg ([a-z]*)((?:\.[\w-]+)*)\s*", selector):
                classes = frozenset(filter(None, match[2].split(".")))
                rules.append((match[1], classes, _attributes(body, colours)))
    return rules


SHEETS = ("style", "regions")
KNOWN = {
    *("fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-linejoin", "stroke-opacity", "fill-opacity"),
    *("opacity", "font-size", "font-weight", "text-anchor"),
}


def _printed_colours(sheet: str) -> Style:
    """Values of the sheet's variables as they are on paper."""
    _, _, printed = sheet.partition("@media print")
    declared = re.findall(r"(--[\w-]+):\s*([^;}]+)", printed)
    return dict(re.findall(r"(--[\w-]+):\s*([^;}]+)", sheet.partition("@media")[0])) | dict(declared)


def _attributes(body: str, colours: Mapping[str, str]) -> Style:
    pairs = (line.partition(":") for line in body.split(";"))
    declared = {name.strip(): value.strip() for name, _, value in pairs if name.strip() in KNOWN}
    resolved = {
        name: re.sub(r"var\((--[\w-]+)\)", lambda match: colours.get(match[1], "#000000"), value).removesuffix("px")
        for name, value in declared.items()
    }
    return {key: value for name, text in resolved.items() for key, value in _without_alpha(name, text.strip()).items()}


def _without_alpha(name: str, value: str) -> Style:
    """A colour of eight digits, which not every program knows, as colour and opacity; one of three in full."""
    if re.fullmatch(r"#[0-9a-fA-F]{3}", value):
        return {name: "#" + "".join(2 * digit for digit in value[1:])}
    if not re.fullmatch(r"#[0-9a-fA-F]{8}", value):
        return {name: value}
    return {name: value[:7], f"{name}-opacity": f"{int(value[7:], 16) / 255:.2f}"}
