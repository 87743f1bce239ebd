"""Outlines of annotation tools as masks: polygons, filled on pixel centres, and runs of pixels."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array, MaskArray
from tumorline.errors import UserError
from tumorline.formats.boundary import require_size
from tumorline.wording import numbered

CORNERS_OF_CIRCLE = 720
MOST_CORNERS = 200_000
"""Of one polygon; an honest outline has some thousands."""
LONGEST_RUN = 1 << 40
MOST_CROSSINGS = 20_000_000
"""Of the edges of one polygon with rows of pixels; an honest outline has some thousands."""

Polygon = tuple[float, ...]
"""x and y of each corner in turn, in pixels from the image's upper left; the first pixel's centre is (0.5, 0.5)."""
Runs = tuple[int, ...]
"""Lengths of the runs of background and foreground in turn, down the columns; of a `Patch` along the rows."""
SEPARATORS = re.compile(r"[,;\s]+")
"""Between the numbers of a text."""


@dataclass(frozen=True)
class Patch:
    """A rectangle of the picture in pixels, which may reach beyond it, with the runs of its own pixels."""

    left: int
    top: int
    width: int
    height: int
    runs: Runs


@dataclass(frozen=True)
class Outlines:
    """What was marked on an image: the union of polygons, runs and patches; none of them is no tumour."""

    size: tuple[int, int] | None = None
    """Height and width of the image as the file of the outlines states them; None where it does not."""
    polygons: tuple[Polygon, ...] = ()
    runs: tuple[Runs, ...] = ()
    patches: tuple[Patch, ...] = ()
    in_shares: bool = False
    """Whether x and y of polygons are shares of the image's width and height, and no pixels."""


def draw_outlines(outlines: Outlines, size: tuple[int, int], name: str) -> MaskArray:
    """The mask `(H, W)` of `size`; `name` is what errors begin with. Raises UserError for what does not fit it."""
    require_size(Path(name), *size)
    mask = np.zeros(size, bool)
    for polygon in outlines.polygons:
        fill_polygon(mask, _in_pixels(polygon, size) if outlines.in_shares else polygon, name)
    for runs in outlines.runs:
        mask |= fill_runs(runs, size, name)
    for patch in outlines.patches:
        fill_patch(mask, patch, name)
    return mask


def _in_pixels(polygon: Polygon, size: tuple[int, int]) -> Polygon:
    height, width = size
    return tuple(share * (height if index % 2 else width) for index, share in enumerate(polygon))


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
    return _unrolled(runs, height, width, name).reshape(width, height).T


def fill_patch(mask: MaskArray, patch: Patch, name: str) -> None:
    """Add what of a patch lies in the picture to a mask `(H, W)`. Raises UserError where its runs do not fill it."""
    require_size(Path(name), patch.height, patch.width)
    values = _unrolled(patch.runs, patch.height, patch.width, name, "a patch").reshape(patch.height, patch.width)
    inside = values[max(-patch.top, 0) :, max(-patch.left, 0) :]
    window = mask[max(patch.top, 0) :, max(patch.left, 0) :]
    rows, columns = (min(sides) for sides in zip(inside.shape, window.shape, strict=True))
    window[:rows, :columns] |= inside[:rows, :columns]


def _unrolled(runs: Runs, height: int, width: int, name: str, noun: str = "an image") -> MaskArray:
    """The values of all pixels in turn. Raises UserError where the runs are not as long as there are pixels."""
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise UserError(f"{name}: runs of {sum(runs)} pixels for {noun} of {width} x {height}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def as_patch(mask: MaskArray, left: int, top: int) -> Patch:
    """A mask `(H, W)` whose upper left pixel lies at a place of the picture."""
    flat = np.concatenate([[False], mask.ravel()])
    begins = np.flatnonzero(flat[1:] != flat[:-1])
    runs = np.diff(begins, prepend=0, append=mask.size)
    return Patch(left, top, mask.shape[1], mask.shape[0], tuple(runs.tolist()))


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
    """Numbers of a file as a polygon.

    Raises UserError for anything but three pairs of finite numbers or more, and for more corners than are accepted.
    """
    numbers = _in_one_list(values)
    if len(numbers) > 2 * MOST_CORNERS:
        raise UserError(f"{name}: an outline of {len(numbers) // 2} corners; at most {MOST_CORNERS} are read")
    if len(numbers) < 6 or len(numbers) % 2 or not all(_is_number(value) for value in numbers):
        raise UserError(f"{name}: an outline is no list of three corners or more")
    return tuple(float(value) for value in numbers)


def finite_numbers(values: Any, count: int, name: str) -> tuple[float, ...]:
    """So many numbers of a file, which may stand in pairs. Raises UserError for others, and for more or fewer."""
    numbers = _in_one_list(values)
    if len(numbers) != count or not all(map(_is_number, numbers)):
        raise UserError(f"{name}: a shape whose place and size are not {numbered(count, 'finite number')}")
    return tuple(map(float, numbers))


def polygon_in_text(text: str, name: str) -> Polygon:
    """Numbers between blanks, commas or semicolons as a polygon. Raises UserError as `as_polygon`."""
    return as_polygon(_numbers_in(text, float), name)


def runs_in_text(text: str, name: str) -> Runs:
    """Whole numbers between commas as runs. Raises UserError as `as_runs`."""
    return as_runs(_numbers_in(text, int), name)


def _numbers_in(text: str, convert: type[int] | type[float]) -> list[float] | None:
    """None where something else stands among the numbers."""
    try:
        return [convert(number) for number in SEPARATORS.split(text.strip())]
    except ValueError:
        return None


def with_holes(outer: Polygon, holes: Iterable[Polygon]) -> Polygon:
    """One polygon for an outline and its holes: each is reached and left by the same edge, which marks nothing."""
    first = outer[:2]
    return outer + first + tuple(value for hole in holes for value in (*hole, *hole[:2], *first))


def ellipse(centre: Sequence[float], radii: Sequence[float], turned: float = 0.0) -> Polygon:
    """An ellipse as a polygon, `turned` clockwise by radians."""
    (x, y), (width, height), (cos, sin) = centre, radii, (math.cos(turned), math.sin(turned))
    angles = [2 * math.pi * corner / CORNERS_OF_CIRCLE for corner in range(CORNERS_OF_CIRCLE)]
    across = [(width * math.cos(angle), height * math.sin(angle)) for angle in angles]
    return tuple(value for a, b in across for value in (x + a * cos - b * sin, y + a * sin + b * cos))


def _in_one_list(values: Any) -> Sequence[Any]:
    if not isinstance(values, list):
        return ()
    return [number for value in values for number in (value if isinstance(value, list) else [value])]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e9


def as_runs(counts: Any, name: str) -> Runs:
    """Runs of a file, compressed or not. Raises UserError for anything else."""
    if isinstance(counts, str):
        return decode_runs(counts, name)
    if not isinstance(counts, list) or not all(isinstance(count, int) and 0 <= count < LONGEST_RUN for count in counts):
        raise UserError(f"{name}: runs that are no whole numbers of 0 or more")
    return tuple(counts)
