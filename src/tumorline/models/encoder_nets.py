"""Networks of segmentation-models-pytorch (MIT) with an encoder from ImageNet weights, a local file or from scratch."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tumorline.errors import UserError, did_you_mean
from tumorline.models.any_size import AnySize
from tumorline.models.lite_weights import STAGES, find_lite_weights, load_lite_weights
from tumorline.models.presence import PresenceGated
from tumorline.models.pretrained import check_file, fit_weights, read_weights, why_not_from
from tumorline.models.torchvision_cure import cure_torchvision

EXPECTED = "imagenet, none"
HUB = "https://huggingface.co"
DEFAULT_ENCODER = "efficientnet_lite0"
ENCODER = "network.encoder"
"""Where the encoder lies in what is built here."""


class PassOn(nn.Module):
    """A decoder block that does nothing."""

    def forward(self, feature: Tensor, height: int, width: int, skip_connection: Tensor | None = None) -> Tensor:
        return feature


def encoder_unet(
    channels: int,
    regions: int,
    encoder: str = DEFAULT_ENCODER,
    weights: str = "imagenet",
    output_stride: int = 1,
    presence: bool = False,
) -> nn.Module:
    """U-Net with an encoder of segmentation-models-pytorch; efficientnet_lite0 to 2 from ImageNet without download.

    `output_stride` 2 leaves out the last decoder block, which has no skip connection to refine, and enlarges the
    logits: about two thirds of the time. With `presence` a head on the deepest features says whether there is a tumour
    at all, and shuts the masks where it says no (`loss.presence`, `model.gate`).
    """
    if output_stride not in (1, 2):
        raise UserError(f"model.options.output_stride is {output_stride!r}; expected 1 or 2")
    network = _smp("Unet", (channels, regions), encoder, weights)
    if output_stride == 2:
        _end_at_half_size(network, regions)
    return _of_any_size(network, regions, presence)


def smp_network(
    channels: int,
    regions: int,
    architecture: str = "unetplusplus",
    encoder: str = DEFAULT_ENCODER,
    weights: str = "imagenet",
    presence: bool = False,
) -> nn.Module:
    """Any architecture of segmentation-models-pytorch by its name, with any of its encoders or, after tu-, timm's.

    `presence` as of `encoder_unet`.
    """
    cure_torchvision()
    from segmentation_models_pytorch import MODEL_ARCHITECTURES_MAPPING as known

    if architecture not in known:
        raise UserError(f"model.options.architecture is '{architecture}'; {did_you_mean(architecture, known)}")
    network = _smp(known[architecture].__name__, (channels, regions), encoder, weights)
    return _of_any_size(network, regions, presence, least=64)


def deeplabv3_plus(channels: int, regions: int, encoder: str = DEFAULT_ENCODER, weights: str = "imagenet") -> nn.Module:
    """DeepLabV3+ (Chen et al. 2018, arXiv:1802.02611) with an encoder from ImageNet."""
    return smp_network(channels, regions, "deeplabv3plus", encoder, weights)


def fpn(channels: int, regions: int, encoder: str = DEFAULT_ENCODER, weights: str = "imagenet") -> nn.Module:
    """Feature pyramid network (Kirillov et al. 2017) with an encoder from ImageNet."""
    return smp_network(channels, regions, "fpn", encoder, weights)


def segformer(channels: int, regions: int, encoder: str = "mit_b0", weights: str = "imagenet") -> nn.Module:
    """SegFormer (Xie et al. 2021, arXiv:2105.15203) with a Mix Transformer from ImageNet."""
    return smp_network(channels, regions, "segformer", encoder, weights)


def _smp(architecture: str, sizes: tuple[int, int], encoder: str, weights: str) -> nn.Module:
    """The network with its encoder's weights: 'imagenet', 'none' or a local file.

    Images are standardised to mean 0 and deviation 1, as for most ImageNet encoders; the Lite ones saw
    (value - 127) / 128, about half that deviation.
    """
    cure_torchvision()
    import segmentation_models_pytorch as smp

    channels, regions = sizes
    name = f"tu-tf_{encoder}" if encoder in STAGES else encoder
    build: Callable[..., nn.Module] = getattr(smp, architecture)
    check_encoder_weights(encoder, weights)
    if weights == "imagenet" and encoder not in STAGES:
        return _with_hub_weights(build, name, sizes)
    network = build(name, encoder_weights=None, in_channels=channels, classes=regions)
    if weights != "none":
        backbone = network.get_submodule("encoder")
        fit_weights(backbone, _encoder_weights(backbone.state_dict(), encoder, weights))
    return network


def _with_hub_weights(build: Callable[..., nn.Module], encoder: str, sizes: tuple[int, int]) -> nn.Module:
    """From the hub's cache, else downloaded; without retries where the hub is out of reach."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or bool(why_not_from(HUB))
    try:
        weights = True if encoder.startswith("tu-") else "imagenet"
        return build(encoder, encoder_weights=weights, in_channels=sizes[0], classes=sizes[1])
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(_offline(encoder, reason)) from None
    finally:
        constants.HF_HUB_OFFLINE = before


