"""What a training takes of the memory, found before anything of it is built: tensors without values take none."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from tumorline import models
from tumorline.config import Config
from tumorline.data.dataset import Dataset
from tumorline.errors import UserError
from tumorline.network_input.windows import input_of
from tumorline.training.depthwise import compute_depthwise_in_float32
from tumorline.training.machine import AUTOCAST_DTYPE, Machine

COPIES = 5
"""Of the weights in training: themselves, gradients, average, and the optimiser's two moments."""
PROBE = 2
"""Images of the batch that is measured; batch norm needs two."""
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much of the memory a container may use."""


class NetworkShape(NamedTuple):
    """What a data set asks of a network."""

    channels: int
    """Those of the image, times the slices that are seen at once."""
    regions: int


def network_shape(dataset: Dataset) -> NetworkShape:
    return NetworkShape(dataset.channels * input_of(dataset).depth, len(dataset.regions))


def require_memory(config: Config, shape: NetworkShape, batch: int, machine: Machine) -> None:
    """Raise UserError where the weights, or a batch of so many images, are larger than the device's whole memory.

    A network that cannot be measured is not refused.
    """
    memory, total = measure(config, shape, machine), total_memory(machine.device)
    if memory is None or total is None:
        return
    weights, image = memory
    needed = weights + batch * image
    there_are = f"and there are {_in_words(total)}; lower"
    if weights > total:
        raise UserError(
            f"model.options of '{config.model.name}' are {config.model.options}: the weights take about "
            f"{_in_words(weights)} in training {there_are} the widths"
        )
    if needed > total:
        key, size = ("data.window" if config.data.window else "data.image_size"), config.network_size[-1]
        raise UserError(
            f"{key} is {config.data.window or size} and train.batch_size {batch}: a batch takes about "
            f"{_in_words(needed)} {there_are} {key}, train.batch_size or the widths in model.options"
        )


def measure(config: Config, shape: NetworkShape, machine: Machine) -> tuple[int, int] | None:
    """Bytes of the weights with all their copies, and of what one image leaves for the backward pass.

    None for a network that cannot be built or run without values; what cannot be run so in bfloat16 is measured in
    float32.
    """
    model = config.model
    options = models.without_weights(model.name, config.network_options)
    try:
        with torch.device("meta"), _RatesHaveValues():
            network = models.build(model.name, channels=shape.channels, regions=shape.regions, options=options)
            kept = _kept_bytes(network.train(), torch.zeros(PROBE, shape.channels, *config.network_size))
    except Exception:  # whatever a network of others does with tensors that have no values
        return None
    weights = COPIES * sum(weight.nbytes for weight in network.parameters())
    if machine.bfloat16:
        with suppress(Exception):  # as above
            rounded, image = _measure_in_bfloat16(network, (shape.channels, *config.network_size), machine)
            return weights + rounded, image
    return weights, kept // PROBE


def _measure_in_bfloat16(network: nn.Module, size: Sequence[int], machine: Machine) -> tuple[int, int]:
    """Bytes of what autocast leaves for the backward pass: of the weights, which it rounds once, and of each image."""
    from torch._subclasses.fake_tensor import FakeTensorMode  # tensors without values that know their device

    with FakeTensorMode(allow_non_fake_inputs=True), torch.autocast("cpu", AUTOCAST_DTYPE):
        network.to_empty(device="cpu")
        if machine.device.type == "cpu":
            compute_depthwise_in_float32(network)
        few, many = (_kept_bytes(network, torch.zeros(number, *size)) for number in (PROBE, 2 * PROBE))
    image = (many - few) // PROBE
    return few - PROBE * image, image


def measure_computing(config: Config, shape: NetworkShape) -> int | None:
    """Multiply-adds of a forward pass of one image; None as for `measure`."""
    options = models.without_weights(config.model.name, config.network_options)
    try:
        with torch.device("meta"), _RatesHaveValues():
            network = models.build(config.model.name, channels=shape.channels, regions=shape.regions, options=options)
            return models.multiply_adds(network, shape.channels, config.network_size)
    except Exception:  # as in `measure`
        return None


class _RatesHaveValues(TorchFunctionMode):
    """Transformers read the rate of their stochastic depth, layer by layer, from `torch.linspace`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        defaults = {"device": "cpu"} if func is torch.linspace else {}
        return func(*args, **{**defaults, **(kwargs or {})})


def _kept_bytes(network: nn.Module, batch: Tensor) -> int:
    """Bytes of the tensors that a forward pass keeps, each storage once and without the weights."""
    kept: dict[int, Tensor] = {}
    weights = {weight.untyped_storage()._cdata for weight in network.parameters()}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        network(batch)
    return sum(tensor.untyped_storage().nbytes() for storage, tensor in kept.items() if storage not in weights)


def total_memory(device: torch.device) -> int | None:
    """Bytes of the device, or of this machine as far as this process may use it; None where that is not known."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    sizes = []
    with suppress(AttributeError, ValueError, OSError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in LIMITS:
        with suppress(OSError, ValueError):
            sizes.append(int(Path(limit).read_text()))
    return min(sizes, default=None)


def _in_words(size: int) -> str:
    return f"{size / 1e9:.3g} GB"
