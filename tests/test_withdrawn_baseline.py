"""The notebook's withdrawn Dice of 0.89, as arithmetic: masks left at {0, 255} reached its loss and its metric."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from tumorline.losses import LOSSES, build_loss
from tumorline.metrics.overlap import accuracy, accuracy_of_background, count_overlap, dice

TRUTH = np.zeros((64, 64), bool)
TRUTH[10:18, 10:18] = True
LEFT_AT_255 = TRUTH * 255.0
ALL_TUMOUR = np.ones((64, 64))


def notebook_loss(probability: npt.NDArray[np.float64], target: npt.NDArray[np.float64]) -> float:
    """Soft Dice loss without a look at the target's range."""
    return float(1 - 2 * (probability * target).sum() / (probability.sum() + target.sum()))


def test_the_notebooks_loss_goes_negative_on_unscaled_masks() -> None:
    perfect, everything = TRUTH.astype(float), ALL_TUMOUR
    assert notebook_loss(perfect, TRUTH.astype(float)) == 0
    assert notebook_loss(perfect, LEFT_AT_255) == pytest.approx(1 - 2 * 255 / 256)
    assert notebook_loss(everything, LEFT_AT_255) == pytest.approx(1 - 2 * 255 * 64 / (4096 + 255 * 64))
    assert notebook_loss(perfect, LEFT_AT_255) < -0.89


def test_its_negated_loss_reads_as_a_dice_of_nine_tenths_for_a_poor_prediction() -> None:
    dilated = np.zeros((64, 64), bool)
    dilated[2:26, 2:26] = True
    printed = -notebook_loss(dilated.astype(float), LEFT_AT_255)
    true = dice(count_overlap(TRUTH, dilated))
    assert printed == pytest.approx(0.9318, abs=1e-4)
    assert true == pytest.approx(2 * 64 / (64 + 576))


@pytest.mark.parametrize("name", LOSSES)
def test_such_masks_cannot_reach_a_loss(name: str) -> None:
    target = torch.from_numpy(LEFT_AT_255)[None, None].float()
    with pytest.raises(ValueError, match=r"found 0 to 255: a mask left at 0\.\.255"):
        build_loss(name, {})(torch.zeros_like(target), target)


def test_such_masks_cannot_reach_a_metric() -> None:
    with pytest.raises(TypeError, match="must be a boolean mask"):
        count_overlap(LEFT_AT_255, TRUTH)  # type: ignore[arg-type]


def test_an_accuracy_of_ninety_is_below_predicting_nothing() -> None:
    poor = np.zeros((64, 64), bool)
    poor[:6] = True
    counts = count_overlap(TRUTH, poor)
    assert accuracy(counts) == pytest.approx(1 - (64 + 384) / 4096)
    assert accuracy(counts) < accuracy_of_background(counts) == pytest.approx(1 - 64 / 4096)
