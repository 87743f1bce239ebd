"""The weights that a training begins with, and those that validation has chosen."""

import copy
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from tumorline import models
from tumorline.config import TrainConfig
from tumorline.errors import Diverged, UserError
from tumorline.file_names import BEST_WEIGHTS_NAME, STATE_NAME
from tumorline.model_file import read_origin, weights_file
from tumorline.network_input.windows import input_of, places_of_channels
from tumorline.training.depthwise import compute_depthwise_in_float32
from tumorline.training.divergence import all_finite
from tumorline.training.machine import Machine
from tumorline.training.memory import network_shape
from tumorline.training.optimiser import build_optimiser
from tumorline.training.shared_norm import share_batch_statistics
from tumorline.training.state import Position, State
from tumorline.training.task import Task
from tumorline.training.tensor_file import CURE, read_tensors
from tumorline.user_text import written_path
from tumorline.wording import some_of

BEST_KEY = "fingerprint"
CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}
"""By the number of axes of a batch."""


def read_best(task: Task) -> dict[str, Tensor]:
    """The weights that validation has chosen. Raises UserError where they are damaged or of another training."""
    path = task.run / BEST_WEIGHTS_NAME
    fingerprint, weights = read_tensors(path, BEST_KEY)
    if fingerprint not in {"", *task.fingerprints()}:
        raise UserError(f"{path}: the best weights of another training; {CURE}")
    if not all_finite(weights.values()):
        raise Diverged(f"{path}: its weights are not finite, the training had diverged; start a new run")
    return weights


def start(task: Task, machine: Machine) -> State:
    """A new network with average, optimiser and position, or those that the run folder holds."""
    config = task.config
    torch.manual_seed(config.seed)
    architecture, path, shape = config.model, task.run / STATE_NAME, network_shape(task.dataset)
    begun, options = path.exists(), config.network_options
    network = models.build(
        architecture.name,
        channels=shape.channels,
        regions=shape.regions,
        options=models.without_weights(architecture.name, options) if begun else options,
    ).to(machine.device)
    if architecture.start_from and not begun:
        _start_from(written_path(architecture.start_from), network, task)
    if not all_finite(network.state_dict().values()):
        raise UserError("the weights that the training starts from are not finite; give others as model.start_from")
    if config.train.channels_last:
        network = network.to(memory_format=CHANNELS_LAST[2 + config.dims])  # type: ignore[call-overload]
    average = copy.deepcopy(network).requires_grad_(False)
    state = State(network, average, build_optimiser(network, config.train), Position(task.fingerprint()))
    if begun:
        state.load(path, task.fingerprints())
    return state


def _start_from(source: Path, network: nn.Module, task: Task) -> None:
    """Take over the weights of another model, and say which the network does not find there."""
    weights = models.read_weights(weights_file(source))
    anew = models.start_from(network, weights, _change_of_input(source, task))
    models.open_gate(network)
    if anew:
        task.notify(
            f"warning: model.start_from: {len(anew)} of the {len(network.state_dict())} weights of this network are "
            f"not in '{source.name}', or not of this shape, and begin anew: {some_of(anew, 3)}"
        )


def _change_of_input(source: Path, task: Task) -> models.InputChange:
    """Between the model that the training starts from and this one; of a bare file of weights nothing is known."""
    origin, spec = read_origin(source), input_of(task.dataset)
    if origin is None:
        return models.InputChange()
    before = origin.input
    return models.InputChange(places_of_channels(before.channels, spec.channels), (before.depth, spec.depth))


def wrap_network(network: nn.Module, settings: TrainConfig, machine: Machine) -> nn.Module:
    if machine.world > 1:
        share_batch_statistics(network)
    if machine.bfloat16 and machine.device.type == "cpu":
        compute_depthwise_in_float32(network)
    wrapped: nn.Module = torch.compile(network) if settings.compile else network  # type: ignore[assignment]
    if machine.world == 1:
        return wrapped
    return DistributedDataParallel(wrapped, find_unused_parameters=settings.freeze_epochs > 0)
