"""A run from its configuration to its report: check, split, fit, export, evaluate, report.

Each stage leaves whole files in the run folder; resuming a run goes on where it was stopped.
"""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorline import environment
from tumorline.audit.check import check, errors, stop_on_errors
from tumorline.callbacks import Callback, Listeners, make_callbacks
from tumorline.config import Config
from tumorline.data import split as splits
from tumorline.data.dataset import Dataset
from tumorline.data.joined import case_reader, load_data
from tumorline.data.split import Split, split_dataset
from tumorline.errors import Diverged, UserError, require_extra
from tumorline.evaluation import operating_point
from tumorline.evaluation.choose_postprocessing import choose_postprocessing
from tumorline.evaluation.precision import describe_changes, measure_precisions, with_precisions
from tumorline.evaluation.scoring import evaluate
from tumorline.evaluation.status import SEEN, Request, case_status
from tumorline.evaluation.subsets import AFTER_TRAINING, add_subsets
from tumorline.evaluation.weaknesses import operating_weaknesses
from tumorline.files import (
    alone_in,
    append_line,
    is_leftover,
    refuse_links_outside,
    remove_content,
    remove_unfinished,
    write_csv,
    write_json,
)
from tumorline.inference.model import load
from tumorline.inference.post import describe_postprocessing
from tumorline.lengthening import earlier_lengths, lengthen
from tumorline.model_file import ModelInfo, Weights, known_images, save_model, stored, with_figures
from tumorline.network_input.windows import count_slices, count_windows, input_of
from tumorline.output_folder import amended
from tumorline.progress import Notify, minutely, silent
from tumorline.provenance import model_info, origin_of
from tumorline.report import write_bare_card, write_card, write_report
from tumorline.report.learning_rate import write_learning_rate
from tumorline.report.run_images import run_images
from tumorline.results import Summary
from tumorline.run_folder import (
    CONFIG_NAME,
    ENVIRONMENT_NAME,
    LOG_NAME,
    ONNX_NAME,
    REPORT_NAME,
    SPLIT_NAME,
    STATE_NAME,
    SUMMARY_NAME,
    TEST_USES_NAME,
    WEIGHTS_NAME,
    read_config,
    read_history,
    save_config,
)
from tumorline.run_log import append_log, begin_log, logged_end, logged_warnings, logging_too
from tumorline.wording import is_or_are, numbered

if TYPE_CHECKING:
    from torch import nn

    from tumorline.training.gate import Gate
    from tumorline.training.loop import Task
    from tumorline.training.machine import Machine


def train(config: Config, run: Path, notify: Notify, callbacks: Sequence[Callback] = ()) -> None:
    """Train, evaluate and report in a new run folder; an existing one is never overwritten.

    Raises UserError for data or configuration that cannot be used; nothing is then left behind.
    """
    require_extra("torch", "training", "train")
    _refuse_existing(run)
    with _claimed(run):
        _refuse_existing(run)
        _begin(config, run)
        _carry_out(config, run, Course(notify, callbacks=callbacks))


