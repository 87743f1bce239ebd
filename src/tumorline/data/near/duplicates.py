"""Near duplicates: the same picture turned, mirrored, resized, cropped a little, or saved with loss.

Each picture is known by a thumbnail of 64 x 64 from the decoding pass. Candidates come from matrix products of coarser
thumbnails over the eight symmetries of the square and over what may have been cropped. Each candidate is then aligned,
coarse to fine, by a scale and a shift for each axis (Gauss-Newton on the difference, inverse compositional: Baker and
Matthews 2004), and is named where the fine detail correlates. Before every comparison the local mean is taken away and
the local contrast evened out.
What is left is the detail, which neighbouring slices of one patient do not share and which a change of brightness,
contrast or gamma keeps. Slices that lie about 1 mm apart share it too: benchmarks/near_duplicates.md has the measures.
"""

from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.arrays import Float32Array, Float64Array, ImageArray, IntArray
from tumorline.geometry.symmetry import INVERSE, TRANSFORMS, transformed

SIDE = 64
LEVELS = ((16, 10, 0.75), (32, 4, 0.88), (SIDE, 3, 0.94))
"""Side of the thumbnails, steps of alignment, and the least correlation after it, coarse to fine.

The last correlation decides; it was chosen on measured pairs, see benchmarks/near_duplicates.md.
"""
LEAST_COARSE = 0.70
"""Least correlation of a candidate before any alignment."""
CANDIDATES = 10
"""Most candidates that are taken from one picture's row."""
CUT = 0.05
SPANS = ((0.0, 0.0), (CUT, 0.0), (0.0, CUT))
"""What may be cut from the two ends of a side."""
WINDOWS = (*product(SPANS, SPANS), ((CUT / 2, CUT / 2),) * 2, ((CUT, CUT),) * 2)
"""What may have been cut of the rows and columns: nothing, one edge, a corner, all edges by half and in full.

A crop moves what the coarse thumbnails show by a good part of a pixel, so each hypothesis has thumbnails of its own.
"""
SCALES, SHIFTS = (0.88, 1.14), (-0.1, 0.1)
"""Limits of the alignment; shifts are in halves of the side."""
NOISE_PX, LOCAL_PX, EVENING = 0.5, 2.0, 0.1
"""Deviations of the Gaussians that remove noise and the local mean; share of the mean contrast that counts as none."""
LEAST_CUT = 0.015
"""Share of the side, one pixel of the largest thumbnail, from which a pair counts as cropped."""
ROWS_AT_ONCE, PAIRS_AT_ONCE = 512, 256

Window = tuple[tuple[float, float], tuple[float, float]]
"""Shares cut of the rows at top and bottom, of the columns at left and right."""


class NearPair(NamedTuple):
    """Positions of two pictures; `transform` of picture `a` looks like picture `b`."""

    a: int
    b: int
    transform: str
    correlation: float
    cut: float
    """Largest share of a side that one of the two lacks."""

    @property
    def cropped(self) -> bool:
        return self.cut >= LEAST_CUT


def thumbnail(image: ImageArray) -> bytes:
    """The first channel of `(C, *space)` as 64 x 64 float16 from 0 to 1; empty where the picture is constant.

    Of a volume it is the slice through the middle of the head.
    """
    plane = image[0] if image.ndim == 3 else image[0, _middle(image[0])]
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    small = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float64)
    span = np.ptp(small)
    if span <= 1e-6 * np.abs(small).max():
        return b""
    return np.asarray((small - small.min()) / span, np.float16).tobytes()


def _middle(volume: ImageArray) -> int:
    """The slice of `(D, H, W)` with half of what is not background on each side."""
    shown = (volume > volume.min()).sum(axis=(1, 2), dtype=np.int64).cumsum()
    return int(np.searchsorted(shown, shown[-1] / 2))


def unpack(thumbnails: list[bytes]) -> Float32Array:
    """Thumbnails as `(N, 64, 64)`."""
    return np.frombuffer(b"".join(thumbnails), np.float16).reshape(-1, SIDE, SIDE).astype(np.float32)


def near_pairs(first: Float32Array, second: Float32Array | None = None) -> list[NearPair]:
    """Near duplicates within the thumbnails `(N, 64, 64)`, `a` before `b`; or of the first set in a second one."""
    if not len(first) or (second is not None and not len(second)):
        return []
    rows = _candidates(first, second)
    details = [_details(first)]
    details += details if second is None else [_details(second)]
    chunks = [rows[start : start + PAIRS_AT_ONCE] for start in range(0, max(1, len(rows)), PAIRS_AT_ONCE)]
    with ThreadPoolExecutor() as pool:
        verified = np.concatenate(list(pool.map(lambda chunk: _verify(chunk, *details), chunks)))
    best: dict[tuple[int, int], NearPair] = {}
    for a, b, number, correlation, cut in verified[np.argsort(verified[:, 3])].tolist():
        name = TRANSFORMS[int(number)]
        best[int(a), int(b)] = NearPair(int(a), int(b), name, round(min(correlation, 1.0), 4), round(cut, 3))
    return [best[key] for key in sorted(best)]


