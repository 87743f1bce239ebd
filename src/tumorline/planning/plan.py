"""The plan itself: `plan_training` is read from top to bottom, as the choices depend on one another."""

import json
from collections.abc import Iterator, Mapping
from math import floor
from typing import Any

from tumorline.errors import UserError
from tumorline.evaluation.weaknesses import FEWEST_PATIENTS
from tumorline.planning.choices import Plan, value_at
from tumorline.planning.cost import USABLE, Cost, fitting_batch
from tumorline.planning.fingerprint import COARSE, Fingerprint
from tumorline.planning.heads import see_heads, share_patches
from tumorline.planning.machine import GIGA, MOST_PATCHES, OF_STEPS, AtHand
from tumorline.planning.slices import see_slices, share_images
from tumorline.wording import numbered

FEW_PATIENTS = 30
VALIDATION = 0.2
"""Share of few patients, where it makes enough of them to choose on."""
OWN_SPLIT = ("split.file", "split.train", "split.folds")
"""Keys of a split that nothing is added to."""


def plan_training(
    fingerprint: Fingerprint, hand: AtHand, by_hand: Mapping[str, Any] | None = None, axes: int | None = None
) -> Plan:
    """What to train, how finely and for how long, each with its reason; what is set by hand stays as it is."""
    plan = Plan(fingerprint, hand, by_hand or {})
    axes = axes or _axes(fingerprint, plan.by_hand)
    _read_all(plan)
    if fingerprint.patients < FEW_PATIENTS:
        _leave_out_few(plan)

    # In three axes: the network, then the finest spacing at which the time lets it see enough heads whole, then as much
    # of a head at once as the memory takes. In slices: the largest size for which both suffice.
    batch = plan.take("train.batch_size", *_first_batch(axes))
    patch = see_heads(plan, batch) if axes == 3 else see_slices(plan, batch)
    batch = _fit_batch(plan, patch, batch)

    # As many images as the time allows, in epochs that are long enough for their validation.
    images = min(MOST_PATCHES, floor(OF_STEPS * 60 * hand.minutes / patch.seconds))
    images = (share_patches if axes == 3 else share_images)(plan, images, batch)

    _take_over(plan, axes, steps=max(1, images // batch))
    return plan


def _read_all(plan: Plan) -> None:
    """All that the set has names for."""
    if plan.fingerprint.channels:
        plan.take("data.channels", list(plan.fingerprint.channels), "all sequences of the set")
    if plan.fingerprint.regions:
        plan.take("data.regions", list(plan.fingerprint.regions), "all regions of the set")


def _take_over(plan: Plan, axes: int, steps: int) -> None:
    """Settings that were found on BraTS and Cheng, whose reasons stand in benchmarks/."""
    decay = round(min(0.999, max(0.98, 1 - 10 / steps)), 4)
    plan.take("train.average_decay", decay, f"an average over about a tenth of the {steps} steps")
    plan.take("train.learning_rate", 2e-3, "AdamW's for batches of this size; 'train --find-lr' tries others")
    for key, value, why in _augmentation(plan.fingerprint, axes):
        plan.take(key, value, why)


def _leave_out_few(plan: Plan) -> None:
    """Folds, and nobody who validates where those would be too few to choose anything well.

    A split that is set by hand stays as it is, and what needs validation gets it.
    """
    if any(value_at(plan.by_hand, key) is not None for key in OWN_SPLIT):
        return
    patients = plan.fingerprint.patients
    if patients == 1:
        plan.take("split.train", 1.0, "nobody is left to test on: what the model is worth stays unknown")
        _choose_nothing(plan, "nobody is left to choose on; the last weights are kept")
        return
    plan.take("split.folds", min(5, patients), f"{patients} are few: 'tumorline folds' tests on each of them")
    if VALIDATION * patients >= FEWEST_PATIENTS:
        plan.take("split.validation", VALIDATION, "of what a fold leaves to train on")
        return
    if needed := _needing_validation(plan):
        plan.take("split.validation", VALIDATION, f"{needed[0]} is set by hand, and needs somebody who validates")
        return
    few = numbered(max(1, round(VALIDATION * patients)), "patient")
    _choose_nothing(plan, f"{few} would choose badly; the last weights are kept")


def _choose_nothing(plan: Plan, why: str) -> None:
    if not plan.take("split.validation", 0, why):
        plan.take("model.threshold", 0.5, "fixed beforehand: nobody validates")
        plan.take("model.temperature", 1.0, "fixed beforehand: nobody validates")


def _needing_validation(plan: Plan) -> list[str]:
    """What is set by hand and takes patients who validate; nothing where their share is set by hand as well."""
    if value_at(plan.by_hand, "split.validation") is not None:
        return []
    point = ("model.threshold", "model.temperature")
    return plan.config.needs_validation + [key for key in point if value_at(plan.by_hand, key) == "validation"]


def _axes(fingerprint: Fingerprint, by_hand: Mapping[str, Any]) -> int:
    """Three of volumes, unless their slices lie far apart or slices were asked for by hand."""
    data = by_hand.get("data", {})
    if "window" in data:
        return 3
    if not fingerprint.spacing_mm or {"image_size", "context", "axis"} & {*data}:
        return 2
    return 2 if fingerprint.spacing_mm[0] > COARSE * min(fingerprint.spacing_mm) else 3


def _first_batch(axes: int) -> tuple[int, str]:
    if axes == 3:
        return 2, "nnU-Net's least: gradients of one head alone are noisy, and each costs as much"
    return 16, "slices of several patients in each step"


def _fit_batch(plan: Plan, cost: Cost, batch: int) -> int:
    """The batch, as large as the memory takes it. Raises UserError where not even one image fits."""
    fitting = fitting_batch(plan, cost, batch)
    _require_memory(plan, cost, fitting)
    if fitting < batch:
        plan.choices = [choice for choice in plan.choices if choice.key != "train.batch_size"]
        left = "" if cost.fits(fitting, plan.hand) else f", and 1 fills more than {USABLE:.0%} of it"
        plan.take("train.batch_size", fitting, f"{batch} do not fit {plan.hand.memory / GIGA:.3g} GB{left}")
    return fitting


def _require_memory(plan: Plan, cost: Cost, batch: int) -> None:
    """Raise UserError for what a training would refuse."""
    if (needed := cost.of_batch(batch)) > plan.hand.memory:
        key = "data.window" if plan.config.data.window else "data.image_size"
        raise UserError(
            f"{key} is {json.dumps(value_at(plan.recipe, key))} and train.batch_size {batch}: a batch takes about "
            f"{needed / GIGA:.2g} GB in training and there are {plan.hand.memory / GIGA:.3g} GB; plan with more memory "
            "or a network of smaller model.options"
        )


def _augmentation(fingerprint: Fingerprint, axes: int) -> Iterator[tuple[str, Any, str]]:
    if fingerprint.volumes:
        yield "augment.quarter_turns", 0, "heads of volumes lie as their headers say"
        yield "augment.flips", "horizontal", "left and right may be swapped, top and bottom not"
    if axes == 3:
        yield "augment.shift", 0.1, "the window holds the head, so that it may lie elsewhere in it"
    yield "augment.rotation_degrees", 20, "heads are tilted by less"
    yield "augment.scale", 0.2, "heads differ by less"
    yield "augment.elastic", 0, "costs much and brought nothing measurable"
    yield "augment.geometry_probability", 0.7, "the rest is seen as it is"
    yield "augment.noise", 0.05, "as strong as scanners differ"
    yield "augment.blur", 0.7, "as strong as scanners differ"
    yield "augment.low_resolution", 0.6, "as coarse as scanners differ"
    yield "augment.intensity_probability", 0.25, "each change of grey values by itself"
