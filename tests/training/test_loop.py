import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.training.conftest import make_task
from tumorline.config import Config, LossConfig, LossTerm
from tumorline.errors import Interrupted, UserError
from tumorline.file_names import BEST_WEIGHTS_NAME, HISTORY_NAME, STATE_NAME
from tumorline.losses import WeightedSum
from tumorline.run_folder import read_history
from tumorline.training import loop
from tumorline.training.loop import fit
from tumorline.training.machine import open_machine
from tumorline.training.pace import measure_pace
from tumorline.training.validation import Validation

MOVING_SUM = LossConfig(sum=(LossTerm(name="dice_ce", weight=(1.0, 0.5)), LossTerm(name="boundary", weight=(0.0, 0.5))))
TIMINGS = {"seconds", "images_per_second"}
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}


def train(config: Config, run: Path) -> None:
    task = make_task(config, run)
    with open_machine(config.train) as machine:
        fit(task, machine)


def history(run: Path) -> list[dict[str, str]]:
    with (run / HISTORY_NAME).open() as file:
        return [{key: value for key, value in row.items() if key not in TIMINGS} for row in csv.DictReader(file)]


def weights(run: Path, name: str = STATE_NAME) -> dict[str, torch.Tensor]:
    return load_file(run / name)


def same(a: Path, b: Path) -> bool:
    one, two = weights(a), weights(b)
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def with_train(config: Config, **settings: object) -> Config:
    return config.model_copy(update={"train": config.train.model_copy(update=settings)})


def test_training_learns_and_keeps_the_best_epoch(tiny_config: Config, tmp_path: Path) -> None:
    train(with_train(tiny_config, epochs=8), tmp_path / "run")
    rows = history(tmp_path / "run")
    assert float(rows[-1]["train_loss"]) < float(rows[0]["train_loss"])
    best = max(rows, key=lambda row: float(row["validation_dice"]))
    assert best["best"] == "1"
    assert weights(tmp_path / "run", BEST_WEIGHTS_NAME)


