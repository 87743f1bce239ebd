"""The contract that every model keeps."""

import copy
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import tumorline
from tests.conftest import TINY
from tumorline.config import TrainConfig
from tumorline.errors import UserError
from tumorline.export import export_onnx
from tumorline.model_file import save_model
from tumorline.model_info import (
    Architecture,
    InputSpec,
    KnownCases,
    ModelInfo,
    ModelMetrics,
    TrainingData,
    TrainingSplit,
)
from tumorline.models import MODELS, SOURCES, backbone_layers, build, count_parameters, layers_by_name, weigh_outputs
from tumorline.network_file import load_network
from tumorline.runtime import open_runtime
from tumorline.training.optimiser import build_optimiser, freeze_backbone
from tumorline.trust import trusting

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
    "encoder_unet": {"weights": "none", "encoder": "mobilenet_v2"},
    "deeplabv3_plus": {"weights": "none"},
    "fpn": {"weights": "none"},
    "segformer": {"weights": "none"},
    "smp": {"weights": "none"},
}
VARIANTS: list[tuple[str, Options]] = [
    *SMALL.items(),
    ("unet", {"widths": [4, 8], "residual": True, "norm": "group", "dropout": 0.1}),
    ("unet", {"widths": [4, 8, 8, 8], "deep_supervision": True}),
    ("unet_plus_plus", {"widths": [4, 4, 8, 8, 8, 4], "deep_supervision": True}),
    ("dyn_unet", {"widths": [4, 8, 8, 8], "deep_supervision": False, "residual": True}),
    ("mednext", {"width": 4, "deep_supervision": True}),
    ("deeplabv3", {"weights": "none", "backbone": "mobilenet_v3_large", "auxiliary": False}),
    ("encoder_unet", {"weights": "none", "output_stride": 2}),
    ("encoder_unet", {"weights": "none", "output_stride": 2, "presence": True}),
    ("smp", {"architecture": "deeplabv3plus", "weights": "none", "presence": True}),
]
EXPORTED_BY_DEFAULT = ("unet",)
"""Ours alone: an export takes up to twenty seconds, of Swin-UNet 45."""
HEAVY = ("swin_unet", "fcn", "deeplabv3_plus", "smp", "swin_unetr")
"""Of these some tests, for which several are built, are among the slow ones."""
SLICES = InputSpec()
IN_3D = [name for name, options in SMALL.items() if "weights" not in options]
EVERY_MODEL = pytest.mark.parametrize(("name", "options"), VARIANTS)


def every_output(network: nn.Module, image: Tensor) -> Tensor:
    """All outputs in one tensor, weighed as in the loss."""
    return torch.cat([weight * logits.flatten() for weight, logits in weigh_outputs(network, network(image))])


def test_every_model_is_under_the_contract() -> None:
    assert set(SMALL) == set(MODELS)


@EVERY_MODEL
def test_logits_have_the_size_of_the_image(name: str, options: Options) -> None:
    network = build(name, channels=4, regions=3, options=options)
    outputs = weigh_outputs(network, network(torch.randn(2, 4, 37, 51)))
    assert {tuple(logits.shape) for _, logits in outputs} == {(2, 3, 37, 51)}
    assert outputs[0][0] == 1
    assert network.eval()(torch.randn(1, 4, 37, 51)).shape == (1, 3, 37, 51)


