"""Run folders as `tumorline runs` lists them, and how long work says how far it is."""

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.conftest import Program
from tumorline.cli import printing
from tumorline.config import load_config
from tumorline.files import alone_in
from tumorline.run_list import list_runs

ROOT = Path(__file__).parents[1]
FROZEN = ROOT / "tests" / "frozen" / "0.1.0" / "run"


def make_run(folder: Path, dice: list[float], *overrides: str, state: bool = True) -> Path:
    """A run folder of a training that is as far as it has figures."""
    folder.mkdir(parents=True)
    load_config(None, ["train.epochs=3", *overrides]).save(folder / "config.toml")
    rows = [f"{epoch},{value},90\n" for epoch, value in enumerate(dice, start=1)]
    (folder / "history.csv").write_text("epoch,validation_dice,seconds\n" + "".join(rows))
    if state:
        (folder / "state.safetensors").write_bytes(b"")
    return folder


def state_of(folder: Path) -> str:
    (found,) = list_runs(folder)
    return found.state


def test_how_far_a_run_is(tmp_path: Path) -> None:
    assert state_of(make_run(tmp_path / "a", [0.1, 0.2])) == "stopped at epoch 2 of 3"
    assert state_of(make_run(tmp_path / "b", [0.1, 0.2, 0.3])) == "trained, not tested"
    assert state_of(make_run(tmp_path / "c", [])) == "stopped in the first epoch"
    assert state_of(make_run(tmp_path / "d", [], state=False)) == "begun, nothing saved"
    assert state_of(make_run(tmp_path / "e", [0.2, 0.1], "train.patience=1")) == "trained, not tested"
    with alone_in(tmp_path / "a"):
        assert state_of(tmp_path / "a") == "running, epoch 2 of 3 done"
    assert state_of(tmp_path / "a") == "stopped at epoch 2 of 3"
    (tmp_path / "a" / ".lock").write_text("")
    assert state_of(tmp_path / "a") == "stopped at epoch 2 of 3"
    (tmp_path / "a" / "log.txt").write_text("2026-01-01 00:00:00 error: the training diverged\n")
    assert state_of(tmp_path / "a") == "failed after epoch 2 of 3"


def test_a_run_of_all_patients_is_finished_once_its_card_is_there(tmp_path: Path) -> None:
    run = make_run(tmp_path / "all", [0.1, 0.2, 0.3], "split.train=1", "model.threshold=0.5", "model.temperature=1")
    assert state_of(run) == "trained, not tested"
    (run / "MODEL_CARD.md").write_text("")
    assert state_of(run) == "finished, all patients trained"
    (found,) = list_runs(run)
    assert found.dice is None


def test_what_is_broken_is_said_and_the_others_are_listed(tmp_path: Path) -> None:
    make_run(tmp_path / "good", [0.5, 0.4])
    (make_run(tmp_path / "table", [0.5]) / "history.csv").write_text("epoch,validation_dice\n1,x\n")
    (make_run(tmp_path / "text", [0.5]) / "config.toml").write_text("[train")
    (make_run(tmp_path / "summary", [0.5, 0.6, 0.7]) / "summary.json").write_text("{")
    (tmp_path / "summary" / "report.html").write_text("")
    found = {Path(one.run).name: one.state for one in list_runs(tmp_path)}
    assert found.keys() == {"good", "table", "text", "summary"}
    assert [name for name, state in found.items() if state.startswith("broken: ")] != []
    assert not found["good"].startswith("broken")
    assert all(found[name].startswith("broken: ") and "\n" not in found[name] for name in ("table", "text", "summary"))


def test_a_run_of_the_first_version_is_listed_with_its_figure(program: Program) -> None:
    (found,) = list_runs(FROZEN)
    assert found.state == "finished"
    assert found.dice == pytest.approx(
        json.loads((FROZEN / "summary.json").read_text())["regions"]["tumour"]["dice"]["mean"]
    )
    row = program("runs", FROZEN).out.splitlines()[1].split("\t")
    assert row[1] == "finished"
    assert row[2].startswith(f"{found.dice:.3f}")


def test_the_figures_at_the_end_stand_in_the_log(
    program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    shutil.copytree(FROZEN, tmp_path / "run")
    monkeypatch.setattr("tumorline.api.train", lambda *_, **__: tmp_path / "run")
    shown = program("train", "demo").out.splitlines()
    assert [line[20:] for line in (tmp_path / "run" / "log.txt").read_text().splitlines()][-len(shown) :] == shown
    assert shown[-1] == f"report: {tmp_path / 'run' / 'report.html'}"
    assert any(line.startswith("tumour: Dice by patient ") for line in shown)


def test_newest_first_folds_with_their_folder(tmp_path: Path, program: Program) -> None:
    for age, name in enumerate(["x-2folds/fold-0", "x-2folds/fold-1", "new"]):
        run = make_run(tmp_path / name, [0.5, 0.6])
        for path in run.iterdir():
            os.utime(path, (1e9 + age, 1e9 + age))
    load_config(None, ["split.folds=2"]).save(tmp_path / "x-2folds" / "config.toml")
    os.utime(tmp_path / "x-2folds" / "config.toml", (1e9 - 9, 1e9 - 9))
    rows = json.loads(program("runs", tmp_path, "--json").out)
    assert [Path(row["run"]).name for row in rows] == ["new", "fold-1", "fold-0", "x-2folds"]
    assert [row["state"] for row in rows][-1] == "0 of 2 folds"
    assert (rows[0]["epochs"], rows[0]["minutes"], rows[0]["validation_dice"], rows[0]["dice"]) == (
        "2/3",
        3.0,
        0.6,
        None,
    )
    assert rows[-1]["minutes"] == 6.0


def test_a_folder_without_runs_says_so(program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert program("runs").err == "no run folders in runs; 'tumorline train' makes one\n"
    assert program("runs", "--json").out == "[]\n"
    assert program("runs", "nowhere").err == "error: nowhere: no such file or folder\n"


def test_off_a_terminal_work_says_how_far_it_is_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("tumorline.progress.time.monotonic", lambda: now)
    show = printing.counter("predicting")
    for done in range(1, 301):
        now += 1
        show(done, 300)
    assert capsys.readouterr().err.splitlines() == [
        "predicting 60/300, about 4 minutes left",
        "predicting 120/300, about 3 minutes left",
        "predicting 180/300, about 2 minutes left",
        "predicting 240/300, about a minute left",
    ]


def test_a_table_is_in_even_columns_on_a_terminal_only(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"run": "a", "dice": "0.5"}, {"run": "longer", "state": "x"}]
    printing.print_table(rows)
    assert capsys.readouterr().out == "run\tdice\tstate\na\t0.5\t\nlonger\t\tx\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    printing.print_table(rows)
    assert capsys.readouterr().out == "run     dice  state\na       0.5\nlonger        x\n"
    printing.print_table([])
    assert capsys.readouterr().out == ""
