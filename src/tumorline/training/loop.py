"""The training loop."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tumorline.augmentation.transforms import apply, draw
from tumorline.callbacks import EpochRow, OnBegin, OnEpoch
from tumorline.data.joined import source_names
from tumorline.errors import Diverged, Interrupted
from tumorline.escaping import for_shell
from tumorline.file_names import BEST_WEIGHTS_NAME, HISTORY_NAME, STATE_NAME
from tumorline.files import write_csv
from tumorline.network_input.windows import input_of
from tumorline.run_log import append_log
from tumorline.signals import stop_signals
from tumorline.training.batches import Batches
from tumorline.training.divergence import LOOK_EVERY, all_finite, divergence
from tumorline.training.feed import Feed, open_feed
from tumorline.training.history import HistoryParts
from tumorline.training.machine import Machine
from tumorline.training.objective import Objective, Samples
from tumorline.training.optimiser import freeze_backbone, learning_rate, set_learning_rate, update_average
from tumorline.training.progress import TrainingProgress
from tumorline.training.state import State
from tumorline.training.step_errors import in_one_line
from tumorline.training.task import Task
from tumorline.training.tensor_file import write_tensors
from tumorline.training.validation import Validation
from tumorline.training.weights import BEST_KEY, CHANNELS_LAST, start, wrap_network


def fit(task: Task, machine: Machine, on_epoch: OnEpoch | None = None, on_begin: OnBegin | None = None) -> State:
    """Train to the end (or to an early stop), resuming where the run folder holds a state.

    Leaves in the run folder `state.safetensors`, `history.csv` and `best.safetensors`: averaged weights of the epoch
    with the highest validation Dice by patient, of equal ones that with the lowest validation loss. Raises Interrupted
    on Ctrl-C or SIGTERM.
    """
    feed = open_feed(task.config, task.dataset, task.split, machine, task.notify)
    state = start(task, machine)
    loop = Loop(task, machine, feed, state, on_epoch)
    with _stop_signals(loop):
        if on_begin is not None:
            on_begin(state.position.history)
        loop.run()
    return state


class Loop:
    """Epochs of steps; after each epoch validation, history and the saved state."""

    def __init__(self, task: Task, machine: Machine, feed: Feed, state: State, on_epoch: OnEpoch | None = None) -> None:
        self.task, self.machine, self.feed, self.state, self.on_epoch = task, machine, feed, state, on_epoch
        self.settings = task.config.train
        self.batches = Batches(feed.windows, self.settings, task.config.seed, machine)
        self.objective = Objective(task.config.loss, state.network, task.dataset, machine)
        self.history_parts = HistoryParts(task.dataset.regions, source_names(task.config.data))
        self.trainee = wrap_network(state.network, self.settings, machine)
        self.loss_sum = torch.zeros((), dtype=torch.float64, device=machine.device)
        self.stop_asked = False
        self.last_saved = time.monotonic()

    def run(self) -> None:
        position, epochs, steps = self.state.position, self.settings.epochs, self.batches.steps
        done = position.epoch * steps + position.step
        with TrainingProgress(done, epochs * steps, self.machine.leads) as progress:
            while position.epoch < epochs and not self.out_of_patience():
                self.train_epoch(progress)
                self.finish_epoch(progress)
                if any(self.any_process(self.stop_asked)):
                    raise self.stopped()

    def train_epoch(self, progress: TrainingProgress) -> None:
        position = self.state.position
        self.loss_sum.fill_(position.loss_sum if self.machine.leads else 0.0)
        self.trainee.train()
        if self.settings.freeze_epochs:
            freeze_backbone(self.state.network, frozen=position.epoch < self.settings.freeze_epochs)
        while position.step < self.batches.steps:
            self.step(progress)

    def step(self, progress: TrainingProgress) -> None:
        """One step with all that goes with it: batch, augmentation, network, weights, progress, saving when due.

        Its time ends where all processes have heard of one another, which waits for the device.
        """
        position = self.state.position
        began = time.perf_counter()
        self.loss_sum += self.train_step()
        position.step += 1
        due = time.monotonic() - self.last_saved > 60 * self.settings.checkpoint_minutes
        stop, due, lost = self.any_process(self.stop_asked, due, self.lost_its_loss())
        took = time.perf_counter() - began
        position.seconds += took
        progress.step(self.batches.batch_size / took)
        self.save_or_stop(stop, due, lost)

    def train_step(self) -> Tensor:
        """One optimiser step; returns this process's share of the batch's mean loss, detached."""
        with in_one_line(self.task.config):
            return self.learn()

    def learn(self) -> Tensor:
        """As `train_step`; what goes wrong is raised as it comes."""
        config, position = self.task.config, self.state.position
        step = position.epoch * self.batches.steps + position.step
        torch.manual_seed(hash((config.seed, step, self.machine.rank)) & 0x7FFFFFFF)
        numbers = self.batches.numbers(position.epoch, position.step)
        image, target = self.feed.batch(numbers, position.epoch)
        parameters = draw(config.augment, config.seed, position.epoch, numbers, self.feed.extent)
        image, target = apply(image, target, parameters, input_of(self.task.dataset).depth)
        if self.settings.channels_last:
            image = image.contiguous(memory_format=CHANNELS_LAST[image.ndim])
        with self.machine.autocast():
            outputs = self.trainee(image)
        self.objective.criterion.progress = step / (self.settings.epochs * self.batches.steps)
        loss = self.objective.loss(outputs, Samples(image, target, self.feed.labelled(numbers)))
        self.update_weights(loss, step)
        return loss.detach().double() / self.machine.world

    def update_weights(self, loss: Tensor, step: int) -> None:
        state, settings = self.state, self.settings
        set_learning_rate(state.optimiser, self.rate(step))
        state.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        if settings.clip_norm > 0:
            nn.utils.clip_grad_norm_(state.network.parameters(), settings.clip_norm)
        state.optimiser.step()
        update_average(state.average, state.network, settings.average_decay, step)

    def rate(self, step: int) -> float:
        """The learning rate of a step of the epoch that is under way."""
        scores = [row["validation_dice"] for row in self.state.position.history]
        return learning_rate(self.settings, step, self.settings.epochs * self.batches.steps, scores)

    def save_or_stop(self, stop: bool, due: bool, lost: bool) -> None:
        """Save within an epoch when it is due; stop where any process was asked to or has lost its loss."""
        if lost:
            raise self.diverged(f"the loss of epoch {self.epoch}, step {self.state.position.step} is not finite")
        if stop or due:
            self.require_finite()
            self.save()
        if stop:
            raise self.stopped()

    def stopped(self) -> Interrupted:
        return Interrupted(f"stopped and saved; go on with: tumorline train --resume {for_shell(self.task.run)}")

    def lost_its_loss(self) -> bool:
        """Whether the loss of a step so far was not finite; on a GPU it is not looked at in each step."""
        looks = self.machine.device.type == "cpu" or self.state.position.step % LOOK_EVERY == 0
        return looks and not math.isfinite(self.loss_sum.item())

    def require_finite(self) -> None:
        """Raise Diverged where a loss of the epoch or anything of the state is not finite, in any process."""
        weights = all_finite(tensor for _, tensor in self.state.tensors())
        loss, weights_lost = self.any_process(not math.isfinite(self.loss_sum.item()), not weights)
        if loss or weights_lost:
            subject = "the loss is" if loss else "weights are"
            raise self.diverged(f"{subject} not finite in epoch {self.epoch}")

    def diverged(self, what: str) -> Diverged:
        kept = len(self.state.position.history)
        return divergence(what, self.task.run, kept, self.settings, self.machine.bfloat16)

    @property
    def epoch(self) -> int:
        """The epoch that is under way, counted from 1."""
        return self.state.position.epoch + 1

    def any_process(self, *flags: bool) -> list[bool]:
        """Each flag, true where any process has it, so that all act alike."""
        if self.machine.world == 1:
            return list(flags)
        tensor = torch.tensor(flags, dtype=torch.int32, device=self.machine.device)
        dist.all_reduce(tensor, dist.ReduceOp.MAX)
        return [bool(flag) for flag in tensor.tolist()]

    def finish_epoch(self, progress: TrainingProgress) -> None:
        position, settings = self.state.position, self.settings
        result = self.validated()
        row = self.history_row(result)
        if result is None or result.dice > position.best_dice:
            position.best_epoch = position.epoch
        if row["best"] and result is not None:
            position.best_dice, position.best_loss = result.dice, result.loss
        position.history.append(row)
        position.epoch, position.step, position.loss_sum, position.seconds = position.epoch + 1, 0, 0.0, 0.0
        self.loss_sum.zero_()
        if row["best"] and self.machine.leads:
            weights = self.state.average.state_dict()
            write_tensors(self.task.run / BEST_WEIGHTS_NAME, weights, BEST_KEY, position.fingerprint)
        self.save()
        line = progress.epoch(row, settings.epochs)
        if self.machine.leads:
            append_log(self.task.run, line)
        if self.on_epoch is not None:
            self.on_epoch(row)

    def validated(self) -> Validation | None:
        """The validation figures of the epoch's weights; None where no patient is left to validate.

        Raises Diverged where anything is not finite.
        """
        self.require_finite()
        if not (cases := self.task.split.cases("validation")):
            return None
        criterion = self.objective.criterion
        criterion.progress = self.epoch / self.settings.epochs
        with in_one_line(self.task.config):
            result = self.feed.validate(self.state.average, criterion, cases)
        if not (math.isfinite(result.loss) and math.isfinite(result.dice)):
            raise self.diverged(f"the validation loss of epoch {self.epoch} is not finite")
        return result

    def is_best(self, result: Validation | None) -> bool:
        """Without validation the last weights are the ones that are kept."""
        best = self.state.position.best_dice, -self.state.position.best_loss
        return result is None or (result.dice, -result.loss) > best

    def history_row(self, result: Validation | None) -> EpochRow:
        position, steps = self.state.position, self.batches.steps
        last_step = (position.epoch + 1) * steps - 1
        images = steps * self.batches.batch_size
        return {
            "epoch": position.epoch + 1,
            "learning_rate": self.rate(last_step),
            "train_loss": self.total_loss() / steps,
            "validation_loss": result and result.loss,
            "validation_dice": result and result.dice,
            **self.history_parts.values(result),
            "best": int(self.is_best(result)),
            "seconds": round(position.seconds, 2),
            "images_per_second": round(images / max(position.seconds, 1e-9), 2),
        }

    def total_loss(self) -> float:
        return float(sum(self.machine.gather(self.loss_sum.item())))

    def save(self) -> None:
        """Write the resumable state and the history; all processes take part, the first one writes."""
        self.state.position.loss_sum = self.total_loss()
        if self.machine.leads:
            self.state.save(self.task.run / STATE_NAME)
            write_csv(self.task.run / HISTORY_NAME, self.history_parts.columns(), self.state.position.history)
        else:
            self.state.position.loss_sum = 0.0
        self.last_saved = time.monotonic()

    def out_of_patience(self) -> bool:
        position, patience = self.state.position, self.settings.patience
        return patience > 0 and position.epoch - 1 - position.best_epoch >= patience


@contextmanager
def _stop_signals(loop: Loop) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP finish the current step, save, and stop; a second one stops at once.

    Python hands signals to the main thread only: elsewhere nothing is caught, and the main thread's handlers stay.
    """

    def ask(number: int, _frame: object) -> None:
        loop.stop_asked = True
        signal.signal(number, previous[signal.Signals(number)])

    previous = {number: signal.getsignal(number) or signal.SIG_DFL for number in stop_signals()}
    for number in previous:
        signal.signal(number, ask)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
