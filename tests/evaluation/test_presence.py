"""Images with a tumour, without any label, and with other labels only, are counted apart."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tumorline.arrays import MaskArray
from tumorline.data.case import Case
from tumorline.data.sample import Sample
from tumorline.evaluation.presence import PresenceCounts, PresenceRow, count_presence, summarise_presence
from tumorline.geometry.grid import Grid

SPACE = (6, 4, 5)
EMPTY = np.zeros(SPACE, bool)


def slices(*numbers: int, column: int = 0) -> MaskArray:
    """A pixel in each of these slices."""
    mask = EMPTY.copy()
    mask[list(numbers), 1, column] = True
    return mask


def counted(sample: Sample, drawn: MaskArray, other: MaskArray | None = None, axis: str = "axial") -> PresenceCounts:
    dataset: Any = SimpleNamespace(plane_of=lambda _: axis, read_other_labels=lambda _: other)
    (row,) = count_presence(dataset, Case("a", (Path("a"),)), sample, drawn[None], ["tumour"], "test")
    return row.counts


def test_slices_are_counted_by_what_they_hold_and_what_is_drawn_in_them() -> None:
    """Of six two have a tumour, of which one is found, two nothing, one is blank and one has oedema."""
    image = np.zeros((2, *SPACE), np.float32)
    image[1] = -1  # blank in each channel, whatever its background
    image[0, [0, 1, 2], 2, 2] = image[1, [3, 5], 2, 2] = 5
    sample = Sample(image, slices(0, 1)[None], Grid(SPACE))
    drawn = slices(0, 2, 4, 5) | slices(1, column=3)
    expected = {"tumour": 2, "found": 1, "free": 2, "false": 1}
    assert counted(sample, drawn, slices(5)) == PresenceCounts(**expected, other=1, other_drawn=1)
    assert counted(sample, drawn) == PresenceCounts(**{**expected, "free": 3, "false": 2}, other=0, other_drawn=0)


def test_slices_are_those_of_the_plane_in_which_a_scan_is_seen() -> None:
    image = np.random.default_rng(0).random((1, *SPACE)).astype(np.float32)
    sample = Sample(image, slices(0, 1, 2)[None], Grid(SPACE))
    drawn = slices(0) | slices(1, column=3)
    assert counted(sample, drawn, axis="coronal") == PresenceCounts(1, 1, 3, 0, 0, 0)
    assert counted(sample, drawn, axis="sagittal") == PresenceCounts(1, 1, 4, 1, 0, 0)


def test_the_rate_of_false_positives_is_by_patient_and_counts_are_of_all() -> None:
    free = [("A", 4, 1), ("A", 2, 0), ("B", 1, 1), ("C", 0, 0)]
    rows = [
        PresenceRow(str(number), patient, "test", "tumour", "", PresenceCounts(0, 0, images, false, 0, 0))
        for number, (patient, images, false) in enumerate(free)
    ]
    found = summarise_presence(rows)["tumour"]["all"]
    assert (found.free, found.false_positives, found.false_positive.patients) == (7, 2, 2)
    assert found.false_positive.mean == pytest.approx(((1 / 4 + 0) / 2 + 1) / 2)
