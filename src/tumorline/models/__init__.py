"""Networks by name: `(B, C, H, W)` to logits `(B, R, H, W)`, for any height and width.

A model is a function of `channels`, `regions` and options with defaults, and a line in MODELS.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from tumorline.errors import UserError, did_you_mean
from tumorline.models.encoder_unet import build_encoder_unet
from tumorline.models.torchvision_cure import cure_torchvision
from tumorline.models.unet import NORMS, UNet


class AnySize(nn.Module):
    """Pads an image at the right and bottom to a multiple that the network takes, and crops the logits.

    An image of one multiple or less becomes two wide: norms need more than one value at the deepest level.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple

    def forward(self, image: Tensor) -> Tensor:
        height, width = image.shape[-2:]
        fits_once = max(height, width) <= self.multiple
        padding = (2 * self.multiple - width if fits_once else -width % self.multiple, -height % self.multiple)
        if any(padding):
            image = functional.pad(image, (0, padding[0], 0, padding[1]), mode="replicate")
        logits: Tensor = self.network(image)
        return logits[..., :height, :width] if any(padding) else logits


def unet(
    channels: int,
    regions: int,
    widths: Sequence[int] = (16, 32, 64, 128, 256),
    residual: bool = False,
    norm: str = "instance",
    dropout: float = 0.0,
) -> nn.Module:
    """U-Net, 2 convolutions a level, from scratch; `residual` for the residual variant."""
    if norm not in NORMS:
        raise UserError(f"model.options.norm is '{norm}'; {did_you_mean(norm, NORMS)}")
    return AnySize(UNet(channels, regions, widths, norm, residual, dropout), 2 ** (len(widths) - 1))


def monai_unet(
    channels: int, regions: int, widths: Sequence[int] = (16, 32, 64, 128, 256), res_units: int = 2
) -> nn.Module:
    """MONAI's U-Net with residual units (Kerfoot et al. 2018), the notebook's network."""
    cure_torchvision()
    from monai.networks.nets.unet import UNet as MonaiUNet

    strides = [2] * (len(widths) - 1)
    network = MonaiUNet(2, channels, regions, channels=list(widths), strides=strides, num_res_units=res_units)
    return AnySize(network, 2 ** len(strides))


def encoder_unet(
    channels: int, regions: int, encoder: str = "efficientnet_lite0", weights: str = "imagenet", output_stride: int = 1
) -> nn.Module:
    """U-Net with an encoder of segmentation-models-pytorch; efficientnet_lite0 to 2 from ImageNet without download.

    `output_stride` 2 computes the logits at half size and enlarges them, in about two thirds of the time.
    """
    return AnySize(build_encoder_unet(channels, regions, encoder, weights, output_stride), 32)


MODELS: dict[str, Callable[..., nn.Module]] = {
    "unet": unet,
    "monai_unet": monai_unet,
    "encoder_unet": encoder_unet,
}


def build(name: str, *, channels: int, regions: int, options: Mapping[str, Any]) -> nn.Module:
    """The network of a configuration. Raises UserError for an unknown name, option or option value."""
    check_options(name, options)
    try:
        return MODELS[name](channels=channels, regions=regions, **options)
    except (TypeError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"model.options of '{name}' are {dict(options)}, which it does not take ({error})") from None


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise UserError for an unknown model or option, without building anything."""
    if name not in MODELS:
        raise UserError(f"model.name is '{name}'; {did_you_mean(name, MODELS)}")
    known = [option for option in inspect.signature(MODELS[name]).parameters if option not in ("channels", "regions")]
    for option in options:
        if option not in known:
            raise UserError(f"model.options of '{name}': unknown key '{option}'; {did_you_mean(option, known)}")


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
