"""Regions as labels and back, and what a model's post-processing takes out of masks."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tumorline.config import Config, Postprocessing, load_config
from tumorline.data.labels.convention import SCHEMES
from tumorline.errors import UserError
from tumorline.inference.label_map import from_labels, region_labels, to_labels, written_order
from tumorline.inference.post import Drawn, describe_postprocessing, postprocess
from tumorline.regions import CORE, NESTED, WHOLE


def nested_masks() -> np.ndarray:
    """Whole tumour of 6, core of 4, enhancing tumour of 2 voxels in a row."""
    return np.stack([np.arange(8) < count for count in (6, 4, 2)]).reshape(3, 2, 2, 2)


def post(masks: np.ndarray, regions: Sequence[str], settings: Postprocessing, voxel_ml: float | None) -> np.ndarray:
    """Of masks that are certain."""
    return postprocess(Drawn(masks, masks.astype(np.float32)), regions, settings, voxel_ml)


@pytest.mark.parametrize("enhancing", [4, 3])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (2, 1, 0)])
def test_nested_regions_are_brats_labels_in_both_conventions_and_come_back(
    enhancing: int, order: tuple[int, ...]
) -> None:
    names = [NESTED[place] for place in order]
    labels = region_labels(names, enhancing)
    assert {name: {*values} for name, values in labels.items()} == {
        name: {*values} for name, values in SCHEMES[enhancing].regions.items()
    }
    masks = nested_masks()[list(order)]
    found = to_labels(masks, labels)
    assert found.ravel().tolist() == [enhancing, enhancing, 1, 1, 2, 2, 0, 0]
    assert np.array_equal(from_labels(found, labels), masks)
    assert np.array_equal(to_labels(from_labels(found, labels), labels), found)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("tumour",), {"tumour": (1,)}),
        (("enhancing_tumour",), {"enhancing_tumour": (1,)}),
        (("cyst", "tumour"), {"cyst": (1,), "tumour": (2,)}),
        (("tumour_core", "whole_tumour"), {"tumour_core": (1,), "whole_tumour": (2, 1)}),
    ],
)
def test_other_regions_are_counted_from_1(names: tuple[str, ...], expected: dict[str, tuple[int, ...]]) -> None:
    assert region_labels(names) == expected
    masks = nested_masks()[: len(names)][::-1]
    if names[0] == "cyst":
        masks = np.stack([masks[0], masks[1] & ~masks[0]])
    assert np.array_equal(from_labels(to_labels(masks, region_labels(names)), region_labels(names)), masks)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("whole_tumour", "oedema", "necrosis"), [1, 2, 3, 2, 1]),
        (("oedema", "necrosis", "whole_tumour"), [3, 1, 2, 1, 3]),
        (("necrosis", "whole_tumour", "oedema"), [2, 3, 3, 3, 2]),
    ],
)
def test_regions_inside_the_whole_tumour_are_kept(names: tuple[str, ...], expected: list[int]) -> None:
    drawn = {"whole_tumour": [1, 1, 1, 1, 1], "oedema": [0, 1, 1, 1, 0], "necrosis": [0, 0, 1, 0, 0]}
    masks = np.array([drawn[name] for name in names], bool)
    assert to_labels(masks, region_labels(names)).tolist() == expected


def test_of_nested_regions_and_others_the_nested_ones_are_written_first() -> None:
    names = ("cyst", "tumour_core", "oedema", "whole_tumour")
    assert written_order(region_labels(names)) == ["whole_tumour", "tumour_core", "cyst", "oedema"]


def test_an_inner_region_counts_only_where_the_outer_one_is() -> None:
    masks = np.array([[1, 1, 1, 0], [0, 1, 1, 1], [1, 0, 1, 1]], bool)
    found = post(masks, NESTED, Postprocessing(), None)
    assert found.astype(int).tolist() == [[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0]]
    assert masks.sum() == 9
    turned = post(masks[::-1], NESTED[::-1], Postprocessing(), None)
    assert np.array_equal(turned[::-1], found)
    without_core = post(masks[[0, 2]], (WHOLE, NESTED[2]), Postprocessing(), None)
    assert without_core.astype(int).tolist() == [[1, 1, 1, 0], [1, 0, 1, 0]]
    other = post(masks, ("a", "b", "c"), Postprocessing(), None)
    assert np.array_equal(other, masks)


def test_small_components_go_by_region_over_corners_and_in_ml() -> None:
    mask = np.zeros((1, 4, 4, 4), bool)
    mask[0, 0, 0, 0] = mask[0, 1, 1, 1] = True
    mask[0, 3, 3, 3] = True
    two_ml = Postprocessing(smallest_ml={"tumour": 0.002})
    assert np.argwhere(post(mask, ["tumour"], two_ml, 0.001)[0]).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert post(mask, ["tumour"], two_ml, 0.002).sum() == 3
    assert post(mask, ["tumour"], two_ml, None).sum() == 3
    assert post(mask, ["tumour"], Postprocessing(smallest_px={"tumour": 2}), None).sum() == 2
    assert post(mask, ["tumour"], Postprocessing(smallest_px={"tumour": 3}), 0.001).sum() == 0
    assert post(mask, ["tumour"], Postprocessing(smallest_px={"other": 3}), 0.001).sum() == 3


def test_components_far_less_certain_than_the_most_certain_one_go() -> None:
    probability = np.array([[[0.6, 0.9, 0.0, 0.7, 0.0, 0.8, 0.0, 0.99]], [[0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.7]]])
    drawn = Drawn(probability >= 0.5, probability.astype(np.float32))

    def kept(limit: float, least: int = 0) -> list[list[int]]:
        limits = Postprocessing(least_relative_peak=limit, smallest_px={"a": least})
        return [list(map(int, mask[0])) for mask in postprocess(drawn, ["a", "b"], limits, None)]

    assert kept(0.0) == [[1, 1, 0, 1, 0, 1, 0, 1], [1, 0, 0, 0, 0, 0, 0, 1]]
    assert kept(0.75) == [[1, 1, 0, 0, 0, 1, 0, 1], [1, 0, 0, 0, 0, 0, 0, 1]]
    assert kept(0.9) == [[1, 1, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1]]
    assert kept(1.0) == [[0, 0, 0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 0, 0, 1]]
    assert kept(1.0, least=2)[0] == [1, 1, 0, 0, 0, 0, 0, 0]  # the most certain one of those that are large enough
    assert kept(0.9, least=3)[0] == [0] * 8


def test_what_goes_from_the_whole_tumour_goes_from_what_lies_in_it() -> None:
    masks = np.array([[1, 1, 0, 1, 1, 1], [1, 0, 0, 1, 1, 0], [0, 0, 0, 1, 0, 0]], bool)
    found = post(masks, NESTED, Postprocessing(smallest_px={"whole_tumour": 3}), None)
    assert found.astype(int).tolist() == [[0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 0, 0]]


def test_too_little_enhancing_tumour_in_all_becomes_core() -> None:
    masks = nested_masks()
    for least, left in ((0.002, 2), (0.0021, 0)):
        found = post(masks, NESTED, Postprocessing(least_enhancing_ml=least), 0.001)
        assert [int(mask.sum()) for mask in found] == [6, 4, left]
    assert post(masks, NESTED, Postprocessing(least_enhancing_ml=9), None).sum() == 12


def test_limits_stand_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text(
        'data.regions = ["whole_tumour", "tumour_core", "enhancing_tumour"]\n'
        "[model.postprocessing]\nsmallest_ml = {tumour_core = 0.1}\nleast_enhancing_ml = 0.5\n"
    )
    config = load_config(tmp_path / "c.toml")
    assert config.model.postprocessing.smallest_ml == {"tumour_core": 0.1}
    config.save(tmp_path / "d.toml")
    assert load_config(tmp_path / "d.toml") == config
    assert Config().model.postprocessing.regions == set()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.postprocessing.smallest_ml.cyst=1", "post-processing of 'cyst', which is no region .*tumour"),
        ("model.postprocessing.least_enhancing_ml=1", "of 'enhancing_tumour', which is no region"),
        ("model.postprocessing.smallest_ml.tumour=-1", r"smallest_ml\.tumour: .*greater than or equal to 0"),
        ("model.postprocessing.smallest=1", "unknown key 'model.postprocessing.smallest'; did you mean"),
        ("model.postprocessing={choose=true, smallest_px={tumour=3}}", "choose is true, so that no limit may stand"),
    ],
)
def test_a_limit_that_means_nothing_is_one_line(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(None, [override])


def test_what_is_done_to_masks_is_said() -> None:
    assert describe_postprocessing(["tumour"], Postprocessing(smallest_px={"tumour": 0})) == ""
    limits = Postprocessing(smallest_ml={CORE: 0.1}, smallest_px={WHOLE: 3}, least_enhancing_ml=0.5)
    assert describe_postprocessing(NESTED, limits) == (
        "an inner region counts only within the outer ones; components below these sizes are taken out: "
        "tumour_core 0.1 ml, whole_tumour 3 px; enhancing_tumour of less than 0.5 ml in all is taken out of that region"
    )
    assert describe_postprocessing(["tumour"], Postprocessing(least_relative_peak=0.85)) == (
        "components go whose highest probability is below 0.85 times the highest of the region"
    )
