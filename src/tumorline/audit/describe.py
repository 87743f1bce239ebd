"""What the pictures of a set are like, so that a figure on other data can be understood."""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypedDict

import numpy as np
from PIL import Image

from tumorline.arrays import Float64Array, ImageArray, MaskArray
from tumorline.data.dataset import Dataset
from tumorline.data.facts import Facts
from tumorline.data.near import duplicates
from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.formats.grey import grey_range
from tumorline.geometry.symmetry import TRANSFORMS, transformed
from tumorline.network_input import fit

SAMPLE, SAMPLE_VOLUMES = 200, 20
"""Cases whose pixels are read, evenly spread."""
NETWORK_SIDE = 128
LARGEST_EMBEDDED = 4096
"""Side in pixels of a picture within a model file; ours have 64 and 256."""
DARK = 0.05
"""Below this share of its brightest pixels a pixel is background."""
HEAD = 0.15
"""Above this share of its brightest pixel a mean picture shows the head."""
CLEARLY = 0.5
"""Another orientation is named where it leaves at most this share of what does not correlate as it lies."""


class SetDescription(TypedDict):
    """What the pictures of a set are like; what is undefined is None."""

    sizes: dict[str, int]
    """How many cases have the three most frequent ones."""
    spacing_mm: list[float] | None
    background_share: float
    tumour_share: float | None
    tumour_brightness: float | None
    """In standard deviations of the picture above its mean, as the network sees it."""
    tumour_free_share: float


def describe(dataset: Dataset, case_ids: Sequence[str]) -> SetDescription:
    """Sizes, pixel spacing, background, area and brightness of the tumours of the cases `case_ids`."""
    indices = [dataset.index[case_id] for case_id in case_ids]
    sizes = Counter(" x ".join(map(str, dataset.facts[index].shape[:0:-1])) for index in indices)
    spacing = [spacing for index in indices if (spacing := dataset.spacing_mm(dataset.cases[index]))]
    tumours = [dataset.facts[index].foreground for index in indices if dataset.facts[index].foreground]
    sample_size = SAMPLE_VOLUMES if dataset.cases[indices[0]].is_volume else SAMPLE
    sample = [indices[i] for i in np.unique(np.linspace(0, len(indices) - 1, sample_size).astype(int))]
    background, brightness = zip(*(_resampled_pixels(dataset, index) for index in sample), strict=True)
    bright = [value for value in brightness if value is not None]
    return {
        "sizes": dict(sizes.most_common(3)),
        "spacing_mm": [float(side) for side in np.median(spacing, axis=0)] if spacing else None,
        "background_share": float(np.median(background)),
        "tumour_share": float(np.median(tumours)) if tumours else None,
        "tumour_brightness": float(np.median(bright)) if bright else None,
        "tumour_free_share": 1 - len(tumours) / len(indices),
    }


def mean_picture(facts: Sequence[Facts]) -> Float64Array:
    """Mean of the thumbnails, `(64, 64)` from 0 to 1."""
    thumbnails = [fact.thumbnail for fact in facts if fact.thumbnail]
    if not thumbnails:
        return np.zeros((duplicates.SIDE, duplicates.SIDE))
    return np.asarray(duplicates.unpack(thumbnails).mean(axis=0), np.float64)


def orientation(trainings: Iterable[Float64Array], pictures: Float64Array) -> str:
    """The turn or mirroring that makes the mean picture of a set most like that of the training; usually "identity".

    Where the training had several sources, with a mean picture each, it is enough that the set lies as one of them.
    """
    turns = [_turn(training, pictures) for training in trainings]
    return TRANSFORMS[0] if TRANSFORMS[0] in turns else turns[0]


def _turn(training: Float64Array, pictures: Float64Array) -> str:
    """Heads are nearly symmetric: a turn by a quarter is sure, which quarter and whether mirrored is not."""
    first, second = _head(training), _head(pictures)
    likeness = [_correlation(first, transformed(second, number)) for number in range(len(TRANSFORMS))]
    best = int(np.argmax(likeness))
    return TRANSFORMS[best] if 1 - likeness[best] <= CLEARLY * (1 - likeness[0]) else TRANSFORMS[0]


def to_text(picture: Float64Array) -> str:
    """A mean picture as base64 of a PNG, for the model file."""
    content = io.BytesIO()
    Image.fromarray(np.round(255 * picture).astype(np.uint8)).save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode("ascii")


def from_text(text: str) -> Float64Array:
    """The picture that `to_text` wrote."""
    return np.asarray(embedded_picture(text), np.float64) / 255


def embedded_picture(text: str) -> Image.Image:
    """The grey PNG that a model file holds as text. Raises UserError for anything else: the file may be anyone's."""
    try:
        picture = Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",))
        if max(picture.size) > LARGEST_EMBEDDED:
            raise ValueError(f"{picture.size} px")
        return picture.convert("L")
    except Exception as error:
        raise UserError(f"a model file's metadata holds what is no picture of its data ({error!r:.100})") from None


def _resampled_pixels(dataset: Dataset, index: int) -> tuple[float, float | None]:
    """Share of background, and brightness of the tumour."""
    image, truth = _shown(dataset.read(dataset.cases[index]))
    brightest = grey_range(image[0])[1]
    (square, *_), placement = fit.to_network(image, NETWORK_SIDE)
    small = fit.mask_to_network(truth, placement)
    return float((image[0] <= DARK * brightest).mean()), float(square[small].mean()) if small.any() else None


def _shown(sample: Sample) -> tuple[ImageArray, MaskArray]:
    """Image `(C, H, W)` and tumour `(H, W)`; of a volume the slice with most of the tumour, or the middle one."""
    image, truth = sample.image, np.asarray(sample.truth.any(axis=0))
    if truth.ndim == 2:
        return image, truth
    areas = truth.sum(axis=(1, 2))
    number = int(areas.argmax()) if areas.any() else len(truth) // 2
    return image[:, number], truth[number]


def _head(picture: Float64Array) -> Float64Array:
    """The square around the head, as large as the picture."""
    inside = picture > HEAD * picture.max()
    if not inside.any():
        return picture
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    half = (max(np.ptp(rows), np.ptp(columns)) + 1) / 2
    row, column = (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    box = (column - half, row - half, column + half, row + half)
    cut = Image.fromarray(picture.astype(np.float32)).transform(
        picture.shape, Image.Transform.EXTENT, box, Image.Resampling.BILINEAR
    )
    return np.asarray(cut, np.float64)


def _correlation(first: Float64Array, second: Float64Array) -> float:
    if not np.ptp(first) or not np.ptp(second):
        return 0.0
    return float(np.corrcoef(first.ravel(), second.ravel())[0, 1])
