"""How the training images were changed at random, in words: a phrase for each key of `[augment]`."""

from collections.abc import Iterable

from tumorline.config import AugmentConfig, bare_name
from tumorline.wording import NOT_STATED, percent


def describe_augmentation(settings: AugmentConfig | None) -> list[str]:
    if settings is None:
        return [f"Augmentation: {NOT_STATED}."]
    changes = [
        *_mirrors_and_turns(settings),
        _with_probability(_geometry(settings), settings.geometry_probability, "together with"),
        _with_probability(_greys(settings), settings.intensity_probability, "each with"),
        _channels(settings),
        *_whole_heads(settings),
        *_tumours(settings),
    ]
    text = "; ".join(filter(None, changes))
    return [f"Training images were changed at random: {text}." if text else "Training images were not augmented."]


def _with_probability(changes: Iterable[str], probability: float, how: str) -> str:
    stated = list(filter(None, changes))
    return f"{', '.join(stated)} ({how} probability {probability:g})" if stated and probability else ""


def _mirrors_and_turns(settings: AugmentConfig) -> list[str]:
    along = f"the {settings.flips} axis" if isinstance(settings.flips, str) else "both axes independently"
    return [
        f"mirroring of half of the samples along {along}" if settings.flips else "",
        f"turns by 0, 90, 180 or 270 degrees of {percent(settings.quarter_turns)} of the samples"
        if settings.quarter_turns
        else "",
    ]


def _geometry(settings: AugmentConfig) -> list[str]:
    return [
        f"rotation by up to {settings.rotation_degrees:g} degrees" if settings.rotation_degrees else "",
        f"scaling by factors {_either_way(settings.scale)}" if settings.scale else "",
        f"shifts of up to {percent(settings.shift)} of the side" if settings.shift else "",
        f"elastic displacements of up to {percent(settings.elastic)} of the side" if settings.elastic else "",
    ]


def _greys(settings: AugmentConfig) -> list[str]:
    return [
        f"gamma {_either_way(settings.gamma)}" if settings.gamma else "",
        f"contrast by up to {percent(settings.contrast)}" if settings.contrast else "",
        f"Gaussian noise of up to {settings.noise:g} standard deviations" if settings.noise else "",
        f"blur of up to {settings.blur:g} pixels" if settings.blur else "",
        f"a resolution down to {settings.low_resolution:g}" if 0 < settings.low_resolution < 1 else "",
    ]


def _either_way(share: float) -> str:
    """Factors that are drawn evenly on a logarithmic scale."""
    return f"from {1 / (1 + share):.4g} to {1 + share:.4g}"


def _channels(settings: AugmentConfig) -> str:
    left_out = f"each channel left out with probability {settings.channel_dropout:g}, but never all of them"
    return left_out if settings.channel_dropout else ""


def _whole_heads(settings: AugmentConfig) -> list[str]:
    remedies = {
        "what lies around the brain taken away": settings.skull_strip,
        "the head cut out anew, half of the times with black bars": settings.crop,
        "grey values, darkness, resolution, noise and JPEG compression drawn anew": settings.appearance,
        "a part of the head seen, with all of a tumour or nothing of it": settings.part,
        "the head made of one half and its mirror image": settings.mirror_half,
    }
    return [f"{change} (in {percent(share)} of the slices)" for change, share in remedies.items() if share]


def _tumours(settings: AugmentConfig) -> list[str]:
    into = {"tumour_free": "the slices without a tumour", "all": "all slices"}[settings.paste_into]
    listed = f"the cases in '{bare_name(settings.donors)}'" if settings.donors else "other training slices"
    return [
        f"the tumour of one of {listed} put into {percent(settings.paste)} of {into}" if settings.paste else "",
        f"the tumour taken out of {percent(settings.inpaint)} of the slices that have one, and as many of the others "
        "filled beside it"
        if settings.inpaint
        else "",
    ]
