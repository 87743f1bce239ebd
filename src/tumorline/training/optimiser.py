"""Optimiser, learning rate by step, moving average of weights."""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import nn

from tumorline.config import CYCLE_END, CYCLE_START, TrainConfig
from tumorline.models import backbone_layers

POWER = 0.9


def build_optimiser(network: nn.Module, settings: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or Adam; weight decay on weights of two dimensions or more, not on biases and norms.

    Each group has a `scale`, the factor on its learning rate: see `rate_scales`.
    """
    scales = rate_scales(network, settings)
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in network.named_parameters():
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups[scales.get(name, 1.0), decay].append(parameter)
    algorithm = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    listed = [{"params": members, "weight_decay": decay, "scale": scale} for (scale, decay), members in groups.items()]
    return algorithm(listed, lr=settings.learning_rate)


def rate_scales(network: nn.Module, settings: TrainConfig) -> dict[str, float]:
    """Factors on the learning rate of the backbone's parameters: its own, and the decay from its last layer back."""
    layers = backbone_layers(network)
    return {
        name: settings.backbone_rate * settings.layer_decay ** (len(layers) - 1 - depth)
        for depth, names in enumerate(layers)
        for name in names
    }


def freeze_backbone(network: nn.Module, frozen: bool) -> None:
    """Stop or resume learning in the layers that may be pretrained; frozen norms keep their statistics."""
    names = {name for layer in backbone_layers(network) for name in layer}
    for name, parameter in network.named_parameters():
        if name in names:
            parameter.requires_grad_(not frozen)
    if names and frozen:
        network.get_submodule(str(network.backbone)).eval()


def learning_rate(settings: TrainConfig, step: int, steps: int, scores: Sequence[float] = ()) -> float:
    """Rate of step 0 .. steps-1: a linear rise over the warm-up, then what the schedule says.

    `scores` are the validation figures of the epochs before this step; only 'plateau' looks at them.
    """
    rise = math.ceil(settings.warmup * steps)
    if step < rise and settings.schedule == "one_cycle":
        return settings.learning_rate * (CYCLE_START + (1 - CYCLE_START) * step / rise)
    if step < rise:
        return settings.learning_rate * (step + 1) / rise
    done = (step - rise) / max(1, steps - rise)
    return settings.learning_rate * SCHEDULES[settings.schedule](settings, done, scores)


def cosine(_settings: TrainConfig, done: float, _scores: Sequence[float]) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * done))


def constant(_settings: TrainConfig, _done: float, _scores: Sequence[float]) -> float:
    return 1.0


def one_cycle(settings: TrainConfig, done: float, scores: Sequence[float]) -> float:
    """The falling part of one cycle, to far below its start (Smith 2018, arXiv:1803.09820); the rise is the warm-up."""
    return CYCLE_END + (1 - CYCLE_END) * cosine(settings, done, scores)


def poly(_settings: TrainConfig, done: float, _scores: Sequence[float]) -> float:
    """A power of what is left (Chen et al. 2018, arXiv:1606.00915)."""
    return float((1 - done) ** POWER)


def plateau(settings: TrainConfig, _done: float, scores: Sequence[float]) -> float:
    """Lower by a factor after each `plateau_patience` epochs in a row that bring no better score."""
    best, waited, lowered = -math.inf, 0, 0
    for score in scores:
        best, waited = (score, 0) if score > best else (best, waited + 1)
        if waited == settings.plateau_patience:
            waited, lowered = 0, lowered + 1
    return float(settings.plateau_factor**lowered)


SCHEDULES: dict[str, Callable[[TrainConfig, float, Sequence[float]], float]] = {
    "cosine": cosine,
    "constant": constant,
    "one_cycle": one_cycle,
    "poly": poly,
    "plateau": plateau,
}
"""Factor on the rate after the warm-up, from the share of the remaining steps that is done and the scores so far."""


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group["scale"]


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights, and statistics of norms, towards the network's; counts are copied.

    Early steps forget faster.
    """
    decay = min(decay, (1 + step) / (10 + step))
    floats, targets = [], []
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            floats.append(mean)
            targets.append(value)
        else:
            mean.copy_(value)
    torch._foreach_lerp_(floats, targets, 1 - decay)
