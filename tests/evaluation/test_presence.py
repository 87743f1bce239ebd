"""Which images count as showing something."""

import numpy as np

from tumorline.data.sample import Sample
from tumorline.evaluation.presence import _shows_anything
from tumorline.geometry.grid import Grid


def test_a_slice_that_is_blank_in_each_channel_shows_nothing_whatever_their_backgrounds() -> None:
    image = np.zeros((2, 3, 4, 4), np.float32)
    image[1] = -1.0
    image[1, 1, 2, 2] = 5.0
    sample = Sample(image, np.zeros((1, 3, 4, 4), bool), Grid((3, 4, 4)))
    assert _shows_anything(sample, "axial").tolist() == [False, True, False]
