"""Limits of the post-processing that validation cases choose."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import tumorline
from tests.conftest import TINY, PairFolder
from tests.inference.test_predict_scans import SIDE, model_of
from tumorline.config import Postprocessing
from tumorline.data.case import Case
from tumorline.data.sample import Sample
from tumorline.evaluation.choose_postprocessing import choose_postprocessing
from tumorline.geometry.grid import Grid, grid_of
from tumorline.inference.model import Model
from tumorline.model_file import read_info
from tumorline.regions import ENHANCING

DEPTH = 3
VOLUME = grid_of((DEPTH, SIDE, SIDE), np.diag([10.0, 1, 1, 1]))
"""Voxels of 0.01 ml."""
PICTURE = Grid((SIDE, SIDE))


def spots(*places: tuple[int, int], side: int = 2) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    for row, column in places:
        mask[row : row + side, column : column + side] = True
    return mask


BIG = spots((1, 1), side=9)


def dataset_of(pairs: Sequence[tuple[np.ndarray, np.ndarray]], grid: Grid, patients: str = "") -> Any:
    """Of each pair the truth, and what is bright in the picture, in all slices.

    Each is of a patient of its own, or of that of its letter.
    """
    is_volume = grid.ndim == 3
    shape = grid.shape
    head = np.add.outer(np.arange(SIDE), np.arange(SIDE))  # is not blank, whatever is bright in the other channel
    samples = {
        str(number): Sample(
            np.stack([np.broadcast_to(channel, shape) for channel in (seen, head)]).astype(np.float32),
            np.broadcast_to(truth, shape)[None],
            grid,
        )
        for number, (truth, seen) in enumerate(pairs)
    }
    owners = zip(samples, patients or samples, strict=True)
    cases = [Case(name, (Path(name),), patient=owner, is_volume=is_volume) for name, owner in owners]
    by_id = {case.id: case for case in cases}
    return SimpleNamespace(cases=cases, case=by_id.__getitem__, read=lambda case: samples[case.id])


def bright_model(region: str, **stated: Any) -> Model:
    return model_of(["t2", "flair"], (region,), lambda windows: windows[:, :1] - np.float32(0.5), **stated)


def limits_of(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], grid: Grid, region: str = "tumour", **stated: Any
) -> tuple[Postprocessing, tuple[float, float]]:
    dataset = dataset_of(pairs, grid)
    limits = choose_postprocessing(bright_model(region, **stated), dataset, [case.id for case in dataset.cases])
    return limits.postprocessing, limits.dice[region]


FALSE = BIG | spots((13, 13))


def test_components_that_are_never_true_are_below_the_limit() -> None:
    settings, (before, after) = limits_of([(BIG, FALSE), (BIG, BIG)], VOLUME)
    assert settings == Postprocessing(smallest_ml={"tumour": 0.2})
    assert (before, after) == pytest.approx(((2 * 81 / (81 + 85) + 1) / 2, 1))
    settings, _ = limits_of([(BIG, FALSE)], PICTURE)
    assert settings == Postprocessing(smallest_px={"tumour": 5})


def test_beside_pictures_components_of_volumes_are_measured_in_voxels() -> None:
    """The false spots are of 4 pixels, and of 12 voxels that together are 0.12 ml."""
    both = [dataset_of([(BIG, FALSE)], grid) for grid in (VOLUME, PICTURE)]
    samples = {case.id + str(number): one.read(case) for number, one in enumerate(both) for case in one.cases}
    cases = [replace(case, id=case.id + str(number)) for number, one in enumerate(both) for case in one.cases]
    by_id = {case.id: case for case in cases}
    dataset: Any = SimpleNamespace(cases=cases, case=by_id.__getitem__, read=lambda case: samples[case.id])
    limits = choose_postprocessing(bright_model("tumour"), dataset, [*by_id])
    assert limits.postprocessing == Postprocessing(smallest_px={"tumour": 20})
    assert limits.dice["tumour"] == pytest.approx((2 * 81 / (81 + 85), 1))


def test_nothing_is_limited_where_small_components_are_as_often_true() -> None:
    settings, (before, after) = limits_of([(FALSE, FALSE), (BIG, BIG)], VOLUME)
    assert (settings, before, after) == (Postprocessing(), 1, 1)


def test_patients_decide_alike_however_many_cases_they_have() -> None:
    """Of two cases of one patient a limit takes what is false, of one of another as much that is true."""
    dataset = dataset_of([(BIG, FALSE), (BIG, FALSE), (FALSE, FALSE)], PICTURE, patients="AAB")
    limits = choose_postprocessing(bright_model("tumour"), dataset, ["0", "1", "2"])
    assert limits.postprocessing == Postprocessing()
    assert limits.dice["tumour"][0] == pytest.approx((2 * 81 / (81 + 85) + 1) / 2)
    limits = choose_postprocessing(bright_model("tumour"), dataset_of([(BIG, FALSE)] * 2, PICTURE), ["0", "1"])
    assert limits.postprocessing.smallest_px == {"tumour": 5}


def test_what_a_model_had_before_has_no_say() -> None:
    had = Postprocessing(smallest_px={"tumour": 1000})
    assert limits_of([(BIG, FALSE)], VOLUME, postprocessing=had)[0].smallest_ml == {"tumour": 0.2}


def test_enhancing_tumour_of_little_volume_in_all_becomes_core() -> None:
    nine = spots(*((row, column) for row in (1, 6, 11) for column in (1, 6, 11)))
    three = spots((1, 1), (6, 6), (11, 11))
    nothing = np.zeros_like(three)
    settings, (before, after) = limits_of([(nine, nine), (nothing, three)], VOLUME, ENHANCING)
    assert settings == Postprocessing(least_enhancing_ml=0.5)
    assert (before, after) == (0.5, 1)
    assert limits_of([(nine, nine), (nothing, three)], VOLUME)[0] == Postprocessing()


def test_without_cases_nothing_is_chosen() -> None:
    limits = choose_postprocessing(model_of(["flair"], ("tumour",)), dataset_of([], VOLUME), [])
    assert (limits.postprocessing, limits.dice) == (Postprocessing(), {})


@pytest.mark.slow
@pytest.mark.parametrize("setting", ["choose=true", "smallest_px={tumour=1000}"])
def test_a_run_keeps_its_limits_in_the_model_file_and_is_scored_with_them(tmp_path: Path, setting: str) -> None:
    pytest.importorskip("torch")
    source = PairFolder(tmp_path / "source")(patients=10, slices=1)
    overrides = [*TINY, f"data.cache='{tmp_path / 'cache'}'", f"model.postprocessing.{setting}"]
    run = tumorline.train(data=source, overrides=overrides, output=tmp_path / "run")
    info = read_info(run / "model.safetensors")
    if setting == "choose=true":
        assert info.metrics.postprocessing is not None
        assert "chose epoch, temperature, threshold and post-processing" in (run / "MODEL_CARD.md").read_text()
    else:
        assert info.postprocessing.smallest_px == {"tumour": 1000}
        said = "components below these sizes are taken out: tumour 1000 px"
        assert f"After the threshold: {said}" in (run / "MODEL_CARD.md").read_text()
        assert json.loads((run / "summary.json").read_text())["conventions"]["postprocessing"] == said
        assert {row["predicted_px"] for row in tumorline.files.read_csv(run / "evaluation.csv")} == {"0"}
        (row,) = tumorline.predict(source / "images" / "s000.png", run, tmp_path / "out")
        assert row["tumour_px"] == 0
