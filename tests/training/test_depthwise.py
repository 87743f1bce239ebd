import copy

import pytest
import torch
from torch import Tensor, nn

from tumorline.training.depthwise import compute_depthwise_in_float32


def gradients(network: nn.Module, image: Tensor, autocast: bool) -> list[Tensor]:
    network.zero_grad()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        network(image).float().square().sum().backward()
    return [parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None]


@pytest.mark.parametrize(("kind", "dims"), [(nn.Conv2d, 2), (nn.Conv3d, 3)])
def test_the_gradient_is_that_of_float32_and_the_result_stays_bfloat16(kind: type[nn.Module], dims: int) -> None:
    torch.manual_seed(0)
    exact = kind(4, 4, 3, groups=4, bias=False)
    treated = copy.deepcopy(exact)
    compute_depthwise_in_float32(treated)
    image = torch.randint(-3, 4, (2, 4, *[8] * dims)).float()
    with torch.autocast("cpu", torch.bfloat16):
        result = treated(image.bfloat16())
    assert result.dtype == torch.bfloat16
    assert torch.equal(result, exact(image).bfloat16())


def test_other_convolutions_are_left_alone_and_the_weights_keep_their_names() -> None:
    network = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Conv2d(4, 8, 3, groups=2), nn.Conv2d(4, 4, 3, groups=4))
    names = list(network.state_dict())
    compute_depthwise_in_float32(network)
    assert ["forward" in vars(module) for module in network] == [False, False, True]
    assert list(network.state_dict()) == names


def test_a_network_learns_the_same_direction() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 1, 1))
    image = torch.randn(2, 1, 16, 16)
    exact = gradients(network, image, autocast=False)
    compute_depthwise_in_float32(network)
    for wanted, found in zip(exact, gradients(network, image, autocast=True), strict=True):
        assert torch.cosine_similarity(wanted.flatten(), found.flatten(), dim=0) > 0.999
