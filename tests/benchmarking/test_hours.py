"""The hours of a benchmark before it is begun."""

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.benchmarking.conftest import write_plan
from tests.conftest import PairFolder, Program
from tumorline.benchmarking import hours
from tumorline.benchmarking.hours import ArmHours, count_hours, pace_key
from tumorline.benchmarking.plan import arms, candidates
from tumorline.benchmarking.plan_file import read_plan
from tumorline.cli.training import print_hours
from tumorline.errors import UserError
from tumorline.training.pace import Pace

STUDY = """
name = "study"
seeds = [0, 1, 2]
best = 1
longer = 1
choose_at = 0.5
[choose]
"train.learning_rate" = [0.1, 0.2]
[recipe.data]
image_size = 32
[recipe.train]
epochs = 4
[models.quick]
name = "unet"
[models.slow]
name = "attention_unet"
[models.unknown]
name = "mednext"
"""
PACE = Pace(step_s=2.0, batch=8, steps=10, case_s=1.0, validated=5, tested=20)
"""25 s an epoch."""


def test_hours_are_those_of_all_cells_the_slowest_taken_for_the_best(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pace_of(config: object) -> Pace:
        name = config.model.name  # type: ignore[attr-defined]
        if name == "mednext":
            raise UserError("no weights")
        return PACE if name == "unet" else Pace(4.0, 8, 10, 1.0, 5, 20)

    monkeypatch.setattr(hours, "measure_pace", pace_of)
    monkeypatch.setattr(hours, "hash_of_data", lambda config: "of 10 steps")
    monkeypatch.setattr(hours, "BEFORE_S", 0.0)
    monkeypatch.setattr(hours, "AFTER_S", 0.0)
    monkeypatch.setattr(hours, "EACH_CASE_S", 0.0)
    (tmp_path / "plan.toml").write_text(STUDY)
    plan = read_plan(tmp_path / "plan.toml", tmp_path)
    quick, slow, unknown = count_hours(plan, arms(plan), tmp_path / "out", lambda text: None)
    assert quick.images_per_second == 4.0
    assert quick.minutes == pytest.approx((4 * 25 + 25) / 60)
    assert (quick.trainings, slow.trainings) == (3, 6), "two candidates; one seed, or three and one at twice the length"
    assert quick.hours == pytest.approx((2 * 2 * 25 + 4 * 25 + 25) / 3600)
    assert slow.hours == pytest.approx((2 * 2 * 45 + 3 * (4 * 45 + 25) + 8 * 45 + 25) / 3600)
    assert (unknown.hours, unknown.reason) == (None, "no weights")
    monkeypatch.setattr(hours, "measure_pace", None)
    assert count_hours(plan, [arms(plan)[0]], tmp_path / "out", lambda text: None)[0].images_per_second == 4.0, "kept"


def test_arms_without_a_pace_are_named_beside_the_sum(capsys: pytest.CaptureFixture[str]) -> None:
    found = [ArmHours("unet", 2, 4.0, 30.0, 1.0), ArmHours("mednext", 2, None, None, None, "no weights")]
    print_hours(found, as_json=False)
    assert (
        "about 1.0 hours in all, one cell at a time, without mednext, whose pace is not known"
        in capsys.readouterr().out
    )
    print_hours(found, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["hours"], told["without_pace"]) == (1.0, ["mednext"])
    print_hours(found[:1], as_json=False)
    assert "one cell at a time\n" in capsys.readouterr().out


def test_a_pace_depends_on_network_and_size_and_not_on_seed_or_length(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(STUDY)
    config = arms(read_plan(tmp_path / "plan.toml", tmp_path))[0]
    cell = candidates(read_plan(tmp_path / "plan.toml", tmp_path), config)[0].config
    same = cell.model_copy(update={"seed": 7, "train": cell.train.model_copy(update={"epochs": 99})})
    larger = cell.model_copy(update={"data": cell.data.model_copy(update={"image_size": 64})})
    assert pace_key(same, "data") == pace_key(cell, "data") != pace_key(larger, "data")


def test_a_pace_is_measured_anew_for_other_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "plan.toml").write_text(STUDY)
    paces = iter([PACE, Pace(step_s=2.0, batch=8, steps=30, case_s=1.0, validated=15, tested=60)])
    monkeypatch.setattr(hours, "measure_pace", lambda config: next(paces))
    pairs, minutes = PairFolder(tmp_path / "set"), []
    for patients in (2, 6, 2):
        shutil.rmtree(tmp_path / "set", ignore_errors=True)
        plan = read_plan(tmp_path / "plan.toml", pairs(patients=patients))
        minutes.append(count_hours(plan, arms(plan)[:1], tmp_path / "out", lambda text: None)[0].minutes or 0)
    assert minutes[1] == pytest.approx(3 * minutes[0], rel=0.5)
    assert minutes[2] == minutes[0], "kept"


def test_the_command_measures_and_begins_no_cell(tmp_path: Path, tiny_source: Path, program: Program) -> None:
    plan = write_plan(tmp_path, tiny_source)
    out = tmp_path / "out"
    said = program("benchmark", plan, "--data", tiny_source, "--output", out, "--hours", "--only", "base", "--json")
    assert said.status == 0
    (arm,) = json.loads(said.out)["arms"]
    assert arm["trainings"] == 2
    assert arm["images/s"] > 0
    assert not (out / "cells").exists()
