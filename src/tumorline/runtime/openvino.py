"""OpenVINO on the processor; in float32, unless asked otherwise, so that a figure does not depend on the machine."""

import mmap
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from io import BytesIO
from math import prod
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
import openvino

from tumorline.arrays import Float32Array
from tumorline.errors import UserError
from tumorline.onnx_file import LARGEST_FILE, read_texts
from tumorline.runtime import RuntimeOptions, Twin, reason_in
from tumorline.runtime.compiled import LARGEST_KEPT, CompiledNetwork, KeptNetwork, Settings, find_compiled

LARGEST_ARRAY = 1 << 30
"""Numbers in what one layer gives for one picture; for large pictures 256 a pixel."""
WITHOUT_BOUND = {"If", "Loop", "TensorIterator"}
EXTERNAL = re.compile(rb"(?:\x0a|\x8a\x80*\x00)(?:\x08|\x88\x80*\x00)location")
"""The key of weights that lie in another file, with its tag and its length in any of their spellings."""


HINTS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
"""In a rounded network what is not rounded is computed in float32."""
CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16", "int8": "INT8"}
"""What OpenVINO says of a processor that computes in a precision."""


def open_network(path: Path, options: RuntimeOptions) -> Twin:
    """Compile `path` for this machine, or take what was compiled of the same file before.

    A function from images `(B, C, *space)` to logits `(B, R, *space)`, its shapes and metadata.
    """
    if not path.is_file():
        raise UserError(f"{path}: the model's ONNX file is missing; write it with 'tumorline export'")
    settings = {"INFERENCE_PRECISION_HINT": HINTS[options.precision]}
    if options.requests > 1:
        settings["NUM_STREAMS"] = str(options.requests)
    if options.threads:
        settings["INFERENCE_NUM_THREADS"] = str(options.threads)
    kept = find_compiled(path, settings)
    try:
        return _imported(path, kept, settings, options) or _compiled(path, kept, settings, options)
    except RuntimeError as error:
        raise UserError(f"{path}: OpenVINO cannot use this ONNX file ({reason_in(error)})") from None


def computes_in(precision: str) -> bool:
    """Whether the processor does."""
    return CAPABILITIES[precision] in get_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def _imported(path: Path, kept: KeptNetwork, settings: Settings, options: RuntimeOptions) -> Twin | None:
    """What was compiled before; None where there is none, or none that can be used."""
    compiled = kept.read()
    if compiled is None:
        return None
    try:
        network = get_core().import_model(BytesIO(compiled.network), "CPU", settings)
    except RuntimeError:
        return None
    run = _Requests(path, network, options.requests)
    return Twin(run, compiled.input_shape, compiled.output_shape, read_texts(path))


def _compiled(path: Path, kept: KeptNetwork, settings: Settings, options: RuntimeOptions) -> Twin:
    model = read_network(path)
    network = get_core().compile_model(model, "CPU", settings)
    run = _Requests(path, network, options.requests)
    twin = Twin(run, _shape(model.input(0)), _shape(model.output(0)), read_texts(path))
    if path.stat().st_size <= LARGEST_KEPT:
        exported = network.export_model()
        content = exported if isinstance(exported, bytes) else exported.getvalue()
        kept.write(CompiledNetwork(content, twin.input_shape, twin.output_shape))
    return twin


def read_network(path: Path) -> openvino.Model:
    """The network of an ONNX file. Raises UserError where it is none that Tumorline would write."""
    _refuse_other_files(path)
    try:
        model = get_core().read_model(path)
    except RuntimeError as error:
        raise UserError(f"{path}: OpenVINO cannot use this ONNX file ({reason_in(error)})") from None
    _refuse_unbounded(path, model)
    return model


class _FirstCall:
    """The first answer of the process is asked for by one thread alone.

    OpenVINO's bindings set up what they know of numpy when they first need it, and take a lock for that which they hold
    while they give up Python's own. Two threads that come to it at once wait for one another for ever.
    """

    def __init__(self) -> None:
        self.lock, self.done = Lock(), False

    @contextmanager
    def alone(self) -> Iterator[None]:
        if self.done:
            yield
            return
        with self.lock:
            yield
            self.done = True


FIRST_CALL = _FirstCall()


class _Requests:
    """A compiled network that several threads may ask, so many of them at a time."""

    def __init__(self, path: Path, network: Any, count: int) -> None:
        self.path, self.network = path, network
        self.free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(count):
            self.free.put(None)  # made when it is first needed

    def __call__(self, image: Float32Array) -> Float32Array:
        request = self.free.get()
        try:
            with FIRST_CALL.alone():
                request = request or self.network.create_infer_request()
                answer = np.asarray(request.infer([image], share_inputs=True)[0], np.float32)
        except RuntimeError as error:
            raise UserError(f"{self.path}: OpenVINO cannot carry out this network ({reason_in(error)})") from None
        finally:
            self.free.put(request)
        if answer.ndim != image.ndim or (len(answer), *answer.shape[2:]) != (len(image), *image.shape[2:]):
            raise UserError(
                f"{self.path}: answers {image.shape} with {answer.shape}; its file belongs to no such model"
            )
        return answer


def save_network(model: openvino.Model, path: Path) -> None:
    """Write OpenVINO's own format in float32: `path`, and the weights beside it as `.bin`."""
    openvino.save_model(model, path, compress_to_fp16=False)


def _refuse_other_files(path: Path) -> None:
    """Raise UserError for a file whose weights lie elsewhere: it could name any file of this machine."""
    size = path.stat().st_size
    if not 0 < size <= LARGEST_FILE:
        raise UserError(f"{path}: {size} bytes, which no ONNX file has; write it with 'tumorline export'")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if EXTERNAL.search(content):
            raise UserError(f"{path}: keeps weights in other files, which is not read; Tumorline writes one file")


def _refuse_unbounded(path: Path, model: openvino.Model) -> None:
    """Raise UserError for what is no network from one picture to one: loops, several inputs, boundless arrays."""
    if (len(model.inputs), len(model.outputs)) != (1, 1):
        raise UserError(f"{path}: {len(model.inputs)} inputs and {len(model.outputs)} outputs; expected one of each")
    largest = max(LARGEST_ARRAY, 256 * prod(_shape(model.input(0))[2:]))
    for layer in model.get_ops():
        layer_type = layer.get_type_name()
        if layer_type in WITHOUT_BOUND:
            raise UserError(
                f"{path}: holds a layer '{layer_type}', whose work has no bound; no network of Tumorline has one"
            )
        for output in layer.outputs():
            if prod(length or 1 for length in _shape(output)) > largest:
                raise UserError(f"{path}: a layer '{layer_type}' would give {_shape(output)} numbers; that is refused")


def _shape(port: Any) -> tuple[int, ...]:
    shape = port.get_partial_shape()
    if shape.rank.is_dynamic:
        return ()
    return tuple(0 if length.is_dynamic else length.get_length() for length in shape)


@cache
def get_core() -> openvino.Core:
    """One for the process, never closed.

    Each core gives signal handlers a stack of its own (sigaltstack) and takes it away when it is closed. Of two that
    are closed in the order in which they were opened, the second puts back the stack that the first has already
    unmapped, and the next Ctrl-C is a segmentation fault.
    """
    return openvino.Core()
