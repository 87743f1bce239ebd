"""Trivial baselines that every headline has to beat: they know nothing of the case, or nothing of tumours."""

import base64
import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from tumorline.arrays import ImageArray, MaskArray
from tumorline.audit import describe
from tumorline.data.dataset import Dataset
from tumorline.groups import group_of
from tumorline.metrics.overlap import OverlapCounts, accuracy, count_overlap, dice, volume_ratio
from tumorline.metrics.summary import figure_of
from tumorline.results import Baseline

Record = dict[str, Any]

COLUMNS = ("case", "patient", "baseline", "dice", "missed", "volume_ratio", "accuracy")
SIDE = 256
CUTS = 128
"""Number of thresholds tried for the constant mask."""


def constant_mask(masks: Iterable[MaskArray], patients: Sequence[str]) -> MaskArray:
    """The best single answer to every case: the training masks' frequency per pixel above one threshold.

    Masks `(H, W)` of any sizes are brought to a grid of 256 x 256; the threshold is the one with the highest mean Dice
    by patient over the same masks. Empty where no mask has a tumour.
    """
    grid = np.stack([_resized(mask, SIDE, SIDE) for mask in masks]).reshape(-1, SIDE * SIDE)
    frequency = _mean_by_patient(grid, patients)
    levels = np.unique(frequency[frequency > 0])[::-1]
    if not len(levels):
        return np.zeros((SIDE, SIDE), bool)
    tried = levels[np.unique(np.linspace(0, len(levels) - 1, CUTS).astype(int))]
    order = np.argsort(-frequency, kind="stable")
    sizes = np.searchsorted(-frequency[order], -tried, side="right")
    tumours = grid.any(axis=1)
    overlap = _running_overlap(grid[tumours][:, order], sizes)
    dice = 2 * overlap / (sizes + grid[tumours].sum(axis=1, keepdims=True))
    best = tried[_mean_by_patient(dice, np.asarray(patients)[tumours]).argmax()]
    return np.asarray(frequency >= best).reshape(SIDE, SIDE)


def fitted(constant: MaskArray, shape: Sequence[int]) -> MaskArray:
    """The constant mask at the size `(H, W)` of a case."""
    height, width = shape
    return _resized(constant, height, width)


def otsu_in_head(image: ImageArray) -> MaskArray:
    """Bright tissue: Otsu's threshold (1979, IEEE Trans SMC 9:62) within the head, of `(C, H, W)` the first channel.

    The head is the largest part above Otsu's threshold of the whole picture, with its holes filled.
    """
    picture = np.asarray(image[0], np.float64)
    bright = picture > otsu(picture)
    if not bright.any():
        return bright
    labels, _ = ndimage.label(bright)
    head = ndimage.binary_fill_holes(labels == 1 + np.bincount(labels.ravel())[1:].argmax())
    return np.asarray(head & (picture > otsu(picture[head])))


def otsu(values: npt.NDArray[np.float64]) -> float:
    """The threshold between 256 bins with the largest variance between the two classes."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(edges[1 + np.nanargmax(between[:-1])]) if np.ptp(values) else float(values.max())


def measure_baselines(dataset: Dataset, names: Sequence[str], constant: MaskArray | None) -> list[Record]:
    """Each baseline's figures on the cases `names`; without a constant mask there is none of it."""
    records = []
    for name in names:
        case = dataset.cases[dataset.index[name]]
        image, (truth, *_), _ = dataset.read(case)
        answers = {"otsu_in_head": otsu_in_head(image)}
        if constant is not None:
            answers["constant_mask"] = fitted(constant, truth.shape)
        records += [
            {"case": name, "patient": case.patient, "baseline": baseline} | _figures(count_overlap(truth, answer))
            for baseline, answer in answers.items()
        ]
    return records


def summarise_baselines(records: Iterable[Record]) -> dict[str, Baseline]:
    """Mean figures by patient of each baseline, with the interval of its Dice."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record["baseline"]].append(record)
    return {baseline: _summary(members) for baseline, members in groups.items()}


def _figures(counts: OverlapCounts) -> Record:
    has_tumour = counts.tp + counts.fn > 0
    return {
        "dice": dice(counts) if has_tumour else None,
        "missed": has_tumour and not counts.tp,
        "volume_ratio": volume_ratio(counts),
        "accuracy": accuracy(counts),
    }


def _summary(records: Sequence[Record]) -> Baseline:
    figures = {
        name: figure_of((group_of(record["patient"], record["case"]), record[name]) for record in records)
        for name in ("dice", "volume_ratio", "accuracy")
    }
    return Baseline(
        dice=figures["dice"].mean,
        ci95=figures["dice"].ci95,
        missed=sum(record["missed"] for record in records),
        volume_ratio=figures["volume_ratio"].mean,
        accuracy=figures["accuracy"].mean,
    )


def to_text(mask: MaskArray) -> str:
    """A mask as base64 of a PNG, for the model file."""
    content = io.BytesIO()
    Image.fromarray(mask).save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode("ascii")


def from_text(text: str) -> MaskArray:
    """The mask that `to_text` wrote."""
    return np.asarray(describe.embedded_picture(text), bool)


def _resized(mask: MaskArray, height: int, width: int) -> MaskArray:
    if mask.shape == (height, width):
        return mask
    share = Image.fromarray(mask.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(share) >= 0.5


def _running_overlap(pixels: MaskArray, sizes: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Tumour pixels of each row of `(N, P)` among its first `sizes` pixels, `(N, len(sizes))`; sizes rise."""
    first = np.append(0, sizes[:-1])
    parts = np.add.reduceat(pixels[:, : sizes[-1]], first, axis=1, dtype=np.int64)
    return np.asarray(parts.cumsum(axis=1))


def _mean_by_patient(values: npt.NDArray[Any], patients: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Mean over each patient's rows of `(N, ...)`, then over patients."""
    _, numbers = np.unique(patients, return_inverse=True)
    weights = 1 / np.bincount(numbers)[numbers]
    return np.asarray(np.average(values, axis=0, weights=weights), np.float64)