def test_every_network_that_has_three_dimensions_is_tested_in_them() -> None:
    assert [name for name in SMALL if "dims" in inspect.signature(MODELS[name]).parameters] == IN_3D


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name == "swin_unetr" else []) for name in IN_3D]
)
def test_the_same_in_three_dimensions(name: str) -> None:
    network = build(name, channels=4, regions=3, options={**SMALL[name], "dims": 3})
    outputs = network(torch.randn(1, 4, 17, 20, 9))
    assert {tuple(logits.shape) for _, logits in weigh_outputs(network, outputs)} == {(1, 3, 17, 20, 9)}
    torch.stack([logits.square().mean() for _, logits in weigh_outputs(network, outputs)]).sum().backward()
    assert without_gradient(network) == set()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in HEAVY else ()) for name in IN_3D]
)
def test_a_saved_network_of_three_dimensions_is_loaded_but_onnx_needs_its_window(name: str, tmp_path: Path) -> None:
    options = {**SMALL[name], "dims": 3}
    network = build(name, channels=4, regions=3, options=options).eval()
    path = saved(network, name, options, tmp_path)
    image = torch.randn(1, 4, 17, 20, 9)
    with torch.no_grad():
        assert torch.equal(load_network(path)[0](image), network(image))
    with pytest.raises(UserError, match=r"model\.safetensors: its network has 3 dimensions, but its input states 2"):
        export_onnx(path, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "unet" else pytest.mark.slow) for name in IN_3D]
)
def test_a_network_of_patches_gives_the_same_logits_as_onnx(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    options = {**SMALL[name], "dims": 3}
    network = build(name, channels=4, regions=3, options=options).eval()
    path = saved(network, name, options, tmp_path, spec=InputSpec(dims=3, window=(16, 24, 32)))
    image = torch.randn(2, 4, 16, 24, 32)
    with torch.no_grad():
        expected = network(image)
    logits = open_runtime(export_onnx(path, path.with_name("model.onnx"))).run(image.numpy())
    assert np.abs(logits - expected.numpy()).max() < 1e-3 * max(1.0, float(expected.abs().max()))


@EVERY_MODEL
@pytest.mark.parametrize("size", [(1, 1), (2, 40)])
def test_images_below_the_deepest_level_can_be_trained_on(name: str, options: Options, size: tuple[int, int]) -> None:
    network = build(name, channels=1, regions=1, options=options).train()
    for _, logits in weigh_outputs(network, network(torch.randn(2, 1, *size))):
        assert logits.shape == (2, 1, *size)
        assert torch.isfinite(logits).all()


def without_gradient(network: nn.Module) -> set[str]:
    return {name for name, parameter in network.named_parameters() if parameter.grad is None}


@EVERY_MODEL
def test_gradients_reach_every_parameter_but_those_of_a_frozen_backbone(name: str, options: Options) -> None:
    network = build(name, channels=1, regions=1, options=options).train()
    backbone = {parameter for layer in backbone_layers(network) for parameter in layer}
    assert bool(backbone) == (name in SOURCES)
    image = torch.randn(2, 1, 64, 64)
    every_output(network, image).square().mean().backward()
    assert without_gradient(network) == set()
    network.zero_grad(set_to_none=True)
    freeze_backbone(network, True)
    every_output(network, image).square().mean().backward()
    assert without_gradient(network) == backbone


@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(*item, marks=[pytest.mark.slow] if item[0] in HEAVY else []) for item in SMALL.items()],
)
def test_a_seed_gives_the_same_network_before_and_after_two_steps(name: str, options: Options) -> None:
    (begun, trained), (again, trained_again) = (two_steps(name, options, seed=3) for _ in range(2))
    torch.manual_seed(4)
    other = build(name, channels=1, regions=1, options=options).state_dict()
    assert all(torch.equal(begun[key], again[key]) for key in begun)
    assert all(torch.equal(trained[key], trained_again[key]) for key in trained)
    assert any(not torch.equal(begun[key], other[key]) for key in begun)
    assert any(not torch.equal(begun[key], trained[key]) for key in begun)


