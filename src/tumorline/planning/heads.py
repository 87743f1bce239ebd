"""A network of three axes: how finely, and how much of a head at once."""

from collections.abc import Mapping
from math import ceil, floor, log2, prod
from typing import Any, NamedTuple

from tumorline.config import COARSEST_MM, FINEST_MM, LONGEST_SIDE, SHORTEST_SIDE
from tumorline.planning.choices import Plan, joined_sides, value_at
from tumorline.planning.cost import Cost, cost_of_plan, fitting_batch
from tumorline.planning.fingerprint import Fingerprint
from tumorline.planning.machine import GIGA, MOST_PATCHES, OF_STEPS
from tumorline.wording import numbered

COARSER = (1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""Times the finest spacing, from which that of a plan is taken."""
LEAST_PATCHES = 1800
"""Heads that a network from scratch has to see, as the recipe `brats_3d` lets it."""
SMALLEST_BOTTOM = 8
"""Voxels of the deepest level along the shortest side at least, as long as nothing is coarser than that."""
EPOCHS = 16

Sides = tuple[int, ...]
Lengths = tuple[float, ...]


class _Sight(NamedTuple):
    """What a network sees at a spacing in the time."""

    spacing: Lengths
    whole: Sides
    """The head of the median case in voxels, rounded up to what the depth takes."""
    window: Sides
    cost: Cost
    heads: float


def see_heads(plan: Plan, batch: int) -> Cost:
    """Choose the network, the spacing and the window; the cost of a patch."""
    plan.take("model.name", "unet", "a plain U-Net with instance norms, as nnU-Net's; the others cost more for no more")
    tried = []
    for spacing in _spacings(plan.fingerprint, plan.by_hand):
        tried.append(_try_spacing(plan, spacing, batch))
        if tried[-1].heads >= LEAST_PATCHES:
            break
    sight = tried[-1]
    plan.take("data.voxel_mm", list(sight.spacing), _why_so_fine(plan, tried))
    _take_network(plan, sight.whole)
    plan.take("data.window", list(sight.window), _why_so_large(plan, sight, batch))
    plan.take("data.region_share", 0.67, "patches around a region beside those anywhere, as nnU-Net's third is forced")
    return sight.cost


def _try_spacing(plan: Plan, spacing: Lengths, batch: int) -> _Sight:
    draft = Plan(plan.fingerprint, plan.hand, plan.by_hand, list(plan.choices))
    head = _window_of(_head_mm(plan.fingerprint), spacing)
    _take_network(draft, head)
    window, cost = _fit_window(draft, head, spacing, batch)
    seconds = OF_STEPS * 60 * plan.hand.minutes
    return _Sight(spacing, head, window, cost, seconds / cost.seconds * min(1.0, prod(window) / prod(head)))


def _why_so_fine(plan: Plan, tried: list[_Sight]) -> str:
    heads = tried[-1].heads
    short = "" if heads >= LEAST_PATCHES else f", which is short of {LEAST_PATCHES}: give it more minutes"
    finer = "the set has no finer one" if min(tried[0].spacing) > FINEST_MM else f"{FINEST_MM:g} mm is the finest"
    if len(tried) > 1:
        finer = f"at {joined_sides(tried[-2].spacing)} mm it is {tried[-2].heads:.0f}"
    seen = f"in {plan.hand.time} it sees about {heads:.0f} heads{short}; {finer}"
    return f"the finest at which it sees {LEAST_PATCHES} heads: {seen}"


def _why_so_large(plan: Plan, sight: _Sight, batch: int) -> str:
    share = prod(sight.window) / prod(sight.whole)
    of_box = f"{share:.0%}" if share >= 0.01 else "less than 1%"
    part = "the whole head" if sight.window == sight.whole else f"{of_box} of the head's box"
    head = joined_sides(tuple(round(side) for side in _head_mm(plan.fingerprint)))
    fitting = fitting_batch(plan, sight.cost, batch)
    memory = f"{sight.cost.of_batch(fitting) / GIGA:.2g} of {plan.hand.memory / GIGA:.3g} GB with a batch of {fitting}"
    return f"{part} of the median case ({head} mm), in steps that the depth takes; {memory}"


def _head_mm(fingerprint: Fingerprint) -> Lengths:
    assert fingerprint.spacing_mm
    return fingerprint.head_mm or tuple(
        side * length for side, length in zip(fingerprint.size, fingerprint.spacing_mm, strict=True)
    )


def _spacings(fingerprint: Fingerprint, by_hand: Mapping[str, Any]) -> list[Lengths]:
    """From the set's own to four times as coarse; axes that are coarser already stay. One that is set by hand alone."""
    stated = value_at(by_hand, "data.voxel_mm")
    if stated is not None:
        return [tuple(stated)]
    assert fingerprint.spacing_mm
    finest = min(fingerprint.spacing_mm)
    return [tuple(_usual(max(spacing, finest * times)) for spacing in fingerprint.spacing_mm) for times in COARSER]


def _usual(spacing: float) -> float:
    return min(COARSEST_MM, max(FINEST_MM, round(spacing, 2)))


def _window_of(head_mm: Lengths, spacing: Lengths) -> Sides:
    """The head in voxels, rounded up to what the depth for it takes."""
    sides = tuple(max(SHORTEST_SIDE, round(side / length)) for side, length in zip(head_mm, spacing, strict=True))
    while (rounded := _rounded_up(sides, 2 ** (_levels(sides) - 1))) != sides:
        sides = rounded  # which may be deep enough for one level more
    return sides


def _rounded_up(sides: Sides, multiple: int) -> Sides:
    return tuple(multiple * ceil(side / multiple) for side in sides)


def _levels(sides: Sides) -> int:
    """Levels of which the deepest has `SMALLEST_BOTTOM` voxels along the shortest side; 2 to 6."""
    return min(6, max(2, 1 + floor(log2(max(1, min(sides) / SMALLEST_BOTTOM)))))


def _take_network(plan: Plan, head: Sides) -> None:
    if value_at(plan.by_hand, "model.name") not in (None, "unet"):
        return
    levels, first = _levels(head), 32 if plan.hand.is_large else 16
    widths = [min(320, first * 2**level) for level in range(levels)]
    bottom = f"{levels} levels leave {min(head) // 2 ** (levels - 1)} voxels along the shortest side of the head"
    width = "32 channels at first as nnU-Net" if first == 32 else "16 channels at first, what a processor can train"
    why = f"{bottom}; {width}; a loss at each level"
    stated = value_at(plan.by_hand, "model.options")
    plan.take("model.options", stated or {"widths": widths, "deep_supervision": True}, why)
    if not plan.hand.is_large:
        plan.take("train.channels_last", False, "instance norms of three axes are faster without, on a processor")


def _fit_window(plan: Plan, head: Sides, spacing: Lengths, batch: int) -> tuple[Sides, Cost]:
    """The window and its cost: the whole head, or as much of it as the memory takes, its longest side cut first."""
    stated, multiple = value_at(plan.by_hand, "data.window"), 2 ** (_levels(head) - 1)
    longest = LONGEST_SIDE // multiple * multiple
    window = tuple(stated or (min(side, longest) for side in head))
    plan.take("data.voxel_mm", list(spacing), "")
    while True:
        plan.take("data.window", list(window), "")
        cost = cost_of_plan(plan)
        smaller = _cut_window(window, multiple, prod(window) * cost.share(batch, plan.hand))
        if stated or smaller == window:
            return window, cost
        window = smaller


def _cut_window(window: Sides, multiple: int, voxels: float) -> Sides:
    """The longest sides shorter by multiples, until it has so many voxels or two multiples are left, 8 at least."""
    sides = list(window)
    while prod(sides) > voxels and max(sides) > max(SHORTEST_SIDE, 2 * multiple):
        sides[sides.index(max(sides))] -= multiple
    return tuple(sides)


def share_patches(plan: Plan, images: int, batch: int) -> int:
    """Epochs, and patches of each case in one: so that an epoch has steps enough for its validation.

    Returns how many patches are seen in all.
    """
    train = max(1, round(plan.training_share * plan.fingerprint.cases))
    epochs = min(EPOCHS, max(1, images // batch))
    epochs = plan.take("train.epochs", epochs, "each is validated on whole volumes, which should cost little beside it")
    patches = max(1, images // (epochs * train))
    over = f"{numbered(epochs, 'epoch')} and about {numbered(train, 'training case')}"
    counted = f"{images} patches{', the most of any plan,' if images == MOST_PATCHES else ''}"
    why = f"{counted} in {plan.hand.time} over {over}"
    patches = plan.take("data.patches", patches, why)
    whole, epoch_images = train * patches, value_at(plan.by_hand, "train.epoch_images")
    if images < epochs * whole:
        why = "the time does not reach all cases in each epoch"
        epoch_images = plan.take("train.epoch_images", max(batch, images // epochs), why)
    return int(epochs * min(epoch_images or whole, whole))
