"""By what it looks like a picture is known again, however it was saved."""

from itertools import product

import numpy as np
import pytest

from tests.data.test_near import Picture, copy, stack
from tumorline.data.near.duplicates import thumbnail
from tumorline.data.near.looks import looks_of, most_alike
from tumorline.geometry.symmetry import TRANSFORMS


def look(*pictures: Picture) -> list[str]:
    return looks_of([thumbnail(picture[None].astype(np.float32)) for picture in pictures])


@pytest.mark.parametrize(("number", "size"), product(range(len(TRANSFORMS)), (48, 96, 200)))
def test_a_copy_is_known_in_every_orientation_and_size(number: int, size: int) -> None:
    pictures = [stack(seed)[0] for seed in range(4)]
    assert most_alike(look(copy(pictures[2], number, size)), look(*pictures)) == [2]


def test_another_patient_and_a_neighbouring_slice_are_not_known() -> None:
    mine, neighbour = stack(0, slices=2)
    assert most_alike(look(neighbour, stack(1)[0]), look(mine)) == [None, None]


def test_a_constant_picture_looks_like_nothing() -> None:
    blank = np.full((32, 32), 7, np.uint8)
    assert look(blank) == [""]
    assert most_alike(look(blank), look(blank, stack(0)[0])) == [None]


def test_nothing_is_alike_where_nothing_is_known() -> None:
    assert most_alike(look(stack(0)[0]), []) == [None]
    assert most_alike([], look(stack(0)[0])) == []


def test_a_look_takes_156_characters() -> None:
    assert [len(one) for one in look(stack(0)[0])] == [156]