def test_of_equal_dice_the_lower_loss_is_kept_but_does_not_count_for_patience(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with cross-entropy alone, which for a while draws nothing above one half."""
    results = iter([Validation(0.5, 0.0), Validation(0.3, 0.0), Validation(0.4, 0.0), Validation(0.2, 0.0)])
    monkeypatch.setattr("tumorline.training.feed.validate", lambda *_: next(results))
    train(with_train(tiny_config, epochs=9, patience=3), tmp_path / "run")
    assert [row["best"] for row in history(tmp_path / "run")] == ["1", "1", "0", "1"]
    average = {name.removeprefix("average."): kept for name, kept in weights(tmp_path / "run").items()}
    assert all(torch.equal(average[name], kept) for name, kept in weights(tmp_path / "run", BEST_WEIGHTS_NAME).items())


def test_the_same_seed_gives_the_same_weights_and_another_does_not(tiny_config: Config, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tiny_config.model_copy(update={"seed": seed}), tmp_path / name)
    assert same(tmp_path / "a", tmp_path / "b")
    assert not same(tmp_path / "a", tmp_path / "c")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_stop_within_an_epoch_is_resumed_to_equal_weights(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    config = tiny_config.model_copy(
        update={
            "model": tiny_config.model.model_copy(update={"options": {"widths": [4, 8], "dropout": 0.2}}),
            "loss": MOVING_SUM,
        }
    )
    train(config, tmp_path / "whole")
    signal.signal(number, signal.SIG_DFL)  # under nohup the hang-up is ignored
    steps = 0
    original = loop.Loop.train_step

    def stop_at_the_fifth(self: loop.Loop) -> torch.Tensor:
        nonlocal steps
        steps += 1
        if steps == 5:
            os.kill(os.getpid(), number)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "train_step", stop_at_the_fifth)
        with pytest.raises(Interrupted, match="go on with: tumorline train --resume"):
            train(config, tmp_path / "stopped")
    assert len(history(tmp_path / "stopped")) == 1
    train(config, tmp_path / "stopped")
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert history(tmp_path / "whole") == history(tmp_path / "stopped")


def test_a_stop_asked_for_in_the_last_validation_is_heeded(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, original = with_train(tiny_config, epochs=1), loop.Loop.validated

    def stop(self: loop.Loop) -> Validation | None:
        os.kill(os.getpid(), signal.SIGTERM)
        return original(self)

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "validated", stop)
        with pytest.raises(Interrupted, match="go on with: tumorline train --resume"):
            train(config, tmp_path / "run")
    assert len(history(tmp_path / "run")) == 1
    before = weights(tmp_path / "run")
    train(config, tmp_path / "run")
    assert all(torch.equal(before[key], value) for key, value in weights(tmp_path / "run").items())


def test_a_step_lasts_until_the_processes_have_heard_of_one_another_and_no_longer(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU computes until a reduction waits for it."""
    clock, steps, heard = 0, 0, loop.Loop.any_process

    def wait(self: loop.Loop, *flags: bool) -> list[bool]:
        nonlocal clock, steps
        clock, steps = clock + 10, steps + (len(flags) == 3)
        return heard(self, *flags)

    def save(self: loop.Loop, *flags: bool) -> None:
        nonlocal clock
        clock += 1000

    monkeypatch.setattr(loop.Loop, "any_process", wait)
    monkeypatch.setattr(loop.Loop, "save_or_stop", save)
    monkeypatch.setattr(loop, "time", SimpleNamespace(perf_counter=lambda: clock, monotonic=time.monotonic))
    train(with_train(tiny_config, epochs=1), tmp_path / "run")
    (row,) = read_history(tmp_path / "run", ["seconds"])
    assert float(row["seconds"]) == 10 * steps > 0


def test_a_plateau_is_resumed_to_equal_weights(tiny_config: Config, tmp_path: Path) -> None:
    config = with_train(tiny_config, epochs=4, schedule="plateau", plateau_patience=1, learning_rate=0.5, warmup=0.0)
    train(config, tmp_path / "whole")

    def stop(row: Mapping[str, Any]) -> None:
        if row["epoch"] == 3:
            raise KeyError

    with open_machine(config.train) as machine, pytest.raises(KeyError):
        fit(make_task(config, tmp_path / "stopped"), machine, stop)
    train(config, tmp_path / "stopped")
    assert float(history(tmp_path / "whole")[-1]["learning_rate"]) < 0.5
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert history(tmp_path / "whole") == history(tmp_path / "stopped")


def test_a_finished_training_is_not_trained_again(tiny_config: Config, tmp_path: Path) -> None:
    train(tiny_config, tmp_path / "run")
    before = weights(tmp_path / "run")
    train(tiny_config, tmp_path / "run")
    assert all(torch.equal(before[key], value) for key, value in weights(tmp_path / "run").items())


def test_a_state_of_another_configuration_is_refused(tiny_config: Config, tmp_path: Path) -> None:
    train(tiny_config, tmp_path / "run")
    with pytest.raises(UserError, match=r"data, split or configuration have changed since"):
        train(with_train(tiny_config, learning_rate=0.5), tmp_path / "run")


def test_the_loss_knows_how_far_the_training_is(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, float]] = []
    original = WeightedSum.forward

    def watch(self: WeightedSum, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        seen.append((torch.is_grad_enabled(), self.progress))
        return original(self, logits, target)

    monkeypatch.setattr(WeightedSum, "forward", watch)
    train(with_train(tiny_config, epochs=2), tmp_path / "run")
    steps = [progress for training, progress in seen if training]
    assert steps == [step / len(steps) for step in range(len(steps))]
    assert sorted({progress for training, progress in seen if not training}) == [0.5, 1.0]


def test_a_network_that_normalises_over_images_needs_two_in_a_batch(tiny_config: Config, tmp_path: Path) -> None:
    network = tiny_config.model.model_copy(update={"name": "lraspp", "options": {"weights": "none"}})
    small = tiny_config.data.model_copy(update={"image_size": 16})
    config = tiny_config.model_copy(update={"model": network, "data": small})
    with pytest.raises(
        UserError, match=r"'lraspp', whose norms cannot learn from batches of one image; .*batch_size=2"
    ):
        train(with_train(config, batch_size=1), tmp_path / "run")


@pytest.mark.parametrize("schedule", ["poly", "cosine"])
def test_the_pace_of_a_training_of_fewer_steps_than_are_timed(
    tiny_config: Config, tmp_path: Path, schedule: str
) -> None:
    config = with_train(tiny_config, epochs=1, batch_size=16, schedule=schedule)
    with open_machine(config.train) as machine:
        assert measure_pace(make_task(config, tmp_path / "run"), machine).steps == 1


def test_patience_stops_early(tiny_config: Config, tmp_path: Path) -> None:
    train(with_train(tiny_config, epochs=50, patience=2, learning_rate=1e-9), tmp_path / "run")
    assert len(history(tmp_path / "run")) == 3


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "tumorline", "train", *arguments]


