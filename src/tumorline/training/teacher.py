"""A finished model whose probabilities are learnt beside the masks, and alone where there are none (distillation).

Hinton et al. 2015, arXiv:1503.02531. The teacher sees each sample as the student does, after the augmentation, so that
nothing has to be kept and a resumed training is what it would have been.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.model_file import find_model
from tumorline.model_info import ModelInfo
from tumorline.network_file import load_network
from tumorline.network_input import fit
from tumorline.network_input.windows import input_of
from tumorline.regions import REGION
from tumorline.training.machine import Machine
from tumorline.user_text import written_path


@dataclass(frozen=True)
class Teacher:
    network: nn.Module
    temperatures: Tensor
    """`(1, R, 1, ...)`."""

    @torch.no_grad()
    def probability(self, image: Tensor) -> Tensor:
        """Of each region, `(B, C, *space)` as the network sees it to `(B, R, *space)`."""
        logits: Tensor = self.network(image)
        return (logits.float() / self.temperatures).sigmoid()


def open_teacher(name: str, dataset: Dataset, machine: Machine) -> Teacher:
    """Raises UserError for a model that sees or outlines something else than the one that is to learn from it."""
    network, info = load_network(find_model(written_path(name)))
    refuse_another_view(info, dataset)
    shape = [1, len(info.regions), *[1] * info.input.dims]
    temperatures = torch.tensor(info.temperatures, dtype=torch.float32).reshape(shape)
    return Teacher(network.to(machine.device), temperatures.to(machine.device))


def refuse_another_view(info: ModelInfo, dataset: Dataset) -> None:
    """Raise UserError where the two networks do not see the same, or not the same regions."""
    spec = input_of(dataset).model_copy(update={"may_lack_channels": info.input.may_lack_channels})
    settings = dataset.settings
    size = settings.window or (settings.image_size, settings.image_size)
    pairs = {
        "outlines": (info.regions, list(dataset.regions)),
        **_known_meanings(info, dataset),
        "sees at once": (info.network_size, tuple(size)),
        "takes channels": (info.image_channels, dataset.channels),
        "reads images as": (info.input.model_dump(), spec.model_dump()),
        "prepares images by version": (info.preprocessing, fit.VERSION),
    }
    for verb, (its, wanted) in pairs.items():
        if its != wanted:
            raise UserError(
                f"loss.teacher: '{info.name}' {verb} {_words(its)}, this training {_words(wanted)}; a teacher has to "
                "see what its student sees"
            )


def _known_meanings(info: ModelInfo, dataset: Dataset) -> dict[str, tuple[str, str]]:
    """The sequence and what is outlined, where both know it; `tumour` is whatever the others outline."""
    source = dataset.source
    pairs = {
        "sees the sequence": (info.data.channel, source.channel),
        "takes as tumour": (info.data.label, source.label),
    }
    return {verb: pair for verb, pair in pairs.items() if not {*pair} & {"", REGION}}


def _words(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def imitation(logits: Tensor, probability: Tensor) -> Tensor:
    """Cross entropy with the teacher's probability, of each sample `(B,)`."""
    entropy = functional.binary_cross_entropy_with_logits(logits.float(), probability, reduction="none")
    return entropy.flatten(1).mean(1)
