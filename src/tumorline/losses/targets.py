"""What every loss does with its logits and targets before anything else."""

import torch
from torch import Tensor


def probabilities(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Probability and target as `(B, R, pixels)` in float32; the target is checked."""
    refuse_unscaled(target)
    return logits.float().sigmoid().flatten(2), target.float().flatten(2)


def refuse_unscaled(target: Tensor) -> None:
    """Raise ValueError for a target outside [0, 1], such as a mask left at 0..255.

    The check costs a pass over the target on the processor; on a GPU it would wait for the device at each step and is
    left to the asynchronous assertion.
    """
    low, high = target.min(), target.max()
    if target.is_cuda:
        torch._assert_async((low >= 0) & (high <= 1), "targets must be in [0, 1]")
    elif not (low >= 0 and high <= 1):
        raise ValueError(f"targets must be in [0, 1]; found {low.item():g} to {high.item():g}: a mask left at 0..255?")
