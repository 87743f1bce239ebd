"""A run that is lengthened is the run that was begun with that length."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import tumorline
from tests.conftest import TINY, Program, refused_in_one_line
from tumorline.config import load_config
from tumorline.errors import UserError
from tumorline.run.lengthening import lengthen, same_rise
from tumorline.run_folder import read_config, read_history

pytest.importorskip("torch")


def settings(source: Path, *more: str) -> list[str]:
    return [*TINY, f"data.cache='{source.parent / 'cache'}'", *more]


@pytest.mark.parametrize("schedule", ["constant", pytest.param("plateau", marks=pytest.mark.slow)])
def test_a_lengthened_run_is_the_one_that_was_begun_with_that_length(
    schedule: str, tiny_source: Path, tmp_path: Path, program: Program
) -> None:
    chosen = [f"train.schedule={schedule}", "train.epochs=2", "train.warmup=0.2"]
    grown = tumorline.train(
        data=tiny_source, overrides=settings(tiny_source, *chosen), output=tmp_path / "grown", test=False
    )
    assert program("train", "--resume", grown, "--set", "train.epochs=4", "--no-test").status == 0
    config = read_config(grown)
    assert (config.train.epochs, config.train.warmup) == (4, 0.1)
    tumorline.train(config, output=tmp_path / "begun", test=False)
    assert curves(grown) == curves(tmp_path / "begun")
    assert len(curves(grown)) == 4
    weights, others = (load_file(run / "state.safetensors") for run in (grown, tmp_path / "begun"))
    assert all(np.array_equal(weights[name], others[name]) for name in others)
    log = [line[20:] for line in (grown / "log.txt").read_text().splitlines()]
    assert [line.split()[1] for line in log if line.startswith("epoch ")] == ["1/2", "2/2", "3/4", "4/4"]
    assert [line for line in log if line.startswith(("$ ", "lengthened"))] == [
        "$ called from Python",
        f"$ tumorline train --resume {grown} --set train.epochs=4 --no-test",
        "lengthened: train.epochs 2 to 4, train.warmup 0.2 to 0.1",
    ]
    assert log[1].startswith("python 3")
    assert log[-1].startswith("done after 0.")


def curves(run: Path) -> list[tuple[str, ...]]:
    names = ("epoch", "learning_rate", "train_loss", "validation_loss", "validation_dice", "best")
    return [tuple(row[name] for name in names) for row in read_history(run)]


@pytest.mark.parametrize("warmup", [0.0, 0.05, 0.07, 0.1, 0.123, 0.3, 1 / 3])
def test_the_warm_up_keeps_its_steps_whatever_an_epoch_has(warmup: float) -> None:
    for before, after in [(2, 3), (16, 40), (7, 100), (3, 1000)]:
        longer = same_rise(warmup, before, after)
        for steps in (1, 3, 10, 97, 1499):
            assert math.ceil(longer * (after * steps)) == math.ceil(warmup * (before * steps))


@pytest.mark.parametrize(
    ("chosen", "epochs", "said"),
    [
        (["train.schedule=cosine"], 40, r"train\.schedule is 'cosine'.*'constant' and 'plateau' go on.*start_from"),
        (["train.schedule=one_cycle"], 40, r"train\.schedule is 'one_cycle'"),
        (["train.schedule=constant"], 4, r"train\.epochs is 6; a run can be lengthened, not shortened to 4"),
        (
            ["train.schedule=constant", 'loss.sum=[{name="dice", weight=[1, 0.5]}]'],
            40,
            r"weights of loss\.sum move over the 6 epochs",
        ),
        (["train.schedule=plateau", "train.patience=1"], 40, r"stopped early, after 1 epoch without a better"),
    ],
)
def test_where_it_would_be_another_training_one_line_says_so(
    chosen: list[str], epochs: int, said: str, tmp_path: Path
) -> None:
    config = load_config(None, ["train.epochs=6", *chosen])
    config.save(tmp_path / "config.toml")
    (tmp_path / "history.csv").write_text("epoch,validation_dice\n1,0.5\n2,0.4\n")
    with refused_in_one_line(said):
        lengthen(tmp_path, config, epochs)
    assert read_config(tmp_path) == config
    assert lengthen(tmp_path, config, 6) == config


@pytest.mark.parametrize(
    "override", ["train.epochs=8,seed=1", "train.batch_size=3", "seed=2", "train={epochs=3,patience=2}"]
)
def test_nothing_else_is_changed_by_going_on(override: str, program: Program, tmp_path: Path) -> None:
    load_config(None).save(tmp_path / "config.toml")
    status, _, said = program("train", "--resume", tmp_path, "--set", override)
    assert status == 2
    assert "train.epochs" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("content", ["{", '{"epochs": 0, "warmup": 0}', '{"epochs": 3}', "[1]"])
def test_a_damaged_record_of_lengths_is_one_line(content: str, tmp_path: Path) -> None:
    from tumorline.run.lengthening import earlier_lengths

    (tmp_path / "lengthened.jsonl").write_text(content + "\n")
    with pytest.raises(UserError, match=r"lengthened\.jsonl: damaged|train: "):
        earlier_lengths(tmp_path, load_config(None))


def test_what_follows_the_training_of_a_finished_run_is_done_anew(
    tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "my run"))
    told = program("train", "--resume", run, "--trust-paths", "--set", "model.threshold=0.99999")
    assert told.status == 0, told.err
    assert "finished anew with model.threshold=0.99999; its test part is looked at once more" in told.err
    assert tumorline.load(run).info.threshold == read_config(run).model.threshold == 0.99999
    assert (run / "history.csv").read_bytes() == (tiny_run / "history.csv").read_bytes()
    assert (run / "evaluation.csv").read_bytes() != (tiny_run / "evaluation.csv").read_bytes()
    looks = [len((one / "test_uses.jsonl").read_text().splitlines()) for one in (tiny_run, run)]
    assert looks[1] == looks[0] + 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["--set", "train.learning_rate=0.1"], "--set train.learning_rate=0.1: a training goes on with"),
        (["--set", "model.name=unet"], "--set model.name=unet: a training goes on with"),
        (["--set", "model.threshold=0.4", "--no-test"], "leave out --no-test"),
        (["--set", "model.treshold=0.4"], "--set model.treshold=0.4: a training goes on with"),
        (["--set", "model.threshold=4"], "model.threshold"),
    ],
)
def test_a_finished_run_keeps_what_it_has_where_a_setting_is_refused(
    settings: list[str], message: str, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.glob("*.[tj]*")}
    told = program("train", "--resume", run, "--trust-paths", *settings)
    assert (told.status, message in told.err) == (2, True), told.err
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("setting", ["model.threshold=0.4", "train.epochs=40"])
@pytest.mark.parametrize("refused", ["data that are gone", "a network that is not trusted"])
def test_a_finished_run_keeps_what_it_has_where_it_cannot_go_on(
    refused: str, setting: str, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    changed = ["train.schedule=constant", f"data.source={tmp_path / 'gone'}"]
    if "network" in refused:
        changed = ["train.schedule=constant", "model.name=strange_nets:Net", "model.options={}"]
    read_config(run, changed).save(run / "config.toml")
    before = {path: path.read_bytes() for path in run.glob("*.[!lt]*")}
    told = program("train", "--resume", run, "--trust-paths", "--set", setting)
    assert (told.status, "gone: no such" in told.err or "--trust-module" in told.err) == (2, True), told.err
    assert {path: path.read_bytes() for path in before if path.exists()} == before
    assert not (run / "lengthened.jsonl").exists()


def test_a_fold_has_the_settings_of_all(tiny_run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "all" / "fold-0"))
    shutil.copy(run / "config.toml", tmp_path / "all")
    with refused_in_one_line("is a fold of several, which have their settings in common; give them to: tumorline fol"):
        tumorline.resume(run, trust_paths=True, overrides=["model.threshold=0.4"])
