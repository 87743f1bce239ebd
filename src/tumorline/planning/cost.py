"""What a network costs at a size: of the real network, run without values."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from tumorline.config import Config, parse_config
from tumorline.errors import UserError
from tumorline.planning.choices import Plan
from tumorline.planning.machine import GIGA, SLICES, AtHand
from tumorline.training.memory import NetworkShape, measure, measure_computing

PASSES = 3
"""A training step computes about as much as so many forward passes."""
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

    def share(self, batch: int, hand: AtHand) -> float:
        """Of the images of a batch, what part the memory takes; 1 and more where all of them fit."""
        return max(0.0, USABLE * hand.memory - self.weights) / max(1, batch * self.kept)


def cost_of(recipe: Mapping[str, Any], shape: NetworkShape, hand: AtHand) -> Cost:
    """Raises UserError for a network that cannot be measured without values."""
    config = parse_config(recipe, "the plan")
    found, computed = _measure(config.to_toml(), shape)
    if found is None or computed is None:
        raise UserError(
            f"model.name is '{config.model.name}', whose cost cannot be told; plan with another, and set it later"
        )
    speed = hand.gflops * (1 if config.dims == 3 else SLICES)
    return Cost(2 * PASSES * computed / (speed * GIGA), *found)


def cost_of_plan(plan: Plan) -> Cost:
    """Of what is chosen so far."""
    depth = 1 + 2 * plan.recipe.get("data", {}).get("context", 0)
    shape = NetworkShape(plan.found.channel_count * depth, plan.found.region_count)
    return cost_of(plan.recipe, shape, plan.hand)


@lru_cache(maxsize=64)
def _measure(toml: str, shape: NetworkShape) -> tuple[tuple[int, int] | None, int | None]:
    """Bytes as `measure` gives them, and multiply-adds of a forward pass."""
    config = Config.model_validate(tomllib.loads(toml))
    return measure(config, shape), measure_computing(config, shape)
