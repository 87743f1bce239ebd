"""Networks by name: `(B, C, *space)` to logits `(B, R, *space)`, for any size, in two dimensions or in `dims`.

A model is a function of `channels`, `regions` and options with defaults, and a line in MODELS; or, outside the package,
`mypackage.nets:MyNet`. In training a network may give a tuple of logits, which `weigh_outputs` puts their weights to.
"""

import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from tumorline.errors import UserError, did_you_mean
from tumorline.escaping import for_shell
from tumorline.models.any_size import AnySize, Outputs
from tumorline.models.encoder_nets import check_encoder_weights as check_encoder
from tumorline.models.encoder_nets import deeplabv3_plus, encoder_unet, fpn, segformer, smp_network
from tumorline.models.monai_nets import (
    attention_unet,
    dyn_unet,
    mednext,
    monai_unet,
    segresnet,
    swin_unetr,
    unet_plus_plus,
)
from tumorline.models.presence import has_presence, image_behind_gates, open_gate, presence_of, showing_presence
from tumorline.models.pretrained import SOURCES, fit_weights, from_hub, read_weights
from tumorline.models.swin_unet import check_swin_weights as check_swin
from tumorline.models.swin_unet import swin_unet
from tumorline.models.taken_over import InputChange, start_from
from tumorline.models.torchvision_nets import HEADS, deeplabv3, fcn, lraspp
from tumorline.models.torchvision_nets import check_torchvision_weights as check_torchvision
from tumorline.models.unet import NORMS, Style, UNet
from tumorline.trust import is_trusted

__all__ = [
    "MODELS",
    "SOURCES",
    "InputChange",
    "Outputs",
    "backbone_layers",
    "build",
    "builder",
    "check_options",
    "check_weights",
    "count_parameters",
    "fit_weights",
    "from_hub",
    "has_presence",
    "image_behind_gates",
    "initialisation",
    "multiply_adds",
    "open_gate",
    "output_stride",
    "presence_of",
    "read_weights",
    "showing_presence",
    "start_from",
    "weigh_outputs",
    "without_weights",
]


def unet(
    channels: int,
    regions: int,
    widths: Sequence[int] = (16, 32, 64, 128, 256),
    residual: bool = False,
    norm: str = "instance",
    dropout: float = 0.0,
    deep_supervision: bool = False,
    dims: int = 2,
) -> nn.Module:
    """U-Net (Ronneberger et al. 2015, arXiv:1505.04597), plain or with residual blocks; from scratch."""
    if norm not in NORMS:
        raise UserError(f"model.options.norm is '{norm}'; {did_you_mean(norm, NORMS)}")
    network = UNet(channels, regions, widths, Style(norm, residual, dropout, dims), deep_supervision)
    weights = tuple(0.5**level for level in range(1 + len(network.coarser_heads)))
    return AnySize(network, 2 ** (len(widths) - 1), weights)


LAYER = re.compile(r"(?:model\.|features\.)?(\w+(?:\.\d+)*(?:\.blocks\.\d+)?)\.")
"""The block to which a parameter below the backbone belongs: `layer3.0`, `blocks.2.0`, `layers.1.blocks.3`."""

MODELS: dict[str, Callable[..., nn.Module]] = {
    "unet": unet,
    "monai_unet": monai_unet,
    "attention_unet": attention_unet,
    "unet_plus_plus": unet_plus_plus,
    "dyn_unet": dyn_unet,
    "segresnet": segresnet,
    "swin_unetr": swin_unetr,
    "mednext": mednext,
    "swin_unet": swin_unet,
    "deeplabv3": deeplabv3,
    "fcn": fcn,
    "lraspp": lraspp,
    "encoder_unet": encoder_unet,
    "deeplabv3_plus": deeplabv3_plus,
    "fpn": fpn,
    "segformer": segformer,
    "smp": smp_network,
}

WEIGHT_CHECKS: dict[str, Callable[..., None]] = {
    "swin_unet": check_swin,
    **{name: partial(check_torchvision, name) for name in HEADS},
    **dict.fromkeys(("encoder_unet", "deeplabv3_plus", "fpn", "segformer", "smp"), check_encoder),
}
"""For each network of SOURCES a look for its pretrained weights, given those of its options that it takes."""


def build(name: str, *, channels: int, regions: int, options: Mapping[str, Any]) -> nn.Module:
    """The network of a configuration. Raises UserError for an unknown name, option or option value."""
    check_options(name, options)
    with _taking(name, options):
        return builder(name)(channels=channels, regions=regions, **options)


