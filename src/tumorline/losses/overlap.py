"""Losses of the overlap of the whole prediction with the whole mask."""

import math

import torch
from torch import Tensor, nn

from tumorline.losses.targets import probabilities, refuse_unscaled

SMOOTHING = 1.0


class DiceLoss(nn.Module):
    """One minus the soft Dice of each sample and region (Milletari et al. 2016, arXiv:1606.04797).

    With smoothing s: 1 - (2 * sum(p * t) + s) / (sum(p) + sum(t) + s); an empty target gives 0 for an empty
    prediction and a finite gradient towards it, a full one 0 for a full prediction.
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


class TverskyLoss(nn.Module):
    """One minus the Tversky index, Dice with weights on false positives and negatives (Salehi 2017, arXiv:1706.05721).

    With smoothing s: 1 - (tp + s) / (tp + alpha * fp + beta * fn + s), alpha for false positives, beta for false
    negatives; 0.5 and 0.5 are Dice. The paper finds small lesions with a high beta; the defaults here are the other way
    round, since networks trained on slices with tumour draw too much. An empty target gives 0 for an empty prediction
    and alpha * fp / (alpha * fp + s) otherwise; a full one has no false positives and gives 0 for a full prediction.
    """

    def __init__(self, alpha: float = 0.7, beta: float = 0.3, smoothing: float = SMOOTHING) -> None:
        super().__init__()
        self.alpha, self.beta, self.smoothing = alpha, beta, smoothing

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.each(logits, target).mean()

    def each(self, logits: Tensor, target: Tensor) -> Tensor:
        """The loss of each sample and region `(B, R)`."""
        probability, truth = probabilities(logits, target)
        hit = (probability * truth).sum(-1)
        wrong = self.alpha * (probability.sum(-1) - hit) + self.beta * (truth.sum(-1) - hit)
        return 1 - (hit + self.smoothing) / (hit + wrong + self.smoothing)


class FocalTverskyLoss(nn.Module):
    """Tversky loss to the power of 1 / gamma (Abraham & Khan 2018, arXiv:1810.07842).

    With gamma above 1 the slope grows as the overlap gets better; its infinite value at a perfect prediction is cut off
    by a constant. alpha is for false positives as in `tversky` (the paper's is for false negatives). Empty and full
    targets: as in `tversky`, to that power.
    """

    CUT = 1e-6

    def __init__(
        self, alpha: float = 0.7, beta: float = 0.3, gamma: float = 4 / 3, smoothing: float = SMOOTHING
    ) -> None:
        super().__init__()
        if gamma == 0:
            raise ValueError("gamma is 0; expected a number above 0")
        self.tversky = TverskyLoss(alpha, beta, smoothing)
        self.power = 1 / gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        each = self.tversky.each(logits, target).clamp(min=0)
        return ((each + self.CUT).pow(self.power) - math.pow(self.CUT, self.power)).mean()


class GeneralisedDiceLoss(nn.Module):
    """Dice over tumour and background, each by one over its squared size (Sudre et al. 2017, arXiv:1707.03237).

    1 - 2 * sum(w * tp) / sum(w * (|p| + |t|)) over the two classes of each sample and region. Of an empty or full
    target the class without pixels gets the weight of the other, which makes the loss the mean probability of being
    wrong.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        tumour, tumour_truth = probabilities(logits, target)
        probability = torch.stack([tumour, 1 - tumour])
        truth = torch.stack([tumour_truth, 1 - tumour_truth])
        size = truth.sum(-1)
        weight = (size.sum(0) / torch.where(size > 0, size, size.flip(0))) ** 2
        hit = (weight * (probability * truth).sum(-1)).sum(0)
        total = (weight * (probability.sum(-1) + size)).sum(0)
        return (1 - 2 * hit / total).mean()


class LovaszLoss(nn.Module):
    """Lovász extension of one minus the Jaccard index (Berman et al. 2018, arXiv:1705.08790).

    Of each sample and region; of the two forms, the one over probabilities (the paper's Lovász-Softmax, with a
    sigmoid), which stays in [0, 1]. An empty target gives the highest probability in the image, whose pixel alone has a
    gradient; a full one gives the mean of one minus the probability.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        probability, truth = probabilities(logits, target)
        error, order = (probability - truth).abs().sort(dim=-1, descending=True)
        with torch.no_grad():
            ordered = truth.gather(-1, order)
            size = ordered.sum(-1, keepdim=True)
            jaccard = 1 - (size - ordered.cumsum(-1)) / (size + (1 - ordered).cumsum(-1))
            slope = jaccard.diff(dim=-1, prepend=torch.zeros_like(size))
        return (error * slope).sum(-1).mean()
