"""What slices have to be to make a stack: alike, parallel, even, each once."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tumorline.arrays import Float64Array
from tumorline.errors import UserError
from tumorline.formats.decode import FEWEST_SLICES
from tumorline.formats.dicom import Numbers, numbers_of
from tumorline.formats.dicom_slice import APART_BY, OF_ONE_VOLUME, SHARED, SeriesSlice

SAME_PLACE = 0.01
"""Two slices lie at one place where they are apart by less than this share of the usual step."""

EVEN = 0.1
"""Steps from slice to slice may differ by this share."""

PARALLEL = 1e-3
"""By so much the numbers of two orientations or pixel spacings may differ."""

ALIKE = 1.0
"""By so much the times in ms and b-values of two slices of a volume may differ."""

TILT_DEGREES = 0.5
"""By more than this the stack leans to its normal."""


def refuse_stray(slices: Sequence[SeriesSlice], largest: Sequence[SeriesSlice]) -> None:
    """Raise UserError for a slice or two of another series than the largest beside it, which is a whole one."""
    if slices is not largest and len(slices) < FEWEST_SLICES <= len(largest):
        raise UserError(
            f"{slices[0].path}: of another series than the {len(largest)} slices beside it "
            f"(for example {largest[0].path.name}); take it away, or give each series as a folder of its own"
        )


def require_alike(slices: Sequence[SeriesSlice]) -> None:
    """Raise UserError for a slice whose owner, size, spacing or orientation is not that of most of the others."""
    if len(slices) < FEWEST_SLICES:
        raise UserError(
            f"{slices[0].path}: a series of {len(slices)} slices; a volume has {FEWEST_SLICES} and more. "
            "Give a file by itself to have it read as a picture"
        )
    for number, keyword in enumerate(SHARED):
        _require_shared(slices, keyword, [one.shared[number] for one in slices])
    _require_same(slices, "size", [(one.size[1], one.size[0]) for one in slices], " x ")
    _require_same(slices, "pixel spacing", [one.spacing_mm for one in slices], " / ")
    _require_same(slices, "orientation", [one.orientation for one in slices], " / ")


def _require_shared(slices: Sequence[SeriesSlice], keyword: str, values: Sequence[str]) -> None:
    """Of the slices that state it; what identifies is not quoted.

    Where each has a value of its own, whoever took the names out made it up file by file.
    """
    ((usual, count),) = Counter(filter(None, values)).most_common(1) or [("", 0)]
    for series_slice, value in zip(slices, values, strict=True):
        if value not in ("", usual) and count > 1:
            raise UserError(
                f"{series_slice.path}: its {keyword} is not that of the {count} others of its series; it is foreign "
                "here, take it away"
            )


def _require_same(
    slices: Sequence[SeriesSlice], name: str, values: Sequence[Numbers], joint: str = "", within: float = PARALLEL
) -> None:
    usual = _usual(values, within)
    is_usual = [bool(np.allclose(value, usual, rtol=0, atol=within)) for value in values]
    if not all(is_usual):
        odd = is_usual.index(False)
        here, there = (joint.join(f"{round(number, 3) + 0:g}" for number in one) for one in (values[odd], usual))
        count = sum(is_usual)
        if _of_one_file(slices):
            raise UserError(
                f"{slices[odd].path}: the {name} of {count} of its frames is {there}, that of others {here}; "
                "save each volume as a file of its own"
            )
        raise UserError(
            f"{slices[odd].path}: its {name} is {here}, that of {count} others of its series {there}; it is "
            "foreign here, take it away"
        )


def _usual(values: Sequence[Numbers], within: float) -> Numbers:
    """One of the values that most are when rounded."""
    rounded = [tuple(float(np.rint(number / within)) for number in value) for value in values]
    return values[rounded.index(Counter(rounded).most_common(1)[0][0])]


def require_one_contrast(slices: Sequence[SeriesSlice]) -> None:
    """Raise UserError for a slice of another echo, inversion time or b-value than most of those that state one."""
    for number, keyword in enumerate(APART_BY):
        values = {one: value for one in slices if np.isfinite(value := numbers_of(one.apart[number])).all() and value}
        if values and keyword in OF_ONE_VOLUME:
            _require_same([*values], keyword, [*values.values()], within=ALIKE)


def _of_one_file(slices: Sequence[SeriesSlice]) -> bool:
    """Whether slices are the frames of a file, which cannot be taken away."""
    return len(slices) > 1 and len({one.path for one in slices}) == 1


def in_order(slices: Sequence[SeriesSlice]) -> list[SeriesSlice]:
    """By their place along the normal. Raises UserError where two lie at one place."""
    heights = heights_of(slices)
    order = np.argsort(heights, kind="stable")
    ordered, heights = [slices[number] for number in order], heights[order]
    steps = np.diff(heights)
    usual = float(np.median(steps[steps > SAME_PLACE * steps.max()])) if steps.max() > 0 else 0.0
    starts = np.flatnonzero(np.r_[True, steps > SAME_PLACE * usual])
    counts = np.diff(np.r_[starts, len(ordered)])
    if (counts > 1).any() or not usual:
        _refuse_doubled(ordered, starts, counts)
    return ordered


def heights_of(slices: Sequence[SeriesSlice]) -> Float64Array:
    """Places along the normal in mm."""
    return np.array([one.position_mm for one in slices]) @ slices[0].normal


def _refuse_doubled(ordered: Sequence[SeriesSlice], starts: npt.NDArray[Any], counts: npt.NDArray[Any]) -> None:
    place, start = _place(ordered), int(starts[np.argmax(counts > 1)])
    difference = _difference(ordered[start : start + counts.max()])
    how = f", which differ in {difference}" if difference else ""
    cure = "save one of them as a file of its own" if _of_one_file(ordered) else "give the files of one"
    if len(set(counts.tolist())) == 1 and len(starts) >= FEWEST_SLICES:
        raise UserError(f"{place}: a series of {counts[0]} volumes at one place (4D){how}; {cure}")
    if difference and (counts > 1).sum() >= FEWEST_SLICES:
        raise UserError(f"{place}: a series of several volumes at one place (4D){how}, not each whole; {cure}")
    first, second = ordered[start], ordered[start + 1]
    if _of_one_file(ordered):
        frames = f"its frames {first.frame + 1} and {second.frame + 1} lie at one place"
        raise UserError(f"{first.path}: {frames}; save it with each slice once")
    where = f"lies where {_name(first, ordered)} lies"
    if _name(second, ordered) != second.path.name:
        raise UserError(f"{second.path}: its frame {second.frame + 1} {where}; save them with each slice once")
    raise UserError(f"{second.path}: {where}; a slice is there twice, take one of them away")


def _difference(slices: Sequence[SeriesSlice]) -> str:
    """The words of `APART_BY` for the first value in which slices at one place differ; empty where in none."""
    words = APART_BY.values()
    return next((word for number, word in enumerate(words) if len({one.apart[number] for one in slices}) > 1), "")


def _place(slices: Sequence[SeriesSlice]) -> Path:
    return slices[0].path if _of_one_file(slices) else slices[0].path.parent


def _name(series_slice: SeriesSlice, slices: Sequence[SeriesSlice]) -> str:
    """Of its file, and its number there where the file holds more of them."""
    of_many = sum(other.path == series_slice.path for other in slices) > 1
    return f"frame {series_slice.frame + 1} of {series_slice.path.name}" if of_many else series_slice.path.name


def require_upright(ordered: Sequence[SeriesSlice]) -> None:
    """Raise UserError where the slices are pushed aside from one to the next, or one of them is."""
    positions = np.array([one.position_mm for one in ordered])
    heights = heights_of(ordered)
    aside = positions - positions[0] - np.outer(heights - heights[0], ordered[0].normal)  # (slices, 3)
    lean = np.degrees(np.arctan2(np.linalg.norm(aside[-1]), heights[-1] - heights[0]))
    if lean > TILT_DEGREES:
        raise UserError(
            f"{_place(ordered)}: the slices of the series lean by {lean:.1f} degrees (gantry tilt); "
            "resample it to upright slices first"
        )
    apart = np.linalg.norm(aside, axis=1)
    if apart.max() > min(ordered[0].spacing_mm):
        odd = ordered[int(np.argmax(apart))]
        raise UserError(f"{odd.path}: lies {apart.max():.1f} mm beside the others of its series; it is foreign here")


def require_even(ordered: Sequence[SeriesSlice]) -> None:
    """Raise UserError where slices are missing, or lie at uneven steps."""
    steps = np.diff(heights_of(ordered))
    usual = float(np.median(steps))
    wide = int(np.argmax(steps))
    missing = round(float(steps[wide]) / usual) - 1
    if missing >= 1 and abs(steps[wide] / usual - missing - 1) <= EVEN * (missing + 1):
        before, after = (_name(one, ordered) for one in ordered[wide : wide + 2])
        count = "a slice is" if missing == 1 else f"{missing} slices are"
        cure = "; where it holds several stacks, save each as a file of its own" if _of_one_file(ordered) else ""
        raise UserError(
            f"{_place(ordered)}: {count} missing between {before} and {after} ({steps[wide]:.3g} mm apart){cure}"
        )
    if (np.abs(steps - usual) > EVEN * usual).any():
        raise UserError(
            f"{_place(ordered)}: the slices of the series are {steps.min():.3g} to {steps.max():.3g} mm apart; "
            "expected even steps"
        )
