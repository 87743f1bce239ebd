"""Regions as one map of labels that exclude one another, and back."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tumorline.arrays import MaskArray
from tumorline.errors import UserError
from tumorline.regions import CORE, EARLIER, ENHANCING, LATER, NESTED, WHOLE

LabelArray = npt.NDArray[np.uint8]


def region_labels(regions: Sequence[str], enhancing_label: int | None = None) -> dict[str, tuple[int, ...]]:
    """The labels of which each region is made: those of BraTS for its three regions, else one for each, from 1 on.

    A region that lies within others is part of them. The first label of a region is that of no region within it.
    Raises UserError for a label of enhancing tumour that BraTS has not, or where the regions are not BraTS's.
    """
    if enhancing_label not in (None, EARLIER, LATER):
        raise UserError(f"the label of enhancing tumour is {enhancing_label}; expected {LATER} or {EARLIER}")
    if enhancing_label and {*regions} != {*NESTED}:
        raise UserError(f"--enhancing-label is for models of {', '.join(NESTED)}; this one has {', '.join(regions)}")
    labels = _own_labels(regions, enhancing_label or EARLIER)
    inner = {name: NESTED[NESTED.index(name) + 1 :] if name in NESTED else () for name in regions}
    return {name: (labels[name], *(labels[region] for region in inner[name] if region in labels)) for name in regions}


def _own_labels(regions: Sequence[str], enhancing_label: int) -> dict[str, int]:
    if {*regions} == {*NESTED}:
        return {WHOLE: 2, CORE: 1, ENHANCING: enhancing_label}
    return {name: number for number, name in enumerate(regions, start=1)}


def to_labels(masks: MaskArray, labels: Mapping[str, Sequence[int]]) -> LabelArray:
    """One map `(*space)` of the masks `(R, *space)`; where regions overlap, the last in `written_order` is kept."""
    label_map = np.zeros(masks.shape[1:], np.uint8)
    names = list(labels)
    for name in written_order(names):
        label_map[masks[names.index(name)]] = labels[name][0]
    return label_map


def written_order(regions: Iterable[str]) -> list[str]:
    """BraTS's regions from the outside inwards, then the others, which may lie within them, in the model's order."""
    return sorted(regions, key=lambda name: NESTED.index(name) if name in NESTED else len(NESTED))


def from_labels(found: LabelArray, labels: Mapping[str, Sequence[int]]) -> MaskArray:
    """The masks `(R, *space)` of a map `(*space)`."""
    return np.stack([np.isin(found, values) for values in labels.values()])
