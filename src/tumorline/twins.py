"""The two files of a model belong together: one stamp in both, and a network of the shape that is stated."""

import json
import warnings
from collections.abc import Mapping
from pathlib import Path

from tumorline.errors import UserError, UserNotice
from tumorline.escaping import for_shell
from tumorline.files import JsonObject
from tumorline.model_file import METADATA_KEY, STAMP_KEY, Content, read_content
from tumorline.model_info import ModelInfo
from tumorline.onnx_file import NETWORK_KEY, hash_network
from tumorline.runtime import DEFAULT, RuntimeOptions, Twin, open_runtime, opened_file

SETTLED_LATER = ("threshold", "temperature", "metrics")
"""What version 0.1.0 did not know yet when it wrote the ONNX file."""


def open_twin(path: Path, info: ModelInfo, options: RuntimeOptions | None = None, runtime: str = DEFAULT) -> Twin:
    """The network of a model by a runtime. Raises UserError where the file it opens belongs to another model."""
    twin = open_runtime(path, options, runtime)
    opened = opened_file(path, (options or RuntimeOptions()).precision, runtime)
    if opened != path:
        _check_stamps(path, opened, read_content(path), twin.metadata)
    input_statement = "takes pictures" if info.input.dims == 2 else "takes volumes"
    _check_shape(opened, input_statement, twin.input_shape, (0, info.architecture.channels, *info.network_size))
    _check_shape(opened, "answers", twin.output_shape, (0, len(info.regions), *info.network_size))
    return twin


def _check_stamps(path: Path, onnx: Path, content: Content, metadata: Mapping[str, str]) -> None:
    stamp = metadata.get(STAMP_KEY)
    cure = f"write it anew with: {for_shell('tumorline', 'export', path, '--output', onnx, '--overwrite')}"
    if stamp == content.stamp:
        if metadata.get(NETWORK_KEY) != hash_network(onnx):
            raise UserError(f"{onnx}: its network was changed after it was written, or belongs to another; {cure}")
        return
    if stamp is None and not content.stamped and _same_origin(content.text, metadata.get(METADATA_KEY, "")):
        message = f"{onnx}: of version 0.1.0, without the stamp that holds it to {path.name}; {cure}"
        warnings.warn(message, UserNotice, stacklevel=4)
        return
    raise UserError(f"{onnx}: belongs to another model than {path.name} beside it; {cure}")


def _same_origin(text: str, other: str) -> bool:
    """Whether the metadata is the same, but for what was settled after the ONNX file was written."""
    try:
        first, second = json.loads(text), json.loads(other)
    except (ValueError, RecursionError):
        return False
    return isinstance(second, dict) and _lasting(first) == _lasting(second)


def _lasting(values: JsonObject) -> JsonObject:
    return {key: value for key, value in values.items() if key not in SETTLED_LATER}


def _check_shape(onnx: Path, statement: str, shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    """Lengths that are 0 are open."""
    pairs = list(zip(shape, expected, strict=False))
    if len(shape) != len(expected) or any(
        length and expected_length and length != expected_length for length, expected_length in pairs
    ):
        raise UserError(
            f"{onnx}: {statement} of {_words(shape)}; the model file beside it states {_words(expected)}"
            " (batch, channels or regions, space)"
        )


def _words(shape: tuple[int, ...]) -> str:
    return " x ".join(str(length or "?") for length in shape)
