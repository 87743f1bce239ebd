import numpy as np
import pytest

from tumorline.metrics.overlap import (
    accuracy,
    accuracy_of_background,
    count_overlap,
    dice,
    iou,
    precision,
    recall,
    volume_ratio,
)

TRUTH = np.array([[1, 1, 0, 0], [1, 1, 0, 0]], bool)
PREDICTED = np.array([[0, 1, 1, 0], [0, 1, 1, 0]], bool)
EMPTY = np.zeros((2, 4), bool)


def test_half_overlapping_squares() -> None:
    counts = count_overlap(TRUTH, PREDICTED)
    assert (counts.tp, counts.fp, counts.fn, counts.tn) == (2, 2, 2, 2)
    assert dice(counts) == 0.5
    assert iou(counts) == pytest.approx(1 / 3)
    assert (precision(counts), recall(counts), volume_ratio(counts)) == (0.5, 0.5, 1.0)
    assert (accuracy(counts), accuracy_of_background(counts)) == (0.5, 0.5)


def test_a_prediction_larger_than_the_truth_has_a_ratio_above_one() -> None:
    everything = np.ones((2, 4), bool)
    counts = count_overlap(TRUTH, everything)
    assert volume_ratio(counts) == 2
    assert (precision(counts), recall(counts)) == (0.5, 1)
    assert (accuracy(counts), accuracy_of_background(counts)) == (0.5, 0.5)


def test_a_quantity_without_a_denominator_is_none() -> None:
    both, missed, invented = (count_overlap(*pair) for pair in ((EMPTY, EMPTY), (TRUTH, EMPTY), (EMPTY, TRUTH)))
    assert (dice(both), iou(both), recall(both), volume_ratio(both)) == (None, None, None, None)
    assert (dice(missed), precision(missed), volume_ratio(missed)) == (0, None, None)
    assert (dice(invented), recall(invented), volume_ratio(invented)) == (0, None, None)


def test_masks_of_255_and_of_other_shapes_are_refused() -> None:
    with pytest.raises(TypeError, match="truth must be a boolean mask; found uint8 from 0 to 255"):
        count_overlap(TRUTH.astype(np.uint8) * np.uint8(255), PREDICTED)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"truth \(2, 4\), predicted \(2, 3\)"):
        count_overlap(TRUTH, PREDICTED[:, :3])
