"""A state or best weights that are damaged, or of another training, are refused; those of 0.1.0 are read."""

import json
import random
import re
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.conftest import refused_in_one_line
from tests.training.conftest import make_task
from tests.training.test_divergence import as_published
from tests.training.test_loop import history, same, train, with_train
from tumorline.config import Config
from tumorline.errors import UserError
from tumorline.file_names import BEST_WEIGHTS_NAME, STATE_NAME
from tumorline.training.state import Position
from tumorline.training.tensor_file import read_tensors, write_tensors
from tumorline.training.weights import read_best


@pytest.fixture
def finished(tiny_config: Config, tmp_path: Path) -> Path:
    """Two of three epochs, so that there is something to go on with."""
    train(with_train(tiny_config, epochs=2), tmp_path / "run")
    return tmp_path / "run"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 0x01
    path.write_bytes(content)


def test_any_flipped_bit_is_found_or_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    tensors = {"weight": torch.randn(3, 4), "steps": torch.tensor(7), "flag": torch.tensor([True, False])}
    write_tensors(path, tensors, "position", "text")
    whole, values = path.read_bytes(), sum(tensor.nbytes for tensor in tensors.values())
    for position in random.Random(0).sample(range(len(whole)), 100):
        flip(path, position)
        with suppress(UserError):
            text, read = read_tensors(path, "position")
            assert position < len(whole) - values, "a flipped weight was read"
            assert all(torch.equal(read[name], tensor) for name, tensor in tensors.items())
            assert text in ("text", "")
        path.write_bytes(whole)


@pytest.mark.parametrize("damage", ["cut", "empty", "weight", "other text"])
def test_a_damaged_state_is_refused_in_one_line(tiny_config: Config, finished: Path, damage: str) -> None:
    path = finished / STATE_NAME
    content = path.read_bytes()
    if damage == "weight":
        flip(path, len(content) - 100)
    elif damage == "other text":
        changed = re.sub(rb'(epoch\\+": )2', rb"\g<1>1", content, count=1)
        assert changed != content
        path.write_bytes(changed)
    else:
        path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    before = {file.name: file.read_bytes() for file in finished.iterdir()}
    with refused_in_one_line(r"state\.safetensors: .*; put a copy back, or start a new run"):
        train(with_train(tiny_config, epochs=2), finished)
    assert {file.name: file.read_bytes() for file in finished.iterdir()} == before


@pytest.mark.parametrize(
    "position", ["[]", "{}", '{"fingerprint": 3}', '{"fingerprint": "x", "epoch": "soon"}', "{", ""]
)
def test_a_position_that_is_not_understood_is_refused(tiny_config: Config, finished: Path, position: str) -> None:
    _, tensors = read_tensors(finished / STATE_NAME, "position")
    write_tensors(finished / STATE_NAME, tensors, "position", position)
    with pytest.raises(UserError, match=r"state\.safetensors: not a training state of this version"):
        train(with_train(tiny_config, epochs=2), finished)


def test_a_state_whose_tensors_do_not_fit_is_refused(tiny_config: Config, finished: Path) -> None:
    text, tensors = read_tensors(finished / STATE_NAME, "position")
    for wrong in ({**tensors, "network.more": torch.zeros(2)}, {**tensors, "optimiser.x.y.z": torch.zeros(2)}):
        write_tensors(finished / STATE_NAME, wrong, "position", text)
        with pytest.raises(UserError, match=r"state\.safetensors: does not fit the network"):
            train(with_train(tiny_config, epochs=2), finished)


def test_best_weights_of_another_training_are_refused(tiny_config: Config, finished: Path, tmp_path: Path) -> None:
    other = with_train(tiny_config, epochs=1)
    train(other, tmp_path / "other")
    (finished / BEST_WEIGHTS_NAME).write_bytes((tmp_path / "other" / BEST_WEIGHTS_NAME).read_bytes())
    with pytest.raises(UserError, match=r"best\.safetensors: the best weights of another training"):
        read_best(make_task(with_train(tiny_config, epochs=2), finished))


def test_damaged_best_weights_are_refused(tiny_config: Config, finished: Path) -> None:
    flip(finished / BEST_WEIGHTS_NAME, len((finished / BEST_WEIGHTS_NAME).read_bytes()) - 9)
    with pytest.raises(UserError, match=r"best\.safetensors: damaged, its content does not fit its checksum"):
        read_best(make_task(with_train(tiny_config, epochs=2), finished))


def test_a_run_of_the_published_version_goes_on_to_equal_weights(tiny_config: Config, tmp_path: Path) -> None:
    """A state without checksum, best weights without fingerprint, a cache without checksums."""
    config = with_train(tiny_config, epochs=3)
    train(config, tmp_path / "whole")
    stop_after_two(config, tmp_path / "stopped")
    for name in (STATE_NAME, BEST_WEIGHTS_NAME):
        as_published(tmp_path / "stopped" / name)
    with safe_open(tmp_path / "stopped" / STATE_NAME, "pt") as file:
        assert set(file.metadata()) == {"position"}
    read_best(make_task(config, tmp_path / "stopped"))
    train(config, tmp_path / "stopped")
    assert same(tmp_path / "whole", tmp_path / "stopped")
    assert history(tmp_path / "whole") == history(tmp_path / "stopped")


def stop_after_two(config: Config, run: Path) -> None:
    from tumorline.training.loop import fit
    from tumorline.training.machine import open_machine

    def stop(row: object) -> None:
        assert isinstance(row, dict)
        if row["epoch"] == 2:
            raise KeyError

    with open_machine(config.train) as machine, pytest.raises(KeyError):
        fit(make_task(config, run), machine, stop)


def test_a_position_is_written_as_the_published_version_wrote_it() -> None:
    assert list(json.loads(json.dumps(Position("x").__dict__))) == [
        "fingerprint",
        "epoch",
        "step",
        "loss_sum",
        "seconds",
        "best_dice",
        "best_loss",
        "best_epoch",
        "history",
    ]


def test_the_fingerprint_is_that_of_the_published_version(tiny_config: Config, tmp_path: Path) -> None:
    """Settings that came later do not change it: a run that was begun before goes on."""
    assert make_task(tiny_config, tmp_path).fingerprint() == "d6579bc6d4a69a92"


def test_an_old_file_is_read_by_its_tensors(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "old.safetensors")
    text, tensors = read_tensors(tmp_path / "old.safetensors", "position")
    assert (text, tensors["a"].tolist()) == ("", [1, 1])
    assert load_file(tmp_path / "old.safetensors").keys() == tensors.keys()
