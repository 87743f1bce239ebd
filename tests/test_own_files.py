"""What the program wrote itself is read back, or one line names the file and what to do."""

import csv
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Program
from tumorline.errors import UserError
from tumorline.evaluation.tables import read_baselines, read_certainties, read_rows
from tumorline.model_file import read_info
from tumorline.own_files import read_own_json
from tumorline.results import read_summary
from tumorline.run_folder import read_environment, read_history, read_split
from tumorline.tuning import read_plan, read_trials
from tumorline.tuning.trials import trials_to_go_on_with

FROZEN = Path(__file__).with_name("frozen") / "0.1.0"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return shutil.copytree(FROZEN / "run", tmp_path / "run")


READERS: dict[str, Callable[[Path], Any]] = {
    "summary.json": lambda run: read_summary(run / "summary.json"),
    "evaluation.csv": read_rows,
    "baselines.csv": read_baselines,
    "certainty.csv": read_certainties,
    "split.csv": read_split,
    "history.csv": read_history,
    "environment.json": read_environment,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("share", [0, 0.3, 0.7])
def test_a_file_that_was_cut_off_is_named_with_a_cure(run: Path, name: str, share: float) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: int(share * len(content)) + 1])
    with pytest.raises(
        UserError, match=rf"{name}: cut off, changed or of another version \(.+\); .*(again|copy)"
    ) as told:
        READERS[name](run)
    assert len(str(told.value).splitlines()) == 1


@pytest.mark.parametrize("name", READERS)
def test_garbage_in_place_of_a_file_is_named(run: Path, name: str) -> None:
    for content in (b"\xff\xfe\x00garbage", b"\0" * 100, b"[[1, 2]]", b"[" * 100_000):
        (run / name).write_bytes(content)
        with pytest.raises(UserError, match=name):
            READERS[name](run)


@pytest.mark.parametrize("name", ["summary.json", "evaluation.csv"])
def test_a_file_that_may_not_be_read_is_not_called_damaged(
    run: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError, match=rf"{name}: cannot be read \(Permission denied\)$"):
        READERS[name](run)


def test_a_model_that_may_not_be_read_is_not_called_missing(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Path.open

    def refuse(path: Path, *how: Any, **more: Any) -> Any:
        if path.name == "model.safetensors":
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"model.safetensors: not a readable model file \(.*Permission denied"):
        read_info(run / "model.safetensors")


def change(path: Path, *keys: str, value: Any) -> None:
    """Put another value at a place in a JSON file."""
    whole = json.loads(path.read_text())
    *inner, last = keys
    found = whole
    for key in inner:
        found = found[key]
    found[last] = value
    path.write_text(json.dumps(whole))


@pytest.mark.parametrize(
    ("keys", "value", "told"),
    [
        (("schema_version",), 3, "schema_version: Input should be 1 or 2"),
        (("regions", "tumour", "dice", "mean"), "0.9", "regions.tumour.dice.mean: Input should be a valid number"),
        (("regions", "tumour", "dice", "ci95"), [1], "regions.tumour.dice.ci95: List should have at least 2 items"),
        (("regions", "tumour", "missed"), -1, "regions.tumour.missed: Input should be greater than or equal to 0"),
        (("regions",), {}, "regions: Dictionary should have at least 1 item"),
        (("warnings",), "none", "warnings: Input should be a valid list"),
        (("baselines", "otsu_in_head"), {}, "a baseline says nothing of 'tumour'"),
    ],
)
def test_a_summary_says_which_value_is_wrong(run: Path, keys: tuple[str, ...], value: Any, told: str) -> None:
    change(run / "summary.json", *keys, value=value)
    with pytest.raises(UserError, match="summary") as error:
        read_summary(run / "summary.json")
    assert told in str(error.value)


