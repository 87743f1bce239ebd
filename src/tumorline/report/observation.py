"""What the data page wants to know of images, looked at while they are decoded: a little of each, whatever its size."""

import hashlib
import heapq
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.arrays import Float64Array, ImageArray, MaskArray
from tumorline.data.case import Case
from tumorline.write.images import LARGEST_SIDE, draw_overlay, draw_three_planes, to_data_uri

MAP_SIDE = 32
"""Cells of a map of places along each side."""
ENOUGH = 1 << 16
"""Grey values of an image that are looked at, evenly spread."""
KEPT, KEPT_VOLUMES = 6, 2
"""Examples of each kind."""
MOST_KINDS = 12
DARK = 0.05
"""Below this share of its brightest values an image is background."""

Map = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Seen:
    """Of one case."""

    medians: tuple[float | None, ...]
    """Of each channel over what is not background, in the file's own grey values."""
    contrast: float | None
    """Mean of the tumour minus that of the rest of the head, in deviations of that rest; None without either."""
    places: Map
    """`(R, 1, S, S)`, of volumes `(R, 3, S, S)`: how much of each cell is a region, 255 for all of it."""


@dataclass(frozen=True, order=True)
class Example:
    rank: int
    case: str
    image: str
    """A PNG as a data URI."""
    has_tumour: bool


class Observer:
    """Looks at images, from several threads, and keeps a few bytes of each and a few examples of each kind."""

    def __init__(self) -> None:
        self.seen: dict[str, Seen] = {}
        self._examples: dict[tuple[str, bool], list[tuple[int, Example]]] = defaultdict(list)
        self._lock = threading.Lock()

    def look(self, case: Case, image: ImageArray, truth: MaskArray | None) -> None:
        """An image `(C, *space)` in file values with its truth `(R, *space)`, None where that cannot be used."""
        self.seen[case.id] = observe_case(image, truth)
        if truth is not None:
            self._consider(case, image, truth)

    @property
    def examples(self) -> list[Example]:
        return sorted(example for kind in self._examples.values() for _, example in kind)

    def _consider(self, case: Case, image: ImageArray, truth: MaskArray) -> None:
        """Keep a case as an example where its rank, which its name decides, is one of the lowest of its kind."""
        rank = int.from_bytes(hashlib.sha256(case.id.encode(errors="surrogateescape")).digest()[:6])
        most = KEPT_VOLUMES if case.is_volume else KEPT
        with self._lock:
            kind = (case.class_name if len(self._examples) < MOST_KINDS else "", bool(truth.any()))
            kept = self._examples[kind]
            if len(kept) >= most and -kept[0][0] < rank:
                return
        example = Example(rank, case.id, _drawn(case, image, truth), bool(truth.any()))
        with self._lock:
            heapq.heappush(kept, (-rank, example))
            if len(kept) > most:
                heapq.heappop(kept)


def observe_case(image: ImageArray, truth: MaskArray | None) -> Seen:
    step = max(1, image[0].size // ENOUGH)
    values = [channel.ravel()[::step] for channel in image]
    ranges = [(float(low), float(high)) for low, high in (np.percentile(grey, (1, 99)) for grey in values)]
    heads = [grey > low + DARK * (high - low) for grey, (low, high) in zip(values, ranges, strict=True)]
    tumour = None if truth is None else np.asarray(truth.any(0))
    return Seen(
        medians=tuple(
            float(np.median(grey[head])) if head.any() else None for grey, head in zip(values, heads, strict=True)
        ),
        contrast=None if tumour is None else _contrast(values[0][heads[0] & ~tumour.ravel()[::step]], image[0][tumour]),
        places=np.zeros((0, 1, MAP_SIDE, MAP_SIDE), np.uint8)
        if truth is None
        else np.stack([_places(mask) for mask in truth]),
    )


def _contrast(outside: ImageArray, inside: ImageArray) -> float | None:
    """From the values of the head outside of the tumour, and of the tumour."""
    if not inside.size or outside.size < 2 or not (deviation := float(outside.std())):
        return None
    return float((inside.mean() - outside.mean()) / deviation)


def _places(mask: MaskArray) -> Map:
    """A mask `(*space)` seen from each of its sides, `(1, S, S)` of a picture and `(3, S, S)` of a volume; head up."""
    if mask.ndim == 2:
        return _cells(mask)[None]
    sides = [np.asarray(mask.any(axis)) for axis in range(3)]
    return np.stack([_cells(side if axis == 0 else side[::-1]) for axis, side in enumerate(sides)])


def _cells(plane: MaskArray) -> Map:
    if not plane.any():
        return np.zeros((MAP_SIDE, MAP_SIDE), np.uint8)
    picture = Image.fromarray(plane.astype(np.float32))
    return (
        np.asarray(255 * np.asarray(picture.resize((MAP_SIDE, MAP_SIDE), Image.Resampling.BOX)))
        .round()
        .astype(np.uint8)
    )


def _drawn(case: Case, image: ImageArray, truth: MaskArray) -> str:
    """The image with its truth, of a volume three planes; one region in the colour of truth, several in their own."""
    if truth.ndim == 4:
        pixels = draw_three_planes(image[0], truth, case.grid.spacing_mm if case.grid else None)
    else:
        only = truth[0] if len(truth) == 1 else None
        pixels = draw_overlay(image[0], truth[:0] if only is not None else truth, only)
    return to_data_uri(Image.fromarray(pixels), (3 if truth.ndim == 4 else 1) * LARGEST_SIDE)


def mean_map(maps: Sequence[Map]) -> Float64Array:
    """The mean of maps `(S, S)`, from 0 to 1: how often, and how much of, a cell is tumour."""
    total = np.zeros((MAP_SIDE, MAP_SIDE))
    for case_map in maps:
        total += case_map
    return total / (255 * max(1, len(maps)))
