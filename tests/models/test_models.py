"""The contract that every model keeps."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tumorline.errors import UserError
from tumorline.export import export_onnx, load_network
from tumorline.model_file import Architecture, KnownCases, ModelInfo, save_model
from tumorline.models import MODELS, backbone_layers, build, count_parameters, weigh_outputs
from tumorline.runtime import open_runtime

Options = dict[str, object]

SMALL: dict[str, Options] = {
    "unet": {"widths": [4, 8, 8]},
    "monai_unet": {"widths": [4, 8, 8]},
    "attention_unet": {"widths": [4, 8, 8]},
    "unet_plus_plus": {"widths": [4, 4, 8, 8, 8, 4]},
    "dyn_unet": {"widths": [4, 8, 8, 8]},
    "segresnet": {"width": 8},
    "swin_unetr": {"width": 12, "depths": [1, 1, 1, 1]},
    "mednext": {"width": 4},
    "swin_unet": {"weights": "none"},
    "deeplabv3": {"weights": "none", "backbone": "mobilenet_v3_large"},
    "fcn": {"weights": "none"},
    "lraspp": {"weights": "none"},
    "encoder_unet": {"weights": "none"},
    "deeplabv3_plus": {"weights": "none"},
    "fpn": {"weights": "none"},
    "segformer": {"weights": "none"},
    "smp": {"weights": "none"},
}
VARIANTS: list[tuple[str, Options]] = [
    *SMALL.items(),
    ("unet", {"widths": [4, 8], "residual": True, "norm": "group", "dropout": 0.1}),
    ("unet_plus_plus", {"widths": [4, 4, 8, 8, 8, 4], "deep_supervision": True}),
    ("mednext", {"width": 4, "deep_supervision": True}),
    ("deeplabv3", {"weights": "none", "backbone": "mobilenet_v3_large", "auxiliary": False}),
    ("encoder_unet", {"weights": "none", "output_stride": 2}),
]
EXPORTED_FAST = ("unet", "attention_unet", "segresnet")
"""The export of the others takes five to twenty seconds each."""
IN_3D = [name for name, options in SMALL.items() if "weights" not in options]
EVERY_MODEL = pytest.mark.parametrize(("name", "options"), VARIANTS)


def every_output(network: nn.Module, image: Tensor) -> Tensor:
    """All outputs in one tensor, weighed as in the loss."""
    return torch.cat([weight * logits.flatten() for weight, logits in weigh_outputs(network, network(image))])


def test_every_model_is_under_the_contract() -> None:
    assert set(SMALL) == set(MODELS)


@EVERY_MODEL
@pytest.mark.parametrize(("channels", "regions"), [(1, 1), (4, 3)])
def test_logits_have_the_size_of_the_image(name: str, options: Options, channels: int, regions: int) -> None:
    network = build(name, channels=channels, regions=regions, options=options)
    outputs = weigh_outputs(network, network(torch.randn(2, channels, 37, 50)))
    assert {tuple(logits.shape) for _, logits in outputs} == {(2, regions, 37, 50)}
    assert outputs[0][0] == 1
    assert network.eval()(torch.randn(1, channels, 37, 50)).shape == (1, regions, 37, 50)


@pytest.mark.parametrize("name", IN_3D)
def test_the_same_in_three_dimensions(name: str) -> None:
    network = build(name, channels=2, regions=3, options={**SMALL[name], "dims": 3})
    image = torch.randn(1, 2, 17, 20, 9)
    outputs = network(image)
    assert {tuple(logits.shape) for _, logits in weigh_outputs(network, outputs)} == {(1, 3, 17, 20, 9)}
    torch.stack([logits.square().mean() for _, logits in weigh_outputs(network, outputs)]).sum().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []


@EVERY_MODEL
@pytest.mark.parametrize("size", [(1, 1), (4, 3), (2, 40)])
def test_images_below_the_deepest_level_can_be_trained_on(name: str, options: Options, size: tuple[int, int]) -> None:
    network = build(name, channels=1, regions=1, options=options).train()
    for _, logits in weigh_outputs(network, network(torch.randn(2, 1, *size))):
        assert logits.shape == (2, 1, *size)
        assert torch.isfinite(logits).all()


@EVERY_MODEL
def test_gradients_reach_every_parameter(name: str, options: Options) -> None:
    network = build(name, channels=1, regions=1, options=options)
    every_output(network, torch.randn(2, 1, 64, 64)).square().mean().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []


@EVERY_MODEL
def test_a_seed_gives_the_same_network(name: str, options: Options) -> None:
    outputs = []
    for _ in range(2):
        torch.manual_seed(3)
        network = build(name, channels=1, regions=1, options=options)
        outputs.append(every_output(network, torch.randn(2, 1, 64, 64)))
    assert torch.equal(*outputs)


@EVERY_MODEL
def test_bfloat16_autocast_stays_close(name: str, options: Options) -> None:
    torch.manual_seed(0)
    network = build(name, channels=1, regions=1, options=options).eval()
    image = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(image).float()
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean() + 0.02


@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(*item, marks=[] if item[0] in EXPORTED_FAST else [pytest.mark.slow]) for item in SMALL.items()],
)
def test_a_saved_model_gives_the_same_logits_from_its_file_and_as_onnx(
    name: str, options: Options, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = build(name, channels=1, regions=1, options=options).eval()
    path = tmp_path / "model.safetensors"
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    save_model(path, weights, described(name, options))
    loaded, _ = load_network(path)
    image = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        expected = network(image)
        assert torch.equal(loaded(image), expected)
    logits = open_runtime(export_onnx(path, tmp_path / "model.onnx"))(image.numpy())
    assert np.abs(logits - expected.numpy()).max() < 1e-3 * max(1.0, float(expected.abs().max()))


def described(name: str, options: Options) -> ModelInfo:
    return ModelInfo(
        name="tiny",
        architecture=Architecture(name=name, options=options, channels=1),
        regions=["tumour"],
        image_size=64,
        preprocessing=1,
        data={},
        split={},
        known_cases=KnownCases(patients={}, contents={}),
        config={"model": {}},
        metrics={},
        versions={},
        licence="",
    )


@pytest.mark.parametrize(
    ("name", "options", "parameters"),
    [
        ("unet", {"widths": [32, 64, 128, 256, 512]}, 7_762_465),
        ("swin_unet", {"weights": "none"}, 27_165_000),
        ("deeplabv3", {"weights": "none", "auxiliary": False}, 39_627_000),
    ],
)
def test_networks_have_the_size_that_their_papers_and_libraries_state(
    name: str, options: Options, parameters: int
) -> None:
    assert count_parameters(build(name, channels=1, regions=1, options=options)) == pytest.approx(parameters, rel=5e-4)


def test_the_layers_of_a_backbone_are_in_order_and_leave_out_the_head() -> None:
    network = build("lraspp", channels=1, regions=1, options={"weights": "none"})
    layers = backbone_layers(network)
    assert layers[0] == ["network.network.backbone.0.0.weight"]
    assert len(layers) > 16
    assert all("classifier" not in name for layer in layers for name in layer)
    assert backbone_layers(build("unet", channels=1, regions=1, options=SMALL["unet"])) == []


OUTSIDE = """
from torch import nn

