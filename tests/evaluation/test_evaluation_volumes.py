"""Whole volumes are answered slice by slice and scored as volumes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.evaluation.test_evaluation_regions import BRATS, CHANNELS, boxes, model_of, scan
from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.sample import Sample
from tumorline.evaluation import baselines, operating_point, robustness, scoring
from tumorline.evaluation.predictions import read_prediction
from tumorline.evaluation.robustness import STRESSES, levels, stressed
from tumorline.evaluation.status import Request, case_status
from tumorline.evaluation.tables import read_rows
from tumorline.files import read_csv
from tumorline.metrics.case import score_case
from tumorline.metrics.figure import AS_GOOD
from tumorline.model_info import KnownCases

Load = Callable[..., Dataset]
VOXEL_ML = 0.003
LATER_WORDS = {"t1": "t1n", "t1ce": "t1c", "t2": "t2w", "flair": "t2f", "seg": "seg"}
"""Names of sequences in BraTS 2021 -> since 2023."""
READ = Dataset.read


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("volumes")
    for number in range(3):
        scan(folder / "in", number)

    def load(**changes: object) -> Dataset:
        settings = {
            "cache": str(folder / "cache"),
            "regions": BRATS,
            "channels": CHANNELS,
            **changes,
        }
        return load_dataset(folder / "in", DataConfig.model_validate(settings))

    return load


def test_a_volume_is_scored_as_its_slices_side_by_side_would_be(load: Load, tmp_path: Path) -> None:
    """The model's masks of the single slices, put on one another, are those of the volume, and are scored as such."""
    dataset, model = load(), model_of()
    summary = scoring.evaluate(model, Request(dataset, tmp_path))
    rows = {(row.case, row.region): row.scores for row in read_rows(tmp_path)}
    assert len(rows) == 9
    for case in dataset.cases:
        image, truth, grid = dataset.read(case)
        stacked = np.stack([model.mask(image[:, number]) for number in range(image.shape[1])], axis=1)
        assert (read_prediction(tmp_path / "predictions", case.id, BRATS) == stacked).all()
        for region, true, predicted in zip(BRATS, truth, stacked, strict=True):
            assert rows[case.id, region] == score_case(true, predicted, grid.spacing_mm)
    assert "examination" in summary.conventions["aggregation"]
    assert "374 mm" in summary.conventions["brats2023"]


def test_volumes_have_figures_in_mm_and_ml(load: Load, tmp_path: Path) -> None:
    summary = scoring.evaluate(model_of(), Request(load(), tmp_path))
    for row in read_rows(tmp_path):
        number, region = int(row.case[-5:]), BRATS.index(row.region)
        assert (row.scores.unit, row.scores.depth) == ("mm", 3)
        assert row.scores.truth_ml == pytest.approx(boxes(number)[region].sum() * VOXEL_ML)
    enhancing = summary.regions["enhancing_tumour"]
    assert enhancing.hd95.unit == "mm"
    assert (enhancing.tumour_cases, enhancing.tumour_free_cases) == (2, 1)
    assert enhancing.predicted_ml_tumour_free
    assert enhancing.brats2023_lesion_dice
    assert enhancing.brats2023_lesion_dice.patients == 3


def test_an_evaluation_that_goes_on_reads_the_volumes_it_has_written(load: Load, tmp_path: Path) -> None:
    class Kept(dict[str, object]):
        keep, recall = dict.__setitem__, dict.get

    wanted = Request(load(), tmp_path, memory=Kept())  # type: ignore[arg-type]
    first = scoring.evaluate(model_of(), wanted)
    assert scoring.evaluate(model_of(), wanted) == first


