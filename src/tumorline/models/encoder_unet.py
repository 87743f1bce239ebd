"""U-Net whose encoder is one of segmentation-models-pytorch's, from ImageNet weights, a local file or from scratch."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from tumorline.errors import UserError, did_you_mean
from tumorline.models.lite_weights import STAGES, load_lite_weights
from tumorline.models.torchvision_cure import cure_torchvision


class PassOn(nn.Module):
    """A decoder block that does nothing."""

    def forward(self, feature: Tensor, height: int, width: int, skip_connection: Tensor | None = None) -> Tensor:
        return feature


def build_encoder_unet(channels: int, regions: int, encoder: str, weights: str, output_stride: int) -> nn.Module:
    """U-Net with `encoder` of smp or, after `tu-`, of timm; `weights` is 'imagenet', 'none' or a `.safetensors` file.

    With `output_stride` 2 the last block, which has no skip connection to refine, is left out and the logits are
    enlarged. Pretrained first convolutions take three colours; for another number of channels their filters are summed
    and shared out, so that a grey image gives what its RGB copy would. Images are standardised to mean 0 and deviation
    1, as for most ImageNet encoders; the Lite ones saw (value - 127) / 128, about half that deviation.
    """
    cure_torchvision()
    import segmentation_models_pytorch as smp

    _refuse_unknown(encoder)
    if output_stride not in (1, 2):
        raise UserError(f"model.options.output_stride is {output_stride!r}; expected 1 or 2")
    name = f"tu-tf_{encoder}" if encoder in STAGES else encoder
    ready_made = weights == "imagenet" and encoder not in STAGES
    try:
        network: nn.Module = smp.Unet(
            name, encoder_weights="imagenet" if ready_made else None, in_channels=channels, classes=regions
        )
    except (OSError, KeyError, RuntimeError) as error:
        if not ready_made:
            raise
        raise UserError(_offline(encoder, error)) from None
    if output_stride == 2:
        _end_at_half_size(network, regions)
    own = network.get_submodule("encoder")
    if weights != "none" and not ready_made:
        load_encoder(own, _encoder_weights(encoder, weights), channels)
    return network


def _end_at_half_size(network: nn.Module, regions: int) -> None:
    blocks = network.get_submodule("decoder.blocks")
    assert isinstance(blocks, nn.ModuleList)
    blocks[-1] = PassOn()
    width = int(blocks.get_submodule("3.conv2.0").out_channels)  # type: ignore[arg-type]
    head = nn.Sequential(nn.Conv2d(width, regions, 3, padding=1), nn.Upsample(scale_factor=2, mode="bilinear"))
    network.register_module("segmentation_head", head)


def load_encoder(encoder: nn.Module, weights: dict[str, Tensor], channels: int) -> None:
    """Load encoder weights, the first convolution adapted to `channels`; what the encoder lacks is left out.

    Raises UserError where weights are missing or have another shape.
    """
    own = encoder.state_dict()
    first = next(name for name, tensor in own.items() if tensor.ndim == 4)
    if first in weights and weights[first].shape[1] != channels:
        shared = weights[first].sum(dim=1, keepdim=True) / channels
        weights = {**weights, first: shared.expand(-1, channels, -1, -1).clone()}
    misfit = [name for name, tensor in own.items() if name not in weights or weights[name].shape != tensor.shape]
    if misfit:
        raise UserError(f"the encoder's weights do not fit: {len(misfit)} of {len(own)}, the first is '{misfit[0]}'")
    encoder.load_state_dict({name: weights[name] for name in own})


def _refuse_unknown(encoder: str) -> None:
    import timm
    from segmentation_models_pytorch.encoders import get_encoder_names

    if encoder.startswith("tu-"):
        known = [f"tu-{name}" for name in timm.list_models()]
    else:
        known = [*STAGES, *get_encoder_names()]
    if encoder not in known:
        raise UserError(f"model.options.encoder is '{encoder}'; {did_you_mean(encoder, known)}")


def _encoder_weights(encoder: str, weights: str) -> dict[str, Tensor]:
    if weights == "imagenet":
        return {f"model.{name}": tensor for name, tensor in load_lite_weights(encoder).items()}
    path = Path(weights)
    if path.suffix != ".safetensors" or not path.is_file():
        raise UserError(f"model.options.weights is '{weights}'; expected imagenet, none or a .safetensors file")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path}: not a readable .safetensors file ({error})") from None


def _offline(encoder: str, error: Exception) -> str:
    reason = str(error).splitlines()[0][:120]
    return (
        f"ImageNet weights of encoder '{encoder}' could not be had ({reason}); give a local file as "
        'model.options.weights, or weights = "none"'
    )
