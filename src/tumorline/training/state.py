"""Everything that a training needs to go on as if it had never stopped, in one file without pickle.

Random numbers need no state: each is drawn from (seed, epoch, step, case).
"""

import json
import math
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from tumorline.callbacks import EpochRow
from tumorline.errors import Diverged, UserError
from tumorline.training.divergence import all_finite
from tumorline.training.tensor_file import CURE, read_tensors, write_tensors


@dataclass
class Position:
    """How far the training is, and what it has seen of itself."""

    fingerprint: str
    """Hash of data, split and configuration; a state goes on only where it began."""
    epoch: int = 0
    step: int = 0
    """Steps done within the epoch."""
    loss_sum: float = 0.0
    seconds: float = 0.0
    """Time spent in the epoch so far."""
    best_dice: float = -1.0
    best_loss: float = math.inf
    """Validation loss of the epoch that is kept."""
    best_epoch: int = -1
    """The first one that had the best Dice."""
    history: list[EpochRow] = field(default_factory=list)


@dataclass
class State:
    """The live objects of a training."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    position: Position

    def save(self, path: Path) -> None:
        """Write all of it, whole or not at all."""
        write_tensors(path, dict(self.tensors()), "position", json.dumps(asdict(self.position)))

    def load(self, path: Path, known: Collection[str] = ()) -> None:
        """Read a saved state into the live objects; `known` are fingerprints that the same training had before.

        Raises UserError where it is damaged or belongs to another training, Diverged where its weights are not finite.
        """
        text, tensors = read_tensors(path, "position")
        try:
            position = TypeAdapter(Position).validate_python(json.loads(text))
        except ValueError:
            raise UserError(f"{path}: not a training state of this version; {CURE}") from None
        if position.fingerprint not in {self.position.fingerprint, *known}:
            raise UserError(f"{path}: data, split or configuration have changed since; start a new run")
        if not all_finite(tensors.values()):
            raise Diverged(f"{path}: its weights are not finite, the training had diverged; start a new run")
        try:
            self._take_over(tensors)
        except Exception as error:
            raise UserError(f"{path}: does not fit the network ({type(error).__name__}: {error}); {CURE}") from None
        self.position = replace(position, fingerprint=self.position.fingerprint)

    def _take_over(self, tensors: dict[str, Tensor]) -> None:
        self.network.load_state_dict(_below(tensors, "network."))
        self.average.load_state_dict(_below(tensors, "average."))
        self._load_optimiser(_below(tensors, "optimiser."))

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Weights, averages and what the optimiser remembers, each under a name of its own."""
        for prefix, module in (("network", self.network), ("average", self.average)):
            for name, tensor in module.state_dict().items():
                yield f"{prefix}.{name}", tensor
        for index, values in self.optimiser.state_dict()["state"].items():
            for name, tensor in values.items():
                yield f"optimiser.{index}.{name}", tensor

    def _load_optimiser(self, tensors: dict[str, Tensor]) -> None:
        states: dict[int, dict[str, Tensor]] = {}
        for key, tensor in tensors.items():
            index, name = key.split(".")
            states.setdefault(int(index), {})[name] = tensor
        groups = self.optimiser.state_dict()["param_groups"]
        self.optimiser.load_state_dict({"state": states, "param_groups": groups})


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
