"""A network that begins with the weights of another one, which may have seen other channels or other slices."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn

from tumorline.errors import UserError
from tumorline.models.pretrained import Weights, adapt_channels

CONVOLUTIONS = (nn.Conv2d, nn.Conv3d)
SIDE = 64
"""Of an image that a network is shown to find out what sees it; one that needs no padding."""


@dataclass(frozen=True)
class InputChange:
    """How what a network sees lay in what another one saw."""

    places: Sequence[int | None] = ()
    """Where each channel lay, None for one that was not there; empty where that is not known by names."""
    slices: tuple[int, int] = (1, 1)
    """That are seen at once: before, and now."""

    @property
    def is_none(self) -> bool:
        before, now = self.slices
        return before == now and [*self.places] == [*range(len(self.places))]


def start_from(network: nn.Module, weights: Weights, change: InputChange | None = None) -> list[str]:
    """Take over what fits by name and shape; returns the names of the network's weights that stay as they were made.

    The layers that see the image are fitted to what it holds now: a channel keeps the weights that it had under its
    name and a slice those of its place; what is new begins at zero, so that the network answers at first as the other
    one does. Channels without names share what all had. Raises UserError where less than half of the weights fit: the
    file then belongs to another network.
    """
    state = network.state_dict()
    weights = _fitted_to_input(network, weights, change or InputChange())
    fitting = {name: weights[name] for name in state if name in weights and weights[name].shape == state[name].shape}
    if 2 * len(fitting) < len(state):
        raise UserError(
            f"only {len(fitting)} of {len(state)} weights fit this network: model.start_from is of another; give its "
            "model.name and model.options, and data.window where it has one"
        )
    network.load_state_dict({**state, **fitting})
    return [name for name in state if name not in fitting]


def _fitted_to_input(network: nn.Module, weights: Weights, change: InputChange) -> Weights:
    """The weights with those of the layers that see the image brought to the channels that they see here."""
    state = network.state_dict()
    first = next((name for name, tensor in state.items() if tensor.ndim >= 4), "")
    if first not in weights or weights[first].ndim != state[first].ndim:
        return weights
    if change.is_none and weights[first].shape[1] == state[first].shape[1]:
        return weights
    seeing = {name: weights[name] for name in _weights_on_input(network, state[first]) or {first} if name in weights}
    return {**weights, **{name: _refitted(filters, change, state[name].shape[1]) for name, filters in seeing.items()}}


def _refitted(filters: Tensor, change: InputChange, channels: int) -> Tensor:
    """Filters `(O, slices * C, ...)`, whose channels lie slice by slice, for an input of `channels` in all."""
    before, now = change.slices
    by_slice = filters.float().reshape(len(filters), before, -1, *filters.shape[2:])  # (O, slices, C, ...)
    if before != now:
        by_slice = _at_slices(by_slice, now)
    if change.places:
        by_slice = _at_places(by_slice, change.places)
    return adapt_channels(by_slice.flatten(1, 2), channels)


def _at_slices(by_slice: Tensor, slices: int) -> Tensor:
    """Around the same middle one; the filters of slices that are seen no more are added to the outermost."""
    before = by_slice.shape[1]
    moved = by_slice.new_zeros(len(by_slice), slices, *by_slice.shape[2:])
    for old in range(before):
        moved[:, min(max(old + slices // 2 - before // 2, 0), slices - 1)] += by_slice[:, old]
    return moved


def _at_places(by_slice: Tensor, places: Sequence[int | None]) -> Tensor:
    nothing = torch.zeros_like(by_slice[:, :, 0])
    return torch.stack([nothing if place is None else by_slice[:, :, place] for place in places], dim=2)


def _weights_on_input(network: nn.Module, first: Tensor) -> set[str]:
    """Names of the weights of the convolutions that see the image itself, as those of shortcuts do too."""
    shape = 1, first.shape[1], *[SIDE] * (first.ndim - 2)
    image = torch.linspace(0, 1, prod(shape), device=first.device).reshape(shape)
    names: set[str] = set()

    def look(name: str, seen: tuple[Tensor, ...]) -> None:
        if seen[0].shape == image.shape and torch.equal(seen[0], image):
            names.add(f"{name}.weight")

    convolutions = {name: module for name, module in network.named_modules() if isinstance(module, CONVOLUTIONS)}
    hooks = [
        module.register_forward_pre_hook(lambda _, seen, name=name: look(name, seen))
        for name, module in convolutions.items()
    ]
    was_training = network.training
    with torch.no_grad():
        network.eval()(image)
    network.train(was_training)
    for hook in hooks:
        hook.remove()
    return names
