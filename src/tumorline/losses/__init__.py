"""Losses by name, from logits and targets `(B, R, *space)`, 2D or 3D; targets are in [0, 1], anything else is refused.

Each is a mean over samples and regions, so that the mean over equal shards of a batch is that of the batch. `build`
makes the loss of a configuration: one by name, or a sum whose weights move over the training.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from tumorline.config import LossConfig
from tumorline.errors import UserError, did_you_mean
from tumorline.losses.boundary import BoundaryLoss, BoundedSurfaceLoss, HausdorffDTLoss
from tumorline.losses.overlap import (
    DiceLoss,
    FocalTverskyLoss,
    GeneralisedDiceLoss,
    LovaszLoss,
    TverskyLoss,
)
from tumorline.losses.pixel import CrossEntropyLoss, DiceCrossEntropyLoss, DiceTopKLoss, FocalLoss
from tumorline.losses.weighted import Weight, WeightedSum
from tumorline.options import LARGEST

__all__ = ["LOSSES", "WeightedSum", "build", "build_loss"]

LOSSES: dict[str, Callable[..., nn.Module]] = {
    "dice_ce": DiceCrossEntropyLoss,
    "dice": DiceLoss,
    "bce": CrossEntropyLoss,
    "focal": FocalLoss,
    "tversky": TverskyLoss,
    "focal_tversky": FocalTverskyLoss,
    "generalised_dice": GeneralisedDiceLoss,
    "dice_topk": DiceTopKLoss,
    "lovasz": LovaszLoss,
    "boundary": BoundaryLoss,
    "hausdorff_dt": HausdorffDTLoss,
    "bounded_surface": BoundedSurfaceLoss,
}


def build(config: LossConfig) -> WeightedSum:
    """The loss of a configuration; a single one is a sum of one. Raises UserError as `build_loss` does."""
    if not config.sum:
        return WeightedSum([build_loss(config.name, config.options)], [Weight(1.0, 1.0)])
    terms = [build_loss(term.name, term.options, f"loss.sum.{i}") for i, term in enumerate(config.sum)]
    return WeightedSum(terms, [Weight(*term.ends) for term in config.sum])


def build_loss(name: str, options: Mapping[str, Any], where: str = "loss") -> nn.Module:
    """One loss; `where` names its section in messages. Raises UserError for an unknown name, option or option value."""
    if name not in LOSSES:
        raise UserError(f"{where}.name is '{name}'; {did_you_mean(name, LOSSES)}")
    parameters = inspect.signature(LOSSES[name]).parameters.values()
    known = [parameter.name for parameter in parameters if parameter.default is not parameter.empty]
    for option, value in options.items():
        if option not in known:
            nearest = did_you_mean(option, known) if known else "it has none"
            raise UserError(f"{where}.options of '{name}': unknown key '{option}'; {nearest}")
        if type(value) not in (int, float) or not 0 <= value <= LARGEST:
            raise UserError(
                f"{where}.options of '{name}': {option} is {value!r}; expected a number from 0 to {LARGEST:g}"
            )
    try:
        return LOSSES[name](**options)
    except ValueError as error:
        raise UserError(f"{where}.options of '{name}': {error}") from None
