"""A sum of losses whose weights may move over the training."""

from typing import NamedTuple

from torch import Tensor, nn


class Weight(NamedTuple):
    first: float
    last: float

    def at(self, progress: float) -> float:
        """On the line from first to last; exact at both ends."""
        return (1 - progress) * self.first + progress * self.last


class WeightedSum(nn.Module):
    """Sum of losses, each by its weight at `progress`: the share of the training's steps that is done, 0 to 1.

    The training loop sets it before each step and each validation, from the step alone, so that a resumed training has
    the weights of one that was never stopped. A term of weight 0 is not computed. Empty and full targets: as in the
    terms.
    """

    def __init__(self, terms: list[nn.Module], weights: list[Weight]) -> None:
        super().__init__()
        self.terms = nn.ModuleList(terms)
        self.weights = weights
        self.progress = 0.0

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        weights = [weight.at(self.progress) for weight in self.weights]
        parts = [weight * term(logits, target) for weight, term in zip(weights, self.terms, strict=True) if weight > 0]
        total: Tensor = parts[0]
        for part in parts[1:]:
            total = total + part
        return total
