"""From a network's logits to probabilities, with one temperature or each region's own."""

from collections.abc import Sequence

import numpy as np

from tumorline.arrays import Float32Array


def to_probability(logits: Float32Array, temperatures: float | Sequence[float]) -> Float32Array:
    """Sigmoid of logits `(..., R, S, S)` divided by one temperature, or each region's own (Guo et al. 2017, ICML)."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * logits / for_regions(temperatures, 3))), np.float32)


def for_regions(values: float | Sequence[float], ndim: int) -> Float32Array:
    """A value, or one of each region, in the shape `(R, 1, ...)` of so many axes, to be held against `(R, *space)`."""
    return np.array(values, np.float32).reshape(-1, *[1] * (ndim - 1))