def require_equal_after_ten_kills(config: Path, folder: Path) -> None:
    """A training that is killed ten times, each before its last epoch, gives the files of one that nobody kills."""
    whole, killed = folder / "whole", folder / "killed"
    subprocess.run(command(str(config), "--output", str(whole)), check=True, env=ONE_THREAD)
    between = len(history(whole)) // 12
    chance = random.Random(0)
    for number in range(10):
        kill_within_an_epoch(config, killed, (number + 1) * between, chance.random())
        assert len(history(killed)) < len(history(whole)), "a kill after the last epoch says nothing of the training"
    subprocess.run(command("--resume", str(killed)), check=True, env=ONE_THREAD)
    assert same(whole, killed)
    assert history(whole) == history(killed)
    assert (whole / "model.safetensors").read_bytes() == (killed / "model.safetensors").read_bytes()


def kill_within_an_epoch(config: Path, run: Path, epochs: int, share: float) -> None:
    """Begin a run or go on, and kill it at this share of the epoch that comes after so many."""
    arguments = ["--resume"] if (run / "config.toml").exists() else [str(config), "--output"]
    process = subprocess.Popen(command(*arguments, str(run)), env=ONE_THREAD)
    while len(rows := read_history(run)) < epochs:
        assert process.poll() is None, f"the training has ended before epoch {epochs}"
        time.sleep(0.005)
    time.sleep(share * float(rows[-1]["seconds"]))
    process.kill()
    process.wait()


@pytest.mark.slow
def test_ten_kills_at_random_moments_do_not_change_the_weights(tiny_config: Config, tmp_path: Path) -> None:
    with_train(tiny_config, epochs=40, checkpoint_minutes=0.005).save(tmp_path / "config.toml")
    require_equal_after_ten_kills(tmp_path / "config.toml", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_two_processes_give_the_loss_of_one(tiny_config: Config, tmp_path: Path, norm: str) -> None:
    options = {**tiny_config.model.options, "norm": norm}
    config = tiny_config.model_copy(update={"model": tiny_config.model.model_copy(update={"options": options})})
    config.save(tmp_path / "config.toml")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    logger = ["--set", "train.callbacks=tensorboard"]  # torchrun takes --log for an abbreviation of its own options
    arguments = ["-m", "tumorline", "train", str(tmp_path / "config.toml"), *logger, "--output"]
    subprocess.run([*torchrun, *arguments, str(tmp_path / "two")], check=True, env=ONE_THREAD)
    subprocess.run([sys.executable, *arguments, str(tmp_path / "one")], check=True, env=ONE_THREAD)
    for one, two in zip(history(tmp_path / "one"), history(tmp_path / "two"), strict=True):
        for column in ("train_loss", "validation_loss", "validation_dice"):
            assert float(one[column]) == pytest.approx(float(two[column]), abs=2e-4)
    told = [line.split()[3] for line in (tmp_path / "two" / "log.txt").read_text().splitlines() if " epoch " in line]
    assert told == [f"{row['epoch']}/{config.train.epochs}" for row in history(tmp_path / "two")]
    assert len(list((tmp_path / "two" / "tensorboard").iterdir())) == 1
