"""Losses of the distance to the boundary: where a pixel is wrong counts, not only how many are.

The distances are computed on the processor from the target that the network sees, once per step and without gradient;
on a GPU each step waits for them. They are steps of the grid, voxels counting as cubes. A mask without a boundary
(empty or full) has distance 0 everywhere.
"""

import numpy as np
import torch
from torch import Tensor, nn

from tumorline.geometry.distances import diagonal, signed_distance
from tumorline.losses.targets import probabilities


class BoundaryLoss(nn.Module):
    """Mean of probability times signed distance to the target's boundary (Kervadec et al. 2019, arXiv:1812.07032).

    The authors' map: outside the distance to the mask, inside 1 minus that to the background; in units of the image's
    diagonal, so that a weight means the same at every image size. Negative at best. Empty and full targets have the map
    0: loss 0 whatever the prediction, no gradient. So, and for its many minima, it is trained in a sum with an overlap
    loss: `loss.sum`.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        probability, _ = probabilities(logits, target)
        return (probability * boundary_map(target).flatten(2)).mean() / _diagonal(target)


class HausdorffDTLoss(nn.Module):
    """Squared error, weighted by distance to both boundaries (Karimi & Salcudean 2019, arXiv:1904.10030).

    (p - t)^2 * (d_p^alpha + d_t^alpha), d_p from the prediction cut at 0.5, in units of the image's diagonal. Without a
    boundary in the target (empty or full) the prediction's alone counts; without one in either the loss is 0 and has no
    gradient. Best in a sum with an overlap loss: `loss.sum`.
    """

    def __init__(self, alpha: float = 2.0) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        probability, truth = probabilities(logits, target)
        weight = self.weight(logits > 0, target) + self.weight(target > 0.5, target)
        return ((probability - truth) ** 2 * weight.flatten(2)).mean()

    def weight(self, mask: Tensor, target: Tensor) -> Tensor:
        distance = signed_distances(mask).abs() / _diagonal(target)
        return torch.where(distance > 0, distance**self.alpha, 0.0)


class BoundedSurfaceLoss(nn.Module):
    """Generalised surface loss: share of the squared distances that is lost (Celaya et al. 2023, arXiv:2302.03868).

    1 - sum((d * (1 - (t + p)))^2) / sum(d^2) of each sample and region, d as in `boundary`: 0 for a perfect
    prediction, 1 for its opposite, at every image size. Empty and full targets have d = 0: loss 0 whatever the
    prediction, no gradient. Best in a sum with an overlap loss: `loss.sum`.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        probability, truth = probabilities(logits, target)
        square = boundary_map(target).flatten(2) ** 2
        lost = (square * (1 - (1 - truth - probability) ** 2)).sum(-1)
        return (lost / square.sum(-1).clamp(min=1)).mean()


def boundary_map(target: Tensor) -> Tensor:
    """Distance to the mask outside it; 1 minus the distance to the background inside; 0 where there is no boundary."""
    mask = target > 0.5
    distance = signed_distances(mask)
    return torch.where(distance < 0, distance + 1, distance)


@torch.no_grad()
def signed_distances(masks: Tensor) -> Tensor:
    """`geometry.signed_distance` of each sample and region of `(B, R, *space)`, in pixels, float32."""
    arrays = masks.cpu().numpy().reshape(-1, *masks.shape[2:])
    distances = np.stack([signed_distance(array) for array in arrays]).astype(np.float32)
    return torch.from_numpy(distances).reshape(masks.shape).to(masks.device)


def _diagonal(target: Tensor) -> float:
    space = target.shape[2:]
    return diagonal(space, [1.0] * len(space))
