"""All figures of one case and region, with every convention for empty masks in one place."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from multiprocessing import get_context
from typing import Any

from tumorline.arrays import MaskArray
from tumorline.geometry.distances import bounding_box, diagonal
from tumorline.metrics import overlap, surface
from tumorline.metrics.lesion import LESION_RULES, match_lesions, score_lesions

VOLUME_AXES = 3
NSD_TOLERANCE = 2.0
"""In mm where the spacing is known, else in pixels."""

POOL_AFTER_S = 2.0
"""Processes are started after so much scoring: they take a second or two to start, as long as 2000 slices take."""
CHUNK = 16
"""Masks of pictures that a process gets at once; those of volumes come one by one."""


@dataclass(frozen=True)
class CaseScores:
    """Figures of one case; None where a figure is undefined.

    Truth with a tumour: a prediction without overlap, empty or not, is a miss with Dice 0, NSD 0 and as HD95 and
    average surface distance the image's diagonal, which these never exceed. Truth without a tumour: Dice, IoU, NSD,
    HD95, average surface distance, and the lesion-wise Dice and HD95 are None. The signed offset is None where either
    mask is empty. Lesions are matched as in `metrics.lesion`: one with a prediction close beside it counts as detected.

    Volumes whose spacing is known have figures in ml, of which `volume_error_ml` is predicted minus true, and those of
    lesions by the rule of BraTS 2023 as well, which is defined for every case.
    """

    dice: float | None
    iou: float | None
    precision: float | None
    recall: float | None
    nsd: float | None
    hd95: float | None
    unit: str
    volume_ratio: float | None
    accuracy: float
    accuracy_background: float
    truth_px: int
    predicted_px: int
    overlap_px: int
    height: int
    width: int
    depth: int | None = None
    average_surface_distance: float | None = None
    signed_offset: float | None = None
    lesions_truth: int | None = None
    lesions_detected: int | None = None
    lesions_invented: int | None = None
    lesion_dice: float | None = None
    lesion_hd95: float | None = None
    truth_ml: float | None = None
    predicted_ml: float | None = None
    volume_error_ml: float | None = None
    brats2023_lesions_truth: int | None = None
    brats2023_lesions_detected: int | None = None
    brats2023_lesions_invented: int | None = None
    brats2023_lesion_dice: float | None = None
    brats2023_lesion_hd95: float | None = None

    @property
    def _counts(self) -> overlap.OverlapCounts:
        """But for what is background in both."""
        hit = self.overlap_px
        return overlap.OverlapCounts(hit, self.predicted_px - hit, self.truth_px - hit, 0)

    @property
    def has_tumour(self) -> bool:
        return self._counts.has_tumour

    @property
    def detected(self) -> bool:
        return self._counts.detected

    @property
    def missed(self) -> bool:
        return self._counts.missed

    @property
    def invented(self) -> bool:
        return self._counts.invented

    @property
    def dice_all(self) -> float:
        """Dice that is defined for every case: 1 where both masks are empty, 0 for an invented tumour (as BraTS)."""
        return self.dice if self.dice is not None else float(not self.invented)


@dataclass(frozen=True)
class Pair:
    """Two boolean masks `(H, W)` or `(D, H, W)` at their native resolution; without spacing distances are in pixels."""

    truth: MaskArray
    predicted: MaskArray
    spacing_mm: Sequence[float] | None = None
    tolerance: float = NSD_TOLERANCE
    voxel_ml: float | None = None
    """Of a volume; None: its edges are taken to stand at right angles."""


@dataclass(frozen=True)
class _Boundaries:
    """What the distances between two boundaries say."""

    nsd: float | None = None
    hd95: float | None = None
    average_surface_distance: float | None = None
    signed_offset: float | None = None


@dataclass(frozen=True)
class _Window:
    """A pair cut to the box of both masks, with what is to be known of the rest: little to hand to another process."""

    pair: Pair
    counts: overlap.OverlapCounts
    shape: tuple[int, ...]

    @property
    def spacing(self) -> Sequence[float]:
        return self.pair.spacing_mm or (1.0,) * len(self.shape)

    @property
    def farthest(self) -> float:
        return diagonal(self.shape, self.spacing)

    @property
    def voxel_ml(self) -> float | None:
        """None of a picture, and where the spacing is unknown."""
        if self.pair.spacing_mm is None or len(self.shape) != VOLUME_AXES:
            return None
        return self.pair.voxel_ml or math.prod(self.pair.spacing_mm) / 1000


def score_case(
    truth: MaskArray, predicted: MaskArray, spacing_mm: Sequence[float] | None, tolerance: float = NSD_TOLERANCE
) -> CaseScores:
    """Score boolean masks `(H, W)` or `(D, H, W)` at their native resolution; see `Pair`."""
    return _score(_cut(Pair(truth, predicted, spacing_mm, tolerance)))


def score_cases(pairs: Iterable[Pair], processes: int = 1) -> list[CaseScores]:
    """Score many pairs, which may be made one by one as they are asked for; the order is kept.

    Several processes start only where there is much to score (`POOL_AFTER_S`). A script that asks for them must do so
    below `if __name__ == "__main__"`, because each of them imports it.
    """
    windows = map(_cut, pairs)
    scores: list[CaseScores] = []
    spent = 0.0
    for window in windows:
        if processes > 1 and spent >= POOL_AFTER_S:
            return scores + _score_in_pool(chain([window], windows), processes)
        began = time.perf_counter()
        scores.append(_score(window))
        spent += time.perf_counter() - began
    return scores


def _score_in_pool(windows: Iterator[_Window], processes: int) -> list[CaseScores]:
    """Little more is asked for than the processes have to do, so that not all masks wait in memory."""
    scores: list[CaseScores] = []
    waiting: deque[Future[list[CaseScores]]] = deque()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for chunk in _chunks(windows):
            waiting.append(pool.submit(_score_all, chunk))
            if len(waiting) > 2 * processes:
                scores += waiting.popleft().result()
        return [*scores, *chain.from_iterable(future.result() for future in waiting)]


def _chunks(windows: Iterator[_Window]) -> Iterator[list[_Window]]:
    for window in windows:
        following = 0 if len(window.shape) == VOLUME_AXES else CHUNK - 1
        yield [window, *islice(windows, following)]


def _score_all(windows: Sequence[_Window]) -> list[CaseScores]:
    return [_score(window) for window in windows]


def _cut(pair: Pair) -> _Window:
    counts = overlap.count_overlap(pair.truth, pair.predicted)
    window = bounding_box(pair.truth | pair.predicted)
    small = replace(pair, truth=pair.truth[window].copy(), predicted=pair.predicted[window].copy())
    return _Window(small, counts, pair.truth.shape)


def _score(window: _Window) -> CaseScores:
    counts, boundaries = window.counts, _boundaries(window)
    *depth, height, width = window.shape
    return CaseScores(
        dice=overlap.dice_of_tumour(counts),
        iou=overlap.iou(counts) if counts.has_tumour else None,
        precision=overlap.precision(counts),
        recall=overlap.recall(counts),
        nsd=boundaries.nsd,
        hd95=boundaries.hd95,
        unit="mm" if window.pair.spacing_mm else "px",
        volume_ratio=overlap.volume_ratio(counts),
        accuracy=overlap.accuracy(counts),
        accuracy_background=overlap.accuracy_of_background(counts),
        truth_px=counts.true,
        predicted_px=counts.predicted,
        overlap_px=counts.tp,
        height=height,
        width=width,
        depth=depth[0] if depth else None,
        average_surface_distance=boundaries.average_surface_distance,
        signed_offset=boundaries.signed_offset,
        **_lesion_figures(window, boundaries.hd95),
        **_volume_figures(window),
    )


def _lesion_figures(window: _Window, hd95: float | None) -> dict[str, Any]:
    """By our rule, and of volumes in mm by that of BraTS 2023 as well."""
    lesions = match_lesions(window.pair.truth, window.pair.predicted)
    is_whole_case = len(lesions.matches) == 1 and not lesions.invented and window.counts.detected
    distances = [hd95 or 0.0] if is_whole_case else [match.hd95(window.spacing) for match in lesions.matches]
    figures: dict[str, Any] = {}
    for name, rule in LESION_RULES.items():
        prefix = "" if name == "tumorline" else f"{name}_"
        if prefix and window.voxel_ml is None:
            continue
        scores = score_lesions(lesions, distances, 1000 * (window.voxel_ml or 0.0), rule, window.farthest)
        counts = {f"{prefix}lesions_{count}": getattr(scores, count) for count in ("truth", "detected", "invented")}
        figures |= {**counts, f"{prefix}lesion_dice": scores.dice, f"{prefix}lesion_hd95": scores.hd95}
    return figures


def _volume_figures(window: _Window) -> dict[str, Any]:
    """In ml; none of a picture, or where the spacing is unknown."""
    if window.voxel_ml is None:
        return {}
    true, predicted = (round(count * window.voxel_ml, 6) for count in (window.counts.true, window.counts.predicted))
    return {"truth_ml": true, "predicted_ml": predicted, "volume_error_ml": round(predicted - true, 6)}


def _boundaries(window: _Window) -> _Boundaries:
    counts, farthest = window.counts, window.farthest
    if not counts.has_tumour:
        return _Boundaries()
    if not counts.predicted:
        return _Boundaries(0.0, farthest, farthest)
    distances = surface.surface_distances(window.pair.truth, window.pair.predicted, window.spacing)
    offset = surface.signed_offset(distances)
    if counts.missed:
        return _Boundaries(0.0, farthest, farthest, offset)
    return _Boundaries(
        surface.normalised_surface_dice(distances, window.pair.tolerance),
        min(surface.hausdorff(distances, 95), farthest),
        surface.average_surface_distance(distances),
        offset,
    )