def _of_any_size(network: nn.Module, regions: int, presence: bool, least: int = 1) -> nn.Module:
    if not presence:
        return AnySize(network, 32, backbone=ENCODER, least=least)
    _add_presence_head(network, regions)
    return PresenceGated(network, 32, regions, backbone=ENCODER, least=least)


def _add_presence_head(network: nn.Module, regions: int) -> None:
    """smp gives its classification head's answer beside the masks where there is one."""
    from segmentation_models_pytorch.base import ClassificationHead

    width: int = network.get_submodule("encoder").out_channels[-1]  # type: ignore[index, assignment]
    network.classification_head = ClassificationHead(width, regions, pooling="max", dropout=0.2)


def _end_at_half_size(network: nn.Module, regions: int) -> None:
    blocks = network.get_submodule("decoder.blocks")
    assert isinstance(blocks, nn.ModuleList)
    blocks[-1] = PassOn()
    width = int(blocks.get_submodule("3.conv2.0").out_channels)  # type: ignore[arg-type]
    head = nn.Sequential(nn.Conv2d(width, regions, 3, padding=1), nn.Upsample(scale_factor=2, mode="bilinear"))
    network.register_module("segmentation_head", head)


def _refuse_unknown(encoder: str) -> None:
    import timm
    from segmentation_models_pytorch.encoders import get_encoder_names

    if encoder.startswith("tu-"):
        encoders = [f"tu-{name}" for name in timm.list_models()]
    else:
        encoders = [*STAGES, *get_encoder_names()]
    if encoder not in encoders:
        raise UserError(f"model.options.encoder is '{encoder}'; {did_you_mean(encoder, encoders)}")


def check_encoder_weights(encoder: str, weights: str) -> None:
    """Raise UserError where the weights are neither on this machine nor within reach, before anything is built."""
    cure_torchvision()
    _refuse_unknown(encoder)
    if weights == "none":
        return
    if weights != "imagenet":
        check_file(weights, EXPECTED)
    elif encoder in STAGES:
        find_lite_weights(encoder)
    elif not _is_cached(_hub_name(encoder)):
        _refuse_offline(encoder)


def _refuse_offline(encoder: str) -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise UserError(_offline(encoder, "HF_HUB_OFFLINE is set"))
    if reason := why_not_from(HUB):
        raise UserError(_offline(encoder, reason))


def _is_cached(repository: str) -> bool:
    """Whether the hub's cache holds weights of a repository, of any revision; the network's builder looks closer."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    if not repository:
        return False
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "snapshots"
    return any(file.suffix in (".safetensors", ".bin") for file in folder.glob("*/*"))


def _encoder_weights(names: Iterable[str], encoder: str, weights: str) -> Mapping[str, Tensor]:
    """Weights under the names of the encoder, whose names are `names`."""
    if weights == "imagenet":
        return {f"model.{name}": tensor for name, tensor in load_lite_weights(encoder).items()}
    check_file(weights, EXPECTED)
    tensors = read_weights(Path(weights))
    return _as_features(names, tensors) if encoder.startswith("tu-") else tensors


def _as_features(names: Iterable[str], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of timm's whole network to those of its features: `stages.0.norm` is `model.stages_0.norm` there."""
    by_words = {name.replace(".", "_"): name for name in names}
    words = {name: f"model.{name.removeprefix('model.')}".replace(".", "_") for name in tensors}
    return {by_words.get(words[name], name): tensor for name, tensor in tensors.items()}


def _offline(encoder: str, reason: str) -> str:
    repository = _hub_name(encoder)
    where = f"download {HUB}/{repository}/resolve/main/model.safetensors" if repository else "download them"
    return (
        f"ImageNet weights of encoder '{encoder}' are not on this machine and could not be had ({reason[:100]}); "
        f'{where} and give the file as model.options.weights, or weights = "none"'
    )


def _hub_name(encoder: str) -> str:
    """Where the hub has an encoder's weights; empty where that is not known."""
    from segmentation_models_pytorch.encoders import encoders
    from timm import get_pretrained_cfg

    if encoder.startswith("tu-"):
        settings: Any = get_pretrained_cfg(encoder.removeprefix("tu-"))
        return str(settings.hf_hub_id or "") if settings else ""
    return str(encoders[encoder]["pretrained_settings"].get("imagenet", {}).get("repo_id", ""))
