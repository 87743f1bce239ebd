"""A run from its configuration to its report: check, split, fit, export, evaluate, report.

Each stage leaves whole files in the run folder; resuming a run goes on where it was stopped.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tumorline.callbacks import Callback, EpochRow, Listeners, OnEpoch, make_callbacks
from tumorline.config import Config
from tumorline.data.dataset import Dataset
from tumorline.data.splits.parts import Split
from tumorline.data.splits.split import SPLIT_COLUMNS, split_table
from tumorline.errors import UserError, kept_off_files, require_extra
from tumorline.file_names import BEST_WEIGHTS_NAME, SPLIT_NAME, STATE_NAME
from tumorline.files import write_csv
from tumorline.progress import Notify, silent
from tumorline.report.learning_rate import write_learning_rate
from tumorline.run.claiming import (
    begin_run,
    claimed_folder,
    refuse_another,
    refuse_existing,
    refuse_strange,
)
from tumorline.run.finishing import finish_run, write_environment
from tumorline.run.lengthening import earlier_lengths, keep_length, lengthen
from tumorline.run.preparing import check_model, note_other_start, prepare_data, refuse_seen_before, require_memory
from tumorline.run.provenance import origin_of, teacher_of
from tumorline.run.rendering import render_report
from tumorline.run.settling import keep_settings, require_settings, settle
from tumorline.run_log import append_log, begin_log, logged_end, logged_warnings, logging_too

if TYPE_CHECKING:
    from tumorline.training.machine import Machine
    from tumorline.training.pace import Pace
    from tumorline.training.task import Task

__all__ = ["Course", "find_learning_rate", "fit_only", "measure_pace", "render_report", "resume", "train"]


OnReady = Callable[[Notify], None]
"""Called once nothing of a training has been refused, before it begins or goes on."""


@dataclass(frozen=True)
class Course:
    """How far a training goes, and who hears of it."""

    notify: Notify
    on_epoch: OnEpoch | None = None
    callbacks: Sequence[Callback] = ()
    finish: bool = True
    """Whether the test part is looked at."""
    on_ready: OnReady | None = None


def train(
    config: Config,
    run: Path,
    notify: Notify,
    callbacks: Sequence[Callback] = (),
    on_ready: OnReady | None = None,
) -> None:
    """Train, evaluate and report in a new run folder; an existing one is never overwritten.

    Raises UserError for data or configuration that cannot be used; nothing is then left behind.
    """
    require_extra("torch", "training", "train")
    refuse_existing(run)
    with claimed_folder(run):
        refuse_existing(run)
        begin_run(config, run)
        _carry_out(config, run, Course(notify, callbacks=callbacks, on_ready=on_ready))


def fit_only(
    config: Config,
    run: Path,
    notify: Notify,
    on_epoch: OnEpoch | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train without a look at the test part, going on where the folder holds a state; returns the best weights.

    Leaves what `train` leaves before the export: configuration, split, history, state, best weights, environment.
    `on_epoch` gets each finished epoch's row of the history; what it raises ends the training, whose state is saved.
    `resume` finishes such a folder. Raises UserError for a folder of another configuration.
    """
    require_extra("torch", "training", "train")

    with claimed_folder(run):
        refuse_another(config, run)
        begin_run(config, run)
        _carry_out(config, run, Course(notify, on_epoch, callbacks, finish=False))
    return run / BEST_WEIGHTS_NAME


def resume(run: Path, config: Config, course: Course, epochs: int | None = None, settings: Sequence[str] = ()) -> None:
    """Go on with a run that was stopped, at whatever stage; the configuration is its own.

    More `epochs` lengthen it, where that is what it would have been with so many; `settings` ('key=value') change what
    follows the training, which is then done anew. Raises UserError for what would be another training.
    """
    require_settings(settings, course.finish)
    require_extra("torch", "training", "train")
    refuse_strange(run)
    with claimed_folder(run):
        longer = config if epochs is None else lengthen(run, config, epochs)
        settled = settle(longer, run, settings) if settings else longer
        changes = partial(_keep_changes, run, epochs, settings)
        _carry_out(settled, run, replace(course, on_ready=course.on_ready or changes))


def _keep_changes(run: Path, epochs: int | None, settings: Sequence[str], notify: Notify) -> None:
    if epochs is not None:
        keep_length(run, epochs, notify)
    if settings:
        keep_settings(run, settings, notify)


