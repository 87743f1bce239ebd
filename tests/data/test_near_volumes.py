"""Volumes that are the same scan are found whatever was done to them, and other patients are not."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import ndimage

from tumorline.arrays import ImageArray
from tumorline.data.near.volumes import near_volumes, unpack_blocks, volume_block

SHAPE = (36, 48, 44)
RANDOM = np.random.default_rng(0)


def head(seed: int) -> ImageArray:
    """Random tissue in one ellipsoid, which all heads share."""
    places = np.stack(np.meshgrid(*[np.linspace(-1.2, 1.2, side) for side in SHAPE], indexing="ij"))
    inside = np.square(places).sum(axis=0) < 1
    tissue = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 2)
    return np.asarray(np.where(inside, 500 + 300 * tissue / tissue.std(), 0).clip(0), np.float32)


CHANGES: dict[str, tuple[str, Callable[[ImageArray], ImageArray]]] = {
    "cropped to the head": ("identity", lambda v: v[4:-4, 5:-5, 5:-5]),
    "noise": ("identity", lambda v: v + RANDOM.normal(0, 30, v.shape).astype(np.float32)),
    "gamma": ("identity", lambda v: v**0.7),
    "coarser": ("identity", lambda v: ndimage.zoom(v, 0.75, order=1)),
    "mirrored": ("mirror", lambda v: v[..., ::-1]),
    "turned": ("rotate90", lambda v: np.rot90(v, 1, (1, 2))),
    "upside down": ("identity and upside down", lambda v: v[::-1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_volume_is_found_among_others(change: str) -> None:
    transform, make = CHANGES[change]
    volumes = [head(0), head(1), np.ascontiguousarray(make(head(0))), head(2)]
    (pair,) = near_volumes(unpack_blocks([volume_block(volume) for volume in volumes]))
    assert (pair.a, pair.b, pair.transform) == (0, 2, transform)


def test_two_sets_are_compared_with_one_another_only() -> None:
    first = unpack_blocks([volume_block(head(seed)) for seed in (0, 0, 1)])
    second = unpack_blocks([volume_block(head(seed)) for seed in (2, 1)])
    assert [(pair.a, pair.b) for pair in near_volumes(first, second)] == [(2, 1)]
    assert near_volumes(first[:0], second) == near_volumes(first, second[:0]) == []


def test_a_constant_or_tiny_volume_says_nothing_or_little() -> None:
    assert volume_block(np.full((4, 4, 4), 7, np.float32)) == b""
    tiny = unpack_blocks([volume_block(np.arange(8, dtype=np.float32).reshape(2, 2, 2) + seed) for seed in (0, 1)])
    assert tiny.shape == (2, 32, 32, 32)
