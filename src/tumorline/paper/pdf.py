"""Portable drawings as PDF with their font in it. Needs the `paper` extra."""

import re
from io import BytesIO
from typing import Any
from xml.etree.ElementTree import Element

from tumorline.errors import require_extra

SCALE = 0.92
"""Vera, which comes with reportlab and goes into each file, is wider than the fonts of the page by so much."""
FONTS = {False: ("TumorlineVera", "Vera.ttf"), True: ("TumorlineVera-Bold", "VeraBd.ttf")}
BOLD = 550
"""Weights from which on text is bold."""


def to_pdf(drawing: Element) -> bytes:
    """A PDF page of the drawing's size, as `drawings.portable` gives it, the same for the same drawing."""
    require_extra("reportlab", "--figures", "paper")
    from reportlab.pdfgen.canvas import Canvas

    left, top, width, height = (float(side) for side in drawing.attrib["viewBox"].split())
    file = BytesIO()
    canvas = Canvas(file, pagesize=(width, height), invariant=1)
    canvas.setTitle(drawing.findtext("title") or "")
    canvas.setCreator("Tumorline")
    _register_fonts()
    page = _Page(canvas, left, top + height)
    for shape in drawing:
        page.draw(shape)
    canvas.save()
    return file.getvalue()


def _register_fonts() -> None:
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont

    for name, file in FONTS.values():
        if name not in pdfmetrics.getRegisteredFontNames():
            pdfmetrics.registerFont(TTFont(name, file))


class _Page:
    """A canvas whose vertical axis points up, drawn on in coordinates whose axis points down."""

    def __init__(self, canvas: Any, left: float, bottom: float) -> None:
        self.canvas, self.left, self.bottom = canvas, left, bottom

    def draw(self, shape: Element) -> None:
        """Raises ValueError for a shape that charts do not have."""
        if shape.tag == "title":
            return
        if shape.tag == "g":
            for child in shape:
                self.draw(child)
            return
        draw = getattr(self, f"_{shape.tag}", None)
        if draw is None:
            raise ValueError(f"a chart with <{shape.tag}>, which is not drawn as PDF")
        self.canvas.saveState()
        draw(shape, self._prepared(shape))
        self.canvas.restoreState()

    def _prepared(self, shape: Element) -> dict[str, int]:
        """Set colours and lines; returns whether a shape is filled and stroked, as the canvas asks for it."""
        style, canvas = shape.attrib, self.canvas
        fill, stroke = style.get("fill", "#000000"), style.get("stroke", "none")
        opacity = float(style.get("opacity", 1))
        if fill != "none":
            canvas.setFillColor(fill, alpha=opacity * float(style.get("fill-opacity", 1)))
        if stroke != "none":
            canvas.setStrokeColor(stroke, alpha=opacity * float(style.get("stroke-opacity", 1)))
            canvas.setLineWidth(float(style.get("stroke-width", 1)))
            canvas.setLineJoin(1 if style.get("stroke-linejoin") == "round" else 0)
            if dashes := style.get("stroke-dasharray"):
                canvas.setDash([float(length) for length in re.split(r"[ ,]+", dashes)])
        return {"fill": int(fill != "none"), "stroke": int(stroke != "none")}

    def _at(self, x: str, y: str) -> tuple[float, float]:
        return float(x) - self.left, self.bottom - float(y)

    def _line(self, shape: Element, _how: dict[str, int]) -> None:
        ends = [self._at(shape.attrib.get(f"x{end}", "0"), shape.attrib.get(f"y{end}", "0")) for end in (1, 2)]
        self.canvas.line(*ends[0], *ends[1])

    def _rect(self, shape: Element, how: dict[str, int]) -> None:
        x, y = self._at(shape.attrib.get("x", "0"), shape.attrib.get("y", "0"))
        width, height = float(shape.attrib["width"]), float(shape.attrib["height"])
        self.canvas.rect(x, y - height, max(width, 0.0), height, **how)

    def _circle(self, shape: Element, how: dict[str, int]) -> None:
        self.canvas.circle(*self._at(shape.attrib["cx"], shape.attrib["cy"]), float(shape.attrib["r"]), **how)

    def _polyline(self, shape: Element, how: dict[str, int]) -> None:
        numbers = re.split(r"[\s,]+", shape.attrib.get("points", "").strip())
        if len(numbers) < 4:
            return
        path = self.canvas.beginPath()
        for number, (x, y) in enumerate(zip(numbers[::2], numbers[1::2], strict=True)):
            (path.lineTo if number else path.moveTo)(*self._at(x, y))
        self.canvas.drawPath(path, **how)

    def _text(self, shape: Element, _how: dict[str, int]) -> None:
        text = "".join(shape.itertext())
        size = SCALE * float(shape.attrib.get("font-size", 11))
        self.canvas.setFont(FONTS[_weight(shape) >= BOLD][0], size)
        x, y = self._at(shape.attrib.get("x", "0"), shape.attrib.get("y", "0"))
        moved = re.fullmatch(
            r"translate\(([-\d.]+)[ ,]+([-\d.]+)\) rotate\(([-\d.]+)\)", shape.attrib.get("transform", "")
        )
        if moved:
            self.canvas.translate(*self._at(moved[1], moved[2]))
            self.canvas.rotate(-float(moved[3]))
            x, y = float(shape.attrib.get("x", "0")), -float(shape.attrib.get("y", "0"))
        anchor = shape.attrib.get("text-anchor", "start")
        write = {"middle": self.canvas.drawCentredString, "end": self.canvas.drawRightString}
        write.get(anchor, self.canvas.drawString)(x, y, text)


def _weight(shape: Element) -> int:
    weight = shape.attrib.get("font-weight", "400")
    return int(weight) if weight.isdigit() else 700 if weight == "bold" else 400