@pytest.mark.parametrize(
    ("name", "column", "value"),
    [
        ("certainty.csv", "dice", "1_0"),
        ("certainty.csv", "confidence", "10"),
        ("certainty.csv", "dice_at_true_area", "-0.5"),
        ("certainty.csv", "pixels", "-1 " * 20),
        ("baselines.csv", "dice", "7"),
        ("baselines.csv", "volume_ratio", "-2"),
        ("evaluation.csv", "nsd", "1.01"),
        ("evaluation.csv", "hd95", "-3"),
        ("evaluation.csv", "lesion_dice", "2"),
    ],
)
def test_a_figure_that_cannot_be_is_refused_with_its_column(run: Path, name: str, column: str, value: str) -> None:
    with (run / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0][column] = value.strip()
    with (run / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    with pytest.raises(UserError, match=rf"{name}: .*{column}"):
        READERS[name](run)


def test_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for text in ("NaN", "[Infinity]", '{"x": -Infinity}', "1" * 5000):
        path.write_text(text)
        with pytest.raises(UserError, match=r"x\.json: cut off"):
            read_own_json(path, Any, "x")


def test_deep_lists_end_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("[" * 200 + "]" * 200)
    with pytest.raises(UserError, match="more than 64 lists"):
        read_own_json(path, Any, "x")


def test_a_pipe_is_not_waited_for(run: Path) -> None:
    (run / "summary.json").unlink()
    os.mkfifo(run / "summary.json")
    with pytest.raises(UserError, match="no such file"):
        read_summary(run / "summary.json")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "..\\x", "a/../../x", ""])
def test_a_case_whose_name_leads_out_of_the_folder_is_refused(run: Path, name: str) -> None:
    for table in ("evaluation.csv", "split.csv"):
        text = (FROZEN / "run" / table).read_text()
        case = text.splitlines()[1].partition(",")[0]
        (run / table).write_text(text.replace(case, name))
    with pytest.raises(UserError, match=r"evaluation\.csv: .*line 2, column 'case': expected a case's name"):
        read_rows(run)
    with pytest.raises(UserError, match=r"split\.csv"):
        read_split(run)


@pytest.mark.parametrize(("column", "text"), [("dice", "inf"), ("dice", "1e999"), ("truth_px", "-1"), ("height", "٣")])
def test_a_cell_that_is_no_such_number_is_named(run: Path, column: str, text: str) -> None:
    header, row, *_ = (run / "evaluation.csv").read_text().splitlines()
    cells = row.split(",")
    cells[header.split(",").index(column)] = text
    (run / "evaluation.csv").write_text(f"{header}\n{','.join(cells)}\n")
    with pytest.raises(UserError, match=rf"line 2, column '{column}': expected a (whole )?number"):
        read_rows(run)


def test_trials_of_a_search_are_held_against_their_form(tmp_path: Path) -> None:
    for text in ('[{"number": 1}]', '[{"number": 0, "params": {}}]', '{"number": 1}', "[1]", '[{"number": 1, "par'):
        (tmp_path / "trials.json").write_text(text)
        with pytest.raises(UserError, match=r"trials\.json: cut off"):
            read_trials(tmp_path)


def test_a_trial_of_another_search_is_refused(tmp_path: Path) -> None:
    space = '"train.epochs" = {low = 2, high = 4}\n"loss.name" = ["dice", "ce"]\n'
    (tmp_path / "plan.toml").write_text(f"[tune.space]\n{space}")
    plan = read_plan(tmp_path / "plan.toml", None)
    good = {"number": 1, "params": {"train.epochs": 3, "loss.name": "ce"}, "state": "complete", "dice": [0.5]}
    strange: list[dict[str, Any]] = [
        {"number": 2},
        {"params": {}},
        {"params": {"train.epochs": 9, "loss.name": "ce"}},
        {"params": {"train.epochs": "x", "loss.name": "ce"}},
        {"params": {"train.epochs": 3, "loss.name": ["ce"]}},
        {"dice": []},
    ]
    for change_of in ({}, *strange):
        (tmp_path / "trials.json").write_text(json.dumps([{**good, **change_of}]))
        if not change_of:
            assert len(trials_to_go_on_with(plan, tmp_path)) == 1
            continue
        with pytest.raises(UserError, match=r"trials\.json: trial 1 is none of this search; restore it"):
            trials_to_go_on_with(plan, tmp_path)


def test_the_commands_tell_it_in_one_line(program: Program, run: Path, tmp_path: Path) -> None:
    change(run / "summary.json", "regions", value=None)
    for command in (("report", run), ("compare", run, FROZEN / "evaluation", "--output", tmp_path / "out")):
        status, _, told = program(*command)
        assert status == 2
        assert told.startswith("error: ")
        assert len(told.splitlines()) == 1
        assert "summary.json: cut off, changed or of another version (regions" in told
