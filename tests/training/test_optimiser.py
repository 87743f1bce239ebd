import pytest
import torch
from torch import nn

from tumorline.config import TrainConfig
from tumorline.training.optimiser import build_optimiser, learning_rate, update_average


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
