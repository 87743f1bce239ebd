"""What all pages have in common."""

import base64
import hashlib
import re
from pathlib import Path

import pytest

from tests.report.evaluated import evaluated
from tumorline import report
from tumorline.report import charts, write_report
from tumorline.report.card_page import render_markdown, write_card_page
from tumorline.report.templates import shown_count, template


@pytest.mark.parametrize(
    ("value", "shown"),
    [(7850, "7.85 k"), (1_940_000, "1.94 M"), (487e6, "487 M"), (42.96e9, "43 G"), (12, "12"), (999_900, "1 M")],
)
def test_a_count_is_never_rounded_away(value: float, shown: str) -> None:
    assert shown_count(value) == shown


@pytest.mark.parametrize("name", ["template.html", "comparison.html", "matrix.html", "benchmark.html", "tune.html"])
def test_all_pages_have_one_frame_and_no_script_in_an_attribute(name: str) -> None:
    text = (Path(report.__file__).parent / name).read_text()
    assert text.startswith('{% extends "frame.html" %}')
    assert not re.search(r"\son\w+=", text)
    assert template(name)


def test_only_the_page_s_own_script_may_run(tmp_path: Path) -> None:
    made = evaluated(tmp_path, (20, 24), cases=3, regions=1)
    page = write_report(made.folder, made.read_case).read_text()
    (script,) = re.findall(r'<script type="module">(.*?)</script>', page, re.S)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert f"script-src &#39;sha256-{digest}&#39;" in policy or f"script-src 'sha256-{digest}'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "default-src" in policy
    others = re.findall(r"<script(?! type=\"(?:module|application/json)\")", page.replace(script, ""))
    assert others == []


def test_the_section_on_the_data_says_what_was_scored_where_there_is_no_split(tmp_path: Path) -> None:
    made = evaluated(tmp_path, (20, 24), cases=3, regions=1)
    section = write_report(made.folder).read_text().split('id="data"')[1].split("</table>")[0]
    assert re.search(r"<td>test</td><td>not stated</td>(<td class=\"right\">3</td>){3}", section)


def test_a_model_card_is_a_page_without_tags_images_and_scripts_of_its_own(tmp_path: Path) -> None:
    text = "# Card\n<script>alert(1)</script>\n[a](javascript:alert(1)) ![b](http://host.invalid/x.png)\n\n|a|b|\n|-|-|\n|1|2|\n"
    page = render_markdown(text)
    assert "<h1>Card</h1>" in page
    assert "<td>2</td>" in page
    assert not re.search(r"<script|<img|href=\"javascript", page)
    assert write_card_page(tmp_path) is None
    (tmp_path / "MODEL_CARD.md").write_text(text)
    made = evaluated(tmp_path, (20, 24), cases=2, regions=1)
    assert 'href="model_card.html"' in write_report(made.folder).read_text()
    assert "<h1>Card</h1>" in (tmp_path / "model_card.html").read_text()


def test_texts_of_ticks_do_not_touch() -> None:
    assert charts.apart_ticks([(0, "1000"), (10, "2000"), (60, "5000")]) == [0, 2]
    assert charts.apart_ticks([(0, "1"), (30, "2")]) == [0, 1]
    assert charts.apart_rows([100, 95, 80]) == [0, 2]


def test_the_names_of_groups_stand_above_the_picture() -> None:
    svg = charts.pareto({"scratch": {"a": (1.0, 0.5)}, "ImageNet": {"b": (2.0, 0.6)}}, "speed", "Dice")
    (top,) = re.findall(r'viewBox="0 (-\d+)', svg)
    places = [float(place) for place in re.findall(r'y="(-?\d+)">(?:scratch|ImageNet)<', svg)]
    assert len(places) == 2
    assert all(float(top) < place < 0 for place in places)
