"""From the best weights to a finished run: model file, ONNX, what validation chooses, evaluation and report."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tumorline import environment
from tumorline.config import bare_name
from tumorline.evaluation import operating_point
from tumorline.evaluation.choose_postprocessing import choose_postprocessing
from tumorline.evaluation.precision import describe_changes, measure_precisions, with_precisions
from tumorline.evaluation.scoring import evaluate
from tumorline.evaluation.status import Request
from tumorline.evaluation.subsets import AFTER_TRAINING, add_subsets
from tumorline.evaluation.weaknesses import operating_weaknesses
from tumorline.file_names import ENVIRONMENT_NAME, ONNX_NAME, REPORT_NAME, SUMMARY_NAME, TEST_USES_NAME, WEIGHTS_NAME
from tumorline.files import append_line, write_json
from tumorline.inference.model import load
from tumorline.inference.post import describe_postprocessing
from tumorline.model_file import Weights, save_model, stored, with_figures
from tumorline.model_info import ChosenLimits, ModelInfo
from tumorline.progress import Notify, minutely
from tumorline.report import write_bare_card, write_card
from tumorline.results import Summary
from tumorline.run.provenance import model_info
from tumorline.run.rendering import render_report
from tumorline.run_folder import read_history
from tumorline.wording import numbered

if TYPE_CHECKING:
    from torch import nn

    from tumorline.training.gate import Gate
    from tumorline.training.machine import Machine
    from tumorline.training.task import Task


def finish_run(task: "Task", notify: Notify) -> Summary | None:
    """From the best weights to model file, ONNX, evaluation and report; None where nobody is left to evaluate on."""
    run = task.run
    for name in (REPORT_NAME, SUMMARY_NAME):  # of a shorter training
        (run / name).unlink(missing_ok=True)
    info, weights = _finish_model(task, notify)
    if task.config.split.trains_on_all:
        notify("all patients have trained: none is left to test; its figures are those of the folds of the recipe")
        write_bare_card(run)
        return None
    summary = _evaluate(task, info, notify)
    _save_stamped(run, weights, with_figures(info, summary))
    append_line(run / TEST_USES_NAME, {"by": "train", "cases": summary.case_status})
    write_card(run)
    render_report(run, task.config)
    return summary


def _finish_model(task: "Task", notify: Notify) -> tuple[ModelInfo, Weights]:
    """Write model file and ONNX, with all that the validation patients choose."""
    from tumorline.export import export_onnx
    from tumorline.training.weights import read_best

    run = task.run
    notify(f"writing {WEIGHTS_NAME} and its twin {ONNX_NAME}")
    best = {name: tensor.numpy() for name, tensor in read_best(task).items()}
    weights = stored(best, task.config.model.storage)
    info = model_info(task)
    save_model(run / WEIGHTS_NAME, weights, info)
    export_onnx(run / WEIGHTS_NAME, run / ONNX_NAME)
    info = _with_operating_point(info, task)
    notify(_operating_points(info))
    for weakness in operating_weaknesses(info):
        notify(f"warning: {weakness.text}")
    info, weights = _with_gate(info, weights, task, notify)
    info = _with_postprocessing(info, task, notify)
    info = _with_precisions(info, task, notify)
    _save_stamped(run, weights, info)
    return info, weights


def _save_stamped(run: Path, weights: Weights, info: ModelInfo) -> None:
    """Both files of a model, which belong together."""
    from tumorline.export import stamp_onnx

    save_model(run / WEIGHTS_NAME, weights, info)
    stamp_onnx(run / WEIGHTS_NAME)


def _evaluate(task: "Task", info: ModelInfo, notify: Notify) -> Summary:
    who = "validation and test patients" if task.config.split.validates else "the test patients"
    request = Request(task.dataset, task.run, include=("validation", "test"), parts=task.split.parts)
    of_no_part = f"; {numbered(len(request.left_out), 'case')} in no part of the split" if request.left_out else ""
    notify(f"evaluating {who} at native resolution{of_no_part}")
    model = load(task.run)
    summary = evaluate(model, request, minutely("evaluating", notify))
    if info.input.may_lack_channels:
        notify("evaluating them with each subset of their channels")
        summary = add_subsets(model, request, summary, AFTER_TRAINING)
    return summary


def _operating_points(info: ModelInfo) -> str:
    """Of each region, and from whom."""
    stated = info.states_temperature, info.states_threshold
    temperature_from, threshold_from = (
        "from the recipe" if is_stated else "from the validation patients" for is_stated in stated
    )
    between = f" {temperature_from}" if temperature_from != threshold_from else ""
    points = zip(info.regions, info.temperatures, info.thresholds, strict=True)
    named = [
        (region, f"temperature {divisor:.2f}{between} and threshold {least:.2f}") for region, divisor, least in points
    ]
    text = named[0][1] if len(named) == 1 else ", ".join(f"{region}: {point}" for region, point in named)
    return f"{text} {threshold_from}"


def _with_operating_point(info: ModelInfo, task: "Task") -> ModelInfo:
    cases = task.split.cases("validation")
    wanted = task.config.model.threshold, task.config.model.temperature
    points = operating_point.choose_operating_points(load(task.run), task.dataset, cases, *wanted)
    return operating_point.with_operating_points(info, points)


def _said_of(gate: "Gate") -> str:
    if not gate.probability:
        return "the gate of presence is open"
    return f"masks are empty below a presence of {gate.probability:.2f}"


def _weighed(gate: "Gate") -> str:
    """What a gate does to the validation windows."""
    (dice, dice_gated), (empty, empty_gated) = gate.dice, gate.left_empty
    return (
        f"; on the validation windows Dice {dice:.3f} -> {dice_gated:.3f}, images without it left empty "
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
        notify(f"{region}: {_said_of(gate)}{_weighed(gate) if cases else ''}")
    info = info.with_metrics(presence_gate=describe_gates(info, gates))
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
    description = describe_postprocessing(info.regions, limits.postprocessing) or "none"
    notify(f"post-processing from the validation patients: {description}")
    chosen = ChosenLimits(chosen="validation", dice=limits.dice)
    return info.model_copy(update={"postprocessing": limits.postprocessing}).with_metrics(postprocessing=chosen)


def _with_precisions(info: ModelInfo, task: "Task", notify: Notify) -> ModelInfo:
    """What the validation patients say of the precisions in which this machine computes."""
    model = replace(load(task.run), info=info)
    changes = measure_precisions(model, task.dataset, task.split.cases("validation"))
    for sentence in describe_changes(changes):
        notify(sentence)
    return with_precisions(info, changes)


def write_environment(task: "Task", machine: "Machine", network: "nn.Module") -> None:
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
            "device": str(machine.device),
            "processes": machine.world,
            "precision": "bfloat16 autocast" if machine.bfloat16 else "float32",
            "seconds_of_training_steps": round(steps_seconds, 1),
            "peak_memory_mb": round(peak_memory_mb(machine.device)),
            "parameters": models.count_parameters(network),
            "multiply_adds": models.multiply_adds(network, network_shape(task.dataset).channels, *space),
            "output_stride": models.output_stride(network, network_shape(task.dataset).channels, *space),
            "initialisation": bare_name(model.start_from or models.initialisation(model.name, model.options)),
        },
    )
