"""Temperature and threshold: chosen on validation, used everywhere, written down."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from tests.conftest import PairFolder
from tumorline.arrays import Float32Array, ImageArray
from tumorline.config import DataConfig, load_config
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.errors import UserError
from tumorline.evaluation import operating_point
from tumorline.evaluation.weaknesses import operating_weaknesses
from tumorline.inference.model import Model
from tumorline.metrics import calibration
from tumorline.model_file import find_model, read_info
from tumorline.model_info import InputSpec, ModelInfo
from tumorline.network_input.windows import NetworkInput, prepare_input
from tumorline.paper.study import Study
from tumorline.paper.training_methods import describe_selection
from tumorline.report.card import render_card
from tumorline.results import OperatingPoint, PointFigures, guess_code, read_summary
from tumorline.run.finishing import _operating_points


@dataclass(frozen=True)
class Sloped:
    """Bright pixels have a probability of 0.3, the others one of 0.1; of further regions half the odds each time."""

    regions: tuple[str, ...] = ("tumour",)
    size: int = 32

    @property
    def info(self) -> ModelInfo:
        info = read_info(find_model(Path("builtin")))
        return info.model_copy(update={"image_size": self.size, "regions": list(self.regions)})

    def see(self, image: ImageArray, name: object, grid: object) -> NetworkInput:
        return prepare_input(image, self.size, InputSpec())

    def slice_logits(self, seen: NetworkInput, name: object) -> Iterator[tuple[int, Float32Array]]:
        for number in seen.shown:
            bright = seen.planes[0, number] > 1
            odds = np.where(bright, 0.3 / 0.7, 0.1 / 0.9)
            halved = [np.log(odds / 2**region) for region in range(len(self.regions))]
            yield number, np.stack(halved).astype(np.float32)


def chosen(dataset: Dataset, names: Sequence[str], threshold: float | Literal["validation"]) -> OperatingPoint:
    points = operating_point.choose_operating_points(Sloped(), dataset, names, threshold)  # type: ignore[arg-type]
    return points["tumour"]


def test_the_threshold_that_finds_the_tumours_is_chosen(pair_folder: PairFolder) -> None:
    dataset = load_dataset(pair_folder(patients=3, slices=1), DataConfig())
    names = [case.id for case in dataset.cases]
    point = chosen(dataset, names, "validation")
    curve = {one.threshold: one for one in point.threshold_curve}
    assert len(curve) == 19
    assert curve[point.threshold].dice == max(one.dice for one in curve.values())
    assert curve[point.threshold].dice > 0.9
    assert (point.calibration_error or 0) < (point.calibration_error_before or 0)


def at_temperature(dataset: Dataset, names: Sequence[str], temperature: float) -> OperatingPoint:
    model: Any = Sloped()
    return operating_point.choose_operating_points(model, dataset, names, "validation", temperature)["tumour"]


def test_of_thresholds_that_are_as_good_the_one_nearest_to_one_half_is_chosen(pair_folder: PairFolder) -> None:
    """At half the temperature a tumour's probability is 0.155 and that around it 0.012, so that 0.05 to 0.15 agree."""
    dataset = load_dataset(pair_folder(patients=3, slices=1), DataConfig())
    point = at_temperature(dataset, [case.id for case in dataset.cases], 0.5)
    assert point.threshold == 0.15
    assert [one.missed for one in point.threshold_curve] == [0] * 3 + [3] * 16
    found = [one.volume_ratio for one in point.threshold_curve]
    assert found == [pytest.approx(1, abs=0.1)] * 3 + [None] * 16


def test_the_dice_of_a_threshold_is_by_patient(pair_folder: PairFolder) -> None:
    """Two slices of the first patient are found, the only one of the second has its tumour elsewhere."""
    folder = pair_folder(patients=2, slices=2)
    image, elsewhere = Image.open(folder / "images" / "s002.png"), np.zeros((32, 32), bool)
    elsewhere[:3, :5] = True
    pair_folder.add("s002", image, Image.fromarray(elsewhere))
    point = at_temperature(load_dataset(folder, DataConfig()), ["s000", "s001", "s002"], 0.5)
    first = point.threshold_curve[0]
    assert first.dice == pytest.approx((1 + 0) / 2, abs=0.04)
    assert first.missed == 1
    assert point.validation_patients == 2


def test_a_threshold_by_hand_is_kept_and_the_curve_still_drawn(pair_folder: PairFolder) -> None:
    dataset = load_dataset(pair_folder(patients=3, slices=1), DataConfig())
    point = chosen(dataset, [dataset.cases[0].id], 0.7)
    assert (point.threshold, point.chosen) == (0.7, 0.7)
    assert len(point.threshold_curve) == 19


def test_an_answer_that_is_none_is_refused_by_the_name_of_its_file(pair_folder: PairFolder) -> None:
    dataset = load_dataset(pair_folder(patients=1, slices=1), DataConfig())
    (case,) = dataset.cases
    model = Model(Path("m"), Sloped().info, lambda batch: np.full((len(batch), 1, 32, 32), np.nan, np.float32))
    with pytest.raises(UserError, match=f"^{re.escape(str(case.images[0]))}: the model's answer is not finite"):
        operating_point.choose_operating_points(model, dataset, [case.id], "validation")


def test_a_flat_curve_leaves_one_half(pair_folder: PairFolder) -> None:
    dataset = load_dataset(pair_folder(patients=2, slices=1), DataConfig())
    assert chosen(dataset, [], "validation").threshold == 0.5


def test_a_threshold_outside_0_and_1_is_refused() -> None:
    assert load_config(None, ["model.threshold=0.4"]).model.threshold == 0.4
    with pytest.raises(UserError, match=r"model\.threshold"):
        load_config(None, ["model.threshold=1.5"])


