"""Optimiser, learning rate by step, moving average of weights."""

import math

import torch
from torch import nn

from tumorline.config import TrainConfig


def build_optimiser(network: nn.Module, settings: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or Adam; weight decay on weights only, not on biases and norms."""
    weights = [p for p in network.parameters() if p.requires_grad and p.ndim > 1]
    others = [p for p in network.parameters() if p.requires_grad and p.ndim <= 1]
    groups = [
        {"params": weights, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    return kind([group for group in groups if group["params"]], lr=settings.learning_rate)


def learning_rate(settings: TrainConfig, step: int, steps: int) -> float:
    """Rate of step 0 .. steps-1: a linear rise over the warm-up, then constant or half a cosine to zero."""
    rise = math.ceil(settings.warmup * steps)
    if step < rise:
        return settings.learning_rate * (step + 1) / rise
    if settings.schedule == "constant":
        return settings.learning_rate
    done = (step - rise) / max(1, steps - rise)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def set_learning_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """Move the averaged weights towards the network's; buffers are copied. Early steps forget faster."""
    decay = min(decay, (1 + step) / (10 + step))
    floats, targets = [], []
    for mean, value in zip(average.state_dict().values(), network.state_dict().values(), strict=True):
        if mean.is_floating_point():
            floats.append(mean)
            targets.append(value)
        else:
            mean.copy_(value)
    torch._foreach_lerp_(floats, targets, 1 - decay)
