"""Which runs may be compared, what is said of them, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import tumorline
from tests.conftest import refused_in_one_line
from tumorline.cli import app
from tumorline.comparison import name_runs
from tumorline.comparison.figures import PatientMeans, compare_pairs
from tumorline.config import load_config
from tumorline.errors import UserError
from tumorline.evaluation.summary import region_figures
from tumorline.evaluation.tables import read_rows, write_evaluation
from tumorline.files import read_csv, write_csv
from tumorline.metrics.case import score_case
from tumorline.metrics.summary import Row, summarise_rows
from tumorline.results import Comparable, read_summary

Shift = Callable[[int], int]


class Runs:
    """Writes folders as `train` leaves them, of 24 patients whose predictions are squares of a chosen overlap."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(
        self,
        name: str,
        shift: Shift,
        seed: int = 0,
        leaking: bool = False,
        cases: range = range(24),
        epochs: int = 16,
        core: Shift | None = None,
        width: Shift = lambda _: 8,
    ) -> Path:
        """With `core` the first ten patients have a second region, of that shift."""
        run = self.folder / name
        run.mkdir(parents=True)
        rows = [row(number, shift(number), width=width(number)) for number in cases]
        if core:
            rows += [row(number, core(number), "core", has_tumour=number < 10) for number in cases]
        load_config(None, [f"seed={seed}", f"train.epochs={epochs}"]).save(run / "config.toml")
        split = {"leaking": leaking, "training_cases_included": False, "parts": {"train": 100}}
        summary = {
            "headline_status": ["test"],
            "split": split,
            "source": {"known_as": None},
            "warnings": [],
            "regions": {
                region: summarise_rows([row for row in rows if row.region == region])
                for region in dict.fromkeys(row.region for row in rows)
            },
        }
        write_evaluation(run, rows, Comparable.model_validate(summary))
        (run / "split.csv").write_text("case,patient,class_name,part\nt1,Q1,,train\n")
        return run


def row(number: int, shift: int, region: str = "tumour", has_tumour: bool = True, width: int = 8) -> Row:
    truth, predicted = np.zeros((24, 24), bool), np.zeros((24, 24), bool)
    truth[4:12, 4 : 4 + width] = has_tumour
    predicted[4:12, 4 + shift : 4 + width + shift] = True
    scores = score_case(truth, predicted, None)
    return Row(f"c{number:02d}", f"P{number:02d}", {"class_name": "ab"[number % 2]}, "test", region, scores)


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path / "runs")


def test_a_run_with_itself_has_no_difference(runs: Runs, tmp_path: Path) -> None:
    run = runs("one", lambda number: number % 5)
    result = tumorline.compare([run, run], output=tmp_path / "out")
    assert result["pairs"][0]["difference"] == {"mean": 0, "ci95": [0, 0], "p": 1, "range": [0, 0]}
    assert result["verdicts"] == [
        "one (1) minus one (2): Dice +0.000, 95 % interval +0.000 to +0.000, p = 1: no difference."
    ]
    assert "They agree in every case" in (tmp_path / "out" / "compare.html").read_text()


def test_runs_of_one_name_are_told_apart_by_the_folders_above_them(tmp_path: Path) -> None:
    folders = [tmp_path / study / "cells" / "FPN_seed-0" for study in ("lite0", "lite2")]
    assert list(name_runs(folders)) == ["lite0/FPN_seed-0", "lite2/FPN_seed-0"]
    assert list(name_runs([folders[0], tmp_path / "FPN"])) == ["FPN_seed-0", "FPN"]
    assert list(name_runs([folders[0], folders[0]])) == ["FPN_seed-0 (1)", "FPN_seed-0 (2)"]


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


STEADY: dict[str, Shift] = {"good": lambda _: 1, "bad": lambda _: 3}


def recipes_of(runs: Runs, patients: int) -> dict[str, list[Path]]:
    """Three seeds each; the first is better in every patient, by as much in each."""
    return {
        name: [runs(f"{name}-{patients}-{seed}", steady, seed, cases=range(patients)) for seed in range(3)]
        for name, steady in STEADY.items()
    }


