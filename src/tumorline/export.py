"""A model file becomes an ONNX file with the same network, which runs without torch."""

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import nn

from tumorline import models
from tumorline.errors import MissingExtraError
from tumorline.files import atomic_path
from tumorline.model_file import METADATA_KEY, ModelInfo, read_info

INPUT, OUTPUT = "image", "logits"


def load_network(path: Path) -> tuple[nn.Module, ModelInfo]:
    """Rebuild the network of a model file with its weights, in evaluation mode."""
    info = read_info(path)
    architecture = info.architecture
    options = {key: "none" if key == "weights" else value for key, value in architecture.options.items()}
    network = models.build(
        architecture.name, channels=architecture.channels, regions=len(info.regions), options=options
    )
    network.load_state_dict(load_file(path))
    return network.eval(), info


def export_onnx(path: Path, target: Path) -> Path:
    """Write the network as ONNX: `image (B, C, S, S)` to `logits (B, R, S, S)`, any batch size.

    The model file's metadata goes along under the key 'tumorline'.
    """
    try:
        import onnx
    except ImportError:
        raise MissingExtraError("export to ONNX", "train") from None
    network, info = load_network(path)
    image = torch.zeros(2, info.architecture.channels, info.image_size, info.image_size)
    with atomic_path(target) as temporary:
        _trace(network, image, temporary)
        model = onnx.load(temporary)
        onnx.helper.set_model_props(model, {METADATA_KEY: info.model_dump_json()})
        onnx.save(model, temporary)
    return target


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
