"""The order of the windows and their way to the device: a function of seed and epoch, of nothing else."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tumorline.arrays import Float64Array
from tumorline.config import TrainConfig
from tumorline.errors import UserError
from tumorline.network_input.cache import Cache
from tumorline.network_input.windows import neighbours
from tumorline.training.machine import Machine
from tumorline.training.windows import Windows
from tumorline.wording import numbered


def epoch_order(seed: int, epoch: int, weights: Float64Array, images: int | None = None) -> npt.NDArray[np.intp]:
    """Training windows of one epoch in their order, each as often as its weight lets it: `images`, or as many as all.

    Equal weights give a permutation, or its beginning; unequal ones are drawn by systematic resampling, so that one
    comes up its expected number of times, rounded down or up.
    """
    random = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    images = len(weights) if images is None else images
    points = random.permutation(len(weights) if np.ptp(weights) == 0 else images) + random.random()
    reach = np.cumsum(weights) * (len(points) / weights.sum())
    return np.minimum(np.searchsorted(reach, points, side="right"), len(weights) - 1)[:images]


def times_before(order: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """How often each element of an order has come up before."""
    seen: Counter[int] = Counter()
    times = np.empty_like(order)
    for place, window in enumerate(order.tolist()):
        times[place] = seen[window]
        seen[window] += 1
    return times


class Batches:
    """Cuts an epoch's order into batches and takes this process's share of each.

    The last incomplete batch of an epoch is left out; the next epoch's order is another.
    """

    def __init__(self, windows: Windows, settings: TrainConfig, seed: int, machine: Machine) -> None:
        self.windows = windows
        self.seed = seed
        self.machine = machine
        self.latest: tuple[int, npt.NDArray[np.intp]] = -1, np.zeros(0, np.intp)
        images = min(settings.epoch_images or windows.images, windows.images)
        self.images = images
        self.batch_size = min(settings.batch_size, images // machine.world * machine.world)
        if not self.batch_size:
            raise UserError(f"{numbered(images, 'training image')} cannot be shared among {machine.world} processes")
        self.steps = images // self.batch_size

    def samples(self, epoch: int) -> npt.NDArray[np.intp]:
        """The numbers of an epoch in their order, kept for its steps."""
        if epoch != self.latest[0]:
            order = epoch_order(self.seed, epoch, self.windows.weights, self.images)
            self.latest = epoch, self.windows.rows[order] + self.windows.span * times_before(order)
        return self.latest[1]

    def numbers(self, epoch: int, step: int) -> list[int]:
        """Those of the samples in this process's share of one batch: no two of an epoch are equal.

        What they show is `Windows.rows_of`.
        """
        batch = self.samples(epoch)[step * self.batch_size : (step + 1) * self.batch_size]
        numbers: list[int] = batch[self.machine.rank :: self.machine.world].tolist()
        return numbers


class Store:
    """Where batches are gathered: on a GPU that has room for the whole set, else from the memory-mapped cache."""

    def __init__(self, cache: Cache, device: torch.device, context: int = 0, on_device: bool | None = None) -> None:
        """`on_device` None: on a GPU where the set takes at most half of its free memory."""
        self.cache, self.device, self.context = cache, device, context
        self.whole: tuple[Tensor, Tensor] | None = None
        if on_device or (on_device is None and _fits(cache, device)):
            images, masks = (torch.from_numpy(np.array(array)) for array in (cache.images, cache.masks))
            self.whole = images.to(device), masks.to(device)

    def batch(self, rows: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The windows around rows of the cache, on the device.

        Images `(B, (2k+1) * C, S, S)` float32 and targets `(B, R, S, S)` float32 in {0, 1}.
        """
        seen = self.seen_rows(rows)
        if self.whole is not None:
            image, target = (
                array[torch.tensor(chosen, device=self.device)]
                for array, chosen in zip(self.whole, (seen, rows), strict=True)
            )
        else:
            image = torch.from_numpy(self.cache.images[seen]).to(self.device, non_blocking=True)
            target = torch.from_numpy(self.cache.masks[rows]).to(self.device, non_blocking=True)
        return image.reshape(len(rows), -1, *image.shape[-2:]).float(), target.float()

    def seen_rows(self, rows: Sequence[int]) -> npt.NDArray[np.intp]:
        """Each row with the neighbours of the same case that its window shows, `(B * (2k+1),)`."""
        case = np.searchsorted(self.cache.begins, rows, side="right") - 1
        first, end = self.cache.begins[case], self.cache.begins[case + 1]
        return (neighbours(rows - first, end - first, self.context) + first[:, None]).ravel()


def _fits(cache: Cache, device: torch.device) -> bool:
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return cache.images.nbytes + cache.masks.nbytes <= free // 2
