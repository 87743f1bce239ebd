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

from tumorline.data.case import read_mask
from tumorline.errors import UserError
from tumorline.write.images import window

SHOWN = 4
LARGEST_SIDE = 320

MaskArray = npt.NDArray[np.bool_]
CaseReader = Callable[[str], tuple[npt.NDArray[np.float32], MaskArray]]
Row = dict[str, str]


@dataclass(frozen=True)
class Picture:
    """One case: the image as a data URI and both contours as SVG paths in pixel coordinates."""

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


def choose(rows: Sequence[Row], count: int = SHOWN) -> dict[str, list[Row]]:
    """The best, the middle and the worst cases by Dice; a case is shown once."""
    ranked = sorted((row for row in rows if row["dice"]), key=lambda row: (-float(row["dice"]), row["case"]))
    count = min(count, max(1, len(ranked) // 3))
    start = max(0, (len(ranked) - count) // 2)
    chosen = {"Best": ranked[:count], "Median": ranked[start : start + count], "Worst": ranked[-count:][::-1]}
    return {name: members for name, members in chosen.items() if members}


def draw(row: Row, predictions: Path, read_case: CaseReader) -> Picture | None:
    """The picture of one row; None where its source or its prediction is not there any more."""
    try:
        image, truth = read_case(row["case"])
        predicted = read_mask(predictions / f"{row['case']}.png")
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


def _data_uri(image: npt.NDArray[np.float32]) -> str:
    picture = Image.fromarray(window(image))
    picture.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
