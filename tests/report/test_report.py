import csv
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tumorline.errors import UserError
from tumorline.report import write_report
from tumorline.report.cases import choose, outline
from tumorline.run import render_report


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def change_summary(run: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    summary = json.loads((run / "summary.json").read_text())
    change(summary)
    (run / "summary.json").write_text(json.dumps(summary))


def page(run: Path) -> str:
    return write_report(run).read_text()


def test_the_page_loads_nothing_from_elsewhere(tiny_run: Path) -> None:
    text = (tiny_run / "report.html").read_text()
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert not re.search(r"@import|url\(|https?://", text)


def test_the_headline_is_that_of_the_summary(run: Path) -> None:
    mean = json.loads((run / "summary.json").read_text())["regions"]["tumour"]["dice"]["mean"]
    assert f'<div class="big">{mean:.3f}<small>' in page(run)


def test_pictures_have_both_contours(run: Path) -> None:
    text = render_report(run).read_text()
    with (run / "evaluation.csv").open() as file:
        tests = sum(row["status"] == "test" for row in csv.DictReader(file))
    shown = 3 * min(4, tests // 3)
    assert text.count('class="contour truth" d="M') == shown
    assert text.count('class="contour predicted"') == shown


@pytest.mark.parametrize(
    ("warning", "badge"),
    [
        ("SIMULATED DATA: x", "simulated data"),
        ("LEAKING: x", "leaking split"),
        ("TRAINING CASES INCLUDED: x", "training cases included"),
        ("PATIENTS UNKNOWN: x", "patients unknown"),
    ],
)
def test_a_warning_is_a_badge(run: Path, warning: str, badge: str) -> None:
    marked = f'<span class="badge">{badge}</span>'
    assert marked not in page(run)
    change_summary(run, lambda summary: summary["warnings"].append(warning))
    assert marked in page(run)


def test_a_model_without_overlap_is_marked(run: Path) -> None:
    def spoil(summary: dict) -> None:  # type: ignore[type-arg]
        summary["regions"]["tumour"]["dice"]["mean"] = 0.0

    assert "does not beat predicting nothing" not in page(run)
    change_summary(run, spoil)
    assert "does not beat predicting nothing" in page(run)


def test_text_from_files_is_escaped(run: Path) -> None:
    change_summary(run, lambda summary: summary["warnings"].append("<script>alert(1)</script>"))
    text = (run / "split.csv").read_text().replace(",a,", ",<b>a</b>,")
    (run / "split.csv").write_text(text)
    assert "<script>alert" not in page(run)
    assert "<b>a</b>" not in page(run)
    assert "&lt;b&gt;a&lt;/b&gt;" in page(run)


def test_missing_sources_and_predictions_are_said(run: Path) -> None:
    shutil.rmtree(run / "predictions")
    assert "The pictures could not be made" in render_report(run).read_text()
    assert "The pictures could not be made" in page(run)


def test_undefined_figures_are_dashes(run: Path) -> None:
    def empty(summary: dict) -> None:  # type: ignore[type-arg]
        for figure in summary["regions"]["tumour"].values():
            if isinstance(figure, dict) and "mean" in figure:
                figure.update(mean=None, median=None, ci95=None, range=None, mean_over_cases=None)

    change_summary(run, empty)
    assert '<div class="big">–' in page(run)


def test_a_run_without_evaluation_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not evaluated yet"):
        write_report(tmp_path)


def test_best_median_and_worst_are_chosen_by_dice() -> None:
    rows = [{"case": str(n), "dice": f"{n / 10}"} for n in range(9)] + [{"case": "undefined", "dice": ""}]
    chosen = {name: [row["case"] for row in members] for name, members in choose(rows, 2).items()}
    assert chosen == {"Best": ["8", "7"], "Median": ["5", "4"], "Worst": ["0", "1"]}


def test_an_outline_runs_around_the_pixel() -> None:
    import numpy as np

    mask = np.zeros((4, 4), bool)
    mask[1, 2] = True
    points = [tuple(map(float, pair.split(","))) for pair in outline(mask)[1:-1].split()]
    xs, ys = zip(*points, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (2.0, 3.0, 1.0, 2.0)