def test_each_volume_is_read_once_in_an_evaluation(load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, read = load(), []

    def counting(self: Dataset, case: Case) -> Sample:
        read.append(case.id)
        return READ(self, case)

    monkeypatch.setattr(Dataset, "read", counting)
    scoring.evaluate(model_of(), Request(dataset, tmp_path))
    assert read == [case.id for case in dataset.cases]


def test_an_operating_point_of_volumes_is_chosen_by_whole_volumes(load: Load) -> None:
    """The Dice at the chosen threshold is the mean over the volumes' own, at the temperature that was fitted."""
    dataset = load()
    points = operating_point.choose_operating_points(
        model_of(), dataset, [case.id for case in dataset.cases], "validation"
    )
    point = points["tumour_core"]
    curve = {one.threshold: one for one in point.threshold_curve}
    chosen = {"temperature": point.temperature, "threshold": point.threshold}
    model = replace(model_of(), info=model_of().info.model_copy(update=chosen))
    found = []
    for case in dataset.cases:
        image, truth, _ = dataset.read(case)
        found.append(score_case(truth[1], model.probability(image)[1] >= point.threshold, None).dice)
    assert curve[point.threshold].dice == pytest.approx(np.mean([dice or 0 for dice in found]))
    assert curve[point.threshold].dice >= max(one.dice for one in curve.values()) - AS_GOOD
    assert point.validation_patients == 3


def test_baselines_of_volumes_stand_beside_the_model(load: Load, tmp_path: Path) -> None:
    dataset = load()
    masks = baselines.constant_masks((dataset.read(case).truth for case in dataset.cases), [*"abc"])
    texts = [baselines.to_text(mask) for mask in masks]
    model = replace(model_of(), info=model_of().info.model_copy(update={"constant_mask": texts}))
    summary = scoring.evaluate(model, Request(dataset, tmp_path))
    assert set(summary.baselines) == {"all_background", "constant_mask", "otsu_in_head"}
    assert (summary.baselines["constant_mask"]["whole_tumour"].dice or 0) > 0.7
    assert {row["region"] for row in read_csv(tmp_path / "baselines.csv")} == set(BRATS)


VOLUME = np.random.default_rng(0).random((2, 4, 40, 60), dtype=np.float32) * 50 + 100
TRUTH = np.zeros((3, 4, 40, 60), bool)
TRUTH[:, 1:3, 10:20, 30:50] = True


@pytest.mark.parametrize(("name", "strength"), levels())
def test_a_change_meets_all_slices_and_regions_alike(name: str, strength: float) -> None:
    image, truth = stressed(name, strength, VOLUME, TRUTH, seed=3)
    assert (image.ndim, truth.ndim, image.dtype.name, truth.dtype.name) == (4, 4, "float32", "bool")
    assert image.shape[1:] == truth.shape[1:]
    assert len(truth) == 3
    _, moved = stressed(name, strength, VOLUME[:, 1], TRUTH[0, 1], seed=3)
    assert (truth[:, 1] == moved).all()


@pytest.mark.parametrize("name", ["blur", "low_resolution", "bias_field", "rotation", "quarter_turns", "mirroring"])
def test_a_slice_is_changed_in_a_volume_as_it_would_be_alone(name: str) -> None:
    strength = STRESSES[name].strengths[0]
    image, _ = stressed(name, strength, VOLUME, TRUTH, seed=3)
    alone, _ = stressed(name, strength, VOLUME[:, 2], TRUTH[0, 2], seed=3)
    assert np.allclose(image[:, 2], alone, atol=1e-3)


def test_robustness_of_volumes_is_that_of_whole_volumes(load: Load) -> None:
    dataset = load()
    records = robustness.measure_robustness(model_of(), dataset, [dataset.cases[1].id])
    assert len(records) == 3 * (1 + len(levels()))
    assert (
        records[0]["dice"]
        == score_case(
            dataset.read(dataset.cases[1]).truth[0], model_of().mask(dataset.read(dataset.cases[1]).image)[0], None
        ).dice
    )


def test_follow_up_visits_of_known_patients_are_known(load: Load, tmp_path: Path) -> None:
    """Trained on the first visit, under the name of another year; nothing of the images is equal."""
    scan(tmp_path / "in", 1)
    visit = (tmp_path / "in" / "BraTS2021_00001").rename(tmp_path / "in" / "BraTS-GLI-00000-001")
    for file in list(visit.iterdir()):
        word = LATER_WORDS[file.name.removeprefix("BraTS2021_00001_").removesuffix(".nii.gz")]
        file.rename(visit / f"{visit.name}-{word}.nii.gz")
    settings = {"cache": str(tmp_path / "cache"), "regions": BRATS, "channels": CHANNELS, "enhancing_label": 4}
    later = load_dataset(tmp_path / "in", DataConfig.model_validate(settings))
    trained = load()
    keys = sorted(trained.patient_keys(trained.cases[0], trained.facts[0]))
    info = model_of().info.model_copy(update={"known_cases": KnownCases(patients={"train": keys}, contents={})})
    assert case_status(info, later) == {"BraTS-GLI-00000-001": "train"}