def test_a_run_keeps_its_operating_point_in_model_and_summary(tiny_run: Path) -> None:
    info = read_info(tiny_run / "model.safetensors")
    summary = json.loads((tiny_run / "summary.json").read_text())
    assert summary["operating_point"]["threshold"] == info.threshold
    assert summary["operating_point"]["temperature"] == info.temperature != 1
    assert summary["operating_point"]["threshold_curve"] == info.metrics.operating_point.to_json()["threshold_curve"]
    assert "Too much or too little" in (tiny_run / "report.html").read_text()
    assert "Do the probabilities mean what they say?" in (tiny_run / "report.html").read_text()


def described(**changes: Any) -> ModelInfo:
    """As a training writes it, by default with both chosen on its 12 validation patients; `stated` is a temperature."""
    chosen, patients = changes.pop("chosen", "validation"), changes.pop("patients", 12)
    stated = changes.pop("stated", None)
    config = {"model": {"name": "unet", "temperature": "validation" if stated is None else stated}}
    builtin = read_info(find_model(Path("builtin")))
    split = builtin.split.model_copy(
        update={"trains_on_all": False, "parts": {"train": 70, "validation": 10, "test": 20}}
    )
    own = {"temperature": stated or 1.2, "config": config, "split": split}
    point = PointFigures(chosen=chosen, validation_patients=patients)
    return builtin.model_copy(update={**own, **changes}).with_metrics(operating_point=point)


@pytest.mark.parametrize(
    ("changes", "warning"),
    [
        ({"patients": 1}, "FEW VALIDATION PATIENTS: one patient chose epoch, temperature and threshold"),
        ({"patients": 4}, "FEW VALIDATION PATIENTS: 4 patients chose"),
        ({"patients": 4, "stated": 2.0}, "FEW VALIDATION PATIENTS: 4 patients chose epoch and threshold;"),
        ({"patients": 4, "stated": 2.0, "chosen": 0.5}, "FEW VALIDATION PATIENTS: 4 patients chose epoch;"),
        ({"temperature": 20.085}, "TEMPERATURE AT ITS LIMIT: 20.09"),
        ({"temperature": 0.0498}, "TEMPERATURE AT ITS LIMIT: 0.05"),
        ({"threshold": 0.05}, "THRESHOLD AT ITS LIMIT: 0.05"),
        ({"threshold": 0.95}, "THRESHOLD AT ITS LIMIT: 0.95"),
    ],
)
def test_an_operating_point_that_rests_on_little_is_warned_of(changes: dict[str, Any], warning: str) -> None:
    (said,) = operating_weaknesses(described(**changes))
    assert said.text.startswith(warning)
    assert guess_code(said.text) is said.code


def test_a_sound_operating_point_and_one_by_hand_are_not() -> None:
    assert operating_weaknesses(described(patients=5)) == []
    assert operating_weaknesses(described(threshold=0.95, chosen=0.95, patients=9)) == []
    assert operating_weaknesses(described(stated=20.085, patients=9)) == []


STATED = [
    (
        {"threshold": 0.4},
        "(threshold and temperature 1.20 chosen on validation patients;",
        "temperature 1.20 and threshold 0.40 from the validation patients",
        "Temperature [@guo2017] and threshold were then fitted on the validation patients: tumour: threshold 0.4, "
        "temperature 1.20.",
    ),
    (
        {"threshold": 0.3, "chosen": 0.3},
        "(threshold stated by the recipe and temperature 1.20 chosen on validation patients;",
        "temperature 1.20 from the validation patients and threshold 0.30 from the recipe",
        "The temperature [@guo2017] was then fitted on the validation patients: tumour: 1.20. "
        "The threshold was fixed beforehand: tumour: 0.3.",
    ),
    (
        {"threshold": 0.4, "stated": 2.0},
        "(threshold chosen on validation patients and temperature 2.00 stated by the recipe;",
        "temperature 2.00 from the recipe and threshold 0.40 from the validation patients",
        "The temperature was fixed beforehand: tumour: 2.00. "
        "The threshold was then chosen on the validation patients: tumour: 0.4.",
    ),
    (
        {"threshold": 0.3, "chosen": 0.3, "stated": 2.0},
        "(threshold and temperature 2.00 stated by the recipe;",
        "temperature 2.00 and threshold 0.30 from the recipe",
        "The temperature was fixed beforehand: tumour: 2.00. The threshold was fixed beforehand: tumour: 0.3.",
    ),
]


@pytest.mark.parametrize(("changes", "card", "line", "methods"), STATED)
def test_what_was_stated_is_not_said_to_be_chosen(changes: dict[str, Any], card: str, line: str, methods: str) -> None:
    info = described(**changes)
    assert card in render_card(info, None, find_model(Path("builtin")))
    assert _operating_points(info) == line
    study = Study(read_summary(Path(__file__).parents[1] / "frozen/0.1.0/run/summary.json"), info=info)
    assert methods in " ".join(describe_selection(study))


def test_the_card_of_several_regions_tells_both_origins() -> None:
    points = {"threshold": [0.3, 0.3], "temperature": [1.1, 1.2], "regions": ["whole_tumour", "tumour_core"]}
    card = render_card(described(chosen=0.3, **points), None, find_model(Path("builtin")))
    assert "thresholds stated by the recipe and temperatures chosen on validation patients; the ONNX" in card


def test_the_search_ends_at_the_limits_that_are_warned_of() -> None:
    truth = np.array([True, False] * 50)
    confused = np.where(truth, -9.0, 9.0)
    assert operating_weaknesses(described(temperature=calibration.fit_temperature(confused, truth)))
    assert operating_weaknesses(described(temperature=calibration.fit_temperature(-confused / 500, truth)))
