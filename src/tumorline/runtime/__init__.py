"""A model file becomes a function from image array to logits array, by one of several libraries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from tumorline.arrays import Float32Array
from tumorline.errors import UserError, require_extra, require_one_of
from tumorline.escaping import for_shell

Runtime = Callable[[Float32Array], Float32Array]
"""Images `(B, C, *space)` to logits `(B, R, *space)`; may be called by several threads at a time."""
PRECISIONS = ("float32", "bfloat16", "float16")
"""In which a network may compute; weights, logits and all that is done with them are float32."""
QUANTISED = "int8"
"""The precision of a network that `export --precision int8` has rounded: a file of its own beside the model file."""
DEFAULT = "openvino"


@dataclass(frozen=True)
class Twin:
    """A network ready to run, with what its file says of itself."""

    run: Runtime
    input_shape: tuple[int, ...]
    """0 where a length is open."""
    output_shape: tuple[int, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class RuntimeOptions:
    """How a network is to be run."""

    precision: str = "float32"
    requests: int = 1
    """Batches that are computed at a time, each by its share of the cores."""
    threads: int = 0
    """That compute in all; 0: as many as there are cores."""


class RuntimeEntry(NamedTuple):
    """A library that runs networks."""

    module: str
    """With `open_network(path, options) -> Twin`, and `computes_in(precision) -> bool` on this machine."""
    suffix: str
    """Of the file that it opens."""
    needs: str
    extra: str
    """Which brings what it needs; empty for the base install."""


RUNTIMES = {
    "openvino": RuntimeEntry("tumorline.runtime.openvino", ".onnx", "openvino", ""),
    "onnxruntime": RuntimeEntry("tumorline.runtime.onnxruntime", ".onnx", "onnxruntime", "onnxruntime"),
    "torch": RuntimeEntry("tumorline.runtime.torch", ".safetensors", "torch", "train"),
}


def open_runtime(path: Path, options: RuntimeOptions | None = None, name: str = DEFAULT) -> Twin:
    """The network of the file that a runtime opens. Raises UserError where it is missing, broken or of no such network.

    Also for a runtime that is unknown or not installed, and a precision in which it does not compute here.
    """
    options, module = options or RuntimeOptions(), _module_of(name)
    require_precision(options.precision, name)
    twin: Twin = module.open_network(opened_file(path, options.precision, name), options)
    return twin


def opened_file(path: Path, precision: str = "float32", name: str = DEFAULT) -> Path:
    """The file beside a model file that a runtime opens. Raises UserError for a rounded network that is not there."""
    suffix = RUNTIMES[name].suffix
    if precision != QUANTISED:
        return beside(path, suffix)
    rounded = beside(path, f".{QUANTISED}{suffix}")
    if not rounded.is_file():
        how = for_shell("tumorline", "export", path, "--precision", "int8", "--output", rounded)
        raise UserError(f"{rounded}: not there; write it with: {how}")
    return rounded


def beside(path: Path, suffix: str) -> Path:
    """A file beside a model file, or of a link to one, where it is not there, beside the file that it leads to."""
    sibling, linked = path.with_suffix(suffix), path.resolve().with_suffix(suffix)
    return linked if linked.is_file() and not sibling.is_file() else sibling


def require_precision(precision: str, name: str = DEFAULT) -> None:
    """Raise UserError for what is no precision, or for one in which a runtime does not compute on this machine."""
    require_one_of((*PRECISIONS, QUANTISED), "precision", precision)
    if not can_compute(precision, name):
        able = ", ".join(one for one in PRECISIONS if can_compute(one, name))
        raise UserError(f"precision is {precision}, in which {name} does not compute on this machine; it has {able}")


def can_compute(precision: str, name: str = DEFAULT) -> bool:
    """Whether a runtime computes in a precision on this machine, and not only stands in for it."""
    return precision == "float32" or bool(_module_of(name).computes_in(precision))


def _module_of(name: str) -> Any:
    require_one_of(RUNTIMES, "runtime", name)
    entry = RUNTIMES[name]
    if entry.extra:
        require_extra(entry.needs, f"the runtime '{name}'", entry.extra)
    return import_module(entry.module)


def reason_in(error: Exception, line: int = -1) -> str:
    """The line of a library's message that says why; most say it last."""
    return (str(error).strip().splitlines() or ["no reason given"])[line][:200]
