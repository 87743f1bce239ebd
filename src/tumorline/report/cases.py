"""Which cases the page shows, and each as a picture with its two contours."""

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import contourpy
import numpy as np
import numpy.typing as npt
from PIL import Image

from tumorline.data.truth import read_mask
from tumorline.errors import UserError
from tumorline.write.images import mask_path, window

SHOWN = 4
LARGEST_SIDE = 384
LARGEST_ZOOM = 4.0

MaskArray = npt.NDArray[np.bool_]
CaseReader = Callable[[str], tuple[npt.NDArray[np.float32], MaskArray]]
Row = dict[str, str]


@dataclass(frozen=True)
class Picture:
    """One case: the image as a data URI, both contours as SVG paths in pixel coordinates, a CSS transform as zoom."""

    case: str
    class_name: str
    patient: str
    dice: float
    truth_px: int
    predicted_px: int
    height: int
    width: int
    image: str
    truth: str
    predicted: str
    zoom: str


def choose(rows: Sequence[Row], count: int = SHOWN) -> dict[str, list[Row]]:
    """The best, middle and worst of the found tumours by Dice, and the largest missed; a case is shown once."""
    scored = [row for row in rows if row["dice"]]
    found = sorted((row for row in scored if float(row["dice"])), key=lambda row: (-float(row["dice"]), row["case"]))
    missed = [row for row in scored if not float(row["dice"])]
    share = min(count, max(1, len(found) // 3))
    best, rest = found[:share], found[share:]
    between, worst = rest[:-share], rest[-share:]
    start = (len(between) - share) // 2
    chosen = {
        "Best": best,
        "Median": between[max(0, start) : start + share],
        "Worst": worst[::-1],
        "Missed": sorted(missed, key=lambda row: (-int(row["truth_px"]), row["case"]))[:count],
    }
    return {name: members for name, members in chosen.items() if members}


def draw(row: Row, predictions: Path, read_case: CaseReader) -> Picture | None:
    """The picture of one row; None where its source or its prediction is not there any more."""
    try:
        image, truth = read_case(row["case"])
        predicted = read_mask(mask_path(predictions, row["case"]))
    except (UserError, OSError, KeyError):
        return None
    height, width = truth.shape
    return Picture(
        case=row["case"],
        class_name=row.get("class_name", ""),
        patient=row.get("patient", ""),
        dice=float(row["dice"]),
        truth_px=int(row["truth_px"]),
        predicted_px=int(row["predicted_px"]),
        height=height,
        width=width,
        image=_data_uri(image),
        truth=outline(truth),
        predicted=outline(predicted),
        zoom=close_up(truth | predicted),
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
    """The CSS transform that fills an image's frame with the surroundings of a non-empty mask `(H, W)`."""
    extents = [(int(where.min()), int(where.max()) + 1) for where in np.nonzero(mask)]
    scale = min(size / (2 * (end - start)) for size, (start, end) in zip(mask.shape, extents, strict=True))
    scale = min(max(scale, 1.0), LARGEST_ZOOM)
    top, left = (
        min(max((start + end - size / scale) / 2, 0.0), size - size / scale)
        for size, (start, end) in zip(mask.shape, extents, strict=True)
    )
    return f"scale({scale:.2f}) translate({-left:.1f}px, {-top:.1f}px)"


def _data_uri(image: npt.NDArray[np.float32]) -> str:
    picture = Image.fromarray(window(image))
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
