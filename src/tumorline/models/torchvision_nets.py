"""Networks of torchvision (BSD-3-Clause): DeepLabV3, FCN and LR-ASPP, from COCO, ImageNet or from scratch.

Their COCO weights are trained on the 20 classes of Pascal VOC; their last layers are made anew for the regions.
"""

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tumorline.errors import UserError, did_you_mean
from tumorline.models.any_size import AnySize
from tumorline.models.pretrained import check_file, check_hub, fit_weights, from_hub, read_weights
from tumorline.models.torchvision_cure import cure_torchvision

AUXILIARY_WEIGHT = 0.5
"""Of the auxiliary head in the loss, as in torchvision's own training."""
RESNETS, MOBILENET = ("resnet50", "resnet101"), "mobilenet_v3_large"
WORDS, EXPECTED = ("coco", "imagenet"), "coco, imagenet, none"
HEADS = {
    "deeplabv3": ("classifier.4.", "aux_classifier.4."),
    "fcn": ("classifier.4.", "aux_classifier.4."),
    "lraspp": ("classifier.low_classifier.", "classifier.high_classifier."),
}
"""The layers that know the number of classes."""


class _Logits(nn.Module):
    """The logits of torchvision's dictionary; in training those of the auxiliary head as well."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self.network(image)
        if self.training and "aux" in outputs:
            return outputs["out"], outputs["aux"]
        logits: Tensor = outputs["out"]
        return logits


def deeplabv3(
    channels: int, regions: int, backbone: str = "resnet50", weights: str = "coco", auxiliary: bool = True
) -> nn.Module:
    """DeepLabV3 (Chen et al. 2017, arXiv:1706.05587) with ResNet-50, -101 or MobileNetV3, from COCO weights."""
    _refuse_other(backbone, (*RESNETS, MOBILENET))
    return _build("deeplabv3", backbone, (channels, regions), weights, auxiliary)


def fcn(
    channels: int, regions: int, backbone: str = "resnet50", weights: str = "coco", auxiliary: bool = True
) -> nn.Module:
    """FCN (Long et al. 2015, arXiv:1411.4038) with dilated ResNet-50 or -101, from COCO weights."""
    _refuse_other(backbone, RESNETS)
    return _build("fcn", backbone, (channels, regions), weights, auxiliary)


def lraspp(channels: int, regions: int, weights: str = "coco") -> nn.Module:
    """LR-ASPP (Howard et al. 2019, arXiv:1905.02244) with MobileNetV3, from COCO weights: small and fast."""
    return _build("lraspp", MOBILENET, (channels, regions), weights, auxiliary=False)


def _build(name: str, backbone: str, sizes: tuple[int, int], weights: str, auxiliary: bool) -> nn.Module:
    cure_torchvision()
    from torchvision.models import get_model

    channels, regions = sizes
    options: dict[str, Any] = {"aux_loss": auxiliary} if name != "lraspp" else {}
    network = get_model(f"{name}_{backbone}", weights=None, weights_backbone=None, num_classes=regions, **options)
    _take_channels(network, channels)
    _follow_faster(network)
    if weights != "none":
        _load(network, name, backbone, weights)
    logits = _Logits(network)
    return AnySize(logits, 8, (1.0, AUXILIARY_WEIGHT) if auxiliary else (1.0,), "network.network.backbone")


def _take_channels(network: nn.Module, channels: int) -> None:
    """Replace the first convolution by one for another number of channels."""
    name, first = next((name, module) for name, module in network.named_modules() if isinstance(module, nn.Conv2d))
    if first.in_channels == channels:
        return
    parent, _, child = name.rpartition(".")
    size, stride, padding = first.kernel_size[0], first.stride[0], int(first.padding[0])
    convolution = nn.Conv2d(channels, first.out_channels, size, stride, padding, bias=first.bias is not None)
    network.get_submodule(parent).register_module(child, convolution)


def _follow_faster(network: nn.Module) -> None:
    """Norms that follow the batches at PyTorch's rate; torchvision's MobileNets do so ten times more slowly.

    Theirs is made for the length of ImageNet trainings. In a short one the statistics lag so far behind the weights
    that the network learns in training and answers nothing in validation.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1


def _load(network: nn.Module, name: str, backbone: str, weights: str) -> None:
    """'coco', 'imagenet' (the backbone only) or a local file of either kind."""
    tensors = _find(name, backbone, weights)
    if any(key.startswith("backbone.") for key in tensors):
        fit_weights(network, tensors, without=HEADS[name])
        return
    renamed = {key.removeprefix("features."): tensor for key, tensor in tensors.items()}
    fit_weights(network.get_submodule("backbone"), renamed)


def _find(name: str, backbone: str, weights: str) -> dict[str, Tensor]:
    if weights in WORDS:
        return from_hub(_address(name, backbone, weights))
    check_file(weights, EXPECTED)
    return read_weights(Path(weights))


def check_torchvision_weights(name: str, weights: str, backbone: str = MOBILENET) -> None:
    """Raise UserError where the weights are neither on this machine nor within reach, before anything is built."""
    if weights in WORDS:
        check_hub(_address(name, backbone, weights))
    elif weights != "none":
        check_file(weights, EXPECTED)


def _address(name: str, backbone: str, weights: str) -> str:
    cure_torchvision()
    from torchvision.models import get_model_weights

    _refuse_other(backbone, (*RESNETS, MOBILENET))
    full = f"{name}_{backbone}" if weights == "coco" else backbone
    return str(get_model_weights(full).DEFAULT.url)


def _refuse_other(backbone: str, backbones: tuple[str, ...]) -> None:
    if backbone not in backbones:
        raise UserError(f"model.options.backbone is '{backbone}'; {did_you_mean(backbone, backbones)}")
