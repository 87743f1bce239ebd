"""The cases that a page shows: images with true and predicted contours, of a volume in three planes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import contourpy
import numpy as np
from PIL import Image

from tumorline.arrays import Float32Array, MaskArray
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.evaluation.predictions import read_prediction
from tumorline.groups import grouped
from tumorline.metrics.case import CaseScores
from tumorline.metrics.summary import Row
from tumorline.write.images import find_largest_lesion, to_data_uri, window

SHOWN = 4
LARGEST_ZOOM = 4.0
PLANES = ("axial", "coronal", "sagittal")

CaseReader = Callable[[str], Sample]
Masks = Mapping[str, tuple[MaskArray, MaskArray]]
"""Region -> truth and prediction."""


@dataclass(frozen=True)
class Scored:
    """A case and its scores by region."""

    case: str
    patient: str
    class_name: str
    scores: Mapping[str, CaseScores]

    @property
    def dice(self) -> float | None:
        """The mean over the regions that it has; None where it has none."""
        dices = [scores.dice for scores in self.scores.values() if scores.dice is not None]
        return mean(dices) if dices else None

    @property
    def truth_px(self) -> int:
        """Of its largest region."""
        return max(scores.truth_px for scores in self.scores.values())


@dataclass(frozen=True)
class Contour:
    """The boundaries of a region as SVG paths in pixel coordinates."""

    region: str
    truth: str
    predicted: str


@dataclass(frozen=True)
class Plane:
    """An image as a data URI with the contours on it; `zoom` is a CSS transform to its lesion."""

    name: str
    """Empty of a picture."""
    height: int
    width: int
    aspect: float
    """Width by height as it is to be shown."""
    image: str
    contours: list[Contour]
    zoom: str


@dataclass(frozen=True)
class Picture(Scored):
    """A case as it is shown."""

    planes: list[Plane]

    @property
    def is_volume(self) -> bool:
        return len(self.planes) > 1


def scored_cases(rows: Sequence[Row]) -> list[Scored]:
    """The rows of each case together."""
    return [
        Scored(
            case=name,
            patient=members[0].patient or "",
            class_name=members[0].attributes.get("class_name", ""),
            scores={row.region: row.scores for row in members},
        )
        for name, members in grouped(rows, lambda row: row.case).items()
    ]


def choose(cases: Sequence[Scored], count: int = SHOWN) -> dict[str, list[Scored]]:
    """The best, middle and worst of the found tumours by Dice, and the largest missed; a case is shown once."""
    scored = [(case, case.dice) for case in cases if case.dice is not None]
    detected = [case for case, dice in sorted(scored, key=lambda one: (-one[1], one[0].case)) if dice]
    missed = [case for case, dice in scored if not dice]
    share = min(count, max(1, len(detected) // 3))
    best, remaining = detected[:share], detected[share:]
    between, worst = remaining[:-share], remaining[-share:]
    start = (len(between) - share) // 2
    chosen = {
        "Best": best,
        "Median": between[max(0, start) : start + share],
        "Worst": worst[::-1],
        "Missed": sorted(missed, key=lambda case: (-case.truth_px, case.case))[:count],
    }
    return {name: members for name, members in chosen.items() if members}


@dataclass(frozen=True)
class Drawing:
    """Where pictures come from, and which regions lie there in which order."""

    read_case: CaseReader
    true_regions: Sequence[str]
    predictions: Path
    predicted_regions: Sequence[str]

    def masks(self, case: str, sample: Sample, wanted: Iterable[str]) -> Masks:
        predicted = read_prediction(self.predictions, case, self.predicted_regions)
        if predicted.shape[1:] != sample.truth.shape[1:]:
            raise UserError(f"{case}: mask and prediction differ in size")
        return {
            region: (sample.truth[self.true_regions.index(region)], predicted[self.predicted_regions.index(region)])
            for region in wanted
        }


def draw(scored: Scored, drawing: Drawing) -> Picture | None:
    """A case with the contours of the regions that are scored; None where its source or prediction is gone."""
    try:
        sample = drawing.read_case(scored.case)
        masks = drawing.masks(scored.case, sample, scored.scores)
    except (UserError, OSError, KeyError, IndexError):
        return None
    grey, grid = sample.image[0], sample.grid
    spacing = grid.spacing_mm or (1.0,) * grid.ndim
    is_volume = grid.ndim > 2
    planes = [*_three_planes(grey, masks, spacing)] if is_volume else [_plane("", grey, masks, spacing[1] / spacing[0])]
    return Picture(scored.case, scored.patient, scored.class_name, scored.scores, planes)


def _three_planes(image: Float32Array, masks: Masks, spacing: Sequence[float]) -> Iterator[Plane]:
    """Through the largest true lesion, or the largest predicted one of a case without a tumour; the head is up."""
    unions = [np.logical_or.reduce([pair[which] for pair in masks.values()]) for which in (0, 1)]
    centre = find_largest_lesion(unions[0] if unions[0].any() else unions[1])
    for axis, name in enumerate(PLANES):
        up = slice(None) if axis == 0 else slice(None, None, -1)
        cut = {
            region: (np.take(truth, centre[axis], axis)[up], np.take(predicted, centre[axis], axis)[up])
            for region, (truth, predicted) in masks.items()
        }
        tall, wide = (side for number, side in enumerate(spacing) if number != axis)
        yield _plane(name, np.take(image, centre[axis], axis)[up], cut, wide / tall)


def _plane(name: str, image: Float32Array, masks: Masks, stretch: float) -> Plane:
    """`stretch`: how much wider than tall a pixel is."""
    height, width = image.shape
    union = np.logical_or.reduce([mask for pair in masks.values() for mask in pair])
    return Plane(
        name=name,
        height=height,
        width=width,
        aspect=width * stretch / height,
        image=to_data_uri(Image.fromarray(window(np.ascontiguousarray(image)))),
        contours=[Contour(region, outline(truth), outline(predicted)) for region, (truth, predicted) in masks.items()],
        zoom=close_up(union),
    )


def outline(mask: MaskArray) -> str:
    """The boundary of a mask `(H, W)` as an SVG path, in coordinates where pixel (0, 0) covers [0, 1] x [0, 1]."""
    padded = np.pad(mask, 1).astype(np.float32)
    lines = contourpy.contour_generator(z=padded, name="serial").lines(0.5)
    paths = []
    for line in lines:
        points = " ".join(f"{x - 0.5:.1f},{y - 0.5:.1f}" for x, y in np.asarray(line))
        paths.append(f"M{points}Z")
    return " ".join(paths)


def close_up(mask: MaskArray) -> str:
    """The CSS transform that fills an image's frame with the surroundings of a mask `(H, W)`; none of an empty one."""
    if not mask.any():
        return "none"
    extents = [(int(indices.min()), int(indices.max()) + 1) for indices in np.nonzero(mask)]
    scale = min(size / (2 * (end - start)) for size, (start, end) in zip(mask.shape, extents, strict=True))
    scale = min(max(scale, 1.0), LARGEST_ZOOM)
    top, left = (
        min(max((start + end - size / scale) / 2, 0.0), size - size / scale)
        for size, (start, end) in zip(mask.shape, extents, strict=True)
    )
    return f"scale({scale:.2f}) translate({-left:.1f}px, {-top:.1f}px)"
