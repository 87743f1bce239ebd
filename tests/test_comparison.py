"""Which runs may be compared, what is said of them, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import tumorline
from tumorline.cli import app
from tumorline.config import load_config
from tumorline.errors import UserError
from tumorline.evaluation.tables import read_rows, write_evaluation
from tumorline.metrics.case import score_case
from tumorline.metrics.summary import Row, summarise_rows
from tumorline.results import Comparable, read_summary

Shift = Callable[[int], int]


class Runs:
    """Writes folders as `train` leaves them, of 24 patients whose predictions are squares of a chosen overlap."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self, name: str, shift: Shift, seed: int = 0, leaking: bool = False, cases: range = range(24), epochs: int = 16
    ) -> Path:
        run = self.folder / name
        run.mkdir(parents=True)
        rows = [row(number, shift(number)) for number in cases]
        load_config(None, [f"seed={seed}", f"train.epochs={epochs}"]).save(run / "config.toml")
        split = {"leaking": leaking, "training_cases_included": False, "parts": {"train": 100}}
        summary = {
            "headline_status": ["test"],
            "split": split,
            "source": {"known_as": None},
            "warnings": [],
            "regions": {"tumour": summarise_rows(rows)},
        }
        write_evaluation(run, rows, Comparable.model_validate(summary))
        (run / "split.csv").write_text("case,patient,class_name,part\nt1,Q1,,train\n")
        return run


def row(number: int, shift: int) -> Row:
    truth, predicted = np.zeros((24, 24), bool), np.zeros((24, 24), bool)
    truth[4:12, 4:12] = True
    predicted[4:12, 4 + shift : 12 + shift] = True
    scores = score_case(truth, predicted, None)
    return Row(f"c{number:02d}", f"P{number:02d}", {"class_name": "ab"[number % 2]}, "test", "tumour", scores)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def test_a_run_with_itself_has_no_difference(runs: Runs, tmp_path: Path) -> None:
    run = runs("one", lambda number: number % 5)
    result = tumorline.compare([run, run], output=tmp_path / "out")
    assert result["pairs"][0]["difference"] == {"mean": 0, "ci95": (0, 0), "p": 1, "range": [0, 0]}
    assert result["verdicts"] == [
        "one (1) minus one (2): Dice +0.000, 95 % interval +0.000 to +0.000, p = 1: no difference."
    ]
    assert "They agree in every case" in (tmp_path / "out" / "compare.html").read_text()


def test_a_run_that_is_better_in_every_patient_is_called_better(runs: Runs, tmp_path: Path) -> None:
    good, bad = runs("good", lambda _: 1), runs("bad", lambda number: 2 + number % 3)
    result = tumorline.compare([good, bad], output=tmp_path / "out")
    assert result["verdicts"][0].endswith("good is better.")
    assert result["ranking"][0] == {"name": "good", "dice": 0.875, "rank_shares": [1, 0]}
    hd95 = next(pair for pair in result["pairs"] if pair["metric"] == "hd95")
    assert (hd95["difference"]["mean"] < 0, hd95["better"]) == (True, "good")
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["ranking"] == result["ranking"]


def test_a_difference_within_noise_is_called_so(runs: Runs, tmp_path: Path) -> None:
    first, second = runs("first", lambda number: number % 2), runs("second", lambda number: (number + 1) % 2)
    result = tumorline.compare([first, second], output=tmp_path / "out")
    assert result["verdicts"][0].endswith("within noise, no claim can be made.")
    assert any("one run each" in warning for warning in result["warnings"])


def shifted(add: int, number: int) -> int:
    return (number + add) % 3 + add


def test_three_seeds_each_support_a_claim_about_recipes(runs: Runs, tmp_path: Path) -> None:
    groups = {
        name: [runs(f"{name}-{seed}", partial(shifted, add), seed) for seed in range(3)]
        for name, add in (("near", 0), ("far", 2))
    }
    result = tumorline.compare(groups=groups, output=tmp_path / "out")
    assert result["about"] == "recipes"
    assert [run["seed"] for run in result["contenders"][0]["runs"]] == [0, 1, 2]
    assert result["contenders"][0]["seed_deviation"] == 0
    assert result["verdicts"][0].endswith("near is better.")