# ---------------------------------------------------------------- candidates


def _candidates(first: Float32Array, second: Float32Array | None) -> IntArray:
    """Rows of (a, b, number of the transform) that deserve a closer look, from either picture's view."""
    forth = _best_matches(first, first if second is None else second, within=second is None)
    back = forth if second is None else _best_matches(second, first, within=False)
    turned_back = np.stack([back[:, 1], back[:, 0], INVERSE[back[:, 2]]], axis=1)
    rows = np.unique(np.concatenate([forth, turned_back]), axis=0)
    return rows[rows[:, 0] < rows[:, 1]] if second is None else rows


def _best_matches(first: Float32Array, second: Float32Array, within: bool) -> IntArray:
    side = LEVELS[0][0]
    first_detail = detail(shrink(first, side))
    turned = [unit_rows(transformed(first_detail, number)) for number in range(len(TRANSFORMS))]
    views = [unit_rows(detail(shrink(second, side, window))) for window in WINDOWS]
    blocks = []
    for start in range(0, len(first), ROWS_AT_ONCE):
        best, number = _best_transform([rows[start : start + ROWS_AT_ONCE] for rows in turned], views)
        if within:
            np.fill_diagonal(best[:, start:], -1)
        a, b = _highest(best)
        blocks.append(np.stack([a + start, b, number[a, b]], axis=1))
    return np.concatenate(blocks)


def _best_transform(turned: list[Float32Array], views: list[Float32Array]) -> tuple[Float32Array, npt.NDArray[np.int8]]:
    """Highest correlation of each row with each column over the symmetries and views, and whose it is."""
    best = np.full((len(turned[0]), len(views[0])), -1, np.float32)
    number = np.zeros(best.shape, np.int8)
    for candidate, features in enumerate(turned):
        for view in views:
            score = features @ view.T
            number[score > best] = candidate
            np.maximum(best, score, out=best)
    return best, number


def _highest(best: Float32Array) -> tuple[IntArray, IntArray]:
    count = min(CANDIDATES, best.shape[1])
    columns = np.argpartition(-best, count - 1, axis=1)[:, :count]
    rows = np.repeat(np.arange(len(best))[:, None], count, axis=1)
    kept = best[rows, columns] >= LEAST_COARSE
    return rows[kept], columns[kept]


def unit_rows(features: Float32Array) -> Float32Array:
    """Rows of mean 0 and length 1, of zeros where nothing differs."""
    flat = features.reshape(len(features), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-9), np.float32)


# ---------------------------------------------------------------- a closer look


def _details(thumbnails: Float32Array) -> list[Float32Array]:
    return [detail(shrink(thumbnails, side), NOISE_PX) for side, _, _ in LEVELS]


def _verify(rows: IntArray, first: list[Float32Array], second: list[Float32Array]) -> Float64Array:
    """Align each candidate level by level; rows of (a, b, number, correlation, cut) of those that remain."""
    place = np.tile(np.array([1, 0, 1, 0], np.float32), (len(rows), 1))
    score = np.zeros(len(rows), np.float32)
    for (_, steps, least), of_a, of_b in zip(LEVELS, first, second, strict=True):
        still = np.empty((len(rows), *of_a.shape[1:]), np.float32)
        for number in range(len(TRANSFORMS)):
            chosen = rows[:, 2] == number
            still[chosen] = transformed(of_a[rows[chosen, 0]], number)
        place, score = align(still, of_b[rows[:, 1]], place, steps)
        kept = score >= least
        rows, place, score = rows[kept], place[kept], score[kept]
    cut = np.maximum(*(np.abs(place[:, axis] - 1) + np.abs(place[:, axis + 1]) for axis in (0, 2))) / 2
    return np.concatenate([rows, score[:, None], cut[:, None]], axis=1)


def align(
    still: Float32Array, moving: Float32Array, place: Float32Array, steps: int
) -> tuple[Float32Array, Float32Array]:
    """Improve where `moving` `(N, S, S)` shows `still`; returns that place and the correlation there.

    A place `(N, 4)` is scale and shift of the rows, scale and shift of the columns, in coordinates of [-1, 1].
    """
    slopes = _slopes(still)
    curvature = slopes @ slopes.swapaxes(1, 2)
    curvature += 1e-3 * np.trace(curvature, axis1=1, axis2=2)[:, None, None] * np.eye(4, dtype=np.float32) + 1e-9
    for _ in range(steps):
        seen, inside = _show(moving, place)
        error = _standardised(seen, inside) - _standardised(still, inside)
        step = np.linalg.solve(curvature, slopes @ error.reshape(*slopes.shape[::2], 1))[..., 0]
        place = _compose(place, np.clip(step, -0.1, 0.1))
    seen, inside = _show(moving, place)
    return place, (_standardised(seen, inside) * _standardised(still, inside)).sum(axis=(1, 2))


