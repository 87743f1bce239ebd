"""Trivial baselines that every headline has to beat: they know nothing of the case, or nothing of tumours."""

import base64
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from tumorline.arrays import Float32Array, Float64Array, ImageArray, MaskArray
from tumorline.audit import describe
from tumorline.data.case import Case
from tumorline.data.sample import Sample
from tumorline.evaluation.measured_once import CaseRecord, region_record
from tumorline.groups import group_of, grouped
from tumorline.metrics.figure import figure_of
from tumorline.metrics.overlap import accuracy, count_overlap, volume_ratio
from tumorline.results import Baseline, Figure

Packed = npt.NDArray[np.uint8]
"""A mask, eight places a byte."""

COLUMNS = ("case", "patient", "region", "baseline", "dice", "missed", "volume_ratio", "accuracy")
SIDE = 256
VOLUME_GRID = (32, 64, 64)
"""Slices, rows and columns of the constant mask of volumes."""
CUTS = 128
"""Number of thresholds tried for the constant mask."""


def constant_masks(truths: Iterable[MaskArray], patients: Sequence[str]) -> list[MaskArray]:
    """For each region the best single answer to every case: the masks' frequency per pixel above one threshold.

    Truths `(R, *space)` of any sizes are brought to a grid of 256 x 256, or `VOLUME_GRID`; the threshold is the one
    with the highest mean Dice by patient over the same masks. Empty where no mask has the region. Where there are
    pictures beside volumes, the masks of all regions of the pictures come first, then those of the volumes.

    A bit is kept of each place of each mask: thousands of cases fit the memory.
    """
    packed: dict[tuple[int, ...], list[list[Packed]]] = defaultdict(list)
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for truth, patient in zip(truths, patients, strict=True):
        shape = VOLUME_GRID if truth.ndim > 3 else (SIDE, SIDE)
        packed[shape].append([np.packbits(_resized(mask, shape)) for mask in truth])
        groups[shape].append(patient)
    return [
        _constant_mask(masks, shape, groups[shape])
        for shape in sorted(packed, key=len)
        for masks in zip(*packed[shape], strict=True)
    ]


def _constant_mask(masks: Sequence[Packed], shape: tuple[int, ...], patients: Sequence[str]) -> MaskArray:
    """Of one region's masks, which were `shape` before they were packed."""
    frequency = _frequency(masks, prod(shape), patients)
    levels = np.unique(frequency[frequency > 0])[::-1]
    if not len(levels):
        return np.zeros(shape, bool)
    tried = levels[np.unique(np.linspace(0, len(levels) - 1, CUTS).astype(int))]
    order = np.argsort(-frequency, kind="stable")
    sizes = np.searchsorted(-frequency[order], -tried, side="right")
    tumours = np.array([mask.any() for mask in masks])
    dice = np.stack([_dice_by_size(_unpacked(mask, prod(shape)), order, sizes) for mask in masks if mask.any()])
    best = tried[np.average(dice, axis=0, weights=_weights(np.asarray(patients)[tumours])).argmax()]
    return np.asarray(frequency >= best).reshape(shape)


def _frequency(masks: Sequence[Packed], places: int, patients: Sequence[str]) -> Float64Array:
    """How often each place is marked: the mean over each patient's masks, then over patients."""
    weights = _weights(patients)
    total = np.zeros(places)
    for mask, weight in zip(masks, weights, strict=True):
        total += weight * _unpacked(mask, places)
    return np.asarray(total / weights.sum())


def _unpacked(mask: Packed, places: int) -> MaskArray:
    return np.unpackbits(mask, count=places).astype(bool)


def _dice_by_size(mask: MaskArray, order: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64]) -> Float64Array:
    """Of one mask with the first `sizes` places of an order, `(len(sizes),)`."""
    overlap = np.cumsum(mask[order])[sizes - 1]
    return np.asarray(2 * overlap / (sizes + mask.sum()))


def fitted(constant: MaskArray, shape: Sequence[int]) -> MaskArray:
    """The constant mask at the size `(H, W)` or `(D, H, W)` of a case; one of pictures answers each slice."""
    if len(shape) > constant.ndim:
        return np.broadcast_to(_resized(constant, shape[1:]), shape)
    return _resized(constant, shape)


