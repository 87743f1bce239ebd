"""The network of a model file, rebuilt with its weights."""

import contextlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from tumorline import models
from tumorline.errors import UserError
from tumorline.model_file import read_info
from tumorline.model_info import Architecture, ModelInfo, one_for_each
from tumorline.models.ensemble import Ensemble


def load_network(path: Path) -> tuple[nn.Module, ModelInfo]:
    """Rebuild the network of a model file with its weights, in evaluation mode; of an ensemble all of them in one."""
    info = read_info(path)
    try:
        weights = load_file(path)
        _refuse_other_shapes(info, weights)
        network = _rebuilt(info)
        network.load_state_dict(weights)
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: its weights do not fit the network that its metadata states ({reason})") from None
    return network.eval(), info


def _refuse_other_shapes(info: ModelInfo, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise RuntimeError where the weights are of another network, or whole numbers, before it takes any memory.

    One that cannot be built without values is not refused.
    """
    expected: dict[str, tuple[torch.Size, bool]] = {}
    with contextlib.suppress(Exception), torch.device("meta"):
        expected = {name: _shape_and_kind(weight) for name, weight in _rebuilt(info).named_parameters()}
    shapes = {name: _shape_and_kind(tensor) for name, tensor in weights.items()}
    if different := [name for name in expected if expected[name] != shapes.get(name)]:
        raise RuntimeError(f"{len(different)} of {len(expected)} differ, the first is '{different[0]}'")


def _shape_and_kind(tensor: torch.Tensor) -> tuple[torch.Size, bool]:
    return tensor.shape, tensor.is_floating_point()


def _rebuilt(info: ModelInfo) -> nn.Module:
    members = [_untrained(member.architecture, len(info.regions)) for member in info.members]
    return (
        Ensemble(members, [one_for_each(member.temperature, len(info.regions)) for member in info.members])
        if members
        else _untrained(info.architecture, len(info.regions))
    )


def _untrained(architecture: Architecture, regions: int) -> nn.Module:
    options = models.without_weights(architecture.name, architecture.options)
    return models.build(architecture.name, channels=architecture.channels, regions=regions, options=options)
