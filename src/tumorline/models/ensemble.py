"""Several networks as one."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """The mean probability of several networks as a logit: `(B, C, *space)` to `(B, R, *space)`.

    The logits of each member are divided by its temperature first. The mean is taken of logarithms, so that answers
    near 0 and 1 keep their digits.
    """

    def __init__(self, members: Sequence[nn.Module], temperatures: Sequence[Sequence[float]]) -> None:
        """`temperatures` are those of the regions, or one for all of them, of each member."""
        super().__init__()
        self.members = nn.ModuleList(members)
        self.temperatures = [tuple(values) for values in temperatures]

    def forward(self, image: Tensor) -> Tensor:
        pairs = zip(self.members, self.temperatures, strict=True)
        logits = torch.stack([_divided(member(image), values) for member, values in pairs])  # (M, B, R, *space)
        return _log_mean(_log_sigmoid(logits)) - _log_mean(_log_sigmoid(-logits))


def _divided(logits: Tensor, temperatures: Sequence[float]) -> Tensor:
    """`(B, R, *space)` by one number, or by that of each region."""
    if len(temperatures) == 1:
        return logits / temperatures[0]
    return logits / torch.tensor(temperatures, device=logits.device).reshape(-1, *[1] * (logits.ndim - 2))


def _log_sigmoid(logits: Tensor) -> Tensor:
    """Finite for all logits in ONNX too, where torch's own becomes the logarithm of a sigmoid that may be 0."""
    return logits.clamp(max=0) - (1 + (-logits.abs()).exp()).log()


def _log_mean(logarithms: Tensor) -> Tensor:
    """The logarithm of the mean over the first axis."""
    highest = logarithms.amax(0)
    return highest + (logarithms - highest).exp().mean(0).log()
