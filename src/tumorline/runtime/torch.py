"""torch, from the weights and not from the ONNX file: on a GPU where there is one, else on the processor."""

from pathlib import Path

import numpy as np
import torch

from tumorline.arrays import Float32Array
from tumorline.errors import UserError
from tumorline.model_file import read_content
from tumorline.network_file import load_network
from tumorline.runtime import RuntimeOptions, Twin, reason_in

KINDS = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def computes_in(precision: str) -> bool:
    """On a GPU both; on a processor bfloat16 where it has instructions for it."""
    if torch.cuda.is_available():
        return precision == "float16" or (precision == "bfloat16" and torch.cuda.is_bf16_supported())
    return precision == "bfloat16" and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def open_network(path: Path, options: RuntimeOptions) -> Twin:
    """The network of a model file with its weights, channels last."""
    read_content(path)  # held against its stamp
    if options.threads:
        torch.set_num_threads(options.threads)
    network, info = load_network(path)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    layout = torch.channels_last if info.input.dims == 2 else torch.channels_last_3d
    network = network.to(device).to(memory_format=layout)  # type: ignore[call-overload]
    reduced = KINDS.get(options.precision)

    def run(image: Float32Array) -> Float32Array:
        batch = torch.from_numpy(image).to(device).to(memory_format=layout)
        try:
            with torch.inference_mode(), torch.autocast(device.type, reduced, enabled=reduced is not None):
                return np.asarray(network(batch).float().cpu().numpy(), np.float32)
        except RuntimeError as error:
            reason = reason_in(error, line=0)
            raise UserError(f"{path}: torch cannot carry out this network ({reason})") from None

    channels, regions = info.architecture.channels, len(info.regions)
    return Twin(run, (0, channels, *info.network_size), (0, regions, *info.network_size), {})
