"""What of a data set a plan is made from."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from tumorline.audit.check import errors, stop_on_errors
from tumorline.config import DataConfig, parse_config
from tumorline.data.case import read_image
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.known_layouts import LAYOUTS
from tumorline.data.source import channel_names, open_source
from tumorline.errors import UserError
from tumorline.network_input.spaced import head_box
from tumorline.progress import Progress

LOOKED_AT = 12
"""Volumes, spread over the set, in which the head is looked for."""
Lengths: TypeAlias = tuple[float, ...]


@dataclass(frozen=True)
class Fingerprint:
    """Sides are those of slices, rows and columns; of pictures rows and columns."""

    name: str
    cases: int
    patients: int
    channels: tuple[str, ...]
    """Names of those that there are several of; empty where there is one or where they have none."""
    channel_count: int
    regions: tuple[str, ...]
    """Names of several; empty where a mask is one region."""
    size: tuple[int, ...]
    """Median sides of an image in pixels or voxels."""
    spacing_mm: Lengths | None = None
    """Of volumes: the median, and of an axis that is far coarser than the others the 10th percentile."""
    head_mm: Lengths | None = None
    """Of volumes: median sides of the box around what is bright."""

    @property
    def volumes(self) -> bool:
        return len(self.size) > 2

    @property
    def region_count(self) -> int:
        return max(1, len(self.regions))


def open_to_plan(source: Path, by_hand: Mapping[str, Any]) -> Dataset:
    """The set with all of its named channels and regions, where they can be read together and none were chosen by hand.

    Raises UserError where it cannot be used.
    """
    chosen = dict(by_hand.get("data", {}))
    dataset = load_dataset(source, _readable(source, chosen))
    stop_on_errors(errors(dataset))
    return dataset


def _readable(source: Path, chosen: Mapping[str, Any]) -> DataConfig:
    plain = parse_config({"data": dict(chosen)}, "the command line").data
    offered = {} if {"channel", "channels"} & {*chosen} else {"channels": _all_channels(source)}
    named = {} if {"label", "regions"} & {*chosen} else {"regions": tuple(plain.label_values) or _all_regions(source)}
    for more in ({**offered, **named}, offered, named):
        with suppress(UserError):
            settings = plain.model_copy(update={key: names for key, names in more.items() if len(names) > 1})
            open_source(source, settings)
            return settings
    return plain


def _all_channels(source: Path) -> tuple[str, ...]:
    return tuple(name for name in channel_names(source) if name != "all")


def _all_regions(source: Path) -> tuple[str, ...]:
    return LAYOUTS[open_source(source).layout].regions


def take_fingerprint(dataset: Dataset, progress: Progress | None = None) -> Fingerprint:
    """Sizes and spacings of all cases, from the pass that has been; the head of some."""
    shapes = [facts.shape[1:] for facts in dataset.facts]
    dims = {len(shape) for shape in shapes}
    if len(dims) > 1:
        raise UserError(f"{dataset.source.path}: pictures and volumes; plan for one of them")
    names = tuple(dataset.settings.channels)
    spacings = [spacing for case in dataset.cases if (spacing := dataset.spacing_mm(case))]
    volumes = dims == {3} and len(spacings) == len(dataset.cases)
    heads = _heads_mm(dataset, progress) if volumes else []
    return Fingerprint(
        name=dataset.source.name,
        cases=len(dataset.cases),
        patients=len({case.group for case in dataset.cases}),
        channels=names if len(names) > 1 else (),
        channel_count=dataset.channels,
        regions=dataset.settings.regions,
        size=tuple(round(side) for side in np.median(shapes, axis=0)),
        spacing_mm=target_spacing(spacings) if volumes else None,
        head_mm=tuple(round(float(side), 1) for side in np.median(heads, axis=0)) if heads else None,
    )


COARSE = 3.0
"""An axis is far coarser than the others where its voxels are so many times as long as the shortest."""


def target_spacing(spacings: Sequence[Sequence[float]]) -> Lengths:
    """nnU-Net's: the median of each axis, but the 10th percentile of an axis that is far coarser than the others."""
    median = np.median(spacings, axis=0)
    low = np.percentile(spacings, 10, axis=0)
    chosen = np.where(median > COARSE * median.min(), np.maximum(low, median.min()), median)
    return tuple(round(float(length), 3) for length in chosen)


def _heads_mm(dataset: Dataset, progress: Progress | None) -> list[Lengths]:
    count = len(dataset.cases)
    chosen = [dataset.cases[number * count // min(count, LOOKED_AT)] for number in range(min(count, LOOKED_AT))]
    heads = []
    for done, case in enumerate(chosen, start=1):
        box, spacing = head_box(read_image(case)), dataset.spacing_mm(case) or ()
        heads.append(tuple((along.stop - along.start) * length for along, length in zip(box, spacing, strict=True)))
        if progress:
            progress(done, len(chosen))
    return heads
