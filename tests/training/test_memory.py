"""A training that does not fit the memory is refused by name, with the numbers, before anything is built."""

from pathlib import Path

import pytest
import torch

import tumorline
from tests.conftest import TINY, refused_in_one_line
from tests.models.test_models import SMALL
from tumorline import models
from tumorline.config import Config, load_config
from tumorline.errors import UserError
from tumorline.training import memory
from tumorline.training.machine import Machine
from tumorline.training.memory import NetworkShape, measure, require_memory

CPU = torch.device("cpu")
FLOAT32, BFLOAT16 = Machine(CPU, bfloat16=False), Machine(CPU, bfloat16=True)
ONE = NetworkShape(channels=1, regions=1)


def test_a_convolution_is_measured_as_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """3 x 3 weights and a bias, float32, five times; of each image 16 x 16 pixels are kept for the backward pass.

    In bfloat16 they take half as much, and so does a rounded copy of the 3 x 3 weights, once.
    """
    monkeypatch.setitem(models.MODELS, "one", lambda channels, regions: torch.nn.Conv2d(channels, regions, 3))
    config = load_config(None, ["model.name=one", "data.image_size=16"])
    assert measure(config, ONE, FLOAT32) == (5 * 4 * 10, 16 * 16 * 4)
    assert measure(config, ONE, BFLOAT16) == (5 * 4 * 10 + 2 * 9, 16 * 16 * 2)


def test_depthwise_convolutions_keep_float32_on_the_processor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def depthwise(channels: int, regions: int) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Conv2d(2, 2, 3, groups=2, bias=False))

    monkeypatch.setitem(models.MODELS, "two", depthwise)
    config, shape = load_config(None, ["model.name=two", "data.image_size=16"]), NetworkShape(2, 2)
    assert measure(config, shape, BFLOAT16) == (5 * 4 * 18, 2 * 16 * 16 * 4)
    assert measure(config, shape, Machine(torch.device("cuda"), True)) == (5 * 4 * 18 + 2 * 18, 2 * 16 * 16 * 2)


def test_a_training_that_fits_in_bfloat16_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(None, ["data.image_size=64"])
    sizes = [found for machine in (FLOAT32, BFLOAT16) if (found := measure(config, ONE, machine))]
    whole, half = (weights + 100 * image for weights, image in sizes)
    assert 1.8 * half < whole < 2 * half
    monkeypatch.setattr(memory, "total_memory", lambda _: (whole + half) // 2)
    require_memory(config, ONE, 100, BFLOAT16)
    with pytest.raises(UserError, match=r"train\.batch_size 100: a batch takes about"):
        require_memory(config, ONE, 100, FLOAT32)


def test_what_does_not_run_in_bfloat16_without_values_is_measured_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    class Holds(torch.nn.Conv2d):
        missing: torch.Tensor

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image) if image.is_meta else image + self.missing

    monkeypatch.setitem(models.MODELS, "holds", lambda channels, regions: Holds(channels, regions, 1))
    config = load_config(None, ["model.name=holds"])
    assert measure(config, ONE, BFLOAT16) == measure(config, ONE, FLOAT32) is not None


@pytest.mark.parametrize(
    "name",
    [
        "unet",
        "lraspp",
        pytest.param("segresnet", marks=pytest.mark.slow),
        pytest.param("segformer", marks=pytest.mark.slow),
    ],
)
def test_networks_of_each_kind_are_measured(name: str) -> None:
    options = SMALL[name]
    config = load_config(None, ["data.image_size=64"]).model_copy(
        update={"model": Config().model.model_copy(update={"name": name, "options": options})}
    )
    found = measure(config, ONE, FLOAT32)
    assert found is not None
    parameters = tumorline_parameters(name, options)
    assert found[0] == 20 * parameters
    assert 64 * 64 * 4 < found[1] < 1e9


def tumorline_parameters(name: str, options: object) -> int:
    assert isinstance(options, dict)
    network = models.build(name, channels=1, regions=1, options=options)
    return models.count_parameters(network)


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_every_network_is_measured(name: str) -> None:
    config = load_config(None, ["data.image_size=64", f"model.name={name}"])
    model = config.model.model_copy(update={"options": SMALL[name]})
    assert measure(config.model_copy(update={"model": model}), ONE, BFLOAT16) is not None


@pytest.mark.parametrize(
    ("overrides", "batch", "message"),
    [
        (
            ["data.image_size=4096"],
            4096,
            r"data\.image_size is 4096 and train\.batch_size 4096: a batch takes about .* GB",
        ),
        (["model.options.widths=[16384, 16384, 16384]"], 1, r"model\.options of 'unet' are .*: the weights take about"),
        (["model.options.widths=" + str([2] * 18)], 1, r"a batch takes about .* GB and there are .* GB; lower"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_numbers(overrides: list[str], batch: int, message: str) -> None:
    with refused_in_one_line(message):
        require_memory(load_config(None, overrides), ONE, batch, FLOAT32)


def test_what_cannot_be_measured_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Looks(torch.nn.Conv2d):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return super().forward(image) if image.sum().item() else image

    monkeypatch.setitem(models.MODELS, "looks", lambda channels, regions: Looks(channels, regions, 1))
    require_memory(load_config(None, ["model.name=looks"]), ONE, 10**9, FLOAT32)
    monkeypatch.setattr(memory, "total_memory", lambda _: None)
    require_memory(load_config(None), ONE, 10**9, FLOAT32)


def test_a_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "max").write_text("1000000\n")
    (tmp_path / "none").write_text("max\n")
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "none"), str(tmp_path / "gone")))
    machine = memory.total_memory(CPU)
    assert machine is None or machine > 1e8
    monkeypatch.setattr(memory, "LIMITS", (str(tmp_path / "none"), str(tmp_path / "max")))
    assert memory.total_memory(CPU) == 1_000_000


def test_a_training_that_does_not_fit_leaves_nothing(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "total_memory", lambda _: 10**6)
    overrides = [*TINY, f"data.cache='{tmp_path / 'cache'}'"]
    with pytest.raises(UserError, match=r"data\.image_size is 32 and train\.batch_size 4: a batch takes about"):
        tumorline.train(data=tiny_source, overrides=overrides, output=tmp_path / "run")
    with pytest.raises(UserError, match=r"data\.image_size is 32 and train\.batch_size 4: a batch takes about"):
        tumorline.find_learning_rate(data=tiny_source, overrides=overrides, output=tmp_path / "rate")
    assert not (tmp_path / "run").exists()
    assert not list((tmp_path / "cache").glob("*/images.npy"))
