"""How fast a training goes on this machine: a few of its steps, and a few of the cases that it validates on."""

import time
from dataclasses import dataclass
from statistics import median

from tumorline.training.feed import open_feed
from tumorline.training.loop import Loop
from tumorline.training.machine import Machine
from tumorline.training.task import Task
from tumorline.training.weights import start

WARM_UP, STEPS = 2, 6
"""Steps that are not counted, because the first ones take longer, and steps that are."""
CASES = 16
"""Of the validation part, at most."""


@dataclass(frozen=True)
class Pace:
    step_s: float
    batch: int
    steps: int
    """Of an epoch."""
    case_s: float
    """Of validation, by case; 0 where nobody validates."""
    validated: int
    """Cases of the validation part."""
    tested: int

    @property
    def images_per_second(self) -> float:
        return self.batch / self.step_s

    @property
    def epoch_s(self) -> float:
        return self.steps * self.step_s + self.validated * self.case_s


class TimedLoop(Loop):
    """Steps as they are in training; nothing is saved."""

    def step_seconds(self) -> list[float]:
        """Of `STEPS` steps, after those of the warm-up; a training of fewer begins again."""
        position, seconds = self.state.position, list[float]()
        whole = self.settings.epochs * self.batches.steps
        self.trainee.train()
        for number in range(WARM_UP + STEPS):
            position.epoch, position.step = divmod(number % whole, self.batches.steps)
            began = time.perf_counter()
            self.train_step().item()
            seconds.append(time.perf_counter() - began)
        return seconds[WARM_UP:]


def measure_pace(task: Task, machine: Machine) -> Pace:
    """Time a new network on its training and validation cases; the run folder is not written to."""
    feed = open_feed(task.config, task.dataset, task.split, machine, task.notify)
    loop = TimedLoop(task, machine, feed, start(task, machine))
    step_s = median(loop.step_seconds())
    validated = task.split.cases("validation")
    some = validated[:CASES]
    began = time.perf_counter()
    if some:
        feed.validate(loop.state.average, loop.objective.criterion, some)
    case_s = (time.perf_counter() - began) / len(some) if some else 0.0
    tested = len(task.split.cases("test"))
    return Pace(step_s, loop.batches.batch_size, loop.batches.steps, case_s, len(validated), tested)
