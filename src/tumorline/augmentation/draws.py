"""What is drawn for a sample, and for the samples of a batch; and which of their channels are left alone."""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from torch import Tensor

Drawn = TypeVar("Drawn")
Share = TypeVar("Share", float, Tensor)


def sample_generator(seed: int, epoch: int, number: int) -> np.random.Generator:
    """The generator of sample `number`, the same in every batch, process and resumed run."""
    key = np.array([seed & 0xFFFFFFFFFFFFFFFF, (epoch << 32) | number], np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def stack_samples(kind: Callable[..., Drawn], samples: Sequence[Drawn]) -> Drawn:
    """The draws of single samples as those of a batch, whose first axis is the sample."""
    fields = {name: np.stack([getattr(sample, name) for sample in samples]) for name in vars(samples[0])}
    return kind(**fields)


def between(limits: tuple[float, float], share: Share) -> Share:
    """Share 0 is the first limit, 1 the second."""
    return limits[0] + (limits[1] - limits[0]) * share


def shows_anything(image: Tensor) -> Tensor:
    """Which channels of `(B, C, *space)` are not the same everywhere, `(B, C, 1, ...)`."""
    space = tuple(range(2, image.ndim))
    return image.amax(space, keepdim=True) > image.amin(space, keepdim=True)
