from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

pytest.importorskip("torch")

import torch
from torch import nn

import tumorline
from tests.conftest import TINY, blob
from tumorline.errors import UserError
from tumorline.export import require_parity
from tumorline.models.ensemble import Ensemble
from tumorline.models.presence import PresenceGated
from tumorline.network_file import load_network


@pytest.fixture(scope="module")
def half_run(tiny_source: Path) -> Path:
    overrides = [*TINY, f"data.cache='{tiny_source.parent / 'cache'}'", 'model.storage="float16"']
    return tumorline.train(data=tiny_source, overrides=overrides, output=tiny_source.parent / "half")


def test_float16_storage_halves_both_files_and_changes_the_mask_hardly(half_run: Path, tiny_run: Path) -> None:
    for name in ("model.safetensors", "best.safetensors"):
        weights = load_file(half_run / name)
        kinds = {str(value.dtype) for value in weights.values() if value.ndim > 1}
        assert kinds == {"float16" if name.startswith("model") else "float32"}
    image = blob(40, 0)[0][None].astype(np.float32)
    whole, half = (tumorline.load(run).probability(image) for run in (tiny_run, half_run))
    assert 0 < np.abs(whole - half).max() < 0.01


@pytest.mark.parametrize(("storage", "passes"), [("float32", False), ("float16", True)])
def test_weights_in_half_precision_may_differ_as_much_as_their_rounding(
    storage: str, passes: bool, half_run: Path, tiny_run: Path
) -> None:
    network, info = load_network((half_run if storage == "float16" else tiny_run) / "model.safetensors")

    def rounded(image: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            logits: np.ndarray = network(torch.from_numpy(image)).numpy()
        return logits + 0.002 * max(1.0, float(np.abs(logits).max()))

    with nullcontext() if passes else pytest.raises(UserError, match="would answer otherwise"):
        require_parity(rounded, network, info, Path("x.onnx"))


class Answers(nn.Module):
    """A mask head, and a presence of each region that follows the mean of the image."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = torch.tensor([scale, 1.0]).reshape(2, 1, 1)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.scale * image.repeat(1, 2, 1, 1), image.mean((2, 3)) * torch.tensor([3.0, 1.0])


def gated(scale: float, members: int, other_gate: float) -> nn.Module:
    networks = [PresenceGated(Answers(scale), 1, 2) for _ in range(members)]
    for network in networks:
        network.gate.copy_(torch.tensor([2.0, other_gate]))
    return Ensemble(networks, [(1.0,)] * members) if members > 1 else networks[0]


@pytest.mark.parametrize("other_gate", [-1e4, 1.0])
@pytest.mark.parametrize("members", [1, 2])
def test_a_mask_head_is_compared_behind_a_gate_that_the_image_leaves_shut(
    members: int, other_gate: float, tiny_run: Path
) -> None:
    _, info = load_network(tiny_run / "model.safetensors")
    network, wrong = (gated(scale, members, other_gate).eval() for scale in (1.0, 0.9))
    require_parity(lambda image: network(torch.from_numpy(image)).numpy(), network, info, Path("x.onnx"))
    with pytest.raises(UserError, match="would answer otherwise"):
        require_parity(lambda image: wrong(torch.from_numpy(image)).numpy(), network, info, Path("x.onnx"))


def test_a_network_from_a_float16_file_computes_in_float32(half_run: Path) -> None:
    network, _ = load_network(half_run / "model.safetensors")
    assert {str(parameter.dtype) for parameter in network.parameters()} == {"torch.float32"}


def test_no_path_of_the_machine_gets_into_the_onnx_file(tiny_run: Path) -> None:
    content = (tiny_run / "model.onnx").read_bytes()
    assert str(Path(tumorline.__file__).parent).encode() not in content
    assert b"stack_trace" not in content
