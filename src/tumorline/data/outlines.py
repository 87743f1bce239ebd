"""Outlines of annotation tools as masks: polygons, filled on pixel centres, and the runs of COCO."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array, MaskArray
from tumorline.errors import UserError
from tumorline.formats.boundary import require_size

CORNERS_OF_CIRCLE = 720
MOST_CROSSINGS = 20_000_000
"""Of the edges of one polygon with rows of pixels; an honest outline has some thousands."""

Polygon = tuple[float, ...]
"""x and y of each corner in turn, in pixels from the image's upper left; the first pixel's centre is (0.5, 0.5)."""
Runs = tuple[int, ...]
"""Lengths of the runs of background and foreground in turn, down the columns."""


@dataclass(frozen=True)
class Outlines:
    """What was marked on an image: the union of polygons and runs; neither is no tumour."""

    size: tuple[int, int] | None = None
    """Height and width of the image as the file of the outlines states them; None where it does not."""
    polygons: tuple[Polygon, ...] = ()
    runs: tuple[Runs, ...] = ()


def draw_outlines(outlines: Outlines, size: tuple[int, int], name: str) -> MaskArray:
    """The mask `(H, W)` of `size`; `name` is what errors begin with. Raises UserError for what does not fit it."""
    require_size(Path(name), *size)
    mask = np.zeros(size, bool)
    for polygon in outlines.polygons:
        fill_polygon(mask, polygon, name)
    for runs in outlines.runs:
        mask |= fill_runs(runs, size, name)
    return mask


def fill_polygon(mask: MaskArray, polygon: Polygon, name: str) -> None:
    """Add the pixels whose centres lie inside by the even-odd rule to a mask `(H, W)`.

    Every edge flips the pixels to its right in the rows whose centres it crosses.
    """
    rows, columns = _crossings(polygon, mask.shape[0], name)
    if not len(rows):
        return
    columns = np.clip(columns, 0, mask.shape[1]).astype(np.int64)
    (top, left), (bottom, right) = (rows.min(), columns.min()), (rows.max() + 1, columns.max() + 1)
    box = (int(bottom - top), int(right - left))
    flips = np.bincount((rows - top) * box[1] + columns - left, minlength=box[0] * box[1]).reshape(box)
    inside = np.cumsum(flips, axis=1) % 2 == 1
    window = mask[top:bottom, left:right]
    window |= inside[:, : window.shape[1]]


def _crossings(polygon: Polygon, height: int, name: str) -> tuple[npt.NDArray[np.int64], Float64Array]:
    """Row, and first column whose centre lies right of it, of each place where an edge crosses a row's centres."""
    corners = np.asarray(polygon, np.float64).reshape(-1, 2)
    following = np.roll(corners, -1, axis=0)
    upwards = corners[:, 1:] > following[:, 1:]
    upper, lower = np.where(upwards, following, corners), np.where(upwards, corners, following)
    first, last = (np.clip(np.ceil(end[:, 1] - 0.5), 0, height).astype(np.int64) for end in (upper, lower))
    crossed = last - first
    if crossed.sum() > MOST_CROSSINGS:
        raise UserError(f"{name}: an outline of {len(corners)} corners is too long for {height} rows")
    edges = np.repeat(np.arange(len(corners)), crossed)
    rows = np.arange(len(edges)) - np.repeat(np.cumsum(crossed) - crossed, crossed) + first[edges]
    share = (rows + 0.5 - upper[edges, 1]) / (lower[edges, 1] - upper[edges, 1])
    return rows, np.ceil(upper[edges, 0] + share * (lower[edges, 0] - upper[edges, 0]) - 0.5)


def fill_runs(runs: Runs, size: tuple[int, int], name: str) -> MaskArray:
    """Runs as a mask `(H, W)`. Raises UserError where they do not add up to the image."""
    height, width = size
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise UserError(f"{name}: runs of {sum(runs)} pixels for an image of {width} x {height}")
    values = np.arange(len(runs)) % 2 == 1
    return np.asarray(np.repeat(values, runs).reshape(width, height).T)


def decode_runs(text: str, name: str) -> Runs:
    """COCO's compressed runs: five bits a letter, low ones first; from the fourth on less the one before the last.

    Raises UserError for letters that are none of the code and for a number that is cut off.
    """
    numbers: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64 or shift > 60:
            raise UserError(f"{name}: not the compressed runs of COCO (the letter {letter!r})")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        signed = value - (1 << shift) if bits & 16 else value
        numbers.append(signed + numbers[-2] if len(numbers) > 2 else signed)
        value = shift = 0
    if shift:
        raise UserError(f"{name}: the compressed runs of COCO are cut off")
    return tuple(numbers)


def as_polygon(values: Any, name: str) -> Polygon:
    """Numbers of a file as a polygon. Raises UserError for anything but three pairs of finite numbers or more."""
    numbers = _flat(values)
    if len(numbers) < 6 or len(numbers) % 2 or not all(_is_number(value) for value in numbers):
        raise UserError(f"{name}: an outline is no list of three corners or more")
    return tuple(float(value) for value in numbers)


def ellipse(centre: Sequence[float], radii: Sequence[float], turned: float = 0.0) -> Polygon:
    """An ellipse as a polygon, `turned` clockwise by radians."""
    (x, y), (width, height), (cos, sin) = centre, radii, (math.cos(turned), math.sin(turned))
    angles = [2 * math.pi * corner / CORNERS_OF_CIRCLE for corner in range(CORNERS_OF_CIRCLE)]
    across = [(width * math.cos(angle), height * math.sin(angle)) for angle in angles]
    return tuple(value for a, b in across for value in (x + a * cos - b * sin, y + a * sin + b * cos))


def _flat(values: Any) -> Sequence[Any]:
    if not isinstance(values, list):
        return ()
    return [number for value in values for number in (value if isinstance(value, list) else [value])]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def as_runs(counts: Any, name: str) -> Runs:
    """Runs of a file, compressed or not. Raises UserError for anything else."""
    if isinstance(counts, str):
        return decode_runs(counts, name)
    if not isinstance(counts, list) or not all(isinstance(count, int) and count >= 0 for count in counts):
        raise UserError(f"{name}: runs that are no whole numbers of 0 or more")
    return tuple(counts)
