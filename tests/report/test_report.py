import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import PairFolder, Program
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.evaluation.tables import read_rows
from tumorline.geometry.grid import Grid
from tumorline.paper.study import read_study
from tumorline.paper.training_methods import describe_network
from tumorline.report import write_report
from tumorline.report.cases import Scored, choose, scored_cases
from tumorline.run import render_report


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


def change_summary(run: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    summary = json.loads((run / "summary.json").read_text())
    change(summary)
    (run / "summary.json").write_text(json.dumps(summary))


def add_warning(summary: dict[str, Any], text: str) -> None:
    """As a version without codes would have written it."""
    summary.pop("warning_codes", None)
    summary["warnings"].append(text)


def page(run: Path) -> str:
    return write_report(run).read_text()


def test_the_page_loads_nothing_from_elsewhere(tiny_run: Path) -> None:
    text = (tiny_run / "report.html").read_text()
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", text)
    assert sources
    outside = {source for source in sources if not source.startswith(("data:image/png;base64,", "#"))}
    assert outside <= {"model_card.html"}, "which lies beside it"
    assert not re.search(r"@import|url\(|https?://", text)


def test_the_headline_is_that_of_the_summary(run: Path) -> None:
    mean = json.loads((run / "summary.json").read_text())["regions"]["tumour"]["dice"]["mean"]
    assert f'<div class="big">{mean:.3f}<small>' in page(run)


def scored_of_test(run: Path) -> list[Scored]:
    return scored_cases([row for row in read_rows(run) if row.status == "test"])


def test_pictures_have_both_contours(run: Path) -> None:
    text = render_report(run).read_text()
    shown = sum(map(len, choose(scored_of_test(run)).values()))
    assert shown > 3
    assert text.count('class="contour truth" d="M') == shown
    assert text.count('class="contour predicted"') == shown


@pytest.mark.parametrize(
    ("warning", "badge"),
    [
        ("SIMULATED DATA: x", "simulated data"),
        ("LEAKING: x", "leaking split"),
        ("TRAINING CASES INCLUDED: x", "training cases included"),
        ("PATIENTS UNKNOWN: x", "patients unknown"),
        ("BASELINE NOT BEATEN: x", "does not beat a trivial baseline"),
    ],
)
def test_a_warning_is_a_badge(run: Path, warning: str, badge: str) -> None:
    marked = f'<span class="badge">{badge}</span>'
    assert marked not in page(run)
    change_summary(run, lambda summary: add_warning(summary, warning))
    assert marked in page(run)


def test_accuracy_below_that_of_predicting_nothing_is_marked(run: Path) -> None:
    def accuracy(value: float) -> Callable[[dict], None]:  # type: ignore[type-arg]
        return lambda summary: summary["regions"]["tumour"]["accuracy"].update(mean=value)

    change_summary(run, accuracy(1.0))
    assert "accuracy below predicting nothing" not in page(run)
    change_summary(run, accuracy(0.5))
    assert "accuracy below predicting nothing" in page(run)


@pytest.mark.parametrize(
    ("fact", "sentence"), [("leaking", "This split is LEAKING"), ("patients_unknown", "Patients are unknown:")]
)
def test_a_clean_split_is_claimed_only_where_it_is_one(run: Path, fact: str, sentence: str) -> None:
    claim = "No patient is in two parts"
    assert claim in page(run)
    change_summary(run, lambda summary: summary["split"].update({fact: True}))
    text = page(run)
    assert sentence in text
    assert claim not in text


def test_the_page_of_other_data_names_the_model(run: Path) -> None:
    named = " · model new_name"
    change_summary(run, lambda summary: summary.update(model="new_name"))
    assert named not in page(run)
    (run / "split.csv").unlink()
    assert named in page(run)


def test_of_other_data_the_page_says_how_the_models_own_were_split(run: Path) -> None:
    (run / "split.csv").unlink()
    change_summary(run, lambda summary: summary["split"].update(own={"leaking": True, "patients_unknown": True}))
    assert "The model's own data were split by patient, seed 0. This split is LEAKING" in page(run)
    change_summary(run, lambda summary: summary["split"].update(own={"leaking": False, "patients_unknown": True}))
    assert "seed 0. Their patients are unknown: slices of one person" in page(run)
    own = {"own": {"leaking": False, "patients_unknown": False}, "patients_unknown": True}
    change_summary(run, lambda summary: summary["split"].update(own))
    assert "seed 0. No patient is in two parts." in page(run)
    change_summary(run, lambda summary: summary["split"].update(parts={"train": 9, "validation": 0, "test": 0}))
    assert "The model was trained on all patients of its own data. </p>" in page(run)
    change_summary(run, lambda summary: summary["split"].update(origin=""))
    text = page(run)
    assert "Other data than the model's own.  " in text.replace("</p>", " ")
    assert "in two parts" not in text


def test_a_model_that_an_older_run_started_from_is_named_without_its_place(run: Path) -> None:
    path = run / "environment.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"initialisation": "/home/someone/runs/begun"}))
    text = page(run)
    assert "begun" in text
    assert "someone" not in text
    assert "Its weights began from begun." in " ".join(describe_network(read_study(run)))


def test_the_page_counts_the_sources_of_its_cases(run: Path) -> None:
    assert "The cases come from one source. On scanners, sequences, planes or tumours that it lacks" in page(run)
    by_size = json.loads((run / "summary.json").read_text())["regions"]["tumour"]["by_size"]
    group = {key: value for key, value in by_size["small"].items() if key != "limits_px"}
    sources = dict.fromkeys(("brats", "cheng", "own"), group)
    change_summary(run, lambda summary: summary["regions"]["tumour"].update(by_attribute={"source": sources}))
    assert "The cases come from 3 sources. On scanners, sequences, planes or tumours that they lack" in page(run)


def test_false_positives_are_told_where_there_are_cases_without_a_tumour(run: Path) -> None:
    assert "false positives cannot be measured here: no case without a tumour" in page(run)
    found = {"tumour_free_cases": 7, "invented": 2, "false_positive_rate": 2 / 7}
    change_summary(run, lambda summary: summary["regions"]["tumour"].update(found))
    assert "false positives 2 of 7 cases without a tumour (28.6%)" in page(run)


def test_a_share_and_its_limits_are_told_in_one_unit(run: Path) -> None:
    share = {"mean": 0.2, "median": 0.1, "range": [0, 1], "ci95": [0.125, 0.25], "mean_over_cases": 0.2}
    counts = {"tumour": 9, "found": 8, "free": 10, "false_positives": 2, "other": 0, "other_drawn": 0}
    counted = counts | {"false_positive": share | {"patients": 20, "warning": None}}
    change_summary(run, lambda summary: summary.update(presence={"tumour": {"all": counted}}))
    assert "20.0 %<br>12.5 % to 25.0 %" in page(run)


def test_where_the_right_area_would_be_worse_it_is_called_so(run: Path) -> None:
    def lose(summary: dict[str, Any]) -> None:
        lost = summary["calibration"]["tumour"]["dice_lost_to_area"]
        lost.update(mean=-0.01)

    change_summary(run, lose)
    assert "the Dice would be 0.010 lower." in page(run)


def test_false_lesions_beside_a_tumour_are_told(run: Path) -> None:
    lesions = {"truth": 9, "detected": 8, "invented": 55, "missed": 1, "cases_with_invented": 3}
    change_summary(run, lambda summary: summary["regions"]["tumour"].update(lesions=lesions))
    assert "<b>55</b><span>false lesions: predicted where the truth has none, in 3 of 8 cases" in page(run)


def test_names_cannot_turn_the_text_of_a_page_around(run: Path) -> None:
    change_summary(run, lambda summary: add_warning(summary, "LEAKING: \u202egnp.x\udcff\n<b>"))
    assert "LEAKING: \\u202egnp.x\\udcff\\n&lt;b&gt;" in page(run)


def test_gaps_in_the_history_are_left_out(run: Path) -> None:
    lines = ["epoch,train_loss,validation_dice,best,seconds", "1,0.9,0.5,1,30", "2,,nan,0,"]
    (run / "history.csv").write_text("\n".join(lines) + "\n")
    text = page(run)
    assert "<b>1 of 2</b>" in text
    assert "<b>0.5 min</b>" in text
    assert not re.search(r"\bnan\b", text)


def test_text_from_files_is_escaped(run: Path) -> None:
    change_summary(run, lambda summary: add_warning(summary, "<script>alert(1)</script>"))
    text = (run / "split.csv").read_text().replace(",a,", ",<b>a</b>,")
    (run / "split.csv").write_text(text)
    assert "<script>alert" not in page(run)
    assert "<b>a</b>" not in page(run)
    assert "&lt;b&gt;a&lt;/b&gt;" in page(run)


def test_a_case_may_have_any_name(run: Path) -> None:
    name = '"><img src=x onerror=alert(1)>'
    first = next(iter(choose(scored_of_test(run)).values()))[0].case
    table = (run / "evaluation.csv").read_text().replace(f"\n{first},", '\n"' + name.replace('"', '""') + '",')
    (run / "evaluation.csv").write_text(table)
    (run / "predictions" / f"{first}.png").rename(run / "predictions" / f"{name}.png")
    sample = Sample(np.zeros((1, 32, 32), np.float32), np.ones((1, 32, 32), bool), Grid((32, 32)))
    text = write_report(run, lambda case: sample).read_text()
    assert "<img" not in text
    assert "&lt;img src=x onerror=alert(1)&gt;" in text


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
    with pytest.raises(
        UserError, match=r"not evaluated \(no summary.json\); give a folder of train, folds or evaluate"
    ):
        write_report(tmp_path)
    (tmp_path / "config.toml").touch()
    with pytest.raises(UserError, match=r"not evaluated yet .* tumorline train --resume"):
        write_report(tmp_path)


def test_an_evaluation_gets_its_images_again_from_its_source_only(
    tiny_run: Path, program: Program, tmp_path: Path
) -> None:
    other = PairFolder(tmp_path / "other")(patients=3, first_seed=900)
    out = tmp_path / "out"
    cache = ("--set", f"data.cache='{tmp_path / 'cache'}'")
    assert program("evaluate", tiny_run, "--data", other, "--output", out, *cache).status == 0
    made = (out / "report.html").read_text()
    refused = program("report", out)
    assert (refused.status, "say --data SOURCE" in refused.err) == (2, True)
    assert (out / "report.html").read_text() == made
    (out / "report.html").unlink()
    assert program("report", out, "--data", other).status == 0
    assert (out / "report.html").read_text() == made
    strange = program("report", out, "--data", PairFolder(tmp_path / "strange")(patients=3))
    assert (strange.status, "holds none of the cases" in strange.err) == (2, True)
