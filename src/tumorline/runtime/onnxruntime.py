"""ONNX Runtime: on a GPU of NVIDIA where its build has one, else on the processor; in float32."""

from pathlib import Path

import numpy as np
import onnxruntime

from tumorline.arrays import Float32Array
from tumorline.errors import UserError
from tumorline.runtime import QUANTISED, RuntimeOptions, Twin, reason_in
from tumorline.runtime.openvino import read_network
from tumorline.work_ahead import count_cores

PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


def computes_in(precision: str) -> bool:
    """The ONNX file is in float32, or rounded, and the runtime keeps to it."""
    return precision in ("float32", QUANTISED)


def open_network(path: Path, options: RuntimeOptions) -> Twin:
    """The network of an ONNX file, which is held against the same bounds as for OpenVINO."""
    if not path.is_file():
        raise UserError(f"{path}: the model's ONNX file is missing; write it with 'tumorline export'")
    read_network(path)
    session_options = onnxruntime.SessionOptions()
    session_options.log_severity_level = 4
    session_options.intra_op_num_threads = max(1, (options.threads or count_cores()) // options.requests)
    chosen = [name for name in PROVIDERS if name in onnxruntime.get_available_providers()]
    try:
        session = onnxruntime.InferenceSession(path, session_options, providers=chosen)
    except Exception as error:
        raise UserError(f"{path}: ONNX Runtime cannot use this ONNX file ({reason_in(error)})") from None
    (source,), (target,) = session.get_inputs(), session.get_outputs()

    def run(image: Float32Array) -> Float32Array:
        try:
            return np.asarray(session.run([target.name], {source.name: image})[0], np.float32)
        except Exception as error:
            raise UserError(f"{path}: ONNX Runtime cannot carry out this network ({reason_in(error)})") from None

    return Twin(run, _shape(source), _shape(target), dict(session.get_modelmeta().custom_metadata_map))


def _shape(port: onnxruntime.NodeArg) -> tuple[int, ...]:
    """0 where a length has a name instead of a number."""
    return tuple(length if isinstance(length, int) else 0 for length in port.shape)
