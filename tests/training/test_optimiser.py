from typing import get_args

import pytest
import torch
from torch import nn

from tumorline.config import TrainConfig
from tumorline.training.optimiser import (
    SCHEDULES,
    build_optimiser,
    freeze_backbone,
    learning_rate,
    rate_scales,
    set_learning_rate,
    update_average,
)


def test_the_rate_rises_then_falls_to_nearly_zero() -> None:
    settings = TrainConfig(learning_rate=1.0, warmup=0.1)
    rates = [learning_rate(settings, step, 100) for step in range(100)]
    assert rates[:10] == pytest.approx([0.1 * n for n in range(1, 11)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert 0 < rates[-1] < 0.001


def test_a_constant_schedule_stays() -> None:
    settings = TrainConfig(learning_rate=0.3, schedule="constant", warmup=0)
    assert {learning_rate(settings, step, 10) for step in range(10)} == {0.3}


def test_every_schedule_that_the_configuration_knows_is_there() -> None:
    assert set(get_args(TrainConfig.model_fields["schedule"].annotation)) == set(SCHEDULES)


def test_one_cycle_rises_from_a_25th_and_falls_to_a_10_000th() -> None:
    settings = TrainConfig(learning_rate=1.0, schedule="one_cycle")
    assert settings.warmup == 0.3
    rates = [learning_rate(settings, step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.04)
    assert rates[15] == pytest.approx(0.52)
    assert max(rates) == rates[30] == 1.0
    assert rates[65] == pytest.approx((1 + 1e-4) / 2)
    assert rates[100] == pytest.approx(1e-4)
    assert rates[30:] == sorted(rates[30:], reverse=True)


def test_a_rise_that_is_given_is_kept() -> None:
    assert TrainConfig(schedule="one_cycle", warmup=0.05).warmup == 0.05
    settings = TrainConfig(learning_rate=1.0, schedule="one_cycle", warmup=0)
    assert learning_rate(settings, 0, 10) == 1.0


def test_poly_is_a_power_of_what_is_left() -> None:
    settings = TrainConfig(learning_rate=2.0, schedule="poly", warmup=0)
    assert learning_rate(settings, 0, 10) == 2.0
    assert learning_rate(settings, 5, 10) == pytest.approx(2 * 0.5**0.9)
    assert learning_rate(settings, 9, 10) == pytest.approx(2 * 0.1**0.9)


@pytest.mark.parametrize(
    ("scores", "rate"),
    [
        ([], 1.0),
        ([0.5, 0.4], 1.0),
        ([0.5, 0.4, 0.5], 0.1),
        ([0.5, 0.4, 0.5, 0.3], 0.1),
        ([0.5, 0.4, 0.5, 0.3, 0.2], 0.01),
        ([0.5, 0.4, 0.6, 0.5, 0.7], 1.0),
    ],
)
def test_plateau_lowers_the_rate_after_epochs_without_a_better_score(scores: list[float], rate: float) -> None:
    settings = TrainConfig(learning_rate=1.0, schedule="plateau", plateau_patience=2, plateau_factor=0.1, warmup=0.1)
    assert learning_rate(settings, 50, 100, scores) == pytest.approx(rate)
    assert learning_rate(settings, 0, 100, scores) == pytest.approx(0.1)


def test_biases_and_norms_do_not_decay() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    groups = build_optimiser(network, TrainConfig(weight_decay=0.1)).param_groups
    assert [(group["weight_decay"], len(group["params"])) for group in groups] == [(0.1, 1), (0.0, 3)]


def test_the_average_moves_by_one_minus_decay_and_early_faster() -> None:
    average, network = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    for late_step, expected in ((10_000, 0.1), (0, 0.9)):
        with torch.no_grad():
            average.weight.fill_(0)
            network.weight.fill_(1)
        update_average(average, network, 0.9, late_step)
        assert average.weight.item() == pytest.approx(expected)


def test_without_decay_the_average_is_the_network() -> None:
    average, network = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    network(torch.tensor([[1.0, 5.0], [3.0, 9.0]]))
    update_average(average, network, 0.0, 7)
    pairs = zip(average.state_dict().values(), network.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


class Pretrained(nn.Module):
    """A backbone of two layers and a head."""

    backbone = "body"

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.BatchNorm2d(2), nn.Conv2d(2, 2, 1, bias=False))
        self.head = nn.Conv2d(2, 1, 1, bias=False)


def test_a_backbone_learns_more_slowly_layer_by_layer() -> None:
    network, settings = Pretrained(), TrainConfig(backbone_rate=0.5, layer_decay=0.1)
    assert rate_scales(network, settings) == pytest.approx(
        {"body.0.weight": 0.005, "body.1.weight": 0.05, "body.1.bias": 0.05, "body.2.weight": 0.5}
    )
    optimiser = build_optimiser(network, settings)
    set_learning_rate(optimiser, 2.0)
    rates = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert rates[id(network.body[0].weight)] == pytest.approx(0.01)
    assert rates[id(network.head.weight)] == 2.0


def test_a_frozen_backbone_keeps_weights_and_statistics_and_learns_again() -> None:
    network, image = Pretrained().train(), torch.randn(4, 1, 3, 3)
    freeze_backbone(network, True)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.head(network.body(image)).mean().backward()
    assert network.head.weight.grad is not None
    assert [name for name, p in network.body.named_parameters() if p.grad is not None] == []
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.train()
    freeze_backbone(network, False)
    network.head(network.body(image)).mean().backward()
    assert all(p.grad is not None for p in network.body.parameters())
    assert not torch.equal(network.state_dict()["body.1.running_mean"], before["body.1.running_mean"])
