"""Networks of MONAI (Apache-2.0) under our contract; all from scratch, in two or three dimensions."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from tumorline.models.any_size import AnySize
from tumorline.models.torchvision_cure import cure_torchvision


class _InTraining(nn.Module):
    """Gives all outputs of a network in training, and the first one otherwise."""

    def __init__(self, network: nn.Module, unpack: Callable[[Any], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.network = network
        self.unpack = unpack

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        outputs = self.network(image)
        if isinstance(outputs, Tensor):
            return outputs if outputs.ndim == image.ndim else self._unpacked(outputs)
        return self._unpacked(outputs)

    def _unpacked(self, outputs: Any) -> Tensor | tuple[Tensor, ...]:
        logits = self.unpack(outputs)
        return logits if self.training else logits[0]


def monai_unet(
    channels: int, regions: int, widths: Sequence[int] = (16, 32, 64, 128, 256), res_units: int = 2, dims: int = 2
) -> nn.Module:
    """MONAI's U-Net with residual units (Kerfoot et al. 2018), the notebook's network."""
    strides = [2] * (len(widths) - 1)
    net = _monai("unet.UNet")
    network = net(dims, channels, regions, channels=list(widths), strides=strides, num_res_units=res_units)
    return AnySize(network, 2 ** len(strides))


def attention_unet(
    channels: int, regions: int, widths: Sequence[int] = (16, 32, 64, 128, 256), dropout: float = 0.0, dims: int = 2
) -> nn.Module:
    """Attention U-Net (Oktay et al. 2018, arXiv:1804.03999): skips are weighed by attention gates."""
    strides = [2] * (len(widths) - 1)
    network = _monai("attentionunet.AttentionUnet")(dims, channels, regions, list(widths), strides, dropout=dropout)
    return AnySize(network, 2 ** len(strides))


def unet_plus_plus(
    channels: int,
    regions: int,
    widths: Sequence[int] = (16, 32, 64, 128, 256, 16),
    deep_supervision: bool = False,
    dims: int = 2,
) -> nn.Module:
    """U-Net++ (Zhou et al. 2018, arXiv:1807.10165): nested skips; six widths, the last is that of the output."""
    network = _monai("basic_unetplusplus.BasicUNetPlusPlus")(
        dims, channels, regions, tuple(widths), deep_supervision=deep_supervision
    )
    if deep_supervision:
        weights = tuple(0.5**level for level in range(4))
        return AnySize(_InTraining(network, lambda outputs: tuple(reversed(outputs))), 16, weights)
    for level in (1, 2, 3):
        network.register_module(f"final_conv_0_{level}", nn.Identity())
    return AnySize(_InTraining(network, tuple), 16)


def dyn_unet(
    channels: int,
    regions: int,
    widths: Sequence[int] = (32, 64, 128, 256, 512),
    deep_supervision: bool = True,
    residual: bool = False,
    dims: int = 2,
) -> nn.Module:
    """nnU-Net's network (Isensee et al. 2021) as MONAI's DynUNet, with deep supervision."""
    levels = len(widths)
    deep = levels - 2 if deep_supervision else 0
    network = _monai("dynunet.DynUNet")(
        dims,
        channels,
        regions,
        kernel_size=[3] * levels,
        strides=[1] + [2] * (levels - 1),
        upsample_kernel_size=[2] * (levels - 1),
        filters=list(widths),
        res_block=residual,
        deep_supervision=deep > 0,
        deep_supr_num=max(1, deep),
    )
    weights = tuple(0.5**level for level in range(deep + 1))
    return AnySize(_InTraining(network, lambda stacked: tuple(stacked.unbind(1))), 2 ** (levels - 1), weights)


def segresnet(channels: int, regions: int, width: int = 16, dropout: float = 0.0, dims: int = 2) -> nn.Module:
    """SegResNet (Myronenko 2018, arXiv:1810.11654), the BraTS 2018 winner without its autoencoder."""
    network = _monai("segresnet.SegResNet")(dims, width, channels, regions, dropout_prob=dropout or None)
    return AnySize(network, 8)


def swin_unetr(
    channels: int, regions: int, width: int = 24, depths: Sequence[int] = (2, 2, 2, 2), dims: int = 2
) -> nn.Module:
    """SwinUNETR (Hatamizadeh et al. 2022, arXiv:2201.01266): Swin encoder, convolutional decoder."""
    network = _monai("swin_unetr.SwinUNETR")(channels, regions, depths=depths, feature_size=width, spatial_dims=dims)
    return AnySize(network, 32, least=64)


def mednext(
    channels: int, regions: int, width: int = 32, kernel_size: int = 3, deep_supervision: bool = False, dims: int = 2
) -> nn.Module:
    """MedNeXt (Roy et al. 2023, arXiv:2303.09975), size S: large depthwise kernels and inverted bottlenecks."""
    network = _monai("mednext.MedNeXt")(
        dims,
        width,
        channels,
        regions,
        kernel_size=kernel_size,
        use_residual_connection=True,
        deep_supervision=deep_supervision,
    )
    weights = tuple(0.5**level for level in range(5)) if deep_supervision else (1.0,)
    return AnySize(_InTraining(network, tuple), 16, weights)


def _monai(path: str) -> Any:
    cure_torchvision()
    module, name = path.split(".")
    return getattr(import_module(f"monai.networks.nets.{module}"), name)
