"""Baselines that know nothing."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tumorline.data.case import Case
from tumorline.data.sample import Sample
from tumorline.evaluation import baselines
from tumorline.geometry.grid import Grid


def square(side: int, *slices: slice) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    mask[slices] = bool(slices)
    return mask


def constant_mask(masks: list[np.ndarray], patients: list[str]) -> np.ndarray:
    [found] = baselines.constant_masks((mask[None] for mask in masks), patients)
    return found


def test_the_constant_mask_of_equal_masks_is_that_mask() -> None:
    mask = square(256, slice(100, 140), slice(60, 100))
    assert (constant_mask([mask, mask], ["a", "b"]) == mask).all()


def test_patients_weigh_alike_in_the_constant_mask() -> None:
    left, right = square(256, slice(0, 16), slice(0, 16)), square(256, slice(0, 16), slice(64, 80))
    found = constant_mask([left] * 9 + [right] * 3, ["many"] * 9 + ["b", "c", "d"])
    assert (found == right).all()


def test_masks_of_any_size_share_the_grid() -> None:
    small, large = square(64, slice(16, 32), slice(16, 32)), square(512, slice(128, 256), slice(128, 256))
    found = constant_mask([small, large], ["a", "b"])
    assert found.shape == (256, 256)
    assert found.sum() == pytest.approx(64 * 64, rel=0.05)


def test_rows_and_columns_stay_apart_on_the_grid_and_on_the_way_back() -> None:
    wide, expected = np.zeros((64, 128), bool), np.zeros((100, 300), bool)
    wide[:32, :32] = expected[:50, :75] = True
    assert np.array_equal(baselines.fitted(constant_mask([wide], ["a"]), (100, 300)), expected)


def test_without_a_tumour_the_constant_mask_is_empty() -> None:
    assert not constant_mask([square(64)], ["a"]).any()


def test_a_mask_survives_as_text() -> None:
    mask = np.random.default_rng(0).random((256, 256)) > 0.5
    assert (baselines.from_text(baselines.to_text(mask)) == mask).all()


def test_otsu_parts_two_values_between_them() -> None:
    assert 1 <= baselines.otsu(np.array([1.0] * 9 + [5.0])) < 5


def test_otsu_finds_the_bright_spot_in_the_head_and_nothing_outside() -> None:
    picture = np.zeros((1, 64, 64), np.float32)
    picture[0, 10:50, 10:50] = 100
    picture[0, 20:26, 20:26] = 200
    picture[0, 60:62, 60:62] = 250
    found = baselines.otsu_in_head(picture)
    assert (found == square(64, slice(20, 26), slice(20, 26))).all()


def test_a_constant_picture_has_no_bright_tissue() -> None:
    assert not baselines.otsu_in_head(np.full((1, 8, 8), 7, np.float32)).any()


# ---------------------------------------------------------------- several regions, volumes


def test_each_region_has_a_constant_mask_of_its_own() -> None:
    outer, inner = square(256, slice(0, 64), slice(0, 64)), square(256, slice(0, 16), slice(0, 16))
    found = baselines.constant_masks([np.stack([outer, inner])] * 2, ["a", "b"])
    assert [(mask == expected).all() for mask, expected in zip(found, (outer, inner), strict=True)] == [True, True]


def ball(shape: tuple[int, int, int]) -> np.ndarray:
    """A ball around the middle of any grid, a quarter of each side wide."""
    places = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    return np.asarray(np.linalg.norm(places, axis=0) < 0.5)


def test_the_constant_mask_of_volumes_fits_a_volume_of_any_size() -> None:
    [found] = baselines.constant_masks([ball((20, 48, 40))[None], ball((31, 60, 60))[None]], ["a", "b"])
    assert found.shape == baselines.VOLUME_GRID
    expected = ball((40, 50, 60))
    answer = baselines.fitted(found, expected.shape)
    assert 2 * (answer & expected).sum() / (answer.sum() + expected.sum()) > 0.9


def test_the_constant_mask_of_pictures_answers_each_slice_of_a_volume() -> None:
    mask = square(256, slice(0, 128))
    assert (baselines.fitted(mask, (3, 64, 64)) == square(64, slice(0, 32))).all()


def box() -> np.ndarray:
    volume = np.zeros(baselines.VOLUME_GRID, bool)
    volume[10:20, 20:40, 20:40] = True
    return volume


@pytest.mark.parametrize("last", ["picture", "volume"])
def test_pictures_and_volumes_have_a_constant_mask_each(last: str) -> None:
    picture, volume = square(256, slice(100, 150), slice(100, 150)), box()
    truths = [picture, volume] if last == "volume" else [volume, picture]
    found = baselines.constant_masks([truth[None] for truth in truths], ["a", "b"])
    assert [(mask == expected).all() for mask, expected in zip(found, (picture, volume), strict=True)] == [True, True]


def test_a_volume_is_answered_by_the_mask_of_volumes_and_else_by_that_of_pictures() -> None:
    picture, volume = square(64, slice(20, 40), slice(20, 40)), box()
    case = Case("a", (Path("a"),))
    sample = Sample(np.zeros((1, *volume.shape), np.float32), volume[None], Grid(volume.shape))
    found = [
        [record["dice"] for record in baselines.measure_baselines(case, sample, ["tumour"], {"tumour": known})][1:]
        for known in ([picture, volume], [picture], [])
    ]
    assert found == [[1], [pytest.approx(2 * 4000 / (4000 + 12800))], []]


def test_a_mask_of_volumes_survives_as_text() -> None:
    mask = np.random.default_rng(0).random(baselines.VOLUME_GRID) > 0.5
    assert (baselines.from_text(baselines.to_text(mask)) == mask).all()


def test_otsu_in_a_volume_fills_the_holes_of_each_slice() -> None:
    """A dark tube through the head is open at both ends, so that only slice by slice it is a hole."""
    volume = np.zeros((1, 5, 32, 32), np.float32)
    volume[0, :, 4:28, 4:28] = 100
    volume[0, :, 10:12, 10:12] = 0
    volume[0, 2, 20:24, 20:24] = 200
    found = baselines.otsu_in_head(volume)
    assert found[2, 20:24, 20:24].all()
    assert not found[:, 10:12, 10:12].any()


def test_the_masks_of_many_cases_are_never_all_in_memory() -> None:
    """Eight places a byte; of 120 volumes on the grid of the constant mask bytes alone would be 16 MB, numbers 126."""
    volume = np.zeros((1, *baselines.VOLUME_GRID), bool)
    volume[0, 10:20, 20:40, 20:40] = True
    tracemalloc.start()
    (found,) = baselines.constant_masks((volume for _ in range(120)), [str(number) for number in range(120)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert np.array_equal(found, volume[0])
    assert peak < 10_000_000
