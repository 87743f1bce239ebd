"""A model of several regions is scored, calibrated, stressed and compared with baselines region by region."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.sources import save, save_volume
from tumorline.arrays import Float32Array
from tumorline.config import DataConfig
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.ensembles import describe
from tumorline.errors import UserError
from tumorline.evaluation import baselines, operating_point, robustness, scoring
from tumorline.evaluation.status import Request, case_status
from tumorline.evaluation.tables import read_baselines, read_certainties, read_rows
from tumorline.evaluation.weaknesses import operating_weaknesses
from tumorline.files import read_csv
from tumorline.inference.model import Model
from tumorline.metrics.summary import Row
from tumorline.model_file import find_model, read_info
from tumorline.model_info import InputSpec, KnownCases, ModelInfo, point_figures
from tumorline.results import OperatingPoint, Summary

BRATS = ("whole_tumour", "tumour_core", "enhancing_tumour")
CHANNELS = ("flair", "post_contrast", "t2")
KINDS = {"t1": "", "t1ce": "post_contrast", "t2": "t2", "flair": "flair"}
SIDE = 32
POINTS = (("a", 0.2), ("b", 0.3))
Load = Callable[..., Dataset]


def boxes(number: int) -> list[np.ndarray]:
    """Slices of the three nested regions of a patient; the first patient has no enhancing tumour."""
    nested = [np.zeros((3, SIDE, SIDE), bool) for _ in BRATS]
    for region, mask in enumerate(nested):
        if number or region < 2:
            mask[region // 2 :, 8 + 2 * region : 22 - 2 * region, 8 + number : 20 - 2 * region] = True
    return nested


def bright_channels(number: int) -> dict[str, np.ndarray]:
    """Slices by sequence: bright where the prediction will be, two pixels lower than the truth of its region."""
    nested, random = boxes(number), np.random.default_rng(number)
    head = np.zeros((SIDE, SIDE))
    head[3:29, 3:29] = 40
    slices = {}
    for kind, channel in KINDS.items():
        shown = np.roll(nested[CHANNELS.index(channel)], 2, axis=1) if channel else np.zeros((3, SIDE, SIDE))
        slices[kind] = head + (head > 0) * (5 * random.random(shown.shape) + 60 * shown)
    return slices


def scan(folder: Path, number: int) -> None:
    name, nested = f"BraTS2021_{number:05d}", boxes(number)
    for kind, slices in bright_channels(number).items():
        save_volume(folder / name / f"{name}_{kind}.nii.gz", [*slices], (1, 1, 3))
    labels = [2 * plane for plane in nested[0].astype(np.uint8)]
    for plane, core, enhancing in zip(labels, nested[1], nested[2], strict=True):
        plane[core], plane[enhancing] = 1, 4
    save_volume(folder / name / f"{name}_seg.nii.gz", labels, (1, 1, 3))


def picture(folder: Path, number: int) -> None:
    """The last slice of the same, as a row of a CSV with a file for each channel and region."""
    folder.mkdir(exist_ok=True)
    table, cells = folder / "cases.csv", {"id": str(number), "patient": f"P{number}"}
    for kind, slices in bright_channels(number).items():
        if KINDS[kind]:
            cells[f"image_{KINDS[kind]}"] = save(folder / f"{number}_{kind}.png", slices[2].astype(np.uint8)).name
    for region, masks in zip(BRATS, boxes(number), strict=True):
        cells[f"mask_{region}"] = save(folder / f"{number}_{region}.png", masks[2].astype(np.uint8)).name
    before = table.read_text() if table.exists() else ",".join(cells) + "\n"
    table.write_text(before + ",".join(cells.values()) + "\n")


@pytest.fixture(scope="module", params=["volumes", "pictures"])
def load(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Load:
    folder = tmp_path_factory.mktemp("regions")
    for number in range(3):
        (scan if request.param == "volumes" else picture)(folder / "in", number)
    source = folder / "in" if request.param == "volumes" else folder / "in" / "cases.csv"

    def load(regions: Sequence[str] = BRATS, channels: Sequence[str] = CHANNELS) -> Dataset:
        settings = {"cache": str(folder / "cache"), "regions": regions, "channels": channels}
        return load_dataset(source, DataConfig.model_validate(settings))

    return load


def bright(squares: Float32Array) -> Float32Array:
    """Logits: each channel is the evidence of its own region."""
    return np.asarray(4 * (squares - 1.5), np.float32)


def model_of(regions: Sequence[str] = BRATS, channels: Sequence[str] = CHANNELS) -> Model:
    info = read_info(find_model(Path("builtin")))
    known = KnownCases(patients={}, contents={})
    chosen = {"temperature": "validation", "threshold": "validation"}
    changes = {
        "config": {**info.config, "model": {**info.config["model"], **chosen}},
        "regions": list(regions),
        "input": InputSpec(channels=list(channels)),
        "architecture": info.architecture.model_copy(update={"channels": len(channels)}),
        "image_size": SIDE,
        "known_cases": known,
        "threshold": 0.5,
        "temperature": 1.0,
        "constant_mask": "",
        "data": info.data.model_copy(update={"channel": "", "label": ""}),
    }
    return Model(Path("model.safetensors"), info.model_copy(update=changes), bright)


def evaluated(load: Load, output: Path, regions: Sequence[str] = BRATS, model: Model | None = None) -> Summary:
    channels = [CHANNELS[BRATS.index(region)] for region in regions]
    return scoring.evaluate(model or model_of(regions, channels), Request(load(regions, channels), output))


def scores_by_case(rows: Sequence[Row], region: str) -> dict[str, object]:
    return {row.case: row.scores for row in rows if row.region == region}


def test_there_is_a_row_for_each_case_and_region(load: Load, tmp_path: Path) -> None:
    summary = evaluated(load, tmp_path)
    rows = read_rows(tmp_path)
    cases = list(dict.fromkeys(row.case for row in rows))
    assert [(row.case, row.region) for row in rows] == [(case, region) for case in cases for region in BRATS]
    assert summary.cases == len(cases)
    assert list(summary.regions) == list(BRATS)
    assert {region: figures.cases for region, figures in summary.regions.items()} == dict.fromkeys(BRATS, len(cases))
    published = summary.to_json()
    assert published["schema_version"] == 2
    for key in ("regions", "operating_points", "calibration"):
        assert list(published[key]) == list(BRATS)
    for scored in published["baselines"].values():
        assert list(scored) == list(BRATS)


def test_one_region_at_a_time_and_all_together_give_the_same_figures(load: Load, tmp_path: Path) -> None:
    together = evaluated(load, tmp_path / "all")
    rows = read_rows(tmp_path / "all")
    for region in BRATS:
        alone = evaluated(load, tmp_path / region, [region])
        assert scores_by_case(read_rows(tmp_path / region), region) == scores_by_case(rows, region)
        assert alone.regions[region] == together.regions[region]
        assert alone.calibration[region] == together.calibration[region]


def test_a_region_that_a_case_lacks_counts_as_free_of_it(load: Load, tmp_path: Path) -> None:
    summary = evaluated(load, tmp_path)
    lacking = [row for row in read_rows(tmp_path) if row.case.endswith("0")]
    for row in lacking:
        if row.region == "enhancing_tumour":
            assert (row.scores.dice, row.scores.dice_all, row.scores.truth_px) == (None, 1, 0)
    free = {region: figures.tumour_free_cases for region, figures in summary.regions.items()}
    assert free["enhancing_tumour"] > free["whole_tumour"]


def test_tables_have_a_column_of_the_region(load: Load, tmp_path: Path) -> None:
    evaluated(load, tmp_path)
    rows = read_rows(tmp_path)
    assert [row["region"] for row in read_csv(tmp_path / "certainty.csv")] == [row.region for row in rows]
    assert {region: len(cases) for region, cases in read_certainties(tmp_path).items()} == dict.fromkeys(
        BRATS, len(rows) // 3
    )
    assert {record["region"] for record in read_baselines(tmp_path)} == set(BRATS)


def test_a_baseline_that_is_not_beaten_names_its_region(load: Load, tmp_path: Path) -> None:
    blind = replace(model_of(), runtime=lambda squares: np.full_like(squares, -9))
    summary = evaluated(load, tmp_path, model=blind)
    texts = [warning.text for warning in summary.warnings if warning.code == "baseline_not_beaten"]
    assert any(text.startswith("BASELINE NOT BEATEN (tumour core): all background has Dice 0.000") for text in texts)


def test_a_model_of_one_region_is_measured_on_one_of_another_name(load: Load, tmp_path: Path) -> None:
    dataset = load(["tumour_core"], ["post_contrast"])
    summary = scoring.evaluate(model_of(["tumour"], ["post_contrast"]), Request(dataset, tmp_path))
    assert {name: list(scored) for name, scored in summary.baselines.items()} == {
        "all_background": ["tumour"],
        "otsu_in_head": ["tumour"],
    }


def test_what_an_earlier_try_has_done_is_not_done_again(load: Load, tmp_path: Path) -> None:
    class Kept:
        def __init__(self) -> None:
            self.records: dict[str, object] = {}

        def keep(self, name: str, record: object) -> None:
            self.records[name] = record

        def recall(self, name: str) -> object:
            return self.records.get(name)

    dataset, memory = load(), Kept()
    asked: list[int] = []

    def counting(squares: Float32Array) -> Float32Array:
        asked.append(len(squares))
        return bright(squares)

    wanted = Request(dataset, tmp_path, memory=memory)  # type: ignore[arg-type]
    first = scoring.evaluate(replace(model_of(), runtime=counting), wanted)
    assert asked
    asked.clear()
    assert scoring.evaluate(replace(model_of(), runtime=counting), wanted) == first
    assert not asked


def test_what_a_model_does_not_take_is_named(load: Load, tmp_path: Path) -> None:
    for changes, message in (
        (
            {"channels": ["t2", "flair", "post_contrast"]},
            "the channels t2, flair, post_contrast; the model takes flair",
        ),
        ({"channels": ["t2", "flair"]}, "2 channels; the model takes 3"),
        (
            {"regions": BRATS[:2]},
            "outlines whole_tumour, tumour_core; the model needs --set data.regions=whole_tumour,",
        ),
    ):
        with pytest.raises(UserError, match=message):
            scoring.evaluate(model_of(), Request(load(**changes), tmp_path))


# ---------------------------------------------------------------- operating points


def chosen(load: Load, model: Model, regions: Sequence[str] = BRATS) -> dict[str, OperatingPoint]:
    channels = [CHANNELS[BRATS.index(region)] for region in regions]
    dataset = load(regions, channels)
    return operating_point.choose_operating_points(model, dataset, [case.id for case in dataset.cases], "validation")


def test_each_region_has_an_operating_point_of_its_own_as_if_it_were_alone(load: Load) -> None:
    together = chosen(load, model_of())
    assert len({point.temperature for point in together.values()}) == 3
    for region in BRATS:
        alone = chosen(load, model_of([region], [CHANNELS[BRATS.index(region)]]), [region])
        assert alone == {region: together[region]}


def test_answers_that_are_not_kept_are_asked_for_again(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = chosen(load, model_of())
    monkeypatch.setattr(operating_point, "KEPT_BYTES", 0)
    assert chosen(load, model_of()) == kept


def test_a_model_file_keeps_a_point_for_each_region(load: Load) -> None:
    points = chosen(load, model_of())
    info = operating_point.with_operating_points(model_of().info, points)
    info = ModelInfo.model_validate_json(info.model_dump_json())
    assert info.thresholds == tuple(points[region].threshold for region in BRATS)
    assert info.temperatures == tuple(points[region].temperature for region in BRATS)
    for region in BRATS:
        assert point_figures(info, region) == points[region].figures


def test_a_weak_point_names_its_region(load: Load) -> None:
    info = operating_point.with_operating_points(model_of().info, chosen(load, model_of()))
    info = info.model_copy(update={"temperature": [1.0, 20.085, 1.0], "threshold": [0.5, 0.5, 0.95]})
    texts = [weakness.text for weakness in operating_weaknesses(info)]
    assert texts[0].startswith("FEW VALIDATION PATIENTS: 3 patients")
    assert texts[1].startswith("TEMPERATURE AT ITS LIMIT (tumour core): 20.09")
    assert texts[2].startswith("THRESHOLD AT ITS LIMIT (enhancing tumour): 0.95")


# ---------------------------------------------------------------- baselines, robustness, status


def test_baselines_are_measured_against_each_region(load: Load) -> None:
    dataset = load()
    truths = [dataset.read(case).truth for case in dataset.cases]
    masks = baselines.constant_masks(truths, [case.group for case in dataset.cases])
    constants = {region: [mask] for region, mask in zip(BRATS, masks, strict=True)}
    records = [
        record
        for case in dataset.cases
        for record in baselines.measure_baselines(case, dataset.read(case), BRATS, constants)
    ]
    constant = [record for record in records if record["baseline"] == "constant_mask"]
    found = [(record["region"], dice) for record in constant if (dice := record["dice"]) is not None]
    assert {region for region, _ in found} == set(BRATS)
    assert min(dice for _, dice in found) > 0.5


def test_robustness_is_by_region(load: Load) -> None:
    dataset = load()
    names = [case.id for case in dataset.cases][1:2]
    found = robustness.summarise_robustness(robustness.measure_robustness(model_of(), dataset, names))
    assert list(found) == list(BRATS)
    channels, regions = CHANNELS[1:2], BRATS[1:2]
    alone = robustness.measure_robustness(model_of(regions, channels), load(regions, channels), names)
    assert robustness.summarise_robustness(alone)["tumour_core"].unchanged == found["tumour_core"].unchanged


def test_a_scan_is_known_by_any_of_its_sequences(load: Load) -> None:
    """A model that saw only T2 of a patient whose name it does not know."""
    dataset = load()
    seen = load(BRATS[:1], ["t2"]).facts[0].image_hash
    info = model_of().info.model_copy(update={"known_cases": KnownCases(patients={}, contents={"train": [seen]})})
    status = case_status(info, dataset)
    assert [status[case.id] for case in dataset.cases[:2]] == ["train", "unseen"]


def test_an_ensemble_keeps_the_points_of_its_members_by_region() -> None:
    infos = [
        model_of().info.model_copy(update={"name": name, "threshold": [0.5, 0.4, value]}) for name, value in POINTS
    ]
    info = ModelInfo.model_validate_json(describe("both", infos).model_dump_json())
    assert info.thresholds == pytest.approx((0.5, 0.4, 0.25))
    figures = point_figures(info, "enhancing_tumour")
    assert [(member.name, member.threshold) for member in figures.members] == [*POINTS]
    assert [member.threshold for member in point_figures(info, "whole_tumour").members] == [0.5, 0.5]