def fit_only(
    config: Config,
    run: Path,
    notify: Notify,
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path:
    """Train without a look at the test part, going on where the folder holds a state; returns the best weights.

    Leaves what `train` leaves before the export: configuration, split, history, state, best weights, environment.
    `on_epoch` gets each finished epoch's row of the history; what it raises ends the training, whose state is saved.
    `resume` finishes such a folder. Raises UserError for a folder of another configuration.
    """
    require_extra("torch", "training", "train")
    from tumorline.run_folder import BEST_WEIGHTS_NAME

    with _claimed(run):
        _refuse_another(config, run)
        _begin(config, run)
        _carry_out(config, run, Course(notify, on_epoch, callbacks, finish=False))
    return run / BEST_WEIGHTS_NAME


def resume(
    run: Path,
    config: Config,
    notify: Notify,
    callbacks: Sequence[Callback] = (),
    epochs: int | None = None,
    test: bool = True,
) -> None:
    """Go on with a run that was stopped, at whatever stage; the configuration is its own.

    More `epochs` lengthen it, where that is what it would have been with so many. Raises UserError where it is not.
    """
    require_extra("torch", "training", "train")
    _refuse_strange(run)
    with _claimed(run):
        longer = _lengthened(config, run, epochs, notify)
        _carry_out(longer, run, Course(notify, callbacks=callbacks, finish=test))


def render_report(run: Path, config: Config | None = None) -> Path:
    """Write `report.html` of a finished run; the case pictures need the source to be where and as it was.

    Without a configuration it is the one in the folder, which may come from anyone.
    """
    refuse_links_outside(run)
    if config:
        with amended(run):
            return write_report(run, case_reader(config, known_images(run)))
    with amended(run), run_images(run) as reader:
        return write_report(run, reader)


def find_learning_rate(config: Config, output: Path, notify: Notify) -> float | None:
    """Try rising learning rates on the training cases; returns the rate to train with, None where none is good.

    Writes `learning_rate.csv` and `learning_rate.html` to `output` and keeps no weights. Raises UserError where
    `output` exists.
    """
    require_extra("torch", "training", "train")
    from tumorline.training.loop import Task
    from tumorline.training.machine import machine
    from tumorline.training.rate_finder import RULE, find_rate

    if output.exists():
        raise UserError(f"{output}: exists already; choose another --output")
    check_model(config)
    with machine(config.train) as place:
        dataset, split = _prepare(config, notify if place.leads else silent)
        _require_memory(config, dataset, split, place)
        found = find_rate(Task(config, dataset, split, output), place)
        if place.leads:
            write_learning_rate(asdict(found) | {"name": config.name, "rule": RULE}, output)
    return found.suggestion


def _refuse_existing(run: Path) -> None:
    """Raise UserError for a folder that holds anything, or where a file has its name."""
    if _is_first_process() and (run.is_file() or _holds_anything(run)):
        raise UserError(f"{run}: exists already; choose another --output, or go on with --resume {run}")


def _refuse_another(config: Config, run: Path) -> None:
    """Raise UserError for a folder that holds anything but a run of this configuration."""
    if not (run / CONFIG_NAME).exists():
        _refuse_existing(run)
    elif _is_first_process() and _without_cache(read_config(run)) != _without_cache(config):
        raise UserError(f"{run}: holds a training of another configuration; choose another --output")
    _refuse_strange(run)


def _without_cache(config: Config) -> dict[str, Any]:
    return config.model_dump(exclude={"data": {"cache"}})


def _refuse_strange(run: Path) -> None:
    """Raise UserError for a folder that has a configuration and other things, but nothing that a training leaves."""
    traces = (LOG_NAME, SPLIT_NAME, STATE_NAME, ENVIRONMENT_NAME)
    if not _is_first_process() or any((run / name).exists() for name in traces):
        return
    names = [path.name for path in run.glob("*") if not is_leftover(path)]
    if strange := sorted(set(names) - {CONFIG_NAME}):
        raise UserError(f"{run}: holds {strange[0]} and nothing that a training leaves; choose another --output")


def _begin(config: Config, run: Path) -> None:
    """The first file of a run, written by the one that has claimed the folder."""
    if _is_first_process() and not (run / CONFIG_NAME).exists():
        save_config(config, run)


def _holds_anything(run: Path) -> bool:
    """Anything but what a process leaves that is killed before it begins."""
    return any(not is_leftover(path) for path in run.glob("*"))


@contextmanager
def _claimed(run: Path) -> Iterator[None]:
    """No other training works in the folder meanwhile.

    What was empty before is gone after an error of the user, unless something was trained; where the training diverged
    it stays, with the log that says so.
    """
    if not _is_first_process():
        yield
        return
    try:
        with alone_in(run), _emptied_at_error(run, keep=_holds_anything(run)):
            yield
    finally:
        with suppress(OSError):  # it is not empty
            run.rmdir()


@contextmanager
def _emptied_at_error(run: Path, keep: bool) -> Iterator[None]:
    remove_unfinished(run)
    try:
        yield
    except Diverged:
        raise
    except UserError:
        if not keep and not (run / STATE_NAME).exists():
            remove_content(run)
        raise


@dataclass(frozen=True)
class Course:
    """How far a training goes, and who hears of it."""

    notify: Notify
    on_epoch: Callable[[Mapping[str, Any]], None] | None = None
    callbacks: Sequence[Callback] = ()
    finish: bool = True
    """Whether the test part is looked at."""


def _carry_out(config: Config, run: Path, course: Course) -> None:
    from tumorline.training.loop import Task, fit
    from tumorline.training.machine import machine

    check_model(config, begun=(run / STATE_NAME).exists())
    callbacks = [*make_callbacks(config.train.callbacks), *course.callbacks]
    with machine(config.train) as place, _heard(run, course, callbacks if place.leads else None) as (notify, listeners):
        dataset, split = _prepare(config, notify)
        _refuse_seen_before(origin_of(config), dataset, split)
        _require_memory(config, dataset, split, place)
        earlier = tuple(earlier_lengths(run, config)) if place.leads else ()
        task = Task(config, dataset, split, Path(place.gather(str(run))[0]), tuple(place.gather(earlier)[0]))
        if place.leads:
            write_csv(task.run / SPLIT_NAME, splits.COLUMNS, splits.split_table(dataset, split))
        state = fit(task, place, _both(listeners, course.on_epoch), listeners.begin(task.run, config))
        if place.leads:
            _write_environment(task, place, state.network)
        if place.leads and course.finish and (summary := _finish(task, notify)):
            listeners.tell("on_test", summary.to_json())


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


def _both(
    listeners: Listeners, on_epoch: Callable[[Mapping[str, Any]], None] | None
) -> Callable[[Mapping[str, Any]], None]:
    """The callbacks hear of an epoch first: what `on_epoch` raises ends the training."""

    def tell(row: Mapping[str, Any]) -> None:
        listeners.tell("on_epoch", row)
        if on_epoch is not None:
            on_epoch(row)

    return tell


def _lengthened(config: Config, run: Path, epochs: int | None, notify: Notify) -> Config:
    """With so many epochs, which is then said."""
    longer = config if epochs is None else lengthen(run, config, epochs, _is_first_process())
    if longer != config and _is_first_process():
        before, after = config.train, longer.train
        warmup = "" if after.warmup == before.warmup else f", train.warmup {before.warmup} to {after.warmup}"
        again = "; its test part will be looked at once more" if (run / TEST_USES_NAME).exists() else ""
        said = f"lengthened: train.epochs {before.epochs} to {after.epochs}{warmup}{again}"
        logging_too(run, notify)(said)
    return longer


def check_model(config: Config, begun: bool = False) -> None:
    """Raise UserError for a network, its weights or a loss that cannot be had, before the data are read."""
    from tumorline import losses, models

    models.check_options(config.model.name, config.model.options)
    if config.model.options.get("dims", config.dims) != config.dims:
        cure = "give data.window" if config.dims == 2 else "leave data.window out"
        raise UserError(
            f"model.options.dims is {config.model.options['dims']}; {cure} where the network is to see that"
        )
    if config.dims == 3:
        models.check_takes_volumes(config.model.name)
    if not begun:
        models.check_weights(config.model.name, config.network_options)
    if not config.split.validates and config.model.options.get("presence") and config.model.gate == "validation":
        why = config.split.why_nobody_validates
        raise UserError(f"{why}, so that nothing is left to choose model.gate on; give a number")
    losses.build(config.loss)


def _prepare(config: Config, notify: Notify) -> tuple[Dataset, Split]:
    """Load, split and check the data; stop on errors, say the warnings."""
    dataset = load_data(config, minutely("decoding", notify))
    stop_on_errors(errors(dataset))
    _refuse_context_of_pictures(dataset)
    if config.augment.channel_dropout:
        _refuse_dropout_of_nameless(dataset)
    split = split_dataset(dataset, config.split)
    findings = check(dataset, split)
    stop_on_errors(findings)
    for finding in findings:
        if finding.severity == "warning":
            notify(f"warning: {finding.message}")
    sizes = ", ".join(f"{len(split.cases(part))} {part}" for part in splits.PARTS)
    notify(f"{dataset.source.path}: {numbered(len(dataset.cases), 'case')} ({sizes}), {split.origin}")
    if (images := count_windows(dataset, split.cases("train"))) < config.train.batch_size:
        notify(
            f"train.batch_size is {config.train.batch_size}, but there {is_or_are(images)} "
            f"{numbered(images, 'training image')}: one batch is all"
        )
    return dataset, split


def _refuse_context_of_pictures(dataset: Dataset) -> None:
    """Raise UserError where neighbouring slices are asked for and no case has any."""
    settings = dataset.settings
    if settings.context and all(count_slices(facts.shape, settings.axis) == 1 for facts in dataset.facts):
        raise UserError(
            f"data.context is {settings.context}, but the cases of {dataset.source.path} are pictures, which have no "
            "neighbouring slices; leave it out, or give volumes"
        )


def _refuse_dropout_of_nameless(dataset: Dataset) -> None:
    """Raise UserError where channels are to be absent from training samples, and there are not several with names."""
    if len(input_of(dataset).channels) < 2:
        raise UserError(
            f"augment.channel_dropout is for several channels with names; {dataset.source.path} is read with "
            f"{numbered(dataset.channels, 'channel')}: choose them as data.channels, or leave it out"
        )


def _require_memory(config: Config, dataset: Dataset, split: Split, place: "Machine") -> None:
    from tumorline.training.memory import network_shape, require_memory

    images = count_windows(dataset, split.cases("train"))
    batch = min(config.train.batch_size, config.train.epoch_images or images, images)
    require_memory(config, network_shape(dataset), max(1, batch // place.world), place.device)


def _refuse_seen_before(origin: ModelInfo | None, dataset: Dataset, split: Split) -> None:
    """Raise UserError where the model to start from was trained or tuned on what is held out here."""
    if origin is None:
        return
    status = case_status(origin, dataset)
    held_out = [*split.cases("validation"), *split.cases("test")]
    seen = [name for name in held_out if status[name] in SEEN]
    if seen:
        raise UserError(
            f"model.start_from: '{origin.name}' was trained or tuned on {len(seen)} of the {len(held_out)} validation "
            "and test cases of this split; train it with the same split, or start from another model"
        )


def _finish(task: "Task", notify: Notify) -> Summary | None:
    """From the best weights to model file, ONNX, evaluation and report; None where nobody is left to evaluate on."""
    from tumorline.export import export_onnx, stamp_onnx
    from tumorline.training.loop import read_best

    run = task.run
    for name in (REPORT_NAME, SUMMARY_NAME):  # of a shorter training
        (run / name).unlink(missing_ok=True)
    notify(f"writing {WEIGHTS_NAME} and its twin {ONNX_NAME}")
    best = {name: tensor.numpy() for name, tensor in read_best(task).items()}
    weights = stored(best, task.config.model.storage)
    info = model_info(task)
    save_model(run / WEIGHTS_NAME, weights, info)
    export_onnx(run / WEIGHTS_NAME, run / ONNX_NAME)
    info = _with_operating_point(info, task)
    chosen_on = "from the validation patients" if task.config.split.validates else "from the recipe"
    notify(f"{_operating_points(info)} {chosen_on}")
    for weakness in operating_weaknesses(info):
        notify(f"warning: {weakness.text}")
    info, weights = _with_gate(info, weights, task, notify)
    info = _with_postprocessing(info, task, notify)
    info = _with_precisions(info, task, notify)
    save_model(run / WEIGHTS_NAME, weights, info)
    stamp_onnx(run / WEIGHTS_NAME)
    if task.config.split.trains_on_all:
        notify("all patients have trained: none is left to test; its figures are those of the folds of the recipe")
        write_bare_card(run)
        return None
    who = "validation and test patients" if task.config.split.validates else "the test patients"
    notify(f"evaluating {who} at native resolution")
    request = Request(task.dataset, run, include=("validation", "test", "unseen"))
    summary = evaluate(load(run), request, minutely("evaluating", notify))
    if info.input.may_lack_channels:
        notify("evaluating them with each subset of their channels")
        summary = add_subsets(load(run), request, summary, AFTER_TRAINING)
    save_model(run / WEIGHTS_NAME, weights, with_figures(info, summary))
    stamp_onnx(run / WEIGHTS_NAME)
    append_line(run / TEST_USES_NAME, {"by": "train", "cases": summary.case_status})
    write_card(run)
    render_report(run, task.config)
    return summary


def _operating_points(info: ModelInfo) -> str:
    points = zip(info.regions, info.temperatures, info.thresholds, strict=True)
    named = [(region, f"temperature {divisor:.2f} and threshold {least:.2f}") for region, divisor, least in points]
    return named[0][1] if len(named) == 1 else ", ".join(f"{region}: {point}" for region, point in named)


def _with_operating_point(info: ModelInfo, task: "Task") -> ModelInfo:
    cases = task.split.cases("validation")
    wanted = task.config.model.threshold, task.config.model.temperature
    points = operating_point.choose_operating_points(load(task.run), task.dataset, cases, *wanted)
    return operating_point.with_operating_points(info, points)


def _weighed(gate: "Gate") -> str:
    """What a gate does to the validation windows."""
    (dice, dice_gated), (empty, empty_gated) = gate.dice, gate.left_empty
    return (
        f"; on the validation windows Dice {dice:.3f} -> {dice_gated:.3f}, images without a tumour left empty "
        f"{empty:.1%} -> {empty_gated:.1%}"
    )


def _with_gate(info: ModelInfo, weights: Weights, task: "Task", notify: Notify) -> tuple[ModelInfo, Weights]:
    """The same with the gate of the presence head, where the network has one; both files are written anew then."""
    from tumorline import models
    from tumorline.export import export_onnx
    from tumorline.network_file import load_network
    from tumorline.training.gate import choose_gates, describe_gates, open_windows

    if "gate" not in weights:
        return info, weights
    network, _ = load_network(task.run / WEIGHTS_NAME)
    if not models.has_presence(network):
        return info, weights
    cases = task.split.cases("validation")
    gates = choose_gates(network, open_windows(task.dataset), task.dataset, cases, info, task.config.model.gate)
    for region, gate in zip(info.regions, gates, strict=True):
        notify(f"{region}: masks are empty below a presence of {gate.probability:.2f}{_weighed(gate) if cases else ''}")
    info = info.model_copy(update={"metrics": {**info.metrics, "presence_gate": describe_gates(info, gates)}})
    weights = {**weights, "gate": np.array([gate.logit for gate in gates], np.float32)}
    save_model(task.run / WEIGHTS_NAME, weights, info)
    export_onnx(task.run / WEIGHTS_NAME, task.run / ONNX_NAME)
    return info, weights


def _with_postprocessing(info: ModelInfo, task: "Task", notify: Notify) -> ModelInfo:
    """The limits that the configuration states, or those that the validation patients choose."""
    settings = task.config.model.postprocessing
    if not settings.choose:
        return info.model_copy(update={"postprocessing": settings.fixed})
    model = replace(load(task.run), info=info)
    limits = choose_postprocessing(model, task.dataset, task.split.cases("validation"))
    said = describe_postprocessing(info.regions, limits.postprocessing) or "none"
    notify(f"post-processing from the validation patients: {said}")
    metrics = {**info.metrics, "postprocessing": {"chosen": "validation", "dice": limits.dice}}
    return info.model_copy(update={"postprocessing": limits.postprocessing, "metrics": metrics})


def _with_precisions(info: ModelInfo, task: "Task", notify: Notify) -> ModelInfo:
    """What the validation patients say of the precisions in which this machine computes."""
    model = replace(load(task.run), info=info)
    changes = measure_precisions(model, task.dataset, task.split.cases("validation"))
    for said in describe_changes(changes):
        notify(said)
    return with_precisions(info, changes)


def _write_environment(task: "Task", place: "Machine", network: "nn.Module") -> None:
    from tumorline import models
    from tumorline.training.machine import peak_memory_mb
    from tumorline.training.memory import network_shape

    model, window = task.config.model, task.config.data.window
    space = [window] if window else []  # of slices 256 x 256, at whatever size it is trained
    steps_seconds = sum(float(row["seconds"]) for row in read_history(task.run, ["seconds"]))
    write_json(
        task.run / ENVIRONMENT_NAME,
        {
            "versions": environment.versions(),
            "machine": environment.machine(),
            "device": str(place.device),
            "processes": place.world,
            "precision": "bfloat16 autocast" if place.bfloat16 else "float32",
            "seconds_of_training_steps": round(steps_seconds, 1),
            "peak_memory_mb": round(peak_memory_mb(place.device)),
            "parameters": models.count_parameters(network),
            "multiply_adds": models.multiply_adds(network, network_shape(task.dataset).channels, *space),
            "initialisation": model.start_from or models.initialisation(model.name, model.options),
        },
    )


def _is_first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"
