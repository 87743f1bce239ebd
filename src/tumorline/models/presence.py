"""A second answer beside the masks: whether there is a tumour at all, which shuts the masks where it says no."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tumorline.models.any_size import AnySize, Outputs, fit_logits

OPEN = -1e4
"""A gate at this logit is always open."""
SHUT = -30.0
"""What the logits of a mask are at most where the gate is shut: below 1 % up to a temperature of 6. It lies in the ONNX
files that there are."""


CLEARLY, STEPS, RATE = 0.5, 100, 0.1
"""By so much an image that is to open a gate lies above it, and how it is searched for."""


class PresenceGated(AnySize):
    """A network that gives masks and, for each region, a logit `(B, R)` of whether it is there.

    In training both are given, presence as logits of the size of the masks; afterwards the masks alone, shut where
    presence lies below `gate`, a logit for each region that lies among the weights.
    """

    gate: Tensor
    shows_presence = False

    def __init__(self, network: nn.Module, multiple: int, regions: int, backbone: str = "", least: int = 1) -> None:
        super().__init__(network, multiple, output_weights=(1.0, 1.0), backbone=backbone, least=least)
        self.register_buffer("gate", torch.full((regions,), OPEN))

    def forward(self, image: Tensor) -> Outputs:
        space = list(image.shape[2:])
        image, padded = self.pad(image)
        logits, presence = self.network(image)
        masks = fit_logits(logits, padded, space)
        if self.training or self.shows_presence:
            return masks, presence[:, :, None, None].expand_as(masks)
        shut = (presence < self.gate)[:, :, None, None]
        return torch.where(shut, masks.clamp_max(SHUT), masks)

    def presence(self, image: Tensor) -> Tensor:
        """Its logits `(B, R)`."""
        logits: Tensor = self.network(self.pad(image)[0])[1]
        return logits


@contextmanager
def showing_presence(network: nn.Module) -> Iterator[None]:
    """Meanwhile a network with a presence head gives both of its answers, in evaluation as well."""
    assert isinstance(network, PresenceGated)
    network.shows_presence = True
    try:
        yield
    finally:
        network.shows_presence = False


def image_behind_gates(network: nn.Module, image: Tensor) -> Tensor | None:
    """The image, changed until it opens all gates of the network or of an ensemble's; None without any to open.

    Where no such image is found, the nearest one.
    """
    gated = [module for module in network.modules() if isinstance(module, PresenceGated)]
    image = image.clone().requires_grad_()
    search = torch.optim.Adam([image], RATE)
    for step in range(STEPS):
        missing = [(module.gate + CLEARLY - module.presence(image)).clamp_min(0.0).sum() for module in gated]
        if not any(missing):
            return image.detach() if step else None
        (slope,) = torch.autograd.grad(torch.stack(missing).sum(), image)
        image.grad = slope
        search.step()
    return image.detach()


def open_gate(network: nn.Module) -> None:
    """Of a network that takes over the weights of another: its gate was chosen for that one."""
    if isinstance(network, PresenceGated):
        network.gate.fill_(OPEN)


def has_presence(network: nn.Module) -> bool:
    return isinstance(network, PresenceGated)


def presence_of(outputs: Outputs) -> Tensor:
    """The presence logits `(B, R)` of what such a network gives."""
    assert isinstance(outputs, tuple)
    return outputs[1][:, :, 0, 0]
