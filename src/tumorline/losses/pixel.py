"""Losses of each pixel by itself, and their sums with Dice."""

from torch import Tensor, nn
from torch.nn import functional

from tumorline.losses.overlap import SMOOTHING, DiceLoss
from tumorline.losses.targets import refuse_unscaled


class CrossEntropyLoss(nn.Module):
    """Binary cross-entropy, mean over pixels.

    Empty and full targets are nothing special: 0 at best, gradient everywhere.
    """

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return cross_entropy(logits, target).mean()


class FocalLoss(nn.Module):
    """Cross-entropy with less weight on pixels that are right already (Lin et al. 2017, arXiv:1708.02002).

    alpha_t * (1 - p_t)^gamma * cross-entropy; alpha for tumour, 1 - alpha for background, both as in the paper; at 0.5
    both weigh alike. Empty and full targets are nothing special.
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25) -> None:
        super().__init__()
        if alpha > 1:
            raise ValueError(f"alpha is {alpha:g}; expected a number of 0 to 1")
        self.gamma, self.alpha = gamma, alpha

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        each, truth = cross_entropy(logits, target), target.float()
        log_of_miss = functional.logsigmoid(logits.float() * (1 - 2 * truth))
        weight = self.alpha * truth + (1 - self.alpha) * (1 - truth)
        return (weight * (self.gamma * log_of_miss).exp() * each).mean()


class DiceCrossEntropyLoss(nn.Module):
    """Dice loss plus binary cross-entropy, each with its weight.

    Empty and full targets: as in `dice`; to cross-entropy they are nothing special.
    """

    def __init__(self, dice_weight: float = 1.0, ce_weight: float = 1.0, smoothing: float = SMOOTHING) -> None:
        super().__init__()
        self.dice = DiceLoss(smoothing)
        self.dice_weight, self.ce_weight = dice_weight, ce_weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        dice: Tensor = self.dice(logits, target)
        pixels = functional.binary_cross_entropy_with_logits(logits.float(), target.float())
        return self.dice_weight * dice + self.ce_weight * pixels


class DiceTopKLoss(nn.Module):
    """Dice loss plus the cross-entropy of the hardest pixels (top-k: Wu et al. 2016, arXiv:1605.06885).

    Of each sample and region the `share` of pixels with the highest cross-entropy counts, at least one. Empty and full
    targets: as in `dice`; on them the hardest pixels are the most certain of the wrong ones.
    """

    def __init__(self, share: float = 0.1, smoothing: float = SMOOTHING) -> None:
        super().__init__()
        if not 0 < share <= 1:
            raise ValueError(f"share is {share:g}; expected a number above 0, at most 1")
        self.dice = DiceLoss(smoothing)
        self.share = share

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        dice: Tensor = self.dice(logits, target)
        each = cross_entropy(logits, target).flatten(2)
        return dice + each.topk(max(1, round(self.share * each.shape[-1])), dim=-1, sorted=False).values.mean()


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Of each pixel, in the logits' shape; the target is checked."""
    refuse_unscaled(target)
    return functional.binary_cross_entropy_with_logits(logits.float(), target.float(), reduction="none")
