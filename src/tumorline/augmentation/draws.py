"""What is drawn for a sample, and for the samples of a batch."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

Drawn = TypeVar("Drawn")


def sample_generator(seed: int, epoch: int, number: int) -> np.random.Generator:
    """The generator of sample `number`, the same in every batch, process and resumed run."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, (epoch << 32) | number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def stack_samples(kind: Callable[..., Drawn], samples: Sequence[Drawn]) -> Drawn:
    """The draws of single samples as those of a batch, whose first axis is the sample."""
    fields = {name: np.stack([getattr(sample, name) for sample in samples]) for name in vars(samples[0])}
    return kind(**fields)
