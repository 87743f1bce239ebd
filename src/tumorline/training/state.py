"""Everything that a training needs to go on as if it had never stopped, in one file without pickle.

Random numbers need no state: each is drawn from (seed, epoch, step, case).
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tumorline.errors import UserError
from tumorline.files import atomic_path


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
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class State:
    """The live objects of a training."""

    network: nn.Module
    average: nn.Module
    optimiser: torch.optim.Optimizer
    position: Position

    def save(self, path: Path) -> None:
        """Write all of it, whole or not at all."""
        tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in self._tensors()}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, metadata={"position": json.dumps(asdict(self.position))})

    def load(self, path: Path) -> None:
        """Read a saved state into the live objects. Raises UserError where it belongs to another training."""
        try:
            with safe_open(path, "pt") as file:
                position = Position(**json.loads(file.metadata()["position"]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError, KeyError) as error:
            raise UserError(f"{path}: not a readable training state ({error})") from None
        if position.fingerprint != self.position.fingerprint:
            raise UserError(f"{path}: data, split or configuration have changed since; start a new run")
        self.position = position
        self.network.load_state_dict(_below(tensors, "network."))
        self.average.load_state_dict(_below(tensors, "average."))
        self._load_optimiser(_below(tensors, "optimiser."))

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
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
