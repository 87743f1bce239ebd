"""What is exported answers as the network does, in the program that it was written for; else it is not written."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import openvino
import torch

from tests.conftest import Program
from tumorline import api, export_formats
from tumorline.errors import UserError
from tumorline.export_formats import FORMATS
from tumorline.network_file import load_network
from tumorline.onnx_file import read_texts

BY_DEFAULT = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "onnx" else ()) for name in FORMATS]
)
"""Every finished run has an ONNX file."""


def answers(name: str, path: Path, image: np.ndarray) -> np.ndarray:
    if name == "torchscript":
        with torch.no_grad():
            return np.asarray(torch.jit.load(str(path))(torch.from_numpy(image)).numpy())
    exact = {"INFERENCE_PRECISION_HINT": "f32"}  # some processors would choose bfloat16
    return np.asarray(openvino.compile_model(path, "CPU", exact)(image)[0])


@pytest.mark.filterwarnings("ignore")
@BY_DEFAULT
def test_each_format_answers_as_torch_and_replaces_only_its_own(
    name: str, tiny_run: Path, tmp_path: Path, program: Program
) -> None:
    target = tmp_path / f"net{FORMATS[name].suffix}"
    asked = ["export", tiny_run, "--format", name, "--output", target]
    assert program(*asked).status == 0
    network, info = load_network(tiny_run / "model.safetensors")
    image = np.random.default_rng(1).normal(size=(1, info.architecture.channels, *info.network_size)).astype(np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(image)).numpy()
    assert np.allclose(answers(name, target, image), expected, atol=1e-3)
    again = program(*asked)
    assert (again.status, "exists already" in again.err) == (2, True)
    assert program(*asked, "--overwrite").status == 0
    target.write_bytes(b"of somebody")
    assert program(*asked, "--overwrite").status == 2
    assert target.read_bytes() == b"of somebody"


@BY_DEFAULT
def test_what_would_answer_otherwise_is_not_written(
    name: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tumorline.export.PARITY", -1.0)
    target = tmp_path / f"net{FORMATS[name].suffix}"
    with pytest.raises(UserError, match="would answer otherwise than the network in torch"):
        FORMATS[name].write(tiny_run / "model.safetensors", target)
    assert list(tmp_path.iterdir()) == []


def test_a_format_that_is_none_is_one_line(tiny_run: Path) -> None:
    with pytest.raises(UserError, match="--format is 'onx'; did you mean 'onnx'"):
        api.export(tiny_run, format="onx")
    assert export_formats.find_format("onnx").suffix == ".onnx"


def test_the_texts_of_an_onnx_file_are_read_without_the_onnx_package(tiny_run: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = tiny_run / "model.onnx"
    expected = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    assert read_texts(path) == expected
    (tmp_path / "cut.onnx").write_bytes(path.read_bytes()[:-3])
    assert read_texts(tmp_path / "cut.onnx") == {}