def find_learning_rate(config: Config, output: Path, notify: Notify) -> float | None:
    """Try rising learning rates on the training cases; returns the rate to train with, None where none is good.

    Writes `learning_rate.csv` and `learning_rate.html` to `output` and keeps no weights. Raises UserError where
    `output` exists.
    """
    require_extra("torch", "training", "train")
    from tumorline.training.rate_finder import RULE, find_rate

    if output.exists():
        raise UserError(f"{output}: exists already; choose another --output")
    with _tried_out(config, output, notify) as (task, machine):
        test = find_rate(task, machine)
        if machine.leads:
            write_learning_rate(
                {
                    "name": config.name,
                    "rule": RULE,
                    "rates": test.rates,
                    "losses": test.losses,
                    "smoothed": test.smoothed,
                    "suggestion": test.suggestion,
                    "diverged": test.diverged,
                },
                output,
            )
    return test.suggestion


def measure_pace(config: Config) -> "Pace":
    """Train a few steps to see how long it will take; nothing is kept but the decoded images.

    Raises UserError for data or configuration that cannot be used.
    """
    require_extra("torch", "training", "train")
    from tumorline.training.pace import measure_pace

    with TemporaryDirectory() as nowhere, _tried_out(config, Path(nowhere), silent) as (task, machine):
        return measure_pace(task, machine)


@contextmanager
def _tried_out(config: Config, output: Path, notify: Notify) -> "Iterator[tuple[Task, Machine]]":
    """A training that is ready to begin, and the machine for it."""
    from tumorline.training.machine import open_machine
    from tumorline.training.task import Task

    check_model(config)
    with open_machine(config.train) as machine:
        dataset, split = prepare_data(config, notify if machine.leads else silent)
        require_memory(config, dataset, split, machine)
        yield Task(config, dataset, split, output), machine


def _carry_out(config: Config, run: Path, course: Course) -> None:
    from tumorline.training.loop import fit
    from tumorline.training.machine import open_machine
    from tumorline.training.task import Task

    check_model(config, begun=(run / STATE_NAME).exists())
    callbacks = [*make_callbacks(config.train.callbacks), *course.callbacks]
    with (
        open_machine(config.train) as machine,
        _heard(run, course, callbacks if machine.leads else None) as (notify, listeners),
    ):
        dataset, split = _accepted_data(config, notify, begun=(run / STATE_NAME).exists())
        require_memory(config, dataset, split, machine)
        if machine.leads and course.on_ready is not None:
            course.on_ready(notify)
        earlier = tuple(earlier_lengths(run, config)) if machine.leads else ()
        folder, earlier = Path(machine.gather(str(run))[0]), tuple(machine.gather(earlier)[0])
        task = Task(config, dataset, split, folder, earlier, notify)
        if machine.leads:
            write_csv(task.run / SPLIT_NAME, SPLIT_COLUMNS, split_table(dataset, split))
        state = fit(task, machine, _both(listeners, course.on_epoch), listeners.begin(task.run, config))
        if machine.leads:
            write_environment(task, machine, state.network)
        if machine.leads and course.finish and (summary := finish_run(task, notify)):
            listeners.tell("on_test", summary.to_json())


def _accepted_data(config: Config, notify: Notify, begun: bool) -> tuple[Dataset, Split]:
    """The data of a training, where no other model that takes part in it has seen what is held out."""
    with kept_off_files():
        dataset, split = prepare_data(config, notify)
    origin = origin_of(config)
    refuse_seen_before("model.start_from", origin, dataset, split)
    if not begun:
        note_other_start(origin, dataset, notify)
    refuse_seen_before("loss.teacher", teacher_of(config), dataset, split)
    return dataset, split


@contextmanager
def _heard(run: Path, course: Course, callbacks: Sequence[Callback] | None) -> Iterator[tuple[Notify, Listeners]]:
    """What is said within goes to the log, and to the callbacks; None stands for a process that does not lead."""
    if callbacks is None:
        yield silent, Listeners((), silent)
        return
    began = time.monotonic()
    notify = logging_too(run, course.notify)
    begin_log(run)
    listeners = Listeners(callbacks, notify)
    with logged_end(run), logged_warnings(run), listeners.listening("finished" if course.finish else "trained"):
        yield notify, listeners
    append_log(run, f"done after {(time.monotonic() - began) / 60:.1f} minutes")


def _both(listeners: Listeners, on_epoch: OnEpoch | None) -> OnEpoch:
    """The callbacks hear of an epoch first: what `on_epoch` raises ends the training."""

    def tell(row: EpochRow) -> None:
        listeners.tell("on_epoch", row)
        if on_epoch is not None:
            on_epoch(row)

    return tell
