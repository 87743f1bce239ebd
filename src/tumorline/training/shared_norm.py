"""Batch normalisation over the batches of all processes, so that several processes compute what one would.

torch's own SyncBatchNorm works on GPUs only and knows no activation inside a norm layer, as timm has it.
"""

from types import MethodType

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


def share_batch_statistics(network: nn.Module) -> None:
    """Have every batch norm of `network` use the mean and variance over all processes while it trains."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]


def _forward(self: _BatchNorm, image: Tensor) -> Tensor:
    """Normalise `(B, C, *space)`; shards have equal size."""
    if not self.training:
        result: Tensor = type(self).forward(self, image)
        return result
    axes = [axis for axis in range(image.ndim) if axis != 1]
    shape = [1, -1] + [1] * (image.ndim - 2)
    exact = image.float()
    mean, square = all_reduce(torch.stack([exact.mean(axes), exact.square().mean(axes)])) / dist.get_world_size()
    variance = (square - mean.square()).clamp_min(0)
    _update_running(self, mean.detach(), variance.detach(), image.numel() // image.shape[1] * dist.get_world_size())
    scale = self.weight * torch.rsqrt(variance + self.eps)
    normal: Tensor = ((exact - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)).to(image.dtype)
    for name in ("drop", "act"):
        if hasattr(self, name):
            normal = getattr(self, name)(normal)
    return normal


@torch.no_grad()
def _update_running(norm: _BatchNorm, mean: Tensor, variance: Tensor, count: int) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.num_batches_tracked is not None
    assert norm.momentum is not None
    norm.num_batches_tracked += 1
    norm.running_mean.lerp_(mean, norm.momentum)
    norm.running_var.lerp_(variance * (count / max(1, count - 1)), norm.momentum)
