"""The order of the cases and their way to the device: a function of seed and epoch, of nothing else."""

import numpy as np
import torch
from torch import Tensor

from tumorline.data.cache import Cache
from tumorline.errors import UserError
from tumorline.training.machine import Machine


def epoch_order(seed: int, epoch: int, cases: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Permutation of the training cases for one epoch."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch])).permutation(cases)


class Batches:
    """Cuts an epoch's order into batches and takes this process's share of each.

    The last incomplete batch of an epoch is left out; the next epoch's order is another.
    """

    def __init__(self, positions: list[int], batch_size: int, seed: int, machine: Machine) -> None:
        if len(positions) < machine.world:
            raise UserError(f"{len(positions)} training cases cannot be shared among {machine.world} processes")
        self.positions = np.array(positions)
        self.seed = seed
        self.machine = machine
        self.batch_size = min(batch_size, len(positions) // machine.world * machine.world)
        self.steps = len(positions) // self.batch_size

    def indices(self, epoch: int, step: int) -> list[int]:
        """Positions in the data set of this process's share of one batch."""
        order = epoch_order(self.seed, epoch, len(self.positions))
        batch = order[step * self.batch_size : (step + 1) * self.batch_size]
        mine: list[int] = self.positions[batch[self.machine.rank :: self.machine.world]].tolist()
        return mine


def load(cache: Cache, indices: list[int], machine: Machine) -> tuple[Tensor, Tensor]:
    """Images `(B, C, S, S)` float32 and targets `(B, 1, S, S)` float32 in {0, 1} on the device."""
    image = torch.from_numpy(cache.images[indices]).to(machine.device, non_blocking=True)
    target = torch.from_numpy(cache.masks[indices]).to(machine.device, non_blocking=True)
    return image.float(), target.float()
