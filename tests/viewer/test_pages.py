"""Pages in a real browser: their table of cases, their viewer, and links to a case."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

from tests.report.evaluated import evaluated, nested_balls, summary_of
from tests.viewer.conftest import Opened
from tumorline.data.sample import Sample
from tumorline.evaluation.predictions import write_prediction
from tumorline.evaluation.summary import with_baselines
from tumorline.evaluation.tables import write_evaluation
from tumorline.geometry.grid import Grid
from tumorline.metrics.case import score_case
from tumorline.metrics.summary import Row
from tumorline.report import picture_files, write_report

if TYPE_CHECKING:
    from playwright.sync_api import Page

HOSTILE = '"></script><img src=x onerror=alert(1)>\u202e#&%41 é/7'
SPACE = (40, 48)


def many_cases(folder: Path, cases: int = 12) -> Any:
    """Pictures of patients with two slices each; every fourth is missed, the last one has a hostile name."""
    samples, rows = {}, []
    for number in range(cases):
        name = HOSTILE if number == cases - 1 else f"s{number}"
        truth = nested_balls(SPACE, 9, regions=1)
        predicted = np.zeros_like(truth) if number % 4 == 3 else nested_balls(SPACE, 9, shift=number % 7, regions=1)
        image = np.random.default_rng(number).random((1, *SPACE)).astype(np.float32)
        samples[name] = Sample(image, truth, Grid(SPACE))
        write_prediction(folder / "predictions", name, ["tumour"], predicted, Grid(SPACE))
        scores = score_case(truth[0], predicted[0], None)
        rows.append(Row(name, f"P{number // 2}", {"class_name": "ab"[number % 2]}, "test", "tumour", scores))
    write_evaluation(folder, rows, with_baselines(summary_of(rows), []))
    return samples.__getitem__


def lines(page: "Page") -> list[str]:
    return page.locator("#cases-browser tbody tr td:first-child").all_inner_texts()


def dice(page: "Page") -> list[float]:
    return [float(text) for text in page.locator("#cases-browser tbody tr td:nth-child(2)").all_inner_texts()]


def shown_case(page: "Page") -> str:
    page.wait_for_selector(".tv[data-ready]")
    return str(page.locator(".tv").get_attribute("data-case"))


def wait_for_case(page: "Page", name: str) -> None:
    page.wait_for_function("(name) => document.querySelector('.tv').dataset.case === name", arg=name)


@pytest.mark.parametrize(
    "most_in_page",
    [pytest.param(picture_files.MOST_IN_PAGE, marks=pytest.mark.slow), 0],
    ids=["in the page", "in a folder"],
)
def test_all_cases_are_sorted_filtered_stepped_through_and_linked(
    opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most_in_page: int
) -> None:
    monkeypatch.setattr(picture_files, "MOST_IN_PAGE", most_in_page)
    monkeypatch.setattr(picture_files, "PACK_SIZE", 10_000)
    read_case = many_cases(tmp_path)
    report = write_report(tmp_path, read_case)
    folder = tmp_path / "report-images"
    assert folder.exists() == (most_in_page == 0)
    assert ("lie in the folder report-images beside this page" in report.read_text()) == (most_in_page == 0)

    page = opened.go(report)
    assert len(lines(page)) == 12
    assert dice(page) == sorted(dice(page)), "the lowest first"
    page.locator("[data-sort=Dice]").click()
    assert dice(page) == sorted(dice(page), reverse=True)
    page.locator("[data-filter=result]").select_option("missed")
    assert lines(page)[:2] == ["s3", "s7"]
    assert len(lines(page)) == 3
    page.locator("tr[data-number='3']").click()
    wait_for_case(page, "s3")
    page.keyboard.press("ArrowRight")
    wait_for_case(page, "s7")
    assert page.url.endswith("#case=s7")
    page.keyboard.press("ArrowRight")
    wait_for_case(page, HOSTILE)
    page.keyboard.press("ArrowLeft")
    wait_for_case(page, "s7")
    page.locator("[data-action=clear]").click()
    page.locator("[data-limit='Dice from']").fill("0.9")
    page.locator("[data-limit='Dice from']").press("Enter")
    assert lines(page)
    assert all(value >= 0.9 for value in dice(page))

    for name in ("s4", HOSTILE):
        page.goto("about:blank")
        opened.go(report, f"#case={quote(name, safe='')}")
        assert shown_case(page) == name
        before = page.evaluate("document.querySelector('canvas').toDataURL()")
        page.keyboard.press("e")
        assert page.evaluate("document.querySelector('canvas').toDataURL()") != before
    assert page.locator("img[src=x]").count() == 0
    assert "\u202e" not in page.locator("#cases-browser").inner_text(), "what turns text around is made visible"


@pytest.mark.slow
def test_patients_are_lines_of_their_own_and_lead_to_their_cases(opened: Opened, tmp_path: Path) -> None:
    page = opened.go(write_report(tmp_path, many_cases(tmp_path, cases=24)))
    page.locator("[data-action=by-patient]").click()
    assert len(lines(page)) == 12
    page.locator("tbody button", has_text=re.compile("^P1$")).click()
    assert sorted(lines(page)) == ["s2", "s3"], "and not those of P10 and P11"
    assert shown_case(page) in ("s2", "s3")
    page.locator("[data-filter=text]").fill("P1")
    assert len(lines(page)) == 6, "what is typed is looked for anywhere"


@pytest.mark.slow
def test_a_page_whose_folder_is_gone_says_so(opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_files, "MOST_IN_PAGE", 0)
    report = write_report(tmp_path, many_cases(tmp_path))
    (tmp_path / "report-images").rename(tmp_path / "elsewhere")
    page = opened.go(report)
    page.wait_for_function("document.querySelector('.tv-empty')?.textContent.includes('beside this page')")
    assert len(lines(page)) == 12
    opened.problems.clear()  # the browser's own word on the file that is not there


@pytest.mark.slow
def test_light_dark_and_a_phone(opened: Opened, tmp_path: Path) -> None:
    made = evaluated(tmp_path, (8, *SPACE))
    page = opened.go(write_report(made.folder, made.read_case))
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("[data-action=theme]").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert shown_case(page)
    assert page.locator("canvas").count() == 3


def test_pictures_of_an_earlier_page_go_and_what_is_not_ours_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_case = many_cases(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(picture_files, "MOST_IN_PAGE", 0)
        write_report(tmp_path, read_case)
    folder = tmp_path / "report-images"
    (folder / "00099.js").write_text("mine")
    assert (folder / "00000.js").read_text().startswith('tumorlinePack("report-images/00000.js",[')
    write_report(tmp_path, read_case)
    assert [path.name for path in folder.iterdir()] == ["00099.js"]
