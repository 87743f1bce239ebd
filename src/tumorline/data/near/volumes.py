"""Near duplicates among volumes: the same scan cropped, turned, resampled, brightened or without its skull.

Each volume is known by one small block of its head, 32 voxels along each axis, from the decoding pass. Its detail is
what differs from the local mean, with even local contrast, both over the head alone: its outline, and that all heads
lie alike in one atlas, say nothing. The detail is compared over the sixteen ways in which a volume can lie along its
own axes while its slices stay slices, by matrix products; what comes close is looked at again one voxel to each side.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.data.near.duplicates import EVENING, LOCAL_PX, NOISE_PX, NearPair
from tumorline.geometry.symmetry import TRANSFORMS, transformed

SIDE, COARSE = 32, 12
"""Parts of each axis of a block, and where the background is looked for, whose noise has to be averaged away."""
LEAST_COARSE = 0.4
"""Least correlation of detail before the closer look."""
LEAST = 0.6
"""Least correlation of detail of a near duplicate.

Chosen on measured pairs, see benchmarks/near_duplicates.md.
"""
BACKGROUND, BRIGHTEST = 5, 99.5
"""Percentiles."""
DARK = 0.1
"""Above this share of its brightness a voxel belongs to the head."""
LEAST_SHARE = 0.1
"""Share of the brightest plane's mean from which a plane belongs to the head."""
UPSIDE_DOWN = " and upside down"
SHIFTS = tuple(product((-1, 0, 1), repeat=3))
ROWS_AT_ONCE = 256


def volume_block(volume: ImageArray) -> bytes:
    """The head in `(D, H, W)` as 32 x 32 x 32 bytes; empty where the volume is constant."""
    low = float(np.percentile(_shrunk(volume, COARSE), BACKGROUND))
    high = float(np.percentile(_shrunk(volume, SIDE), BRIGHTEST))
    if not high > low:
        return b""
    box = volume[_head_box(volume, low)]
    small = np.clip((_shrunk(box, SIDE) - low) / (high - low), 0, 1)
    return bytes(np.round(255 * small).astype(np.uint8).tobytes())


def _head_box(volume: ImageArray, low: float) -> tuple[slice, ...]:
    """Between the outermost planes that are bright on the whole, which noise does not change."""
    window = []
    for axis in range(3):
        bright = volume.mean(axis=tuple({0, 1, 2} - {axis}), dtype=np.float64) - low
        where = np.flatnonzero(bright > LEAST_SHARE * bright.max())
        window.append(slice(where[0], where[-1] + 1) if len(where) else slice(None))
    return tuple(window)


def _shrunk(box: ImageArray, parts: int) -> Float32Array:
    """Means over parts of about equal size along each axis; a side that is too short is repeated."""
    for axis in range(3):
        side = box.shape[axis]
        edges = np.linspace(0, side, parts + 1)
        starts = np.minimum(edges[:-1].astype(int), side - 1)
        if side < parts:
            box = np.take(box, starts, axis)
        else:
            counts = np.diff(np.append(starts, side)).reshape([-1 if a == axis else 1 for a in range(3)])
            box = np.asarray(np.add.reduceat(box, starts, axis, dtype=np.float64) / counts, np.float32)
    return np.asarray(box, np.float32)


def unpack_blocks(blocks: list[bytes]) -> Float32Array:
    """Blocks as `(N, 32, 32, 32)`."""
    return np.frombuffer(b"".join(blocks), np.uint8).reshape(-1, SIDE, SIDE, SIDE).astype(np.float32)


def near_volumes(first: Float32Array, second: Float32Array | None = None, least: float = LEAST) -> list[NearPair]:
    """Near duplicates within blocks `(N, 32, 32, 32)`, `a` before `b`; or of the first set in a second one."""
    if not len(first) or (second is not None and not len(second)):
        return []
    details = _details(first)
    second_details = details if second is None else _details(second)
    best: dict[tuple[int, int], NearPair] = {}
    for name, lain in _lain(details):
        for a, b in _candidates(lain, second_details, within=second is None):
            correlation = _closest(lain[a], second_details[b])
            if correlation >= least and ((a, b) not in best or correlation > best[a, b].correlation):
                best[a, b] = NearPair(a, b, name, round(correlation, 4), 0.0)
    return [best[key] for key in sorted(best)]


def _details(blocks: Float32Array) -> Float32Array:
    return np.stack([_detail(block, block > DARK * 255) for block in blocks])


def _detail(block: Float32Array, inside: MaskArray) -> Float32Array:
    """A block without its local mean and with even local contrast, over the head; 0 elsewhere."""
    from scipy.ndimage import gaussian_filter  # slow to import; pairs that are remembered need none of it

    def local(values: Float32Array, deviation: float) -> Float32Array:
        weights = np.maximum(gaussian_filter(inside.astype(np.float32), deviation), 1e-3)
        return np.asarray(gaussian_filter(values * inside, deviation) / weights)

    smooth = local(block, NOISE_PX)
    rough = (smooth - local(smooth, LOCAL_PX)) * inside
    floor = EVENING**2 * np.square(rough).sum() / max(inside.sum(), 1)
    return np.asarray(rough / np.sqrt(local(np.square(rough), LOCAL_PX) + floor + 1e-12) * inside, np.float32)


def _lain(blocks: Float32Array) -> Iterator[tuple[str, Float32Array]]:
    """The blocks in each of the ways in which they can lie, with its name."""
    for number, name in enumerate(TRANSFORMS):
        turned = transformed(blocks, number)
        yield name, turned
        yield f"{name}{UPSIDE_DOWN}", turned[:, ::-1]


def _candidates(first: Float32Array, second: Float32Array, within: bool) -> Iterator[tuple[int, int]]:
    """Pairs whose detail correlates a little, without any shift."""
    rows, columns = _unit(first), _unit(second)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        close = rows[start : start + ROWS_AT_ONCE] @ columns.T >= LEAST_COARSE
        for a, b in np.argwhere(close).tolist():
            if not within or start + a < b:
                yield start + a, b


def _unit(blocks: Float32Array) -> Float32Array:
    flat = blocks.reshape(len(blocks), -1)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9), np.float32)


def _closest(a: Float32Array, b: Float32Array) -> float:
    """The highest correlation of two blocks `(32, 32, 32)`, one of them moved by up to a voxel along each axis."""
    inner = _unit(a[None, 1:-1, 1:-1, 1:-1])[0]
    moved = np.stack([b[tuple(slice(1 + s, SIDE - 1 + s) for s in shift)] for shift in SHIFTS])
    return float((_unit(moved) @ inner).max())
