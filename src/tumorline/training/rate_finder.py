"""Learning-rate range test: which rate to train with, from one short training whose rate rises all the way.

Smith 2017, "Cyclical learning rates for training neural networks", WACV, arXiv:1506.01186.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from tumorline.errors import Diverged, UserError
from tumorline.training.feed import open_feed
from tumorline.training.loop import Loop
from tumorline.training.machine import Machine
from tumorline.training.progress import TrainingProgress
from tumorline.training.task import Task
from tumorline.training.weights import start

LOWEST, HIGHEST = 1e-6, 1.0
STEPS = 100
FEWEST_STEPS = 12
MEMORY = 0.9
"""Of the running mean of the loss, which says when the training diverges."""
SMOOTHING = 0.03
"""Standard deviation of the smoothing, as a share of all steps."""
RULE = "the rate at which the smoothed loss falls fastest per decade, before its lowest point"


@dataclass(frozen=True)
class RangeTest:
    """The loss of each step by its rate, as far as the training did not diverge."""

    rates: list[float]
    losses: list[float]
    smoothed: list[float]
    suggestion: float | None
    """None where no rate lowers the loss."""
    diverged: bool


class RisingLoop(Loop):
    """Training steps whose rate rises from step to step; nothing is validated and nothing is saved."""

    steps = STEPS

    def rate(self, step: int) -> float:
        return LOWEST * math.pow(HIGHEST / LOWEST, step / (self.steps - 1))

    def measure(self) -> list[float]:
        """The loss of each step, before the step; ends where it diverges."""
        position, losses = self.state.position, list[float]()
        self.trainee.train()
        with TrainingProgress(0, self.steps, self.machine.leads) as progress:
            while len(losses) < self.steps and not diverged(losses):
                position.epoch, position.step = divmod(len(losses), self.batches.steps)
                losses.append(float(sum(self.machine.gather(self.train_step().item()))))
                progress.advance()
        return losses


def find_rate(task: Task, machine: Machine) -> RangeTest:
    """Train a new network on the training cases alone, at rates from `LOWEST` to `HIGHEST`, until it diverges.

    It takes `STEPS` steps, or as many as the whole training has where that is fewer. The whole network learns, whatever
    `train.freeze_epochs` says. Raises UserError where there are too few steps and where the first loss is not
    finite.
    """
    feed = open_feed(task.config, task.dataset, task.split, machine, task.notify)
    loop = RisingLoop(task, machine, feed, start(task, machine))
    loop.steps = min(STEPS, task.config.train.epochs * loop.batches.steps)
    if loop.steps < FEWEST_STEPS:
        raise UserError(
            f"train.epochs is {task.config.train.epochs} with {loop.batches.steps} steps each; a rate is found in "
            f"{FEWEST_STEPS} steps or more: raise train.epochs or lower train.batch_size"
        )
    torch.manual_seed(task.config.seed)
    losses = loop.measure()
    if not math.isfinite(losses[0]):
        raise Diverged("the loss of the very first step is not finite, whatever the rate; try train.precision=float32")
    return summarise_range_test([loop.rate(step) for step in range(len(losses))], losses, loop.steps)


def diverged(losses: Sequence[float]) -> bool:
    """Whether the last loss is not a number, or the running mean has risen too far from its lowest value.

    Too far is as much as it had fallen before, and as much as the lowest value itself (which may be negative).
    """
    if losses and not math.isfinite(losses[-1]):
        return True
    total, lowest, mean = 0.0, math.inf, 0.0
    for count, loss in enumerate(losses, 1):
        total = MEMORY * total + (1 - MEMORY) * loss
        mean = total / (1 - MEMORY**count)
        lowest = min(lowest, mean)
    return bool(losses) and mean - lowest > max(losses[0] - lowest, abs(lowest))


def summarise_range_test(rates: Sequence[float], losses: Sequence[float], steps: int) -> RangeTest:
    """Smooth the losses and find where they fall fastest; the rates rise by equal factors."""
    stopped = diverged(losses)
    pairs = [(rate, loss) for rate, loss in zip(rates, losses, strict=True) if math.isfinite(loss)]
    values = np.array([loss for _, loss in pairs])
    width = max(1.0, SMOOTHING * steps)
    smoothed = gaussian_filter1d(values, width, mode="nearest")
    slope = gaussian_filter1d(values, width, order=1, mode="nearest")[: int(smoothed.argmin()) + 1]
    steepest = int(slope.argmin())
    return RangeTest(
        rates=[rate for rate, _ in pairs],
        losses=values.tolist(),
        smoothed=smoothed.tolist(),
        suggestion=pairs[steepest][0] if slope[steepest] < 0 else None,
        diverged=stopped,
    )