def test_of_recipes_nothing_is_claimed_from_fewer_patients_than_an_interval_takes(runs: Runs, tmp_path: Path) -> None:
    result = tumorline.compare(groups=recipes_of(runs, 2), output=tmp_path / "two")
    assert result["verdicts"] == [
        "good minus bad: Dice +0.250: too few patients for a claim about recipes, which takes 20."
    ]
    assert [(pair["noise"], pair["better"], pair["too_few"]) for pair in result["pairs"]] == [
        (True, None, True) for _ in result["pairs"]
    ]
    page = (tmp_path / "two" / "compare.html").read_text()
    assert "<td>too few patients for a claim</td>" in page
    assert "is better</td>" not in page
    assert "where p is below 0.05 and there are 20 patients or more." in page
    enough = tumorline.compare(groups=recipes_of(runs, 20), output=tmp_path / "twenty")
    assert enough["verdicts"][0].endswith("good is better.")
    assert not [pair for pair in enough["pairs"] if "too_few" in pair]


def test_no_ranking_is_shown_of_too_few_patients_to_redraw(runs: Runs, tmp_path: Path) -> None:
    for patients, shown in ((1, False), (19, False), (20, True)):
        folders = [runs(f"{name}-{patients}", steady, cases=range(patients)) for name, steady in STEADY.items()]
        tumorline.compare(folders, output=tmp_path / f"{patients}")
        page = (tmp_path / f"{patients}" / "compare.html").read_text()
        assert ("How stable is the ranking?" in page, "is a guess" in page) == (shown, shown)


def test_the_page_says_of_what_its_intervals_are(runs: Runs, tmp_path: Path) -> None:
    of_patients = "95 % intervals, which cover the choice of patients"
    tumorline.compare([runs(name, steady) for name, steady in STEADY.items()], output=tmp_path / "models")
    models = (tmp_path / "models" / "compare.html").read_text()
    assert f"{of_patients}; a miss" in models
    assert "sign-flip test" in models
    tumorline.compare(groups=recipes_of(runs, 20), output=tmp_path / "recipes")
    recipes = (tmp_path / "recipes" / "compare.html").read_text()
    assert f"{of_patients}, not that of seeds; a miss" in recipes
    assert "The interval of a difference and its test cover the choice of patients and of seeds" in recipes


def test_no_p_is_told_as_nothing(runs: Runs, tmp_path: Path) -> None:
    result = tumorline.compare(groups=recipes_of(runs, 24), output=tmp_path / "out")
    assert result["verdicts"][0] == (
        "good minus bad: Dice +0.250, 95 % interval +0.250 to +0.250, p < 0.001: good is better."
    )
    assert (
        '<td class="right">&lt; 0.001</td><td class="right">&lt; 0.001</td>'
        in (tmp_path / "out" / "compare.html").read_text()
    )


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
    with pytest.raises(UserError, match=r"23 cases, .* has 24; 1 is in one only \(c00\)"):
        tumorline.compare([first, second])


def test_a_run_trained_on_the_others_test_patients_is_refused(runs: Runs) -> None:
    first, second = runs("first", lambda _: 1), runs("second", lambda _: 1)
    (second / "split.csv").write_text("case,patient,class_name,part\nx,P03,,validation\n")
    with pytest.raises(UserError, match="trained or tuned on 1 of the 24 test patients"):
        tumorline.compare([first, second])


def renamed(run: Path, name: Callable[[int], str], before: Callable[[int], str] = "P{:02d}".format) -> Path:
    """The same run with other names of its patients."""
    text = (run / "evaluation.csv").read_text()
    for number in range(24):
        text = text.replace(f",{before(number)},", f",{name(number)},")
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


def test_each_patient_counts_once_however_many_cases_he_has(runs: Runs, tmp_path: Path) -> None:
    """Three of 24 cases are one patient's, apart in the table; one run errs in them alone, by 1, 2 and 3 of 8."""

    def shift(number: int) -> int:
        return number // 8 + 1 if number % 8 == 0 else 0

    def patient(record: dict[str, str]) -> str:
        return "A" if int(record["case"][1:]) % 8 == 0 else record["patient"]

    errs, right = (
        rewritten(runs(name, chosen), patient=patient) for name, chosen in (("errs", shift), ("right", lambda _: 0))
    )
    result = tumorline.compare([errs, right], output=tmp_path / "out")
    dice = next(pair for pair in result["pairs"] if pair["metric"] == "dice")
    assert sorted(dice["by_patient"]) == [-0.25, *[0] * 21]
    assert dice["difference"]["mean"] == pytest.approx(-0.25 / 22)
    assert {one["name"]: one["dice"] for one in result["ranking"]} == {
        "right": 1,
        "errs": pytest.approx((0.75 + 21) / 22),
    }


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


