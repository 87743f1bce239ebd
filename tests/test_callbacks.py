"""Callbacks hear of a training; what goes wrong in one does not end it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import tumorline
from tests.conftest import TINY
from tumorline.callbacks import Begun, Callback, Listeners, make_callbacks
from tumorline.config import load_config
from tumorline.errors import Interrupted, MissingExtraError, UserError
from tumorline.trust import trusting

pytest.importorskip("torch")


class Recorder(Callback):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    def on_begin(self, begun: Begun) -> None:
        self.heard.append(("begin", [row["epoch"] for row in begun.history]))

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        self.heard.append(("epoch", row["epoch"]))

    def on_test(self, summary: Mapping[str, Any]) -> None:
        self.heard.append(("test", round(summary["regions"]["tumour"]["dice"]["mean"], 6)))

    def on_end(self, outcome: str) -> None:
        self.heard.append(("end", outcome))


class Faulty(Callback):
    def on_epoch(self, row: Mapping[str, Any]) -> None:
        raise OSError("the disk of the logger is full")


class Stopper(Callback):
    """Stops the program after an epoch, as Ctrl-C does."""

    def on_epoch(self, row: Mapping[str, Any]) -> None:
        raise Interrupted("stopped")


def overrides(source: Path, *more: str) -> list[str]:
    return [*TINY, f"data.cache='{source.parent / 'cache'}'", "train.epochs=2", *more]


def test_callbacks_hear_of_a_training_and_what_fails_is_named_once(tiny_source: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    first, second, run = Recorder(), Recorder(), tmp_path / "run"
    said: list[str] = []
    named = overrides(tiny_source, "train.callbacks=tensorboard", "train.epochs=3")
    with pytest.raises(Interrupted):
        tumorline.train(data=tiny_source, overrides=named, output=run, callbacks=[first, Stopper()])
    assert first.heard == [("begin", []), ("epoch", 1), ("end", "stopped")]
    tumorline.resume(run, said.append, test=False, callbacks=[second, Faulty()])
    assert second.heard == [("begin", [1]), ("epoch", 2), ("epoch", 3), ("end", "trained")]
    faults = [line for line in said if "Faulty" in line]
    assert faults == [
        "warning: callback Faulty failed in on_epoch (OSError: the disk of the logger is full); "
        "the training goes on without it"
    ]
    assert faults[0] in (run / "log.txt").read_text()
    assert scalars(run / "tensorboard", "validation_dice") == [1, 2, 3]


@pytest.mark.slow
def test_a_run_of_mlflow_goes_on_where_the_run_does_and_both_loggers_get_the_test_figures(
    tiny_source: Path, tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    pytest.importorskip("mlflow")
    recorder, run = Recorder(), tmp_path / "run"
    named = overrides(tiny_source, "train.callbacks=tensorboard, mlflow", "train.epochs=3")
    with pytest.raises(Interrupted):
        tumorline.train(data=tiny_source, overrides=named, output=run, callbacks=[Stopper()])
    assert mlflow_run(run)[:2] == ("KILLED", [1])
    tumorline.resume(run, callbacks=[recorder])
    dice = json.loads((run / "summary.json").read_text())["regions"]["tumour"]["dice"]["mean"]
    assert recorder.heard[-2:] == [("test", round(dice, 6)), ("end", "finished")]
    assert scalars(run / "tensorboard", "test_dice") == [3]
    state, steps, params = mlflow_run(run)
    assert (state, steps, params["train.epochs"]) == ("FINISHED", [1, 2, 3], "3")
    assert [path.name for path in tmp_path.iterdir() if path.name != "run"] == ["mlruns"]


def test_epochs_without_validation_are_logged_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tumorline.callbacks import mlflow

    figures = {"train_loss": [SimpleNamespace(step=1), SimpleNamespace(step=2)]}
    client = SimpleNamespace(update_run=lambda *_: None, get_metric_history=lambda _, name: figures.get(name, []))
    monkeypatch.setattr(mlflow, "require_extra", lambda *_: None)
    monkeypatch.setattr(mlflow, "_connect", lambda folder: client)
    logged: list[int] = []
    monkeypatch.setattr(mlflow.MLflow, "on_epoch", lambda self, row: logged.append(row["epoch"]))
    (tmp_path / mlflow.ID_NAME).write_text("run")
    history = [{"epoch": number, "train_loss": 0.5, "validation_dice": None} for number in (1, 2, 3)]
    mlflow.MLflow().on_begin(Begun(tmp_path, load_config(None), history))
    assert logged == [3]


def scalars(folder: Path, name: str) -> list[int]:
    """Steps of a curve as TensorBoard shows it."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return [event.step for event in events.Scalars(name)]


def mlflow_run(run: Path) -> tuple[str, list[int], dict[str, str]]:
    """State, logged epochs and parameters of the one run that MLflow knows."""
    from mlflow import MlflowClient

    client = MlflowClient((run.parent / "mlruns").as_uri())
    experiment = client.get_experiment_by_name("tumorline")
    assert experiment
    (found,) = client.search_runs([experiment.experiment_id])
    steps = [metric.step for metric in client.get_metric_history(found.info.run_id, "validation_dice")]
    return found.info.status, steps, found.data.params


def test_a_callback_changes_nothing_in_what_the_training_is() -> None:
    names = [load_config(None, [f"train.callbacks={names}"]).train.callbacks for names in ("mlflow", "[]", "a.b:C")]
    assert names == [("mlflow",), (), ("a.b:C",)]


@pytest.mark.parametrize("name", ["tensorbord", "mypackage", "a:b:c", "../x:y"])
def test_a_name_that_is_none_is_refused_with_the_key(name: str) -> None:
    with pytest.raises(UserError, match=r"train\.callbacks: .*(did you mean 'tensorboard'|known: mlflow, tens)"):
        load_config(None, [f"train.callbacks=['{name}']"])


def test_a_callback_from_outside_is_imported_only_where_it_is_trusted() -> None:
    name = f"{__name__}:Recorder"
    with pytest.raises(UserError, match=f"say --trust-module {__name__}"):
        make_callbacks([name])
    with trusting([__name__]):
        assert type(make_callbacks([name])[0]).__name__ == "Recorder"
        with pytest.raises(UserError, match=r"which is no tumorline\.Callback"):
            make_callbacks([f"{__name__}:Path"])
        with pytest.raises(UserError, match="cannot be made"):
            make_callbacks([f"{__name__}:nothing_of_this_name"])


@pytest.mark.parametrize("name", ["tensorboard", "mlflow"])
def test_a_logger_that_is_not_installed_is_named_with_its_extra(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tumorline.errors.find_spec", lambda module: None)
    with pytest.raises(MissingExtraError, match=rf"tumorline\[{name}\]"):
        make_callbacks([name])


def test_what_is_no_callback_is_refused(tiny_source: Path) -> None:
    with pytest.raises(UserError, match=r"callbacks: .*print.* is no tumorline\.Callback"):
        tumorline.train(data=tiny_source, callbacks=[print])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("raised", "outcome"), [(None, "trained"), (Interrupted("x"), "stopped"), (ValueError("x"), "failed")]
)
def test_the_end_is_told_once_and_only_after_a_beginning(raised: BaseException | None, outcome: str) -> None:
    for begins in (True, False):
        recorder = Recorder()
        listeners = Listeners([recorder], print)
        with suppress(ValueError, Interrupted), listeners.listening("trained"):
            if begins:
                listeners.begin(Path(), load_config(None))([])
            if raised:
                raise raised
        assert recorder.heard == ([("begin", []), ("end", outcome)] if begins else [])
