"""A training that is no longer finite stops, keeps what was good, and says what to try."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.conftest import TINY, Program
from tests.training.conftest import make_task
from tests.training.test_loop import history, same, train, weights, with_train
from tumorline import cross_validation, run, tuning
from tumorline.config import Config
from tumorline.errors import Diverged, UserError
from tumorline.file_names import BEST_WEIGHTS_NAME, STATE_NAME
from tumorline.training import loop
from tumorline.training.divergence import all_finite
from tumorline.training.machine import open_machine
from tumorline.training.tensor_file import read_tensors
from tumorline.training.validation import Validation
from tumorline.training.weights import BEST_KEY, read_best, start

Spoil = Callable[[loop.Loop], None]


def spoil_weight(one: loop.Loop) -> None:
    next(one.state.network.parameters()).data.view(-1)[0] = math.inf


def spoil_average(one: loop.Loop) -> None:
    next(one.state.average.parameters()).data.view(-1)[0] = math.nan


def spoil_optimiser(one: loop.Loop) -> None:
    next(iter(one.state.optimiser.state.values()))["exp_avg"].view(-1)[0] = math.nan


def at_step(monkeypatch: pytest.MonkeyPatch, epoch: int, step: int, spoil: Spoil, loss: float | None = None) -> None:
    """Spoil something after a step, counted from 1; `loss` then stands in place of the step's own."""
    original = loop.Loop.train_step

    def train_step(self: loop.Loop) -> Tensor:
        found = original(self)
        if (self.state.position.epoch + 1, self.state.position.step + 1) == (epoch, step):
            spoil(self)
            return found if loss is None else torch.full_like(found, loss)
        return found

    monkeypatch.setattr(loop.Loop, "train_step", train_step)


@pytest.mark.parametrize("loss", [math.nan, math.inf, pytest.param(-math.inf, marks=pytest.mark.slow)])
def test_a_loss_that_is_not_finite_stops_at_once_and_keeps_the_epoch_before(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: float
) -> None:
    train(with_train(tiny_config, epochs=3), tmp_path / "whole")
    with monkeypatch.context() as patch:
        at_step(patch, 2, 2, lambda _: None, loss)
        with pytest.raises(Diverged) as caught:
            train(with_train(tiny_config, epochs=3), tmp_path / "run")
    assert "the loss of epoch 2, step 2 is not finite; the weights after epoch 1 are kept" in str(caught.value)
    assert "a lower train.learning_rate (now 0.02)" in str(caught.value)
    assert len(history(tmp_path / "run")) == 1
    for name in (STATE_NAME, BEST_WEIGHTS_NAME):
        assert all_finite(weights(tmp_path / "run", name).values())
    train(with_train(tiny_config, epochs=3), tmp_path / "run")
    assert same(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("spoil", [spoil_weight, spoil_average, spoil_optimiser])
def test_weights_of_a_last_step_are_looked_at_before_they_are_validated(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoil: Spoil
) -> None:
    at_step(monkeypatch, 2, 3, spoil)
    with pytest.raises(Diverged, match="weights are not finite in epoch 2; the weights after epoch 1 are kept"):
        train(tiny_config, tmp_path / "run")
    assert len(history(tmp_path / "run")) == 1
    assert all_finite(weights(tmp_path / "run").values())


def test_what_is_saved_within_an_epoch_is_looked_at_too(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, 1, 2, spoil_weight)
    with pytest.raises(Diverged, match="weights are not finite in epoch 1; no epoch was finished"):
        train(with_train(tiny_config, checkpoint_minutes=1e-9), tmp_path / "run")
    assert all_finite(weights(tmp_path / "run").values())


@pytest.mark.parametrize("result", [Validation(math.nan, 0.0), Validation(math.inf, 0.5), Validation(0.5, math.nan)])
def test_a_validation_that_is_not_finite_is_never_the_best(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, result: Validation
) -> None:
    monkeypatch.setattr("tumorline.training.feed.validate", lambda *_: result)
    with pytest.raises(Diverged, match="the validation loss of epoch 1 is not finite"):
        train(tiny_config, tmp_path / "run")
    assert not (tmp_path / "run" / BEST_WEIGHTS_NAME).exists()


@pytest.mark.parametrize(
    ("settings", "cures"),
    [
        ({"clip_norm": 1.0}, "(now 0.02)"),
        ({"clip_norm": 0.0}, "(now 0.02), or train.clip_norm=1"),
        ({"clip_norm": 9.0, "precision": "bfloat16"}, "(now 0.02), or train.precision=float32 and train.clip_norm=1"),
    ],
)
def test_only_what_could_help_is_advised(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], cures: str
) -> None:
    at_step(monkeypatch, 1, 1, lambda _: None, math.nan)
    with pytest.raises(Diverged) as caught:
        train(with_train(tiny_config, **settings), tmp_path / "run")
    assert str(caught.value).endswith(cures)


@pytest.mark.parametrize("more", [[], ["--no-test"]])
def test_the_command_ends_with_status_2_and_one_line(
    program: Program, tiny_source: Path, tmp_path: Path, more: list[str]
) -> None:
    settings = [*TINY, "train.learning_rate=1e12", f"data.cache='{tmp_path / 'cache'}'"]
    overrides = [word for setting in settings for word in ("--set", setting)]
    found = program("train", "--data", tiny_source, *overrides, "--output", tmp_path / "run", *more)
    assert found.status == 2
    assert found.err.splitlines()[-1].startswith(f"error: {tmp_path / 'run'}: the training diverged, ")
    assert "diverged" in (tmp_path / "run" / "log.txt").read_text()
    assert not [path for path in (tmp_path / "run").glob("*.safetensors") if not all_finite(load_file(path).values())]