def _slopes(still: Float32Array) -> Float32Array:
    """Derivatives `(N, 4, S * S)` of the standardised picture by each number of its place."""
    side = still.shape[1]
    grid = _grid(side)
    down, right = np.gradient(_standardised(still, np.ones_like(still[:1])), 2 / side, axis=(1, 2))
    stacked = np.stack([down * grid[:, None], down, right * grid, right], axis=1)
    return np.asarray(stacked.reshape(len(still), 4, side * side), np.float32)


def _compose(place: Float32Array, step: Float32Array) -> Float32Array:
    """Follow a place by the inverse of a small step, within the limits."""
    scale, shift = place[:, ::2], place[:, 1::2]
    wider = scale / (1 + step[:, ::2])
    new = np.empty_like(place)
    new[:, ::2] = np.clip(wider, *SCALES)
    new[:, 1::2] = np.clip(shift - wider * step[:, 1::2], *SHIFTS)
    return new


def _show(moving: Float32Array, place: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Sample each picture at its place: the samples, and 1 where they lie inside the picture."""
    side = moving.shape[1]
    down, right = (place[:, axis : axis + 1] * _grid(side) + place[:, axis + 1 : axis + 2] for axis in (0, 2))
    inside = (np.abs(down) <= 1)[:, :, None] & (np.abs(right) <= 1)[:, None, :]
    seen = _weights(down, side) @ moving @ _weights(right, side).swapaxes(1, 2)
    return np.asarray(seen, np.float32), inside.astype(np.float32)


def _standardised(pictures: Float32Array, inside: Float32Array) -> Float32Array:
    """Mean 0 and length 1 over the pixels inside, 0 outside."""
    mean = (pictures * inside).sum(axis=(1, 2), keepdims=True) / inside.sum(axis=(1, 2), keepdims=True)
    centred = (pictures - mean) * inside
    length = np.sqrt(np.square(centred).sum(axis=(1, 2), keepdims=True))
    return np.asarray(centred / np.maximum(length, 1e-9), np.float32)


# ---------------------------------------------------------------- thumbnails of other sizes


def detail(pictures: Float32Array, noise_px: float = 0.0) -> Float32Array:
    """Pictures `(N, S, S)` without their local mean and with even local contrast."""
    from scipy.ndimage import gaussian_filter  # slow to import; pairs that are remembered need none of it

    smooth = gaussian_filter(pictures, (0, noise_px, noise_px))
    rough = smooth - gaussian_filter(smooth, (0, LOCAL_PX, LOCAL_PX))
    energy = gaussian_filter(np.square(rough), (0, LOCAL_PX, LOCAL_PX))
    floor = EVENING**2 * np.square(rough).mean(axis=(1, 2), keepdims=True)
    return np.asarray(rough / np.sqrt(energy + floor + 1e-12), np.float32)


def shrink(pictures: Float32Array, side: int, window: Window = (SPANS[0], SPANS[0])) -> Float32Array:
    """The pictures `(N, S, S)` without what the window cuts, at another side, area-weighted."""
    old = pictures.shape[1]
    if side == old and window == (SPANS[0], SPANS[0]):
        return pictures
    down, right = (_span(old, side, *cut) for cut in window)
    return np.asarray(down @ pictures @ right.T, np.float32)


def _span(old: int, side: int, start: float, end: float) -> Float32Array:
    """Weights that show a side of `old` pixels without its two ends at `side` pixels."""
    share = 1 - start - end
    return _weights(_grid(side) * np.float32(share) + np.float32(start - end), old, width=max(1.0, share * old / side))


def _grid(side: int) -> Float32Array:
    """Centres of the pixels of a side that spans [-1, 1]."""
    return np.asarray((2 * np.arange(side) + 1) / side - 1, np.float32)


def _weights(positions: Float32Array, side: int, width: float = 1.0) -> Float32Array:
    """Weights `(..., P, side)` of linear interpolation at positions `(..., P)`; edges are repeated outside."""
    pixels = np.clip(((positions + 1) * side - 1) / 2, 0, side - 1)
    weights = np.maximum(0, 1 - np.abs(pixels[..., None] - np.arange(side, dtype=np.float32)) / np.float32(width))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True), np.float32)
