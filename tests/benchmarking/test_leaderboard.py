"""Arms of several regions are ranked by the mean over regions, and shown by region."""

import json
import re
from pathlib import Path

import pytest

from tests.report.evaluated import REGIONS, evaluated
from tumorline.benchmarking import leaderboard
from tumorline.benchmarking.leaderboard import Entry
from tumorline.compared_results import Leaderboard
from tumorline.printing import leaderboard_row
from tumorline.report.benchmark import differences, write_leaderboard

ENVIRONMENT = {
    "machine": {"processor": "x"},
    "device": "cpu",
    "precision": "float32",
    "seconds_of_training_steps": 60.0,
    "peak_memory_mb": 100,
    "parameters": 1000,
    "multiply_adds": 10,
    "initialisation": "scratch",
}


def arm(folder: Path, name: str, lost: int | None, speed: int) -> Entry:
    """A finished run, which finds nothing of the region that is `lost`."""
    run = evaluated(folder / name, (12, 40, 48), lost=lost).folder
    (run / "environment.json").write_text(json.dumps(ENVIRONMENT | {"multiply_adds": speed}))
    (run / "history.csv").write_text("epoch,validation_dice,images_per_second\n1,0.5,20\n")
    return Entry(name, (), {0: run}, [run])


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leaderboard:
    monkeypatch.setattr(leaderboard, "images_per_second", lambda runs: {name: 50.0 + len(name) for name in runs})
    entries = [arm(tmp_path, "without_core", 1, 10), arm(tmp_path, "whole", None, 20)]
    return Leaderboard(
        schema_version=leaderboard.SCHEMA_VERSION,
        name="volumes",
        cells=2,
        finished=2,
        budget="",
        processes=1,
        reference="whole",
        ranked_by=leaderboard.ranked_by(entries),
        warnings=leaderboard.shared_warnings(entries),
        groups=leaderboard.rank(entries, "whole"),
        unmeasured=[],
    )


def test_arms_are_ranked_by_the_mean_over_regions(result: Leaderboard) -> None:
    (group,) = result.groups
    assert result.ranked_by == "mean over regions of the Dice by patient"
    assert [(row.name, row.region) for row in group.rows] == [
        *(("whole", region) for region in REGIONS),
        *(("without_core", region) for region in REGIONS),
    ]
    assert [row.name for row in group.arms] == ["whole", "without_core"]
    best, worst = group.arms
    dice = [row.dice.mean or 0.0 for row in group.rows]
    assert best.mean_dice == pytest.approx(sum(dice[:3]) / 3)
    assert worst.mean_dice == pytest.approx(sum(dice[3:]) / 3)
    assert dice[4] == 0
    assert "by_patient" not in group.to_json()["pairs"][0]


def test_the_page_and_the_text_have_a_line_for_each_region(result: Leaderboard, tmp_path: Path) -> None:
    page = write_leaderboard(result, tmp_path).read_text()
    assert page.count("<td>tumour core<br>mean") == 2
    assert page.count("<tr><td>whole</td><td>scratch</td>") == 1, "speed is of the arm"
    assert "absolute error" in page
    text = (tmp_path / "leaderboard.md").read_text()
    table = [line for line in text.splitlines() if line.startswith("|")][:8]
    assert {line.count("|") for line in table} == {table[0].count("|")}
    assert "Ranked by the mean over regions of the Dice by patient." in text
    assert re.search(r"\| 2 \| without_core \| tumour core \| 0.000", text)
    assert list(differences(result)) == [f"without_core, {region}" for region in REGIONS]


def test_a_line_is_printed_for_each_region(result: Leaderboard) -> None:
    row = leaderboard_row(result.groups[0].rows[2], with_region=True)
    assert list(row)[:3] == ["arm", "region", "mean over regions"]
    assert row["region"] == "enhancing_tumour"
