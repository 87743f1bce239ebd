"""The contract that every model keeps."""

import pytest
import torch

from tumorline.errors import UserError
from tumorline.models import MODELS, build, count_parameters

SMALL: dict[str, dict[str, object]] = {
    "unet": {"widths": [4, 8, 8]},
    "monai_unet": {"widths": [4, 8, 8]},
    "encoder_unet": {"weights": "none"},
}
VARIANTS = [
    *SMALL.items(),
    ("unet", {"widths": [4, 8], "residual": True, "norm": "group", "dropout": 0.1}),
    ("encoder_unet", {"weights": "none", "output_stride": 2}),
]
EVERY_MODEL = pytest.mark.parametrize(("name", "options"), VARIANTS)


def test_every_model_is_under_the_contract() -> None:
    assert set(SMALL) == set(MODELS)


@EVERY_MODEL
@pytest.mark.parametrize(("channels", "regions"), [(1, 1), (4, 3)])
def test_logits_have_the_size_of_the_image(name: str, options: dict[str, object], channels: int, regions: int) -> None:
    network = build(name, channels=channels, regions=regions, options=options)
    assert network(torch.randn(2, channels, 37, 50)).shape == (2, regions, 37, 50)


@EVERY_MODEL
@pytest.mark.parametrize("size", [(1, 1), (4, 3), (2, 40)])
def test_images_below_the_deepest_level_can_be_trained_on(
    name: str, options: dict[str, object], size: tuple[int, int]
) -> None:
    network = build(name, channels=1, regions=1, options=options).train()
    logits = network(torch.randn(1, 1, *size))
    assert logits.shape == (1, 1, *size)
    assert torch.isfinite(logits).all()


@EVERY_MODEL
def test_gradients_reach_every_parameter(name: str, options: dict[str, object]) -> None:
    network = build(name, channels=1, regions=1, options=options)
    network(torch.randn(2, 1, 64, 64)).square().mean().backward()
    assert [key for key, parameter in network.named_parameters() if parameter.grad is None] == []


@EVERY_MODEL
def test_a_seed_gives_the_same_network(name: str, options: dict[str, object]) -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(build(name, channels=1, regions=1, options=options).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@EVERY_MODEL
def test_bfloat16_autocast_stays_close(name: str, options: dict[str, object]) -> None:
    torch.manual_seed(0)
    network = build(name, channels=1, regions=1, options=options).eval()
    image = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        exact = network(image)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(image).float()
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean() + 0.02


def test_the_classic_u_net_has_its_size() -> None:
    classic = build("unet", channels=1, regions=1, options={"widths": [32, 64, 128, 256, 512]})
    assert count_parameters(classic) == 7_762_465


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unett", {}, r"model\.name is 'unett'; did you mean 'unet'\?"),
        ("unet", {"width": [4]}, r"unknown key 'width'; did you mean 'widths'\?"),
        ("unet", {"norm": "layr"}, r"model\.options\.norm is 'layr'; known: batch, group, instance"),
        ("encoder_unet", {"encoder": "efficientnet_lite9"}, r"encoder is 'efficientnet_lite9'; did you mean"),
        ("encoder_unet", {"encoder": "tu-resnet99"}, r"encoder is 'tu-resnet99'; did you mean 'tu-resnet"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        build(name, channels=1, regions=1, options=options)


def test_an_output_stride_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="output_stride is 4; expected 1 or 2"):
        build("encoder_unet", channels=1, regions=1, options={"weights": "none", "output_stride": 4})
