"""What a step makes small: the loss of the masks, and with it those of presence and of a teacher's answers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tumorline import losses, models
from tumorline.config import LossConfig
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.training.machine import Machine
from tumorline.training.teacher import Teacher, imitation, open_teacher

Weighed = list[tuple[float, Tensor]]
"""The outputs of a network, each with its weight; of one with a presence head the last one is presence."""


@dataclass(frozen=True)
class Samples:
    """A batch as the network sees it."""

    image: Tensor
    """`(B, C, *space)`."""
    target: Tensor
    """`(B, R, *space)`."""
    labelled: Tensor
    """Which have masks `(B,)`; of the others the target says nothing."""


class Objective:
    """Of one training. `criterion` is the loss of the masks alone, by which the validation part is judged as well."""

    def __init__(self, config: LossConfig, network: nn.Module, dataset: Dataset, machine: Machine) -> None:
        self.config, self.network, self.machine = config, network, machine
        self.criterion = losses.build(config).to(machine.device)
        self.teacher = open_teacher(config.teacher, dataset, machine) if config.teacher else None

    def loss(self, outputs: models.Outputs, samples: Samples) -> Tensor:
        """The mean loss of a batch by what the network makes of its images."""
        weighed = models.weigh_outputs(self.network, outputs)
        refuse_other_shape(weighed[0][1], samples)
        if self.teacher is None:
            return self.truth_loss(weighed, samples.target)
        return self.taught_loss(self.teacher, weighed, samples)

    def truth_loss(self, outputs: Weighed, target: Tensor) -> Tensor:
        """Of the masks, and of presence where the network tells it."""
        terms = []
        if models.has_presence(self.network):
            *outputs, (weight, presence) = outputs
            terms = [weight * self.config.presence * presence_loss(presence, target)]
        terms += [weight * self.criterion(logits.float(), target) for weight, logits in outputs]
        return torch.stack(terms).sum()

    def taught_loss(self, teacher: Teacher, outputs: Weighed, samples: Samples) -> Tensor:
        """Of the masks and of the teacher's answers; samples that are not labelled have the latter's alone."""
        labelled = samples.labelled
        share = torch.where(labelled, self.config.teacher_share, 1.0)
        with self.machine.autocast():
            answers = teacher.probability(samples.image)
        masks = outputs[:-1] if models.has_presence(self.network) else outputs
        imitated = torch.stack([weight * (share * imitation(logits, answers)).mean() for weight, logits in masks]).sum()
        if not labelled.any():  # every parameter takes part, which several processes wait for
            return imitated + 0 * outputs[-1][1].float().sum()
        kept = [(weight, logits[labelled]) for weight, logits in outputs]
        truth_loss = (1 - self.config.teacher_share) * self.truth_loss(kept, samples.target[labelled])
        return imitated + truth_loss * labelled.float().mean()


def refuse_other_shape(logits: Tensor, samples: Samples) -> None:
    """Raise UserError where a network does not answer for each pixel of each region."""
    if logits.shape != samples.target.shape:
        raise UserError(
            f"the network makes {tuple(logits.shape[1:])} of images {tuple(samples.image.shape[1:])}; expected "
            f"logits {tuple(samples.target.shape[1:])}: one for each region and pixel (see AnySize)"
        )


def presence_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Cross entropy of presence, given as logits of the size of the target `(B, R, H, W)`."""
    return functional.binary_cross_entropy_with_logits(logits[:, :, 0, 0].float(), target.amax((2, 3)))
