"""A network of fixed windows over an image of any size: overlapping windows, blended by Gaussian weights.

The blend is that of MONAI's sliding window. What is finished is handed on slab by slab along the first axis, so that
never more than one window's depth of weighted sums is held; `answer_tiles` puts the slabs together.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, product
from math import prod
from typing import NamedTuple

import numpy as np

from tumorline.arrays import Float32Array, ImageArray
from tumorline.work_ahead import count_cores

SIGMA = 0.125
"""Of the Gaussian, as a share of the window's side."""
LEAST_WEIGHT = 1e-3
"""In the corners of a window, so that no voxel is divided by nothing."""
LARGE = 1 << 18
"""Voxels of a window from which on threads share what is done with it."""

Network = Callable[[Float32Array], Float32Array]
"""Windows `(B, C, *window)`, which are overwritten after the answer, to logits `(B, R, *window)`."""


class Slab(NamedTuple):
    """Logits `(R, rows, *rest of space)` of some rows of the first axis."""

    rows: slice
    logits: Float32Array


@dataclass(frozen=True)
class Tiling:
    """Windows over a space, both in voxels; `overlap` is the share of a window that the next one covers again."""

    space: tuple[int, ...]
    window: tuple[int, ...]
    overlap: float = 0.5
    batch: int = 1

    @property
    def padded(self) -> tuple[int, ...]:
        """The space, as large as the window at least."""
        return tuple(map(max, self.space, self.window))

    @cached_property
    def starts(self) -> list[list[int]]:
        """Where windows begin, for each axis; the last one ends where the space ends."""
        return [_starts(*sides, self.overlap) for sides in zip(self.padded, self.window, strict=True)]

    @cached_property
    def weights(self) -> Float32Array:
        """How much each voxel of a window counts."""
        weights = np.ones((), np.float32)
        for side in self.window:
            offsets = np.arange(side, dtype=np.float32) - (side - 1) / 2
            weights = weights[..., None] * np.exp(-(offsets**2) / (2 * (SIGMA * side) ** 2), dtype=np.float32)
        return np.asarray(np.maximum(weights, max(float(weights.min()), LEAST_WEIGHT)), np.float32)

    @property
    def inner(self) -> tuple[slice, ...]:
        """Where the space lies in the padded one, centred."""
        before = [(padded - side) // 2 for padded, side in zip(self.padded, self.space, strict=True)]
        return tuple(slice(start, start + side) for start, side in zip(before, self.space, strict=True))


def _starts(side: int, window: int, overlap: float) -> list[int]:
    step = max(1, int(window * (1 - overlap)))
    return [*range(0, side - window, step), side - window]


def answer_tiles(network: Network, image: ImageArray, tiling: Tiling) -> Float32Array:
    """Logits `(R, *space)` of an image `(C, *space)`."""
    *_, finished = _slabs(network, _padded(image, tiling), tiling, whole=True)
    return finished.held[(slice(None), *tiling.inner)]


def slide(network: Network, image: ImageArray, tiling: Tiling) -> Iterator[Slab]:
    """Logits of an image `(C, *space)` in slabs that follow one another along the first axis.

    The numbers of a slab are there until the next one is asked for.
    """
    padded = _padded(image, tiling)
    rows, *others = tiling.inner
    for done in _slabs(network, padded, tiling):
        start, stop = max(done.rows.start, rows.start), min(done.rows.stop, rows.stop)
        if start < stop:
            kept = (slice(None), slice(start - done.rows.start, stop - done.rows.start), *others)
            yield Slab(slice(start - rows.start, stop - rows.start), done.held[kept])


def _padded(image: ImageArray, tiling: Tiling) -> ImageArray:
    """The image within a space as large as the window at least, filled with each channel's lowest value."""
    if tiling.padded == tiling.space:
        return image
    padded = np.empty((len(image), *tiling.padded), np.float32)
    for channel, out in zip(image, padded, strict=True):
        out.fill(channel.min())
        out[tiling.inner] = channel
    return padded


class _Done(NamedTuple):
    """Rows of the padded space that no later window reaches, and the logits that are held, these first or all."""

    rows: slice
    held: Float32Array


def _slabs(network: Network, image: ImageArray, tiling: Tiling, whole: bool = False) -> Iterator[_Done]:
    """Weighted sums are held for a window's depth, or of the whole space; rows that are done are divided in place."""
    firsts, depth = tiling.starts[0], tiling.window[0]
    added, sums = _weights_of_a_row(tiling), np.empty(0, np.float32)
    with _Crew(tiling) as crew:
        for first, following in zip(firsts, [*firsts[1:], firsts[-1] + depth], strict=True):
            begin = first if whole else 0
            for windows, places in crew.batches(image, first):
                answer = network(windows)
                if not sums.size:
                    shape = (answer.shape[1], tiling.padded[0] if whole else depth, *tiling.padded[1:])
                    sums = np.zeros(shape, np.float32)
                for logits, slices in zip(answer, places, strict=True):
                    crew.add_weighted(sums[(slice(None), slice(begin, begin + depth), *slices)], logits)
                del answer
            done = following - first
            sums[:, begin : begin + done] /= _total(added, firsts, first, done)
            yield _Done(slice(first, following), sums)
            if not whole:
                _move_up(sums, done)


class _Crew(ExitStack):
    """Takes windows out of an image and adds what was answered to the sums; of large windows threads share the rows."""

    def __init__(self, tiling: Tiling) -> None:
        super().__init__()
        self.tiling, self.windows = tiling, np.empty(0, np.float32)
        self.cores = count_cores() if prod(tiling.window) >= LARGE else 1
        self.pool = self.enter_context(ThreadPoolExecutor(self.cores - 1)) if self.cores > 1 else None

    def batches(self, image: ImageArray, first: int) -> Iterator[tuple[Float32Array, list[tuple[slice, ...]]]]:
        """Windows whose first row is `first`, with their places along the other axes; all in the same memory."""
        tiling, places = self.tiling, _places(self.tiling)
        if not self.windows.size:
            self.windows = np.empty((min(tiling.batch, len(places)), len(image), *tiling.window), np.float32)
        for begin in range(0, len(places), tiling.batch):
            batch = places[begin : begin + tiling.batch]
            for number, slices in enumerate(batch):
                self._copy(image[(slice(None), slice(first, first + tiling.window[0]), *slices)], self.windows[number])
            yield self.windows[: len(batch)], batch

    def add_weighted(self, sums: Float32Array, logits: Float32Array) -> None:
        """Row by row, so that a product does not leave the processor's cache before it is added."""
        weights = self.tiling.weights

        def add(rows: slice) -> None:
            product = np.empty((len(logits), *logits.shape[2:]), np.float32)
            for row in range(rows.start, rows.stop):
                np.multiply(logits[:, row], weights[row], out=product)
                sums[:, row] += product

        self._share(add)

    def _copy(self, source: ImageArray, window: Float32Array) -> None:
        def copy(rows: slice) -> None:
            window[:, rows] = source[:, rows]

        self._share(copy)

    def _share(self, work: Callable[[slice], None]) -> None:
        """Do it for all rows of a window, the first of them in this thread."""
        ends = [self.tiling.window[0] * core // self.cores for core in range(self.cores + 1)]
        own_rows, *other_rows = (slice(*pair) for pair in pairwise(ends))
        futures = [self.pool.submit(work, rows) for rows in other_rows] if self.pool else []
        work(own_rows)
        for future in futures:
            future.result()


def _total(added: Float32Array, firsts: Sequence[int], first: int, rows: int) -> Float32Array:
    """Sums of the weights of all windows in the rows from `first` on, `(rows, *rest of space)`."""
    total = added[:rows].copy()
    for earlier in firsts:
        if first - len(added) < earlier < first:
            reached = added[first - earlier : first - earlier + rows]
            total[: len(reached)] += reached
    return total


def _weights_of_a_row(tiling: Tiling) -> Float32Array:
    """Sums of the weights of all windows that begin at one place of the first axis, `(depth, *rest of space)`."""
    total = np.zeros((tiling.window[0], *tiling.padded[1:]), np.float32)
    for slices in _places(tiling):
        total[(slice(None), *slices)] += tiling.weights
    return total


def _places(tiling: Tiling) -> list[tuple[slice, ...]]:
    """Of windows, along all axes but the first."""
    return [
        tuple(slice(start, start + side) for start, side in zip(starts, tiling.window[1:], strict=True))
        for starts in product(*tiling.starts[1:])
    ]


def _move_up(held: Float32Array, rows: int) -> None:
    """Drop the first rows of `(R, depth, *rest)`, and put empty ones at the end."""
    kept = held.shape[1] - rows
    held[:, :kept] = held[:, rows:]
    held[:, kept:] = 0
