"""From thresholded probabilities to the masks of a case: nesting, and what the model's post-processing takes out."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tumorline.arrays import Float32Array, MaskArray
from tumorline.config import Postprocessing
from tumorline.geometry.distances import bounding_box
from tumorline.regions import ENHANCING, NESTED


class Drawn(NamedTuple):
    """What a model draws, before anything is taken out: `(R, *space)` each."""

    masks: MaskArray
    probability: Float32Array


def postprocess(drawn: Drawn, regions: Sequence[str], settings: Postprocessing, voxel_ml: float | None) -> MaskArray:
    """Masks `(R, *space)` as they are written and scored: BraTS's regions lie within one another, small components go.

    An inner region counts only where the outer one is: the harder region cannot spoil the easier one, and vessels that
    enhance outside of a tumour are none. Limits in ml are for volumes, whose voxels have one. Of what is large enough
    those components go that are far less certain than the most certain one.
    """
    masks = drawn.masks.copy()
    nested = [name for name in NESTED if name in regions]
    for name in (*nested, *(name for name in regions if name not in NESTED)):
        mask = masks[regions.index(name)]
        if name in nested[1:]:
            mask &= masks[regions.index(nested[nested.index(name) - 1])]
        limits = ComponentLimits(_least_elements(name, settings, voxel_ml), settings.least_relative_peak)
        _remove_components(mask, drawn.probability[regions.index(name)], limits)
        if name == ENHANCING and voxel_ml and np.count_nonzero(mask) * voxel_ml < settings.least_enhancing_ml:
            mask[...] = False
    return masks


def describe_postprocessing(regions: Sequence[str], settings: Postprocessing) -> str:
    """What `postprocess` does to a model's masks, in words; empty where it does nothing."""
    limits = [f"{name} {value:g} ml" for name, value in settings.smallest_ml.items() if value]
    limits += [f"{name} {value} px" for name, value in settings.smallest_px.items() if value]
    peak, least = settings.least_relative_peak, settings.least_enhancing_ml
    sentences = (
        "an inner region counts only within the outer ones"
        if len([name for name in regions if name in NESTED]) > 1
        else "",
        f"components below these sizes are taken out: {', '.join(limits)}" if limits else "",
        f"components go whose highest probability is below {peak:g} times the highest of the region" if peak else "",
        f"{ENHANCING} of less than {least:g} ml in all is taken out of that region" if least else "",
    )
    return "; ".join(filter(None, sentences))


def _least_elements(region: str, settings: Postprocessing, voxel_ml: float | None) -> float:
    """Pixels or voxels that a component has to have."""
    by_volume = settings.smallest_ml.get(region, 0.0) / voxel_ml if voxel_ml else 0.0
    return max(by_volume, settings.smallest_px.get(region, 0))


class ComponentLimits(NamedTuple):
    """Of the components of one region."""

    elements: float
    """That one has at least."""
    relative_peak: float
    """Share of the highest probability of all that one reaches somewhere."""


def _remove_components(mask: MaskArray, probability: Float32Array, limits: ComponentLimits) -> None:
    """Of mask `(*space)`, in place."""
    if (limits.elements <= 1 and not limits.relative_peak) or not mask.any():
        return
    box = bounding_box(mask)
    components, sizes = label_components(mask[box])
    kept = sizes >= max(1, limits.elements)
    if limits.relative_peak and kept.any():
        peaks = _peaks(probability[box], components, len(sizes))
        kept &= peaks >= limits.relative_peak * peaks[kept].max()
    mask[box] &= kept[components]


def _peaks(probability: Float32Array, components: np.ndarray, count: int) -> np.ndarray:
    """The highest probability of each component; of what is outside of all, by the number 0, none."""
    from scipy import ndimage  # slow to import

    return np.array([0.0, *ndimage.maximum(probability, components, range(1, count))])


def label_components(mask: MaskArray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each element's component, 0 outside of all, and the elements of each number, with 0 for 0."""
    from scipy import ndimage  # slow to import

    components, count = ndimage.label(mask, np.ones([3] * mask.ndim))
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    sizes[0] = 0
    return components, sizes