def as_folds(run: Path, trained: list[int]) -> None:
    """The folder as `folds` leaves it: how many trained is known of each fold only."""
    summary = json.loads((run / "summary.json").read_text())
    (run / "split.csv").unlink()
    for fold, number in enumerate(trained):
        (run / f"fold-{fold}").mkdir()
        summary["split"]["parts"] = {"train": number}
        (run / f"fold-{fold}" / "summary.json").write_text(json.dumps(summary))
    summary["split"]["parts"] = {"test": 24}
    (run / "summary.json").write_text(json.dumps(summary))


def test_the_leak_is_studied_out_of_fold(runs: Runs, tmp_path: Path) -> None:
    honest = runs("honest", lambda _: 2)
    leaking = runs("leaking", lambda _: 1, leaking=True, cases=range(0, 24, 2))
    more = runs("more", lambda _: 1, leaking=True)
    for run, trained in ((honest, [20, 21]), (leaking, [20, 21]), (more, [20, 22])):
        as_folds(run, trained)
    result = tumorline.compare([leaking, honest], study="leak", output=tmp_path / "out")
    assert result["cases"] == 12
    dice = next(pair for pair in result["pairs"] if pair["metric"] == "dice")
    assert dice["difference"]["mean"] == pytest.approx(2 * 8 * 7 / 128 - 2 * 8 * 6 / 128)
    with pytest.raises(UserError, match=r"different numbers of cases \(more 20 \+ 22, honest 20 \+ 21\)"):
        tumorline.compare([more, honest], study="leak")


def test_the_command_prints_the_verdict_and_errors_are_one_line(runs: Runs, tmp_path: Path) -> None:
    first, second = str(runs("first", lambda _: 1)), str(runs("second", lambda _: 3))
    done = CliRunner().invoke(app, ["compare", first, second, "--output", str(tmp_path / "out")])
    assert "first is better." in done.output
    assert (tmp_path / "out" / "compare.html").is_file()
    failed = CliRunner().invoke(app, ["compare", first, "--group", "A"])
    assert isinstance(failed.exception, UserError)
    assert "--group A: expected NAME=RUN,RUN,RUN" in str(failed.exception)
    twice = CliRunner().invoke(app, ["compare", "--group", f"A={first}", "--group", f"A={second}"])
    assert "--group A=...: given twice; write all of its runs after one" in str(twice.exception)


