"""Arms of several regions are ranked by the mean over regions, and shown by region."""

import json
import re
from pathlib import Path

import pytest

from tests.report.evaluated import REGIONS, evaluated
from tumorline.benchmarking import leaderboard
from tumorline.benchmarking.leaderboard import Entry
from tumorline.cli.shown_results import leaderboard_row
from tumorline.config import Config
from tumorline.report.benchmark import differences, headings, write_leaderboard
from tumorline.results.compared import Leaderboard

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
    write_training(run, {"multiply_adds": speed})
    return Entry(name, (), {0: run}, [run])


def write_training(run: Path, environment: dict[str, object]) -> None:
    Config().save(run / "config.toml")
    write_environment(run, environment)
    (run / "history.csv").write_text("epoch,validation_dice,images_per_second\n1,0.5,20\n")


def write_environment(run: Path, environment: dict[str, object]) -> None:
    (run / "environment.json").write_text(json.dumps(ENVIRONMENT | environment))


@pytest.fixture
def result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leaderboard:
    monkeypatch.setattr(leaderboard, "images_per_second", lambda runs: {name: 50.0 + len(name) for name in runs})
    return ranked([arm(tmp_path, "without_core", 1, 10), arm(tmp_path, "whole", None, 20)])


def ranked(entries: list[Entry]) -> Leaderboard:
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


def test_a_model_that_arms_start_from_is_named_without_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "images_per_second", lambda _: {})
    entries = [arm(tmp_path, name, None, 10) for name in ("one", "two")]
    for entry in entries:
        place = f"/home/someone/{entry.name}/begun"
        Config.model_validate({"model": {"start_from": place}}).save(entry.runs[0] / "config.toml")
        write_environment(entry.runs[0], {"initialisation": place})
    found = ranked(entries)
    assert headings(found) == ["From begun", "From begun"]  # two models of one name are not pooled
    assert {row.initialisation for row in found.rows} == {"begun"}
    assert "someone" not in json.dumps(found.to_json())
    old = found.to_json()
    old["groups"][0]["initialisation"] = "C:\\Users\\someone\\begun"
    assert headings(Leaderboard.model_validate(old))[0] == "From begun"


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
    assert list(differences(result)) == [f"without_core, {region}" for region in ("mean over regions", *REGIONS)]


def test_a_line_is_printed_for_each_region(result: Leaderboard) -> None:
    row = leaderboard_row(result.groups[0].rows[2], with_region=True)
    assert list(row)[:3] == ["arm", "region", "mean over regions"]
    assert row["region"] == "enhancing_tumour"


@pytest.fixture
def mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Leaderboard:
    """One arm with a seed, one with three and a longer training.

    Of the three seeds one finds no core, and one has seen another processor.
    """
    monkeypatch.setattr(leaderboard, "images_per_second", lambda runs: dict.fromkeys(runs, 50.0))
    alone = arm(tmp_path, "without_core", 1, 10)
    seeds = {seed: arm(tmp_path, f"whole_{seed}", 1 if seed == 1 else None, 20).runs[0] for seed in range(3)}
    write_training(seeds[2], {"machine": {"processor": "y", "instructions": "AMX"}, "output_stride": 4})
    longer = evaluated(tmp_path / "longer", (12, 40, 48)).folder
    (longer / "config.toml").write_text("[train]\nepochs = 6\n")
    return ranked([alone, Entry("whole", (), seeds, list(seeds.values()), longer)])


def test_arms_with_more_seeds_stand_in_a_table_of_their_own_too(mixed: Leaderboard, tmp_path: Path) -> None:
    everyone, repeated = mixed.groups
    assert [(row.name, list(row.seeds)) for row in everyone.arms] == [("whole", ["0"]), ("without_core", ["0"])]
    assert [(row.name, list(row.seeds)) for row in repeated.arms] == [("whole", ["0", "1", "2"])]
    assert (everyone.about, repeated.about) == ("models", "recipes")
    core = repeated.rows[REGIONS.index("tumour_core")]
    assert (core.seeds["1"], core.seeds["0"]) == (0, core.seeds["2"])
    assert core.dice.mean == pytest.approx(2 / 3 * (core.seeds["0"] or 0))
    assert (core.missed, core.tumour_cases, core.cases, core.patients) == (6 / 3, 6, 6, 6)
    assert any("ONE SEED of all arms" in warning for warning in mixed.warnings)
    assert headings(mixed) == ["From scratch, one seed", "From scratch, 3 seeds"]
    write_leaderboard(mixed, tmp_path)
    text = (tmp_path / "leaderboard.md").read_text()
    assert text.count("| whole | scratch |") == 1, "speed is of the arm"
    assert "whole at 6 epochs: Dice +0.000: no more than a point" in text
    tables = [[line.count("|") for line in block.splitlines()] for block in text.split("\n\n") if block[:1] == "|"]
    assert all(len(set(counts)) == 1 for counts in tables)


def test_speeds_of_several_kinds_of_processors_do_not_stand_side_by_side(mixed: Leaderboard) -> None:
    _, repeated = mixed.groups
    assert repeated.arms[0].machine == "x; y, AMX"
    (warning,) = [text for text in mixed.warnings if "kinds of processors" in text]
    assert warning.endswith("training speed and minutes are those of x alone")


def test_an_arm_of_another_processor_has_no_training_speed_here(mixed: Leaderboard, tmp_path: Path) -> None:
    runs = [arm(tmp_path / "again", name, None, 10) for name in ("a", "b", "c")]
    write_training(runs[2].runs[0], {"machine": {"processor": "z"}})
    (group,) = ranked(runs).groups
    found = {row.name: (row.training_images_per_second, row.training_minutes) for row in group.arms}
    assert found == {"a": (20.0, 1.0), "b": (20.0, 1.0), "c": (None, None)}


@pytest.mark.parametrize(("cases", "gain"), [(1, None), (2, 0.0)])
def test_what_more_epochs_gain_takes_two_patients_with_a_tumour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: int, gain: float | None
) -> None:
    monkeypatch.setattr(leaderboard, "images_per_second", lambda runs: dict.fromkeys(runs, 50.0))
    run, longer = (evaluated(tmp_path / name, (24, 24), cases, regions=1).folder for name in ("run", "longer"))
    write_training(run, {})
    (longer / "config.toml").write_text("[train]\nepochs = 6\n")
    (group,) = ranked([Entry("alone", (), {0: run}, [run], longer)]).groups
    found = group.rows[0].longer
    assert (found and found.gain) == gain
