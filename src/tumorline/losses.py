"""Losses by name, from logits and targets `(B, R, H, W)`; targets are in [0, 1], anything else is refused.

Each is a mean over samples and regions, so that the mean over equal shards of a batch is that of the batch.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from tumorline.errors import UserError, did_you_mean

SMOOTHING = 1.0


class DiceLoss(nn.Module):
    """One minus the soft Dice of each sample and region (Milletari et al. 2016, arXiv:1606.04797).

    With smoothing s: 1 - (2 * sum(p * t) + s) / (sum(p) + sum(t) + s); an empty target gives 0 for an empty
    prediction and a finite gradient towards it.
    """

    def __init__(self, smoothing: float = SMOOTHING) -> None:
        super().__init__()
        self.smoothing = smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        refuse_unscaled(target)
        probability = logits.float().sigmoid()
        space = tuple(range(2, logits.ndim))
        overlap = (probability * target).sum(space)
        total = probability.sum(space) + target.sum(space)
        return (1 - (2 * overlap + self.smoothing) / (total + self.smoothing)).mean()


class DiceCrossEntropyLoss(nn.Module):
    """Dice loss plus binary cross-entropy, each with its weight."""

    def __init__(self, dice_weight: float = 1.0, ce_weight: float = 1.0, smoothing: float = SMOOTHING) -> None:
        super().__init__()
        self.dice = DiceLoss(smoothing)
        self.dice_weight, self.ce_weight = dice_weight, ce_weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        dice: Tensor = self.dice(logits, target)
        cross_entropy = functional.binary_cross_entropy_with_logits(logits.float(), target.float())
        return self.dice_weight * dice + self.ce_weight * cross_entropy


LOSSES: dict[str, Callable[..., nn.Module]] = {
    "dice_ce": DiceCrossEntropyLoss,
    "dice": DiceLoss,
}


def build_loss(name: str, options: Mapping[str, Any]) -> nn.Module:
    """The loss of a configuration. Raises UserError for an unknown name or option."""
    if name not in LOSSES:
        raise UserError(f"loss.name is '{name}'; {did_you_mean(name, LOSSES)}")
    known = list(inspect.signature(LOSSES[name]).parameters)
    for option in options:
        if option not in known:
            raise UserError(f"loss.options of '{name}': unknown key '{option}'; {did_you_mean(option, known)}")
    for option, value in options.items():
        if not isinstance(value, (int, float)) or value < 0:
            raise UserError(f"loss.options of '{name}': {option} is {value!r}; expected a number of 0 or more")
    return LOSSES[name](**options)


def refuse_unscaled(target: Tensor) -> None:
    """Raise ValueError for a target outside [0, 1], such as a mask left at 0..255.

    The check costs a pass over the target on the processor; on a GPU it would wait for the device at each step and is
    left to the asynchronous assertion.
    """
    low, high = target.min(), target.max()
    if target.is_cuda:
        torch._assert_async((low >= 0) & (high <= 1), "targets must be in [0, 1]")
    elif not (low >= 0 and high <= 1):
        raise ValueError(f"targets must be in [0, 1]; found {low.item():g} to {high.item():g}: a mask left at 0..255?")
