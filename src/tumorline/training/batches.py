"""The order of the cases and their way to the device: a function of seed and epoch, of nothing else."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tumorline.config import TrainConfig
from tumorline.errors import UserError
from tumorline.network_input.cache import Cache
from tumorline.training.machine import Machine

FloatArray = npt.NDArray[np.float64]


def epoch_order(seed: int, epoch: int, weights: FloatArray) -> npt.NDArray[np.intp]:
    """Training cases of one epoch in their order, as many as there are, each as often as its weight lets it.

    Equal weights give a permutation; unequal ones are drawn by systematic resampling, so that a case comes up its
    expected number of times, rounded down or up.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    cases = len(weights)
    points = random.permutation(cases) + random.random()
    reach = np.cumsum(weights) * (cases / weights.sum())
    return np.minimum(np.searchsorted(reach, points, side="right"), cases - 1)


def patient_weights(patients: Sequence[str], balance: float) -> FloatArray:
    """Weight of each case, given its patient: `balance` 0 counts every case alike, 1 every patient alike."""
    cases = Counter(patients)
    return np.array([cases[patient] ** -balance for patient in patients])


class Batches:
    """Cuts an epoch's order into batches and takes this process's share of each.

    The last incomplete batch of an epoch is left out; the next epoch's order is another.
    """

    def __init__(
        self, positions: Sequence[int], weights: FloatArray, settings: TrainConfig, seed: int, machine: Machine
    ) -> None:
        self.positions = np.array(positions)
        self.weights = weights
        self.seed = seed
        self.machine = machine
        images = min(settings.epoch_images or len(positions), len(positions))
        self.batch_size = min(settings.batch_size, images // machine.world * machine.world)
        if not self.batch_size:
            raise UserError(f"{images} training cases cannot be shared among {machine.world} processes")
        self.steps = images // self.batch_size

    def indices(self, epoch: int, step: int) -> list[int]:
        """Positions in the data set of this process's share of one batch."""
        order = epoch_order(self.seed, epoch, self.weights)
        batch = order[step * self.batch_size : (step + 1) * self.batch_size]
        mine: list[int] = self.positions[batch[self.machine.rank :: self.machine.world]].tolist()
        return mine


class Store:
    """Where batches are gathered: on a GPU that has room for the whole set, else from the memory-mapped cache."""

    def __init__(self, cache: Cache, device: torch.device, on_device: bool | None = None) -> None:
        """`on_device` None: on a GPU where the set takes at most half of its free memory."""
        self.cache, self.device = cache, device
        self.whole: tuple[Tensor, Tensor] | None = None
        if on_device or (on_device is None and _fits(cache, device)):
            images, masks = (torch.from_numpy(np.array(array)) for array in (cache.images, cache.masks))
            self.whole = images.to(device), masks.to(device)

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Images `(B, C, S, S)` float32 and targets `(B, 1, S, S)` float32 in {0, 1} on the device."""
        if self.whole is not None:
            chosen = torch.tensor(indices, device=self.device)
            image, target = (array[chosen] for array in self.whole)
        else:
            image = torch.from_numpy(self.cache.images[indices]).to(self.device, non_blocking=True)
            target = torch.from_numpy(self.cache.masks[indices]).to(self.device, non_blocking=True)
        return image.float(), target.float()


def _fits(cache: Cache, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return cache.images.nbytes + cache.masks.nbytes <= free // 2
