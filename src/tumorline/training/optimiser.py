"""Optimiser, learning rate by step, moving average of weights."""

import math
from collections import defaultdict

import torch
from torch import nn

from tumorline.config import TrainConfig
from tumorline.models import backbone_layers


def build_optimiser(network: nn.Module, settings: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or Adam; weight decay on weights only, not on biases and norms.

    Each group has a `scale`, the factor on its learning rate: see `rate_scales`.
    """
    scales = rate_scales(network, settings)
    groups: dict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in network.named_parameters():
        decay = settings.weight_decay if parameter.ndim > 1 else 0.0
        groups[scales.get(name, 1.0), decay].append(parameter)
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    listed = [{"params": members, "weight_decay": decay, "scale": scale} for (scale, decay), members in groups.items()]
    return kind(listed, lr=settings.learning_rate)


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
        group["lr"] = rate * group["scale"]


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