def otsu_in_head(image: ImageArray) -> MaskArray:
    """Bright tissue: Otsu's threshold (1979, IEEE Trans SMC 9:62) within the head, of `(C, *space)` the first channel.

    The head is the largest part above Otsu's threshold of the whole image, with the holes of each slice filled.
    """
    grey = np.asarray(image[0], np.float64)
    bright = grey > otsu(grey)
    if not bright.any():
        return bright
    labels, _ = ndimage.label(bright)
    head = _filled(labels == 1 + np.bincount(labels.ravel())[1:].argmax())
    return np.asarray(head & (grey > otsu(grey[head])))


def _filled(mask: MaskArray) -> MaskArray:
    if mask.ndim > 2:
        return np.stack([_filled(plane) for plane in mask])
    return np.asarray(ndimage.binary_fill_holes(mask))


def otsu(values: Float64Array) -> float:
    """The threshold between 256 bins with the largest variance between the two classes."""
    counts, edges = np.histogram(values, 256)
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts)
    above = below[-1] - below
    total = np.cumsum(counts * centres)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = below * above * (total / below - (total[-1] - total) / above) ** 2
    return float(edges[1 + np.nanargmax(between[:-1])]) if np.ptp(values) else float(values.max())


class Record(CaseRecord):
    """Of one trivial answer."""

    baseline: str
    volume_ratio: float | None
    accuracy: float | None


def measure_baselines(
    case: Case, sample: Sample, regions: Sequence[str], constants: Mapping[str, Sequence[MaskArray]]
) -> Iterator[Record]:
    """Each baseline's figures on a case, by region; without a constant mask there is none of it.

    A volume is answered by the constant mask of volumes, where there is one.
    """
    otsu_mask = otsu_in_head(sample.image)
    for region, truth in zip(regions, sample.truth, strict=True):
        answers = {"otsu_in_head": otsu_mask}
        if fitting := [mask for mask in constants.get(region, ()) if mask.ndim <= truth.ndim]:
            answers["constant_mask"] = fitted(max(fitting, key=np.ndim), truth.shape)
        for baseline, answer in answers.items():
            counts = count_overlap(truth, answer)
            yield {
                **region_record(case, region, counts),
                "baseline": baseline,
                "volume_ratio": volume_ratio(counts),
                "accuracy": accuracy(counts),
            }


def summarise_baselines(records: Iterable[Record]) -> dict[str, Baseline]:
    """Of one region mean figures by patient of each baseline, with the interval of its Dice."""
    by_baseline = grouped(records, lambda record: record["baseline"])
    return {baseline: _summary(members) for baseline, members in by_baseline.items()}


def _summary(records: Sequence[Record]) -> Baseline:
    groups = [group_of(record["patient"], record["case"]) for record in records]

    def figure(values: Iterable[float | None]) -> Figure:
        return figure_of(zip(groups, values, strict=True))

    dice = figure(record["dice"] for record in records)
    return Baseline(
        dice=dice.mean,
        ci95=dice.ci95,
        missed=sum(record["missed"] for record in records),
        volume_ratio=figure(record["volume_ratio"] for record in records).mean,
        accuracy=figure(record["accuracy"] for record in records).mean,
    )


def to_text(mask: MaskArray) -> str:
    """A mask `(H, W)` or `(D, H, H)` as base64 of a PNG, of a volume the slices below one another; for model files."""
    content = io.BytesIO()
    Image.fromarray(mask.reshape(-1, mask.shape[-1])).save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode("ascii")


def from_text(text: str) -> MaskArray:
    """The mask that `to_text` wrote."""
    rows = np.asarray(describe.embedded_picture(text), bool)
    side = rows.shape[1]
    return rows.reshape(-1, side, side) if len(rows) > side and not len(rows) % side else rows


def _resized(mask: MaskArray, shape: Sequence[int]) -> MaskArray:
    """At `(H, W)` or `(D, H, W)`: foreground where half of a pixel is."""
    if mask.shape == tuple(shape):
        return mask
    *depth, height, width = shape
    planes = mask.reshape(-1, *mask.shape[-2:]).astype(np.float32)
    share = np.stack([_stretched_plane(plane, height, width) for plane in planes])
    if depth:
        share = _stretched_plane(share.reshape(len(share), -1), depth[0], height * width)
    return np.asarray(share >= 0.5).reshape(shape)


def _stretched_plane(plane: Float32Array, height: int, width: int) -> Float32Array:
    return np.asarray(Image.fromarray(plane).resize((width, height), Image.Resampling.BILINEAR))


def _weights(patients: npt.ArrayLike) -> Float64Array:
    """Of each row, so that every patient counts alike."""
    _, numbers = np.unique(patients, return_inverse=True)
    return np.asarray(1 / np.bincount(numbers)[numbers])
