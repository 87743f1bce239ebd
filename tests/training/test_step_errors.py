"""What torch raises at a step is one line with its cure; errors of the program stay what they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.training.test_loop import train
from tumorline.config import Config
from tumorline.errors import UserError
from tumorline.training.step_errors import in_one_line


def fill_processor() -> None:
    torch.empty(10**15)


def fill_gpu() -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")


def fill_python() -> None:
    raise MemoryError


@pytest.mark.parametrize("fill", [fill_processor, fill_gpu, fill_python])
def test_a_full_memory_names_what_to_lower(fill: Callable[[], None]) -> None:
    expected = r"^data.image_size is \d+ x \d+ and train.batch_size \d+: the memory is full; lower data.image_size, "
    with pytest.raises(UserError, match=expected), in_one_line(Config()):
        fill()


@pytest.mark.parametrize("error", [RuntimeError("shape is invalid"), AssertionError(), ValueError("x"), UserError("y")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error)) as raised, in_one_line(Config()):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("place", ["tumorline.losses.WeightedSum.forward", "tumorline.training.feed.validate"])
def test_a_step_and_a_validation_that_fill_the_memory_end_in_one_line(
    tiny_config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    def fill(*_: object) -> None:
        fill_gpu()

    monkeypatch.setattr(place, fill)
    with pytest.raises(UserError, match="the memory is full"):
        train(tiny_config, tmp_path / "run")


def test_a_backbone_of_one_size_refuses_others_in_one_line(tiny_config: Config, tmp_path: Path) -> None:
    options = {"weights": "none", "encoder": "tu-swin_tiny_patch4_window7_224"}
    network = tiny_config.model.model_copy(update={"name": "encoder_unet", "options": options})
    message = r"does not take 32 x 32 \(Input height \(\d+\) doesn't match model \(224\)\); set another data.image_size"
    with pytest.raises(UserError, match=message):
        train(tiny_config.model_copy(update={"model": network}), tmp_path / "run")
