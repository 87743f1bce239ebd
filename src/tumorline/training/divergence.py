"""A training whose loss or weights are no longer finite is stopped before any of them is kept."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import Tensor

from tumorline.config import TrainConfig
from tumorline.errors import Diverged

LOOK_EVERY = 16
"""Steps between two looks at the loss on a GPU, where each look waits for the device."""


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no value is infinite or NaN; asks each device once."""
    by_device: dict[torch.device, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        by_device[tensor.device].append(tensor.isfinite().all())
    return all(bool(torch.stack(flags).all()) for flags in by_device.values())


def divergence(what: str, run: Path, epochs_kept: int, settings: TrainConfig, bfloat16: bool) -> Diverged:
    """The error that ends a training, with what is kept and what to try."""
    kept = f"the weights after epoch {epochs_kept} are kept" if epochs_kept else "no epoch was finished before"
    rate = f"train.learning_rate (now {settings.learning_rate:g})"
    cures = ["train.precision=float32"] if bfloat16 else []
    cures += [] if 0 < settings.clip_norm <= 1 else ["train.clip_norm=1"]
    also = f", or {' and '.join(cures)}" if cures else ""
    return Diverged(f"{run}: the training diverged, {what}; {kept}. Start a new run with a lower {rate}{also}")