@pytest.mark.parametrize(
    ("seeds", "epochs", "message"),
    [
        ((0, 1), 16, "2 runs; a claim about a recipe needs 3 seeds or more"),
        ((0, 1, 1), 16, "the seeds are 0, 1, 1; each run needs one of its own"),
        ((0, 1, 2), 3, "they differ in train.epochs"),
    ],
)
def test_what_is_no_recipe_is_refused(runs: Runs, seeds: tuple[int, ...], epochs: int, message: str) -> None:
    group = [runs(f"r{i}", lambda _: 1, seed, epochs=16 if i else epochs) for i, seed in enumerate(seeds)]
    with pytest.raises(UserError, match=message):
        tumorline.compare(groups={"A": group})


def test_other_cases_are_refused_by_name(runs: Runs) -> None:
    first, second = runs("first", lambda _: 1), runs("second", lambda _: 1, cases=range(1, 24))
    with pytest.raises(UserError, match=r"23 cases, .* has 24; 1 are in one only \(c00\)"):
        tumorline.compare([first, second])


def test_a_run_trained_on_the_others_test_patients_is_refused(runs: Runs) -> None:
    first, second = runs("first", lambda _: 1), runs("second", lambda _: 1)
    (second / "split.csv").write_text("case,patient,class_name,part\nx,P03,,validation\n")
    with pytest.raises(UserError, match="trained or tuned on 1 of the 24 test patients"):
        tumorline.compare([first, second])


def renamed(run: Path, name: Callable[[int], str]) -> Path:
    """The same run with other names of its patients."""
    text = (run / "evaluation.csv").read_text()
    for number in range(24):
        text = text.replace(f",P{number:02d},", f",{name(number)},")
    (run / "evaluation.csv").write_text(text)
    return run


def test_a_run_trained_on_another_visit_of_a_test_patient_is_refused(runs: Runs) -> None:
    first, second = runs("first", lambda _: 1), runs("second", lambda _: 1)
    renamed(first, "BraTS-GLI-{:05d}-001".format)
    (second / "split.csv").write_text("case,patient,class_name,part\nx,BraTS2021_00003,,train\n")
    with pytest.raises(UserError, match="trained or tuned on 1 of the 24 test patients"):
        tumorline.compare([first, second])


def test_runs_that_name_the_patients_of_the_same_cases_otherwise_are_compared_by_patient(
    runs: Runs, tmp_path: Path
) -> None:
    old = renamed(runs("old", lambda _: 1), lambda number: f"BraTS-GLI-{number // 2:05d}-{number % 2:03d}")
    new = renamed(runs("new", lambda _: 2), lambda number: f"A{number // 2:02d}")
    result = tumorline.compare([old, new], output=tmp_path / "out")
    assert result["patients"] == 12
    assert len(result["pairs"][0]["by_patient"]) == 12


def test_a_leaking_run_is_compared_only_as_a_study_of_the_leak(runs: Runs, tmp_path: Path) -> None:
    honest = runs("honest", lambda _: 2)
    leaking = runs("leaking", lambda _: 1, leaking=True, cases=range(0, 24, 2))
    (leaking / "split.csv").write_text("case,patient,class_name,part\nc01,P00,,train\n")
    with pytest.raises(UserError, match="its split is LEAKING"):
        tumorline.compare([honest, leaking])
    result = tumorline.compare([honest, leaking], study="leak", output=tmp_path / "out")
    assert result["cases"] == 12
    assert result["warnings"][0].startswith("LEAK STUDY")
    with pytest.raises(UserError, match="it needs both kinds"):
        tumorline.compare([honest, honest], study="leak")


def test_the_command_prints_the_verdict_and_errors_are_one_line(runs: Runs, tmp_path: Path) -> None:
    first, second = str(runs("first", lambda _: 1)), str(runs("second", lambda _: 3))
    done = CliRunner().invoke(app, ["compare", first, second, "--output", str(tmp_path / "out")])
    assert "first is better." in done.output
    assert (tmp_path / "out" / "compare.html").is_file()
    failed = CliRunner().invoke(app, ["compare", first, "--group", "A"])
    assert isinstance(failed.exception, UserError)
    assert "--group A: expected NAME=RUN,RUN,RUN" in str(failed.exception)


def test_real_runs_show_their_disagreements(tiny_run: Path, tmp_path: Path) -> None:
    worse = tmp_path / "worse"
    shutil.copytree(tiny_run, worse)
    halved = [
        replace(row, scores=replace(row.scores, dice=None if row.scores.dice is None else row.scores.dice / 2))
        for row in read_rows(tiny_run)
    ]
    write_evaluation(worse, halved, read_summary(worse / "summary.json"))
    result = tumorline.compare([tiny_run, worse], output=tmp_path / "out")
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<figure>") == 2 * len(result["disagreements"]) > 0
