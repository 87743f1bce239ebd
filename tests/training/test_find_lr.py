import csv
import math
from pathlib import Path

import pytest

from tests.conftest import refused_in_one_line
from tumorline import api, cli, run
from tumorline.cli import shown_results
from tumorline.config import Config
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.training import loop
from tumorline.training.batches import Store
from tumorline.training.rate_finder import HIGHEST, LOWEST, diverged, summarise_range_test
from tumorline.training.task import Task


def valley(rate: float) -> float:
    """Flat, steepest at 1e-3, lowest at 1e-2, then up."""
    place = math.log10(rate)
    return 2 - 1 / (1 + math.exp(-4 * (place + 3))) + max(0.0, place + 2) ** 2


def test_the_steepest_descent_is_suggested() -> None:
    rates = [LOWEST * (HIGHEST / LOWEST) ** (step / 99) for step in range(100)]
    found = summarise_range_test(rates, [valley(rate) for rate in rates], 100)
    assert found.suggestion is not None
    assert abs(math.log10(found.suggestion) + 3) < 0.1


def test_no_rate_is_suggested_where_none_lowers_the_loss() -> None:
    assert summarise_range_test([1e-6, 1e-5, 1e-4], [1.0, 1.1, 1.3], 3).suggestion is None


def test_a_loss_that_is_no_number_ends_the_test_and_is_left_out() -> None:
    found = summarise_range_test([1e-6, 1e-5, 1e-4], [1.0, 0.5, math.nan], 3)
    assert found.diverged
    assert found.losses == [1.0, 0.5]


def test_it_diverges_at_twice_the_lowest_running_mean() -> None:
    assert not diverged([])
    assert not diverged([1.0] * 20 + [2.5])
    assert diverged([1.0] * 20 + [12.0])


def test_a_loss_that_falls_below_zero_is_no_divergence() -> None:
    falling = [0.2 - 0.005 * step for step in range(100)]
    assert not any(diverged(falling[:count]) for count in range(101))
    assert diverged([*falling, *[3.0] * 20])


def test_only_training_cases_are_read_and_only_two_files_are_written(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: set[int] = set()
    kept: list[tuple[Dataset, set[str]]] = []
    original, batch = loop.Loop.__init__, Store.batch

    def spy(self: loop.Loop, task: Task, *rest: object) -> None:
        kept.append((task.dataset, set(task.split.cases("train"))))
        original(self, task, *rest)  # type: ignore[arg-type]

    def note(self: Store, numbers: list[int]) -> object:
        read.update(numbers)
        return batch(self, numbers)

    monkeypatch.setattr(loop.Loop, "__init__", spy)
    monkeypatch.setattr(Store, "batch", note)
    monkeypatch.setattr("tumorline.training.feed.validate", None)
    config = tiny_config.model_copy(update={"train": tiny_config.train.model_copy(update={"epochs": 12})})
    folder, rate = api.find_learning_rate(config, output=tmp_path / "found")
    ((dataset, training),) = kept
    assert {dataset.cases[index].id for index in read} <= training
    assert sorted(path.name for path in folder.iterdir()) == ["learning_rate.csv", "learning_rate.html"]
    with (folder / "learning_rate.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[0]["learning_rate"]) == pytest.approx(LOWEST)
    assert rate is None or LOWEST < rate < HIGHEST
    with pytest.raises(UserError, match="exists already"):
        run.find_learning_rate(config, folder, print)


def test_too_few_steps_are_refused_and_leave_nothing(tiny_config: Config, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"train.epochs is 3 with 3 steps each; a rate is found in 12 steps or more"):
        run.find_learning_rate(tiny_config, tmp_path / "found", print)
    assert not (tmp_path / "found").exists()


def test_find_lr_with_resume_is_refused_in_one_line(tmp_path: Path) -> None:
    with refused_in_one_line("--resume goes on with the run's own configuration"):
        cli.training.train(find_lr=True, resume=tmp_path)


def test_the_line_to_use_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown_results.print_rate(tmp_path, 0.00123)
    assert capsys.readouterr().out.endswith("suggested: --set train.learning_rate=0.0012\n")
    with pytest.raises(UserError, match="no learning rate lowers the loss"):
        shown_results.print_rate(tmp_path, None)


def test_find_lr_refuses_what_would_say_nothing() -> None:
    with pytest.raises(UserError, match="--find-lr keeps no model"):
        cli.training.train(find_lr=True, no_test=True)
    with pytest.raises(UserError, match="leave out --no-test and --log"):
        cli.training.train(find_lr=True, log=["tensorboard"])
