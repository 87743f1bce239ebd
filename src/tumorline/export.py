"""A model file becomes an ONNX file with the same network, which runs without torch."""

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from tumorline import models
from tumorline.errors import MissingExtraError, UserError
from tumorline.files import atomic_path
from tumorline.model_file import METADATA_KEY, STAMP_KEY, Architecture, ModelInfo, read_content, read_info
from tumorline.model_info import one_for_each
from tumorline.models.ensemble import Ensemble
from tumorline.onnx_file import NETWORK_KEY, hash_network

INPUT, OUTPUT = "image", "logits"
SUFFIX = ".onnx"


def is_exported(path: Path) -> bool:
    """Whether an ONNX file is one that Tumorline wrote."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception:
        return False
    return METADATA_KEY in {entry.key for entry in model.metadata_props}


def load_network(path: Path) -> tuple[nn.Module, ModelInfo]:
    """Rebuild the network of a model file with its weights, in evaluation mode; of an ensemble all of them in one."""
    info = read_info(path)
    try:
        weights = load_file(path)
        _refuse_other_shapes(info, weights)
        network = _rebuilt(info)
        network.load_state_dict(weights)
    except (RuntimeError, MemoryError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"{path}: its weights do not fit the network that its metadata states ({reason})") from None
    return network.eval(), info


def _refuse_other_shapes(info: ModelInfo, weights: Mapping[str, torch.Tensor]) -> None:
    """Raise RuntimeError where the weights are of another network, or whole numbers, before it takes any memory.

    One that cannot be built without values is not refused.
    """
    expected: dict[str, tuple[torch.Size, bool]] = {}
    with contextlib.suppress(Exception), torch.device("meta"):
        expected = {name: _shape_and_kind(weight) for name, weight in _rebuilt(info).named_parameters()}
    found = {name: _shape_and_kind(tensor) for name, tensor in weights.items()}
    if different := [name for name in expected if expected[name] != found.get(name)]:
        raise RuntimeError(f"{len(different)} of {len(expected)} differ, the first is '{different[0]}'")


def _shape_and_kind(tensor: torch.Tensor) -> tuple[torch.Size, bool]:
    return tensor.shape, tensor.is_floating_point()


def _rebuilt(info: ModelInfo) -> nn.Module:
    members = [_untrained(member.architecture, len(info.regions)) for member in info.members]
    return (
        Ensemble(members, [one_for_each(member.temperature, len(info.regions)) for member in info.members])
        if members
        else _untrained(info.architecture, len(info.regions))
    )


def _untrained(architecture: Architecture, regions: int) -> nn.Module:
    options = models.without_weights(architecture.name, architecture.options)
    return models.build(architecture.name, channels=architecture.channels, regions=regions, options=options)


def export_onnx(path: Path, target: Path) -> Path:
    """Write the network as ONNX: `image (B, C, *window)` to `logits (B, R, *window)`, any batch size.

    The model file's metadata and stamp go along. Weights that the model file keeps in float16 are kept so here too, and
    become float32 before they are used.
    """
    onnx = _import_onnx()
    network, info = load_network(path)
    _refuse_other_dims(path, info)
    image = torch.zeros(2, info.architecture.channels, *info.network_size)
    with atomic_path(target) as temporary:
        _trace(network, image, temporary)
        model = onnx.load(temporary)
        _forget_origin(model)
        if info.config["model"].get("storage") == "float16":
            _store_in_half(model)
        _save_stamped(model, path, temporary)
    return target


def stamp_onnx(path: Path) -> None:
    """Give the ONNX file beside a model file, whose network is the same, the metadata and the stamp of now."""
    target = path.with_suffix(".onnx")
    model = _import_onnx().load(target, load_external_data=False)
    with atomic_path(target) as temporary:
        _save_stamped(model, path, temporary)


def _import_onnx() -> ModuleType:
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("export to ONNX", "train") from None
    return onnx


def _save_stamped(model: Any, path: Path, target: Path) -> None:
    """Write a network with the metadata and the stamp of its model file, and with the hash of the network itself."""
    onnx = _import_onnx()
    content = read_content(path)
    model.ClearField("metadata_props")
    onnx.save(model, target)
    texts = {METADATA_KEY: content.text, STAMP_KEY: content.stamp, NETWORK_KEY: hash_network(target)}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, target)


def _refuse_other_dims(path: Path, info: ModelInfo) -> None:
    for architecture in (info.architecture, *(member.architecture for member in info.members)):
        dims = architecture.options.get("dims", 2)
        if dims != info.input.dims:
            raise UserError(f"{path}: its network has {dims} dimensions, but its input states {info.input.dims}")


def _trace(network: nn.Module, image: torch.Tensor, target: Path) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (image,),
            str(target),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


def _forget_origin(model: Any) -> None:
    """Drop what the exporter notes on each node: stack traces with the paths of this machine."""
    for part in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")


def _store_in_half(model: Any) -> None:
    from onnx import TensorProto, helper, numpy_helper

    graph = model.graph
    weights = [tensor for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT and len(tensor.dims) > 1]
    for tensor in weights:
        half = numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float16), f"{tensor.name}_half")
        graph.node.insert(0, helper.make_node("Cast", [half.name], [tensor.name], to=TensorProto.FLOAT))
        graph.initializer.remove(tensor)
        graph.initializer.append(half)
