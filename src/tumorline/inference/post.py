"""From thresholded probabilities to the masks of a case: nesting, and what the model's post-processing takes out."""

from collections.abc import Sequence

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.config import Postprocessing
from tumorline.geometry.distances import bounding_box
from tumorline.regions import ENHANCING, NESTED


def postprocess(
    masks: MaskArray, regions: Sequence[str], settings: Postprocessing, voxel_ml: float | None
) -> MaskArray:
    """Masks `(R, *space)` as they are written and scored: BraTS's regions lie within one another, small components go.

    An inner region counts only where the outer one is: the harder region cannot spoil the easier one, and vessels that
    enhance outside of a tumour are none. Limits in ml are for volumes, whose voxels have one.
    """
    masks = masks.copy()
    nested = [name for name in NESTED if name in regions]
    for name in (*nested, *(name for name in regions if name not in NESTED)):
        mask = masks[regions.index(name)]
        if name in nested[1:]:
            mask &= masks[regions.index(nested[nested.index(name) - 1])]
        _remove_small_components(mask, _least_elements(name, settings, voxel_ml))
        if name == ENHANCING and voxel_ml and np.count_nonzero(mask) * voxel_ml < settings.least_enhancing_ml:
            mask[...] = False
    return masks


def describe_postprocessing(regions: Sequence[str], settings: Postprocessing) -> str:
    """What `postprocess` does to a model's masks, in words; empty where it does nothing."""
    limits = [f"{name} {value:g} ml" for name, value in settings.smallest_ml.items() if value]
    limits += [f"{name} {value} px" for name, value in settings.smallest_px.items() if value]
    least = settings.least_enhancing_ml
    said = (
        "an inner region counts only within the outer ones"
        if len([name for name in regions if name in NESTED]) > 1
        else "",
        f"components below these sizes are taken out: {', '.join(limits)}" if limits else "",
        f"{ENHANCING} of less than {least:g} ml in all is taken out of that region" if least else "",
    )
    return "; ".join(filter(None, said))


def _least_elements(region: str, settings: Postprocessing, voxel_ml: float | None) -> float:
    """Pixels or voxels that a component has to have."""
    by_volume = settings.smallest_ml.get(region, 0.0) / voxel_ml if voxel_ml else 0.0
    return max(by_volume, settings.smallest_px.get(region, 0))


def _remove_small_components(mask: MaskArray, least: float) -> None:
    if least <= 1 or not mask.any():
        return
    box = bounding_box(mask)
    components, sizes = label_components(mask[box])
    mask[box] &= (sizes >= least)[components]


def label_components(mask: MaskArray) -> tuple[np.ndarray, np.ndarray]:
    """The number of each element's component, 0 outside of all, and the elements of each number, with 0 for 0."""
    from scipy import ndimage  # slow to import

    components, count = ndimage.label(mask, np.ones([3] * mask.ndim))
    sizes = np.bincount(components.ravel(), minlength=count + 1)
    sizes[0] = 0
    return components, sizes