def test_a_comparison_of_other_runs_of_these_names_is_not_replaced(
    runs: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = runs("first", lambda _: 1), runs("second", lambda _: 3)
    others = [shutil.copytree(run, tmp_path / "elsewhere" / run.name) for run in (first, second)]
    monkeypatch.chdir(tmp_path)
    for compared in ([first, second], [first, second], others):
        tumorline.compare(compared)
    assert sorted(folder.name for folder in Path("comparisons").iterdir()) == ["first-second", "first-second-2"]


def test_each_region_is_compared_by_itself_and_their_mean_ranks(runs: Runs, tmp_path: Path) -> None:
    first = runs("first", lambda _: 1, core=lambda _: 6)
    second = runs("second", lambda _: 2, core=lambda _: 1)
    result = tumorline.compare([first, second], output=tmp_path / "out")
    assert (result["regions"], result["ranked_by"]) == (
        ["tumour", "core"],
        "mean over regions of the Dice by patient",
    )
    mean, whole, core = (pair for pair in result["pairs"] if pair["metric"] == "dice")
    assert (mean["region"], len(mean["by_patient"])) == ("mean over regions", 24)
    assert mean["difference"]["mean"] == pytest.approx((whole["difference"]["mean"] + core["difference"]["mean"]) / 2)
    assert mean["p_corrected"] == mean["difference"]["p"]
    assert (whole["region"], whole["better"], len(whole["by_patient"])) == ("tumour", "first", 24)
    assert (core["region"], core["better"], len(core["by_patient"])) == ("core", "second", 10)
    assert [one["name"] for one in result["ranking"]] == ["second", "first"]
    assert result["ranking"][0]["dice"] == pytest.approx((0.75 + 0.875) / 2)
    assert [(one["name"], one["region"], one["tumour_cases"]) for one in result["contenders"]] == [
        ("first", "tumour", 24),
        ("first", "core", 10),
        ("second", "tumour", 24),
        ("second", "core", 10),
    ]
    assert "core: 10 patients are too few for an interval; values and range only" in result["warnings"]
    assert result["verdicts"][0].startswith("first minus second, mean over regions: Dice -0.25")
    assert result["verdicts"][2].startswith("first minus second, core: Dice -0.625")
    assert result["disagreements"][0]["region"] == "core"
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "How stable is the ranking?" not in page, "10 patients have a core"


def test_a_mean_over_regions_has_no_interval_where_too_few_have_one_of_them(runs: Runs, tmp_path: Path) -> None:
    first, second = (runs(name, steady, core=steady) for name, steady in STEADY.items())
    result = tumorline.compare([first, second], output=tmp_path / "out")
    dice = {pair["region"]: pair["difference"]["ci95"] for pair in result["pairs"] if pair["metric"] == "dice"}
    assert (dice["core"], dice["mean over regions"]) == (None, None), "10 of the 24 patients have a core"
    assert dice["tumour"] is not None


def test_what_is_undefined_for_a_miss_is_compared_on_the_cases_that_both_found(runs: Runs, tmp_path: Path) -> None:
    """Two slices of each patient: one that both find alike, and one that the first finds badly and the second not."""
    both = [runs(name, partial(bad_every_second, shift)) for name, shift in (("finds", 6), ("misses", 8))]
    pairs = tumorline.compare([renamed(run, "T{:02d}".format) for run in both], output=tmp_path / "one")["pairs"]
    patients = {pair["metric"]: len(pair["by_patient"]) for pair in pairs}
    assert (patients["dice"], patients["hd95"], patients["hd95_detected"]) == (24, 24, 12)
    twos = [renamed(run, lambda number: f"R{number // 2:02d}", "T{:02d}".format) for run in both]
    pairs = tumorline.compare(twos, output=tmp_path / "two")["pairs"]
    (hd95,) = [pair for pair in pairs if pair["metric"] == "hd95_detected"]
    assert (len(hd95["by_patient"]), hd95["difference"]["range"], hd95["better"]) == (12, [0, 0], None)


def bad_every_second(shift: int, number: int) -> int:
    return shift if number % 2 else 1


def alternating(add: int, number: int) -> int:
    return (number + add) % 2


def test_p_is_corrected_over_the_regions_of_a_metric(runs: Runs, tmp_path: Path) -> None:
    noisy = [runs(name, partial(alternating, add)) for name, add in (("a", 0), ("b", 1))]
    both = [
        runs(f"{name}2", partial(alternating, add), core=partial(shifted, add)) for name, add in (("a", 0), ("b", 1))
    ]
    (alone,) = [pair for pair in tumorline.compare(noisy, output=tmp_path / "one")["pairs"] if pair["metric"] == "dice"]
    pairs = [pair for pair in tumorline.compare(both, output=tmp_path / "two")["pairs"] if pair["metric"] == "dice"][1:]
    assert alone["p_corrected"] == alone["difference"]["p"]
    smallest = min(pairs, key=lambda pair: pair["difference"]["p"])
    assert smallest["p_corrected"] == 2 * smallest["difference"]["p"]


def test_only_the_regions_of_all_are_compared_and_the_others_named(runs: Runs, tmp_path: Path) -> None:
    first, second = runs("first", lambda _: 1, core=lambda _: 1), runs("second", lambda _: 2)
    result = tumorline.compare([first, second], output=tmp_path / "out")
    assert result["warnings"][0] == "only tumour is compared: not all outline core"
    assert {pair["region"] for pair in result["pairs"]} == {"tumour"}
    text = (second / "evaluation.csv").read_text().replace(",tumour,", ",oedema,")
    (second / "evaluation.csv").write_text(text)
    summary = (second / "summary.json").read_text().replace('"tumour": {', '"oedema": {')
    (second / "summary.json").write_text(summary)
    with pytest.raises(UserError, match=r"second: outlines oedema, .*first tumour, core; only the same regions"):
        tumorline.compare([first, second])


def test_a_case_without_a_row_of_a_region_is_named(runs: Runs) -> None:
    first, second = runs("first", lambda _: 1, core=lambda _: 1), runs("second", lambda _: 1, core=lambda _: 1)
    lines = (second / "evaluation.csv").read_text().splitlines(keepends=True)
    (second / "evaluation.csv").write_text("".join(lines[:-1]))
    with pytest.raises(UserError, match="case 'c23' has no row of core; evaluate again"):
        tumorline.compare([first, second])


def test_real_runs_show_their_disagreements(tiny_run: Path, tmp_path: Path) -> None:
    worse = tmp_path / "worse"
    shutil.copytree(tiny_run, worse)
    halved = [
        replace(row, scores=replace(row.scores, dice=None if row.scores.dice is None else row.scores.dice / 2))
        for row in read_rows(tiny_run)
    ]
    figures = {"tumour": region_figures([row for row in halved if row.status == "test"])}
    write_evaluation(worse, halved, read_summary(worse / "summary.json").model_copy(update={"regions": figures}))
    result = tumorline.compare([tiny_run, worse], output=tmp_path / "out")
    page = (tmp_path / "out" / "compare.html").read_text()
    assert page.count("<figure>") == 2 * len(result["disagreements"]) > 0


@pytest.mark.parametrize(
    ("metric", "first", "second", "better"),
    [
        ("signed_offset", -1.0, 1.03, None),
        ("signed_offset", 1.0, 2.0, "first"),
        ("signed_offset", -2.0, -1.0, "second"),
        ("signed_offset", 0.1, 1.0, "first"),
        ("volume_ratio", 0.8, 1.22, None),
        ("volume_ratio", 1.2, 1.1, "second"),
        ("volume_ratio", 0.5, 0.9, "second"),
        ("hd95", 1.0, 5.0, "first"),
    ],
)
def test_on_two_sides_of_a_target_neither_is_better(
    metric: str, first: float, second: float, better: str | None
) -> None:
    """A signed difference is real there however alike the distances from the target are."""
    spread = np.linspace(-0.05, 0.05, 24)
    means = PatientMeans("tumour", [], {metric: {"first": first + spread, "second": second - spread}})
    pair: Any = [SimpleNamespace(name=name, runs=[SimpleNamespace(key=name)]) for name in ("first", "second")]
    (found,) = compare_pairs(metric, [tuple(pair)], [means], False)
    assert (found.noise, found.better) == (False, better)
    assert found.verdict() == (f"{better} is better" if better else "they differ")


def rewritten(run: Path, **changes: Callable[[dict[str, str]], str]) -> Path:
    """The same evaluation with some cells of each row changed."""
    records = read_csv(run / "evaluation.csv")
    for record in records:
        record |= {name: change(record) for name, change in changes.items()}
    write_csv(run / "evaluation.csv", list(records[0]), records)
    return run


@pytest.mark.parametrize("patient", ["", "Q0"])
def test_evaluations_of_other_patients_are_not_compared_whichever_comes_first(
    runs: Runs, tmp_path: Path, patient: str
) -> None:
    """How many patients there are decides over interval and p."""
    one, other = runs("one", lambda _: 1), rewritten(runs("other", lambda _: 2), patient=lambda _: patient)
    if not patient:
        one = rewritten(one, patient=lambda record: "P" + record["case"][:2])
    for pair in ([one, other], [other, one]):
        with refused_in_one_line("its patients are not those of"):
            tumorline.compare(pair, output=tmp_path / "out")


def test_a_patient_may_go_by_another_name_in_another_evaluation(runs: Runs, tmp_path: Path) -> None:
    one, other = runs("one", lambda _: 1), runs("other", lambda _: 2)
    rewritten(other, patient=lambda record: record["patient"] + "-hashed")
    assert tumorline.compare([one, other], output=tmp_path / "out")["patients"] == 24


def test_evaluations_in_millimetres_and_in_pixels_are_not_compared(runs: Runs, tmp_path: Path) -> None:
    one, other = runs("one", lambda _: 1), rewritten(runs("other", lambda _: 2), unit=lambda _: "mm")
    with refused_in_one_line("distances of case 'c00' are in mm, in .* in px"):
        tumorline.compare([one, other], output=tmp_path / "out")


def test_classes_that_one_evaluation_alone_states_are_those_of_all(runs: Runs, tmp_path: Path) -> None:
    one, other = runs("one", lambda _: 1), rewritten(runs("other", lambda _: 2), class_name=lambda _: "")
    for number, pair in enumerate(([one, other], [other, one])):
        result = tumorline.compare(pair, output=tmp_path / str(number))
        assert [list(contender["by_class"]) for contender in result["contenders"]] == [["a", "b"], ["a", "b"]]
        assert "(12 patients)" in (tmp_path / str(number) / "compare.html").read_text()


def test_it_is_said_where_no_difference_could_be_told_from_noise(runs: Runs, tmp_path: Path) -> None:
    for patients, told in ((5, True), (6, False)):
        pair = [runs(f"{name}{patients}", steady, cases=range(patients)) for name, steady in STEADY.items()]
        result = tumorline.compare(pair, output=tmp_path / str(patients))
        said = "5 patients in 1 comparison: p cannot fall below 0.062" in " ".join(result["warnings"])
        assert (said, result["pairs"][0]["noise"]) == (told, told)


def test_that_regions_cannot_tell_a_difference_is_not_said_of_their_mean_which_can(runs: Runs, tmp_path: Path) -> None:
    pair = [runs(name, steady, cases=range(6), core=steady) for name, steady in STEADY.items()]
    result = tumorline.compare(pair, output=tmp_path / "out")
    assert result["verdicts"][0].endswith("good is better.")
    assert all(verdict.endswith("no claim can be made.") for verdict in result["verdicts"][1:])
    (said,) = [text for text in result["warnings"] if "cannot fall" in text]
    assert said.startswith("regions by themselves: 6 patients in 2 comparisons: p cannot fall below 0.062")


def test_the_page_says_over_what_p_is_corrected_and_that_intervals_are_not(runs: Runs, tmp_path: Path) -> None:
    pair = [runs(name, steady) for name, steady in STEADY.items()]
    tumorline.compare(pair, output=tmp_path / "out")
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "corrected after Holm over the pairs and regions of one metric; intervals are not corrected" in page


def test_a_difference_in_small_tumours_alone_is_told_within_them(runs: Runs, tmp_path: Path) -> None:
    """Eight patients have a tumour 2 wide, of which a shift by 1 finds half, eight one 4 wide, eight one 8 wide."""

    def width(number: int) -> int:
        return (2, 4, 8)[number // 8]

    good, bad = runs("good", lambda _: 0, width=width), runs("bad", lambda number: int(number < 8), width=width)
    result = tumorline.compare([good, bad], output=tmp_path / "out")
    dice = {pair["within"]["name"]: pair for pair in result["pairs_within"] if pair["metric"] == "dice"}
    assert list(dice) == ["a", "b", "small", "medium", "large"]
    small, even = dice["small"], dice["a"]
    assert small["within"] == {"by": "size", "name": "small", "cases": 8, "patients": 8}
    assert small["difference"] == {"mean": 0.5, "ci95": None, "p": pytest.approx(2 / 2**8), "range": [0.5, 0.5]}
    assert (small["p_corrected"], small["better"]) == (pytest.approx(3 * 2 / 2**8), "good"), "over three sizes"
    assert {dice[name]["difference"]["mean"] for name in ("medium", "large")} == {0}
    assert (even["difference"]["mean"], even["within"]["patients"]) == (pytest.approx(4 * 0.5 / 12), 12)
    assert even["p_corrected"] == pytest.approx(2 * even["difference"]["p"]), "over two classes"
    by_size = [{name: one["mean"] for name, one in each["by_size"].items()} for each in result["contenders"]]
    assert by_size == [{"small": 1, "medium": 1, "large": 1}, {"small": 0.5, "medium": 1, "large": 1}]
    page = (tmp_path / "out" / "compare.html").read_text()
    assert "<td>small<br>8 cases, 8 patients</td><td>good − bad</td><td>+0.500 (range +0.500 to +0.500)" in page


def test_of_fewer_patients_than_an_interval_takes_no_groups_are_compared(runs: Runs, tmp_path: Path) -> None:
    few = range(19)
    result = tumorline.compare(
        [runs("one", lambda _: 0, cases=few), runs("other", lambda _: 1, cases=few)], output=tmp_path / "out"
    )
    assert result["pairs_within"] == []


def test_within_groups_few_are_compared_or_each_with_a_reference(runs: Runs, tmp_path: Path) -> None:
    shifts = {name: partial(lambda shift, _: shift, shift) for shift, name in enumerate("abcde")}
    five = [runs(name, shift) for name, shift in shifts.items()]
    assert tumorline.compare(five, output=tmp_path / "all")["pairs_within"] == []
    against = tumorline.compare(five, reference="a", output=tmp_path / "against")["pairs_within"]
    assert {pair["first"] for pair in against} == {*"bcde"}


def test_within_groups_recipes_are_compared_over_their_seeds(runs: Runs, tmp_path: Path) -> None:
    groups = {
        name: [runs(f"{name}{seed}", shift, seed) for seed in range(3)]
        for name, shift in (("one", lambda _: 1), ("other", lambda _: 2))
    }
    result = tumorline.compare(groups=groups, output=tmp_path / "out")
    (pair,) = [pair for pair in result["pairs_within"] if (pair["metric"], pair["within"]["name"]) == ("dice", "b")]
    assert pair["difference"]["mean"] == pytest.approx(1 / 8)
    assert pair["too_few"], "twelve patients support no claim about recipes"
