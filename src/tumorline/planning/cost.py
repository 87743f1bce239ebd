"""What a network costs at a size: of the real network, run without values."""

import json
from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import torch

from tumorline.config import Config, parse_config
from tumorline.errors import UserError
from tumorline.planning.choices import Plan, value_at
from tumorline.planning.machine import GIGA, SLICES, AtHand
from tumorline.training.machine import Machine, use_bfloat16
from tumorline.training.memory import NetworkShape, measure, measure_computing

PASSES = 3
"""A training step computes about as much as so many forward passes."""
PROBE = 64
"""Sides of the image that is measured, which every network takes as it is."""
USABLE = 0.6
"""Share of the memory that a plan fills; the rest is for the allocator, the data and others."""


class Cost(NamedTuple):
    """Of one image or patch in training."""

    seconds: float
    weights: int
    """Bytes, once for all images of a batch."""
    kept: int
    """Bytes of each image."""

    def fits(self, batch: int, hand: AtHand) -> bool:
        return self.share(batch, hand) >= 1

    def of_batch(self, batch: int) -> int:
        """Bytes."""
        return self.weights + batch * self.kept

    def share(self, batch: int, hand: AtHand) -> float:
        """Of the images of a batch, what part the memory takes; 1 and more where all of them fit."""
        return max(0.0, USABLE * hand.memory - self.weights) / max(1, batch * self.kept)


def cost_of(recipe: Mapping[str, Any], shape: NetworkShape, hand: AtHand) -> Cost:
    """In proportion to the pixels or voxels. Raises UserError for a network that cannot be measured without values."""
    config = parse_config(recipe, "the plan")
    network = json.dumps([config.model.name, config.model.options])
    machine = Machine(torch.device(hand.device_type), use_bfloat16(config.train.precision, hand.bfloat16))
    probe = _measure_probe(network, config.dims, shape, machine)
    if probe is None:
        raise UserError(
            f"model.name is '{config.model.name}', whose cost cannot be told; plan with another, and set it later"
        )
    times = prod(config.network_size) / PROBE**config.dims
    speed = hand.gflops * (1 if config.dims == 3 else SLICES)
    return Cost(2 * PASSES * probe.multiply_adds * times / (speed * GIGA), probe.weights, int(probe.kept * times))


def cost_of_plan(plan: Plan) -> Cost:
    """Of what is chosen so far."""
    depth = 1 + 2 * plan.recipe.get("data", {}).get("context", 0)
    shape = NetworkShape(plan.fingerprint.channel_count * depth, plan.fingerprint.region_count)
    return cost_of(plan.recipe, shape, plan.hand)


def fitting_batch(plan: Plan, cost: Cost, batch: int) -> int:
    """The batch, halved until the memory takes it or one is left; set by hand it stays."""
    if value_at(plan.by_hand, "train.batch_size") is not None:
        return batch
    while batch > 1 and not cost.fits(batch, plan.hand):
        batch //= 2
    return batch


class _Probe(NamedTuple):
    """Of an image whose sides are `PROBE`."""

    multiply_adds: int
    weights: int
    kept: int


@lru_cache(maxsize=64)
def _measure_probe(network: str, dims: int, shape: NetworkShape, machine: Machine) -> _Probe | None:
    name, options = json.loads(network)
    data = {"image_size": PROBE} if dims == 2 else {"window": [PROBE] * 3}
    config = Config.model_validate({"model": {"name": name, "options": options}, "data": data})
    memory, computed = measure(config, shape, machine), measure_computing(config, shape)
    return None if memory is None or computed is None else _Probe(computed, *memory)