@contextmanager
def _taking(name: str, options: Mapping[str, Any]) -> Iterator[None]:
    """What a network says of option values that it does not take becomes a UserError."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise UserError(f"model.options of '{name}' are {dict(options)}, which it does not take ({reason})") from None


def builder(name: str) -> Callable[..., nn.Module]:
    """The function or class that builds a network: one of MODELS, or `package.module:Name` from outside.

    Raises UserError where there is none, where it does not take `channels` and `regions`, and for a module that is not
    trusted (`trust`): nothing is then imported.
    """
    if ":" not in name:
        if name not in MODELS:
            raise UserError(f"model.name is '{name}'; {did_you_mean(name, MODELS)}; or give package.module:Name")
        return MODELS[name]
    module, _, attribute = name.partition(":")
    if not is_trusted(module):
        raise UserError(
            f"the network '{name}' is code from outside Tumorline, named by a model file or run folder; if you trust "
            f"whoever made it, say --trust-module {for_shell(module)}"
        )
    try:
        constructor: Callable[..., nn.Module] = getattr(import_module(module), attribute)
    except Exception as error:
        raise UserError(f"model.name is '{name}', which cannot be imported ({error})") from None
    if not callable(constructor) or not {"channels", "regions"} <= inspect.signature(constructor).parameters.keys():
        raise UserError(f"model.name is '{name}', which takes no 'channels' and 'regions'; see CONTRIBUTING.md")
    return constructor


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise UserError for an unknown model or option, without building anything."""
    known = [option for option in inspect.signature(builder(name)).parameters if option not in ("channels", "regions")]
    for option in options:
        if option not in known:
            raise UserError(f"model.options of '{name}': unknown key '{option}'; {did_you_mean(option, known)}")


def check_takes_volumes(name: str) -> None:
    """Raise UserError for a network of slices, without building anything."""
    if "dims" not in inspect.signature(builder(name)).parameters:
        volume_networks = [
            candidate for candidate, build in MODELS.items() if "dims" in inspect.signature(build).parameters
        ]
        raise UserError(
            f"model.name is '{name}', a network of slices; data.window needs one of {', '.join(volume_networks)}"
        )


def check_weights(name: str, options: Mapping[str, Any]) -> None:
    """Raise UserError, within a second and before anything is built, where pretrained weights cannot be had."""
    check = WEIGHT_CHECKS.get(name)
    if check:
        parameters = inspect.signature(builder(name)).parameters
        chosen = {key: options.get(key, parameters[key].default) for key in parameters}
        with _taking(name, options):
            check(**{key: chosen[key] for key in inspect.signature(check).parameters if key in chosen})


def without_weights(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The same options for a network that gets its weights elsewhere: without pretrained ones."""
    if name in SOURCES and "weights" in inspect.signature(builder(name)).parameters:
        return {**options, "weights": "none"}
    return dict(options)


def multiply_adds(network: nn.Module, channels: int, space: Sequence[int] = (256, 256)) -> int:
    """Multiply-adds of one picture or volume of these sides: those of convolutions, linear layers and attention."""
    device = next(network.parameters()).device
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, channels, *space, device=device))
    return int(counter.get_total_flops()) // 2


def output_stride(network: nn.Module, channels: int, space: Sequence[int] = (256, 256)) -> int | None:
    """Pixels of the input, along an axis, to one of what the network's last convolution makes; None without any.

    What is coarser than the input is enlarged without learning anything.
    """
    sides: list[int] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output: sides.append(output.shape[-1]))
        for module in network.modules()
        if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    ]
    with torch.no_grad():
        network.eval()(torch.zeros(1, channels, *space, device=next(network.parameters()).device))
    for hook in hooks:
        hook.remove()
    return max(1, round(space[-1] / sides[-1])) if sides else None


def initialisation(name: str, options: Mapping[str, Any]) -> str:
    """What a network's weights are before training: 'scratch', the set of its pretrained weights, or their file."""
    weights = inspect.signature(builder(name)).parameters.get("weights")
    chosen = str(options.get("weights", weights.default if weights else "none"))
    return {"none": "scratch", "imagenet": "ImageNet", "coco": "COCO"}.get(chosen, chosen)


def count_parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def weigh_outputs(network: nn.Module, outputs: Outputs) -> list[tuple[float, Tensor]]:
    """Each of a network's outputs with its weight in the loss, the logits first."""
    if isinstance(outputs, Tensor):
        return [(1.0, outputs)]
    weights = getattr(network, "output_weights", (1.0,) * len(outputs))
    return list(zip(weights, outputs, strict=True))


def backbone_layers(network: nn.Module) -> list[list[str]]:
    """Names of the parameters that may be pretrained, layer by layer from the image on; empty where none are."""
    return list(layers_by_name(network).values())


def layers_by_name(network: nn.Module) -> dict[str, list[str]]:
    """As `backbone_layers`, by the names of the blocks below the backbone, such as `layer3.0` or `blocks.2.0`."""
    backbone = getattr(network, "backbone", "")
    layers: dict[str, list[str]] = {}
    for name, _ in network.named_parameters():
        if backbone and name.startswith(f"{backbone}."):
            match = LAYER.match(name.removeprefix(f"{backbone}."))
            layers.setdefault(match[1] if match else name, []).append(name)
    if "patch_embed2" in layers:  # a Mix Transformer lists all its embeddings before the blocks between them
        return dict(sorted(layers.items(), key=lambda layer: re.sub(r"\D*(\d).*", r"\1", layer[0])))
    return layers
