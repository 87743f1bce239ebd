"""What headers tell of slices that a series lacks at its ends, where even steps from slice to slice show nothing."""

from collections.abc import Collection, Sequence

import numpy as np

from tumorline.formats.dicom_slice import APART_BY, SeriesSlice
from tumorline.wording import numbered

ROUND = 100
"""Numbers that begin at a multiple of it, or one above, count from there: by series, or over many of them."""
DERIVED = "DERIVED"
"""In the kind of an image that was computed, of which the headers may state the images that it was made of."""


def last_number(slices: Sequence[SeriesSlice]) -> int | None:
    """The highest InstanceNumber; None where no slice has one."""
    return max((one.number for one in slices if one.number is not None), default=None)


def tell_ends(slices: Sequence[SeriesSlice], ends_of_others: Collection[int | None]) -> str:
    """What is said of a series that seems to lack slices at an end; empty where its headers do not say so.

    Where another series beside it ends below its first number, the numbers run over both.
    """
    told = (_by_parts(slices), _by_count(slices), _by_numbers(slices, ends_of_others))
    return next(filter(None, told), "")


def _by_numbers(slices: Sequence[SeriesSlice], ends_of_others: Collection[int | None]) -> str:
    """Of numbers that differ; of every second or third, as echoes have that lie one in another, the first may be so."""
    numbers = sorted({one.number for one in slices if one.number is not None})
    if len(numbers) < len(slices) or numbers[0] % ROUND in (0, 1) or numbers[0] - 1 in ends_of_others:
        return ""
    lacking = (numbers[0] - 1) // int(np.median(np.diff(numbers)))
    few = 0 < lacking < len(slices)
    return f"its instance numbers begin with {numbers[0]}: slices at one end may be missing" if few else ""


def _by_count(slices: Sequence[SeriesSlice]) -> str:
    """Of as many volumes at one place as the headers state images for, one may have been chosen."""
    stated = max((one.of_acquisition for one in slices if one.of_acquisition is not None), default=0)
    kind = slices[0].apart[[*APART_BY].index("ImageType")]
    if stated <= len(slices) or stated % len(slices) == 0 or DERIVED in kind:
        return ""
    return f"its headers state {stated} slices, {len(slices)} are there: slices at one end may be missing"


def _by_parts(slices: Sequence[SeriesSlice]) -> str:
    """Of frames that were divided among several files."""
    stated = max((one.of_parts for one in slices if one.of_parts is not None), default=0)
    files = len({one.path for one in slices})
    if stated <= files:
        return ""
    return f"its headers state {numbered(stated, 'file')}, {files} of them here: slices at one end may be missing"