def two_steps(name: str, options: Options, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Weights of a new network, and after two steps of training."""
    torch.manual_seed(seed)
    network = build(name, channels=1, regions=1, options=options).train()
    begun = copy.deepcopy(network.state_dict())
    optimiser = build_optimiser(network, TrainConfig())
    for _ in range(2):
        optimiser.zero_grad()
        every_output(network, torch.randn(2, 1, 40, 40)).square().mean().backward()
        optimiser.step()
    return begun, network.state_dict()


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
    [pytest.param(*item, marks=[] if item[0] in EXPORTED_BY_DEFAULT else [pytest.mark.slow]) for item in SMALL.items()],
)
def test_a_saved_model_gives_the_same_logits_from_its_file_and_as_onnx(
    name: str, options: Options, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network = build(name, channels=4, regions=3, options=options).eval()
    same_from_file_and_onnx(network, saved(network, name, options, tmp_path))


def test_the_same_with_one_channel_one_region_and_an_even_size(tmp_path: Path) -> None:
    network = build("unet", channels=1, regions=1, options=SMALL["unet"]).eval()
    same_from_file_and_onnx(network, saved(network, "unet", SMALL["unet"], tmp_path, (1, 1, 64)))


def same_from_file_and_onnx(network: nn.Module, path: Path) -> None:
    loaded, info = load_network(path)
    image = torch.randn(3, info.architecture.channels, info.image_size, info.image_size)
    with torch.no_grad():
        expected = network(image)
        assert torch.equal(loaded(image), expected)
    logits = open_runtime(export_onnx(path, path.with_name("model.onnx"))).run(image.numpy())
    assert logits.shape == (3, len(info.regions), info.image_size, info.image_size)
    assert np.abs(logits - expected.numpy()).max() < 1e-3 * max(1.0, float(expected.abs().max()))


def saved(
    network: nn.Module,
    name: str,
    options: Options,
    folder: Path,
    sizes: tuple[int, int, int] = (4, 3, 45),
    spec: InputSpec = SLICES,
) -> Path:
    """Its model file, for channels, regions and image size; as by default it is silent on pretrained weights."""
    weights = {key: value.numpy() for key, value in network.state_dict().items()}
    channels, regions, image_size = sizes
    info = ModelInfo(
        name="tiny",
        architecture=Architecture(
            name=name, options={key: value for key, value in options.items() if key != "weights"}, channels=channels
        ),
        regions=[f"region {number}" for number in range(regions)],
        input=spec,
        image_size=image_size,
        preprocessing=1,
        data=TrainingData(name="tiny", simulated=True),
        split=TrainingSplit(by="patient", seed=0, origin="", leaking=False, patients_unknown=False, parts={}),
        known_cases=KnownCases(patients={}, contents={}),
        config={"model": {}},
        metrics=ModelMetrics(),
        versions={},
        licence="",
    )
    save_model(folder / "model.safetensors", weights, info)
    return folder / "model.safetensors"


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


@pytest.mark.parametrize(
    ("name", "options", "first", "some"),
    [
        (
            "encoder_unet",
            {"encoder": "efficientnet_lite0", "weights": "none"},
            "conv_stem",
            ["blocks.0.0", "blocks.2.0"],
        ),
        ("encoder_unet", {"encoder": "resnet18", "weights": "none"}, "conv1", ["layer1.0", "layer1.1", "layer4.1"]),
        ("segformer", {"weights": "none"}, "patch_embed1", ["block1.0", "patch_embed2", "block2.0", "patch_embed4"]),
        ("deeplabv3", {"weights": "none"}, "conv1", ["layer1.0", "layer3.5", "layer4.2"]),
        ("swin_unet", {"weights": "none"}, "0.0", ["1.0", "1.1", "2", "3.0"]),
        ("lraspp", {"weights": "none"}, "0.0", ["1", "15", "16.0"]),
    ],
)
def test_layer_wise_decay_goes_block_by_block(name: str, options: Options, first: str, some: list[str]) -> None:
    network = build(name, channels=1, regions=1, options=options)
    layers = list(layers_by_name(network))
    assert layers[0] == first
    assert [layer for layer in layers if layer in some] == some


def test_norms_follow_a_short_training() -> None:
    """MobileNet's norms move by 1 % a step in torchvision: after 20 steps they would still be where they began."""
    network = build("lraspp", channels=1, regions=1, options={"weights": "none"}).train()
    first = next(module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d))
    for _ in range(20):
        network(5 + torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    convolved: list[torch.Tensor] = []
    first.register_forward_pre_hook(lambda _, inputs: convolved.append(inputs[0]))
    network(5 + torch.randn(4, 1, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert first.running_mean is not None
    assert torch.allclose(first.running_mean, convolved[0].mean((0, 2, 3)), rtol=0.2, atol=0.05)


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
    with pytest.raises(UserError, match=r"if you trust whoever made it, say --trust-module outside\.nets"):
        build("outside.nets:MyNet", channels=2, regions=3, options={"width": 5})
    assert "outside" not in sys.modules
    with trusting(["outside.nets"]):
        network = build("outside.nets:MyNet", channels=2, regions=3, options={"width": 5})
        assert network(torch.zeros(1, 2, 7, 9)).shape == (1, 3, 7, 9)
        with pytest.raises(UserError, match="unknown key 'widht'; did you mean 'width'"):
            build("outside.nets:MyNet", channels=1, regions=1, options={"widht": 5})
        with pytest.raises(UserError, match="takes no 'channels' and 'regions'"):
            build("outside.nets:no_network", channels=1, regions=1, options={})
        with pytest.raises(UserError, match="cannot be imported"):
            build("outside.nets:YourNet", channels=1, regions=1, options={})
    sys.modules.pop("outside.nets", None)


PREDICT = """
import sys, tumorline
tumorline.predict(*sys.argv[1:])
assert not {"outside", "torch"} & set(sys.modules)
"""


def test_a_model_from_outside_the_package_is_trained_and_its_onnx_file_does_without_the_package(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lib" / "outside").mkdir(parents=True)
    (tmp_path / "lib" / "outside" / "nets.py").write_text(OUTSIDE)
    overrides = [item for item in TINY if not item.startswith("model.")]
    overrides += ["model.name=outside.nets:MyNet", "model.options.width=4", f"data.cache='{tmp_path / 'cache'}'"]
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path / "lib"))
        run = tumorline.train(data=tiny_source, overrides=overrides, output=tmp_path / "run")
        with trusting(["outside.nets"]):
            network, info = load_network(run / "model.safetensors")
    assert (info.architecture.name, info.architecture.options) == ("outside.nets:MyNet", {"width": 4})
    image = np.random.default_rng(0).normal(size=(1, 32, 32)).astype(np.float32)
    logits = open_runtime(run / "model.onnx").run(image[None])
    assert np.allclose(logits, network(torch.from_numpy(image[None])).detach().numpy(), atol=1e-4)
    for name in ("outside.nets", "outside"):
        sys.modules.pop(name, None)
    assert tumorline.evaluate(run, tiny_source, output=tmp_path / "again")["cases"] > 0
    picture = next((tiny_source / "images").iterdir())
    subprocess.run([sys.executable, "-c", PREDICT, str(picture), str(run), str(tmp_path / "out")], check=True)
    assert list((tmp_path / "out").glob("*.png"))
    with (
        trusting(["outside.nets"]),
        pytest.raises(UserError, match=r"model\.name is 'outside\.nets:MyNet', which cannot be imported"),
    ):
        load_network(run / "model.safetensors")


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
