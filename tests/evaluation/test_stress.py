"""Changes that make pictures worse."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import tumorline
from tests.conftest import blob
from tests.sources import save_dicom
from tumorline.arrays import ImageArray, MaskArray
from tumorline.config import DataConfig
from tumorline.data.dataset import load_dataset
from tumorline.evaluation import robustness
from tumorline.evaluation.robustness import (
    STRESSES,
    ChangeRecord,
    levels,
    measure_robustness,
    stressed,
    summarise_robustness,
)
from tumorline.files import read_csv
from tumorline.geometry.grid import Grid
from tumorline.metrics.figure import figure_of
from tumorline.metrics.headline import tell_lost
from tumorline.model_file import read_info
from tumorline.report.card import render_card
from tumorline.results import ChangedLevel, RobustnessChange, read_summary

TRUTH = np.zeros((40, 60), bool)
TRUTH[10:20, 30:50] = True
IMAGE = np.random.default_rng(0).random((2, 40, 60), dtype=np.float32) * 50 + 100
IMAGE[:, TRUTH] += 200


@pytest.mark.parametrize(("name", "strength"), levels())
def test_a_change_keeps_the_kind_of_arrays_and_repeats_itself(name: str, strength: float) -> None:
    image, truth = stressed(name, strength, IMAGE, TRUTH, seed=3)
    again, _ = stressed(name, strength, IMAGE, TRUTH, seed=3)
    assert [image.dtype.name, truth.dtype.name] == ["float32", "bool"]
    assert image.shape == (2, *truth.shape)
    assert np.isfinite(image).all()
    assert (image == again).all()
    assert not np.array_equal(image, IMAGE)


@pytest.mark.parametrize("name", ["rotation", "quarter_turns", "mirroring", "cropping"])
def test_geometry_moves_the_truth_with_the_picture(name: str) -> None:
    for strength in STRESSES[name].strengths:
        image, truth = stressed(name, strength, IMAGE, TRUTH, seed=0)
        assert image[0][truth].mean() > 1.5 * image[0][~truth].mean()


@pytest.mark.parametrize("name", ["noise", "blur", "low_resolution", "contrast", "bias_field", "jpeg"])
def test_the_rest_leaves_the_truth_alone(name: str) -> None:
    assert stressed(name, STRESSES[name].strengths[0], IMAGE, TRUTH, seed=0)[1] is TRUTH


def test_noise_has_the_strength_it_says() -> None:
    image, _ = stressed("noise", 0.5, IMAGE, TRUTH, seed=0)
    assert (image - IMAGE)[0].std() == pytest.approx(0.5 * IMAGE[0].std(), rel=0.05)


def test_a_gamma_keeps_the_range() -> None:
    image, _ = stressed("contrast", 2.0, IMAGE, TRUTH, seed=0)
    assert (image.min(), image.max()) == (pytest.approx(IMAGE.min()), pytest.approx(IMAGE.max()))
    assert image.mean() < IMAGE.mean()


def test_a_bias_field_reaches_its_largest_factor_and_no_further() -> None:
    image, _ = stressed("bias_field", 0.5, IMAGE, TRUTH, seed=0)
    factor = np.abs(np.log(image / IMAGE))
    assert factor.max() == pytest.approx(0.5, abs=1e-4)


def test_cropping_cuts_the_share_it_says() -> None:
    image, truth = stressed("cropping", 10, IMAGE, TRUTH, seed=0)
    assert truth.shape == (36, 54)
    assert image.shape == (2, 36, 54)


@pytest.mark.parametrize("strength", STRESSES["rotation"].strengths)
def test_square_pixels_turn_as_the_picture_does(strength: float) -> None:
    turned, moved = stressed("rotation", strength, IMAGE, TRUTH, seed=0)
    expected = [
        ndimage.rotate(IMAGE, sign * strength, axes=(-2, -1), reshape=False, order=1, mode="nearest")
        for sign in (-1, 1)
    ]
    (angle,) = (sign * strength for sign, one in zip((-1, 1), expected, strict=True) if (one == turned).all())
    share = ndimage.rotate(TRUTH.astype(np.float32), angle, axes=(-2, -1), reshape=False, order=1)
    assert (moved == (share >= 0.5)).all()


@pytest.mark.parametrize(("pixel", "shape"), [((1.0, 2.0), (81, 41)), ((2.0, 1.0), (41, 81))])
def test_pixels_longer_than_wide_turn_in_millimetres(pixel: tuple[float, float], shape: tuple[int, int]) -> None:
    """A disc around the middle stays what it is; turned in numbers of pixels it would lie askew."""
    places = np.meshgrid(*(side * (np.arange(size) - size // 2) for size, side in zip(shape, pixel, strict=True)))
    disc = (np.hypot(*places) < 30).T
    image = np.stack([disc]).astype(np.float32)
    _, moved = stressed("rotation", 45, image, disc, 0, pixel)
    assert (moved != disc).sum() < 0.03 * disc.sum()
    assert (stressed("rotation", 45, image, disc, 0)[1] != disc).sum() > 0.2 * disc.sum()


def test_mirroring_names_its_axis() -> None:
    assert (stressed("mirroring", 1, IMAGE, TRUTH, seed=0)[1] == TRUTH[:, ::-1]).all()
    assert (stressed("mirroring", 2, IMAGE, TRUTH, seed=0)[1] == TRUTH[::-1]).all()


class Onlooker:
    """Answers with the truth of nothing, and keeps the spacing that it was told for each picture."""

    info = SimpleNamespace(regions=["tumour"])

    def __init__(self) -> None:
        self.told: list[tuple[float, ...] | None] = []

    def complete(self, image: ImageArray, _names: object) -> ImageArray:
        return image

    def mask(self, image: ImageArray, grid: Grid) -> MaskArray:
        assert grid.shape == image.shape[1:]
        self.told.append(grid.spacing_mm)
        return np.zeros((1, *grid.shape), bool)


def test_turns_know_the_sides_of_the_pixels_and_a_quarter_turn_swaps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture, truth = blob(32, 1)
    save_dicom(tmp_path / "images" / "a.dcm", picture.astype(np.uint16), PixelSpacing=[0.5, 0.75])
    (tmp_path / "masks").mkdir()
    Image.fromarray(truth.astype(np.uint8) * 255).save(tmp_path / "masks" / "a.png")
    dataset, model = load_dataset(tmp_path, DataConfig()), Onlooker()
    pixels = set()

    def watched(*wanted: Any) -> tuple[ImageArray, MaskArray]:
        pixels.add(wanted[-1])
        return stressed(*wanted)

    monkeypatch.setattr(robustness, "stressed", watched)
    measure_robustness(model, dataset, [dataset.cases[0].id])  # type: ignore[arg-type]
    assert pixels == {(1.0, 1.5)}
    told = dict(zip([("unchanged", 0.0), *levels()], model.told, strict=True))
    assert {level for level, spacing in told.items() if spacing == (0.75, 0.5)} == {
        ("quarter_turns", 90),
        ("quarter_turns", 270),
    }
    assert set(told.values()) == {(0.5, 0.75), (0.75, 0.5)}


def test_a_model_is_measured_under_every_change(tiny_run: Path, tmp_path: Path) -> None:
    summary = tumorline.evaluate(tiny_run, output=tmp_path / "out", stress=True)
    (figures,) = summary["regions"].values()
    assert summary["stress"]["unchanged"]["dice"]["mean"] == pytest.approx(figures["dice"]["mean"])
    assert summary["stress"]["unchanged"]["missed"] == figures["missed"]
    assert list(summary["stress"]["changes"]) == list(STRESSES)
    records = read_csv(tmp_path / "out" / "stress.csv")
    assert len(records) == (1 + len(levels())) * summary["cases"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["stress"] == summary["stress"]
    weights = tiny_run / "model.safetensors"
    card = render_card(read_info(weights), read_summary(tmp_path / "out" / "summary.json"), weights)
    unchanged = summary["stress"]["unchanged"]
    assert f"| unchanged | {unchanged['dice']['mean']:.3f} | 0.000 | {unchanged['missed']} |" in card
    assert card.count("| noise, ") == len(STRESSES["noise"].strengths)
    assert "Under stress" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("unit", "strength", "words"),
    [
        ("degrees", 15, "15 degrees"),
        ("gamma", 0.5, "gamma 0.5"),
        ("1 left-right, 2 top-bottom", 2, "top-bottom"),
        ("1 left-right, 2 top-bottom", 3, "3 1 left-right, 2 top-bottom"),
        ("px,", 1, "1 px,"),
    ],
)
def test_a_strength_is_said_with_its_unit(unit: str, strength: float, words: str) -> None:
    figure = figure_of([("P1", 0.5)])
    change = RobustnessChange(unit=unit, levels=[ChangedLevel(strength=strength, dice=figure, missed=0)])
    assert change.in_words(strength) == words


def record(case: str, change: str, strength: float, dice: float | None, patient: str = "") -> ChangeRecord:
    return ChangeRecord(
        case=case, patient=patient, region="tumour", change=change, strength=strength, dice=dice, missed=dice == 0
    )


def test_the_mean_of_a_level_is_over_patients() -> None:
    cases = [("a", 0.8, "P"), ("b", 0.6, "P"), ("c", 0.1, "Q"), ("d", 0.0, ""), ("e", 0.4, "")]
    records = [
        record(case, *level, dice, patient)
        for level in [("unchanged", 0.0), *levels()]
        for case, dice, patient in cases
    ]
    found = summarise_robustness(records)["tumour"].unchanged
    assert found.dice.mean == pytest.approx((0.7 + 0.1 + 0 + 0.4) / 4)
    assert (found.dice.patients, found.missed) == (4, 1)


def test_all_levels_are_of_the_same_cases() -> None:
    """A tumour of one pixel that is missed, and that a turn rubs out, would make turned pictures the easier ones."""
    records = [
        record(case, change, strength, None if case == "tiny" and change == "rotation" else dice)
        for case, dice in (("large", 0.8), ("tiny", 0.0))
        for change, strength in [("unchanged", 0.0), *levels()]
    ] + [record("free", change, strength, None) for change, strength in [("unchanged", 0.0), *levels()]]
    found = summarise_robustness(records)["tumour"]
    assert {(level.dice.mean, level.dice.patients, level.missed) for _, _, level in found.levels()} == {(0.8, 1, 0)}
    assert tell_lost(found) == "without 1 case whose tumour a change turns or cuts away"
    assert "cases_lost" not in summarise_robustness(records[: 1 + len(levels())])["tumour"].to_json()
