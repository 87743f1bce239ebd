"""Networks that are trained at several scales at once: what each output is, its weight, and what is left of it."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.training.conftest import make_task
from tests.training.test_volumes import MACHINE, configured, feed_of, volumes
from tumorline import losses
from tumorline.models import build, weigh_outputs
from tumorline.training.loop import Loop
from tumorline.training.weights import start

__all__ = ["volumes"]

DEEP = pytest.mark.parametrize("name", ["unet", "dyn_unet"])
OPTIONS = {"widths": [4, 4, 8, 8], "deep_supervision": True}


def network_of(name: str, dims: int = 3) -> nn.Module:
    torch.manual_seed(0)
    return build(name, channels=2, regions=3, options={**OPTIONS, "dims": dims})


def sides_of_heads(name: str, network: nn.Module, image: Tensor) -> list[int]:
    """The sides at which the auxiliary logits are computed, by level of the decoder from the finest down."""
    seen: dict[int, int] = {}
    heads = network.network.coarser_heads if name == "unet" else network.network.network.deep_supervision_heads  # type: ignore[union-attr]
    for level, head in enumerate(heads):  # type: ignore[arg-type]
        head.register_forward_hook(lambda _, __, logits, level=level: seen.update({level: logits.shape[-1]}))
    network(image)
    return [side for _, side in sorted(seen.items())]


@DEEP
@pytest.mark.parametrize("dims", [2, 3])
def test_each_scale_has_its_logits_at_half_the_side_and_half_the_weight(name: str, dims: int) -> None:
    network, image = network_of(name, dims), torch.randn(1, 2, *[32] * dims)
    outputs = weigh_outputs(network, network(image))
    assert [weight for weight, _ in outputs] == [1.0, 0.5, 0.25]
    assert {tuple(logits.shape) for _, logits in outputs} == {(1, 3, *[32] * dims)}
    assert sides_of_heads(name, network, image) == [16, 8]


@DEEP
def test_the_finest_comes_first_and_is_what_is_left_outside_of_training(name: str) -> None:
    """Each further output is coarser: its neighbours differ less, measured by its own deviation."""
    network, image = network_of(name), torch.randn(1, 2, 32, 32, 32)
    roughness = [
        float(logits.diff(dim=-1).std() / logits.std()) for _, logits in weigh_outputs(network, network(image))
    ]
    assert roughness == sorted(roughness, reverse=True)
    first = weigh_outputs(network, network(image))[0][1]
    assert isinstance(answer := network.eval()(image), Tensor)
    assert torch.equal(answer, first)


def test_the_loss_of_a_step_is_that_of_all_scales_by_their_weights(volumes: Path, tmp_path: Path) -> None:
    nothing = ["quarter_turns=0", "flips=false", "geometry_probability=0", "intensity_probability=0"]
    deep = ["model.options.widths=[4,4,4]", "model.options.deep_supervision=true"]
    config = configured(volumes, *deep, *(f"augment.{key}" for key in nothing))
    feed, task = feed_of(config, tmp_path), make_task(config, tmp_path)
    loop = Loop(task, MACHINE, feed, start(task, MACHINE))
    image, target = feed.batch(loop.batches.numbers(0, 0), 0)
    loop.trainee.train()
    first, second = loop.trainee(image)
    criterion = losses.build(config.loss)
    expected = criterion(first, target) + 0.5 * criterion(second, target)
    assert float(loop.train_step()) == pytest.approx(float(expected), rel=1e-6)