def test_a_state_or_best_weights_that_had_diverged_before_this_version_are_refused(
    tiny_config: Config, tmp_path: Path
) -> None:
    train(tiny_config, tmp_path / "run")
    as_published(tmp_path / "run" / BEST_WEIGHTS_NAME, spoiled=True)
    with pytest.raises(Diverged, match=r"best\.safetensors: its weights are not finite"):
        read_best(make_task(tiny_config, tmp_path / "run"))
    as_published(tmp_path / "run" / STATE_NAME, spoiled=True)
    with pytest.raises(Diverged, match=r"state\.safetensors: its weights are not finite, the training had diverged"):
        train(tiny_config, tmp_path / "run")


def as_published(path: Path, spoiled: bool = False) -> None:
    """Write a state or best weights again as 0.1.0 wrote them: without checksum and without fingerprint."""
    key = "position" if path.name == STATE_NAME else BEST_KEY
    text, tensors = read_tensors(path, key)
    if spoiled:
        next(iter(tensors.values())).view(-1)[0] = math.nan
    save_file(tensors, path, metadata={key: text} if key == "position" else None)


def test_weights_to_start_from_are_looked_at(tiny_config: Config, tmp_path: Path) -> None:
    train(with_train(tiny_config, epochs=1), tmp_path / "run")
    as_published(tmp_path / "run" / BEST_WEIGHTS_NAME, spoiled=True)
    origin = tiny_config.model.model_copy(update={"start_from": str(tmp_path / "run" / BEST_WEIGHTS_NAME)})
    with pytest.raises(UserError, match="the weights that the training starts from are not finite"):
        train(tiny_config.model_copy(update={"model": origin}), tmp_path / "second")


def test_weights_that_another_model_does_not_have_are_named(tiny_config: Config, tmp_path: Path) -> None:
    """And nothing is said where all of them are taken over."""
    train(with_train(tiny_config, epochs=1), tmp_path / "run")
    said: list[str] = []
    for options in ({}, {"residual": True}):
        update: dict[str, Any] = {
            "start_from": str(tmp_path / "run" / BEST_WEIGHTS_NAME),
            "options": {**tiny_config.model.options, **options},
        }
        config = tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update=update)})
        with open_machine(config.train) as machine:
            start(replace(make_task(config, tmp_path / "second"), notify=said.append), machine)
    assert len(said) == 1
    assert re.search(
        r"3 of the 25 weights of this network are not in 'best.safetensors', or not of this shape, and begin", said[0]
    )


def diverges(config: Config, where: Path) -> None:
    raise Diverged(f"{where}: the training diverged")


def test_folds_go_on_after_one_that_diverged(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone: list[int] = []

    def train_fold(config: Config, fold: int, folder: Path, _notify: object) -> None:
        gone.append(fold)
        if fold == 1:
            diverges(config, folder / "fold-1")

    monkeypatch.setattr(cross_validation, "_train_fold", train_fold)
    monkeypatch.setattr(cross_validation, "gather", lambda _: None)
    config = tiny_config.model_copy(update={"split": tiny_config.split.model_copy(update={"folds": 3})})
    with pytest.raises(UserError, match=r"1 of 3 folds diverged, the others are finished; .*fold-1: the training"):
        cross_validation.cross_validate(config, tmp_path / "folds", (), print)
    assert gone == [0, 1, 2]


def test_a_trial_that_diverges_is_a_failed_trial_be_it_the_first(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")

    def fit(config: Config, where: Path, _notify: object, on_epoch: Callable[[Mapping[str, Any]], None]) -> Path:
        if where.name == "trial-001":
            diverges(config, where)
        on_epoch({"epoch": config.train.epochs, "validation_dice": 0.5})
        return where

    monkeypatch.setattr(run, "fit_only", fit)
    monkeypatch.setattr(tuning, "scores", lambda place: [] if place.name == "trial-001" else [0.5])
    (tmp_path / "tune.toml").write_text(
        '[tune]\ntrials = 2\n[tune.space]\n"train.learning_rate" = { low = 1e-3, high = 1e12, log = true }\n'
    )
    plan = tuning.read_plan(tmp_path / "tune.toml", str(tiny_config.data.source))
    tuning.tune(plan, tmp_path / "search", print)
    trials = json.loads((tmp_path / "search" / "trials.json").read_text())
    assert [trial["state"] for trial in trials] == ["failed", "complete"]
    assert "the training diverged" in trials[0]["error"]


def test_a_search_in_which_every_trial_diverges_says_so(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setattr(run, "fit_only", lambda config, where, *_: diverges(config, where))
    (tmp_path / "tune.toml").write_text('[tune]\ntrials = 2\n[tune.space]\n"train.learning_rate" = [1e11, 1e12]\n')
    plan = tuning.read_plan(tmp_path / "tune.toml", str(tiny_config.data.source))
    with pytest.raises(UserError, match=r"none of 2 trials was completed; the last one: .*trial-002: the training"):
        tuning.tune(plan, tmp_path / "search", print)
    assert not (tmp_path / "search" / "best.toml").exists()


def test_a_first_loss_that_is_not_finite_suggests_no_rate(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_step(monkeypatch, 1, 1, lambda _: None, math.nan)
    config = with_train(tiny_config, epochs=9)
    with pytest.raises(Diverged, match="the loss of the very first step is not finite"):
        run.find_learning_rate(config, tmp_path / "rate", print)
    assert not (tmp_path / "rate").exists()