class MyNet(nn.Module):
    def __init__(self, channels, regions, width=3):
        super().__init__()
        self.body = nn.Conv2d(channels, width, 3, padding=1)
        self.head = nn.Conv2d(width, regions, 1)

    def forward(self, image):
        return self.head(self.body(image).relu())

def no_network():
    return None
"""


def test_a_model_from_outside_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "nets.py").write_text(OUTSIDE)
    monkeypatch.syspath_prepend(str(tmp_path))
    network = build("outside.nets:MyNet", channels=2, regions=3, options={"width": 5})
    assert network(torch.zeros(1, 2, 7, 9)).shape == (1, 3, 7, 9)
    with pytest.raises(UserError, match="unknown key 'widht'; did you mean 'width'"):
        build("outside.nets:MyNet", channels=1, regions=1, options={"widht": 5})
    with pytest.raises(UserError, match="takes no 'channels' and 'regions'"):
        build("outside.nets:no_network", channels=1, regions=1, options={})
    with pytest.raises(UserError, match="cannot be imported"):
        build("outside.nets:YourNet", channels=1, regions=1, options={})
    sys.modules.pop("outside.nets", None)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, r"model\.name is 'unett'; did you mean 'unet'\?"),
        ("unet", {"width": [4]}, r"unknown key 'width'; did you mean 'widths'\?"),
        ("unet", {"norm": "layr"}, r"model\.options\.norm is 'layr'; known: batch, group, instance"),
        ("encoder_unet", {"encoder": "efficientnet_lite9"}, r"encoder is 'efficientnet_lite9'; did you mean"),
        ("encoder_unet", {"encoder": "tu-resnet99"}, r"encoder is 'tu-resnet99'; did you mean 'tu-resnet"),
        ("fcn", {"backbone": "resnet18"}, r"backbone is 'resnet18'; did you mean 'resnet"),
        ("smp", {"architecture": "segformr"}, r"architecture is 'segformr'; did you mean 'segformer'"),
        ("lraspp", {"weights": "cocoa"}, r"weights is 'cocoa'; expected coco, imagenet, none or a file of weights"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(name: str, options: Options, message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name, channels=1, regions=1, options=options)


def test_an_output_stride_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="output_stride is 4; expected 1 or 2"):
        build("encoder_unet", channels=1, regions=1, options={"weights": "none", "output_stride": 4})
