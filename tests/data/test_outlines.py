"""Polygons and runs as masks, by hand and against what can be computed otherwise."""

import numpy as np
import pytest

from tests.conftest import blob
from tests.sources import border, runs
from tumorline.data.masks.outlines import Outlines, as_polygon, as_runs, decode_runs, draw_outlines
from tumorline.errors import UserError


def drawn(*polygons: tuple[float, ...], size: tuple[int, int] = (6, 8)) -> np.ndarray:
    return draw_outlines(Outlines(polygons=polygons), size, "x.json")


def test_a_pixel_is_inside_where_its_centre_is() -> None:
    assert np.argwhere(drawn((1, 1, 4, 1, 4, 3, 1, 3))).tolist() == [[r, c] for r in (1, 2) for c in (1, 2, 3)]
    assert np.argwhere(drawn((0.6, 0.6, 2.4, 0.6, 2.4, 2.4, 0.6, 2.4))).tolist() == [[1, 1]]
    assert not drawn((2.1, 2.1, 2.4, 2.1, 2.4, 2.4)).any()


def test_the_even_odd_rule_leaves_a_hole_and_the_union_fills_it() -> None:
    outer, inner = (0, 0, 6, 0, 6, 6, 0, 6), (2, 2, 4, 2, 4, 4, 2, 4)
    joined = (*outer, 0, 0, *inner, 2, 2)
    assert drawn(joined).sum() == 36 - 4
    assert drawn(outer, inner).sum() == 36


def test_what_lies_outside_of_the_image_is_cut_off() -> None:
    assert drawn((-5, -5, 100, -5, 100, 100, -5, 100)).all()
    assert not drawn((-5, -5, -1, -5, -1, 100, -5, 100)).any()
    assert not drawn((9, 1, 12, 1, 12, 4)).any()


def test_a_large_polygon_has_the_area_of_its_corners() -> None:
    angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x, y = 100 + 71.3 * np.cos(angles), 90 + 40.7 * np.sin(angles)
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
    mask = drawn(tuple(np.stack([x, y], 1).ravel()), size=(200, 220))
    assert mask.sum() == pytest.approx(area, rel=2e-3)


def test_borders_and_runs_give_back_the_mask() -> None:
    mask = blob(32, 4)[1][2:, :-5]
    assert mask.any()
    outlines = Outlines(polygons=(tuple(border(mask)),))
    assert np.array_equal(draw_outlines(outlines, mask.shape, ""), mask)
    assert np.array_equal(draw_outlines(Outlines(runs=(tuple(runs(mask)),)), mask.shape, ""), mask)


def test_compressed_runs_are_those_of_coco() -> None:
    """By hand: 6, 1, 40, 4 are '6', '1', 'X1' (8 + 32, 1) and 4 - 1 = 3; negative differences have bit 5 set."""
    assert decode_runs("61X13", "") == (6, 1, 40, 4)
    assert decode_runs("61X1O", "") == (6, 1, 40, 0)


@pytest.mark.parametrize("text", ["X", "ä", "~~", "\n", "X" * 40 + "1"])
def test_other_letters_and_runs_that_are_cut_off_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^x\.json: "):
        decode_runs(text, "x.json")


@pytest.mark.parametrize(
    "values", [None, 3, "1 2 3 4 5 6", [], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6, 7], [1, 2, 3, 4, 5, "6"]]
)
def test_what_is_no_polygon_is_refused(values: object) -> None:
    with pytest.raises(UserError, match=r"^x\.json: an outline is no list"):
        as_polygon(values, "x.json")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True, None, [[1]]])
def test_a_corner_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(UserError, match="an outline is no list"):
        as_polygon([[1, 2], [3, 4], [5, value]], "x.json")


@pytest.mark.parametrize("counts", [None, [1.5], [-1, 2], ["3"], {"a": 1}, 7])
def test_what_are_no_runs_is_refused(counts: object) -> None:
    with pytest.raises(UserError, match="runs that are no whole numbers"):
        as_runs(counts, "x.json")


@pytest.mark.parametrize("counts", [(), (47,), (49,), (10**30,), (0, -1, 49)])
def test_runs_that_do_not_add_up_to_the_image_are_refused(counts: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"runs of \S+ pixels for an image of 8 x 6"):
        draw_outlines(Outlines(runs=(counts,)), (6, 8), "x.json")


def test_a_bomb_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(UserError, match=r"^x\.json: "):
        draw_outlines(Outlines(), (1 << 19, 1 << 19), "x.json")
    zigzag = tuple(float(value) for corner in range(3000) for value in (corner % 9, (corner % 2) * 10000))
    with pytest.raises(UserError, match="an outline of 3000 corners is too long for 10000 rows"):
        drawn(zigzag, size=(10000, 10))
