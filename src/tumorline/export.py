"""A model file becomes an ONNX file with the same network, which runs without torch."""

import contextlib
import io
import logging
import tempfile
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import nn

from tumorline import models
from tumorline.errors import MissingExtraError, UserError
from tumorline.files import atomic_path, write_bytes
from tumorline.model_file import METADATA_KEY, STAMP_KEY, read_content
from tumorline.model_info import ModelInfo
from tumorline.network_file import load_network
from tumorline.onnx_file import NETWORK_KEY, hash_network
from tumorline.runtime import Runtime, open_runtime

PARITY, HALF_PARITY = 1e-3, 5e-3
"""Of the largest logit, or of 1 where that is smaller: by so much an exported network may differ, and one with weights
in half precision. A convolution is exported with the norm that follows it: rounded as one, they answer otherwise than
rounded apart."""
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


def export_onnx(path: Path, target: Path) -> Path:
    """Write the network as ONNX: `image (B, C, *window)` to `logits (B, R, *window)`, any batch size.

    The model file's metadata and stamp go along. Weights that the model file keeps in float16 are kept so here too, and
    become float32 before they are used.
    """
    _import_onnx()
    network, info = load_network(path)
    _refuse_other_dims(path, info)
    image = torch.zeros(2, info.architecture.channels, *info.network_size)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"network{SUFFIX}"
        model = prepare_onnx(network, image, draft)
        if info.storage == "float16":
            _store_in_half(model)
        save_stamped(model, path, draft)
        require_parity(open_runtime(draft).run, network, info, target)
        write_bytes(target, draft.read_bytes())
    return target


def prepare_onnx(network: nn.Module, image: torch.Tensor, draft: Path) -> Any:
    """The network as ONNX, by way of a file."""
    _trace(network, image, draft)
    model = _import_onnx().load(draft)
    _forget_origin(model)
    return model


def require_parity(run: Runtime, network: nn.Module, info: ModelInfo, target: Path) -> None:
    """Raise UserError where what was written answers otherwise than the network that it was made from.

    Where a gate shuts the masks of the image they are held against one another once more, behind open gates.
    """
    shape = (1, info.architecture.channels, *info.network_size)
    image = torch.from_numpy(np.random.default_rng(0).normal(size=shape).astype(np.float32))
    let_through = models.image_behind_gates(network, image)
    for seen in [image, *([] if let_through is None else [let_through])]:
        _require_parity(run, network, info, target, seen)


def _require_parity(run: Runtime, network: nn.Module, info: ModelInfo, target: Path, image: torch.Tensor) -> None:
    with torch.no_grad():
        expected = network(image).numpy()
    answer = run(image.numpy())
    apart = float(np.abs(answer - expected).max()) if answer.shape == expected.shape else float("inf")
    limit = HALF_PARITY if info.storage == "float16" else PARITY
    if not apart <= limit * max(1.0, float(np.abs(expected).max())):
        raise UserError(
            f"{target}: would answer otherwise than the network in torch, by {apart:.3g}; nothing is written"
        )


def stamp_onnx(path: Path) -> None:
    """Give the ONNX file beside a model file, whose network is the same, the metadata and the stamp of now."""
    target = path.with_suffix(".onnx")
    model = _import_onnx().load(target, load_external_data=False)
    with atomic_path(target) as temporary:
        save_stamped(model, path, temporary)


def _import_onnx() -> ModuleType:
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("export to ONNX", "train") from None
    return onnx


def save_stamped(model: Any, path: Path, target: Path) -> None:
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
