"""A model that may do without some of its channels: what it is trained, asked and scored with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tumorline
from tests.conftest import Program
from tests.evaluation.test_evaluation_regions import Load
from tests.evaluation.test_evaluation_regions import load as load_slices
from tests.evaluation.test_evaluation_regions import model_of as stand_in
from tests.training.test_volumes import configured, volumes
from tumorline.cli.shown_results import subset_rows
from tumorline.config import load_config
from tumorline.cross_validation import gather
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.evaluation import scoring
from tumorline.evaluation.status import Request
from tumorline.evaluation.subsets import add_subsets, channel_subsets, measure_subsets
from tumorline.evaluation.tables import read_rows
from tumorline.file_names import CONFIG_NAME, SUBSETS_NAME, SUMMARY_NAME
from tumorline.files import read_csv
from tumorline.inference.jobs import job_of_channels, list_jobs
from tumorline.inference.model import Model, load
from tumorline.results import Summary, read_summary

pytest.importorskip("torch")
__all__ = ["load_slices", "volumes"]

CHANNELS = ("flair", "post_contrast", "t2", "pre_contrast")
WORDS = {"flair": "flair", "post_contrast": "t1ce", "t2": "t2", "pre_contrast": "t1"}


@pytest.fixture(scope="module")
def run(volumes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of a tiny network of three axes, trained with channels left out."""
    folder = tmp_path_factory.mktemp("lacking") / "run"
    more = [
        "augment.channel_dropout=0.4",
        "train.epochs=1",
        "data.patches=1",
        "split.train=0.5",
        "split.validation=0.2",
    ]
    return tumorline.train(configured(volumes, *more), output=folder)


def volume(volumes: Path, channel: str, case: int = 0) -> Path:
    name = f"BraTS2021_{case:05d}"
    return volumes / name / f"{name}_{WORDS[channel]}.nii.gz"


def test_subsets_go_from_all_to_each_alone_and_of_many_only_the_outer_ones_are_measured() -> None:
    assert channel_subsets("ab") == [("a", "b"), ("a",), ("b",)]
    assert len(channel_subsets("abcd")) == 15
    assert len(channel_subsets("abcdef")) == 1 + 6 + 6


def test_a_scan_may_lack_channels_where_the_model_says_so(volumes: Path, tmp_path: Path) -> None:
    job = job_of_channels([f"t1c={volume(volumes, 'post_contrast')}"], CHANNELS, may_lack=True)
    assert (job.channels, job.images) == (("post_contrast",), (volume(volumes, "post_contrast"),))
    with pytest.raises(tumorline.UserError, match="flair, t2, pre_contrast are not given; this model takes"):
        job_of_channels([f"t1c={volume(volumes, 'post_contrast')}"], CHANNELS)
    assert not job_of_channels(
        [f"{name}={volume(volumes, name)}" for name in CHANNELS], CHANNELS, may_lack=True
    ).channels


def test_of_a_folder_each_scan_is_taken_with_what_it_has(volumes: Path, tmp_path: Path) -> None:
    for case, names in enumerate([CHANNELS, ("flair",), ("t2", "pre_contrast")]):
        for name in names:
            source = volume(volumes, name, case)
            target = tmp_path / "scans" / source.parent.name / source.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(source)
    jobs = list_jobs([tmp_path / "scans"], CHANNELS, may_lack=True)
    assert [job.channels for job in jobs] == [(), ("flair",), ("t2", "pre_contrast")]
    assert [bool(job.problem) for job in list_jobs([tmp_path / "scans"], CHANNELS)] == [False, True, True]
    (single,) = list_jobs([volume(volumes, "flair")], CHANNELS, may_lack=True)
    assert single.channels == ("flair",)
    assert "give the folder of its scan" in list_jobs([volume(volumes, "flair")], CHANNELS)[0].problem


def test_a_table_may_have_empty_cells_and_lack_columns(volumes: Path, tmp_path: Path) -> None:
    table = tmp_path / "cases.csv"
    rows = [f"a,{volume(volumes, 'flair')},", f"b,{volume(volumes, 'flair', 1)},{volume(volumes, 't2', 1)}", "c,,"]
    table.write_text("id,flair,t2\n" + "\n".join(rows) + "\n")
    jobs = list_jobs([table], CHANNELS, may_lack=True)
    assert [job.channels for job in jobs[:2]] == [("flair",), ("flair", "t2")]
    assert "line 4 names no file in column flair" in jobs[2].problem
    with pytest.raises(tumorline.UserError, match="no column of post_contrast files"):
        list_jobs([table], CHANNELS)


@pytest.mark.slow
def test_an_absent_channel_is_one_of_zeros_and_one_that_is_constant(run: Path, volumes: Path) -> None:
    model, dataset = load(run), load_dataset(volumes, configured(volumes).data)
    assert model.info.input.may_lack_channels
    image, _, grid = dataset.read(dataset.cases[0])
    some = model.complete(image[[2, 0]], ("t2", "flair"))
    assert np.array_equal(some[[0, 2]], image[[0, 2]])
    planes = model.see(some, grid=grid).planes
    assert not planes[[1, 3]].any()
    assert planes[0].any()
    assert planes[2].any()
    constant = image.copy()
    constant[[1, 3]] = 7
    assert np.array_equal(model.see(constant, grid=grid).planes, planes)
    with pytest.raises(tumorline.UserError, match="channel adc: the model takes flair"):
        model.complete(image[:1], ("adc",))


@pytest.mark.slow
def test_a_case_is_predicted_with_one_channel_and_says_which_it_lacks(
    run: Path, volumes: Path, tmp_path: Path, program: Program
) -> None:
    alone = f"t1c={volume(volumes, 'post_contrast')}"
    done = program("predict", "--channel", alone, "--model", run, "--output", tmp_path / "out", "--json")
    assert done.status == 0, done.err
    (row,) = tumorline.predict(volume(volumes, "flair"), run, tmp_path / "flair")
    assert row["note"].startswith("answered without post_contrast, t2, pre_contrast")
    assert row["channels"] == f"flair={volume(volumes, 'flair')}"
    assert not row["error"]


@pytest.mark.slow
def test_it_is_evaluated_with_chosen_channels_and_with_every_subset(
    run: Path, volumes: Path, tmp_path: Path, program: Program
) -> None:
    flair = tumorline.evaluate(run, volumes, output=tmp_path / "flair", overrides=["data.channels=flair"])
    rows = (tmp_path / "flair" / "evaluation.csv").read_text().splitlines()
    table = (run / SUBSETS_NAME).read_text().splitlines()
    assert len(table) == 1 + 15 * 3 * flair["cases"]
    dice = {tuple(row.split(",")[index] for index in (0, 2)): row.split(",")[4] for row in table if ",flair," in row}
    header = rows[0].split(",")
    for row in rows[1:]:
        cells = dict(zip(header, row.split(","), strict=True))
        assert float(cells["dice"] or 0) == pytest.approx(float(dice[cells["case"], cells["region"]] or 0), abs=1e-9)
    card = (run / "MODEL_CARD.md").read_text()
    assert "any of which may be missing, though not all" in card
    assert card.count("| flair | ") == 3
    assert "With channels missing" in (run / "report.html").read_text()
    done = program("evaluate", run, "--data", volumes, "--subsets", "--output", tmp_path / "subsets")
    assert done.status == 0, done.err
    assert (tmp_path / "subsets" / SUBSETS_NAME).read_text() == (run / SUBSETS_NAME).read_text()


def standing_in() -> Model:
    """A model of slices in which each channel is the evidence of its own region, and any may be missing."""
    model = stand_in()
    spec = model.info.input.model_copy(update={"may_lack_channels": True})
    return replace(model, info=model.info.model_copy(update={"input": spec}))


def test_what_is_there_is_scored_in_any_order_and_the_rest_is_absent(load_slices: Load, tmp_path: Path) -> None:
    model, whole = standing_in(), load_slices()
    some = load_slices(channels=("t2", "flair"))
    scoring.evaluate(model, Request(whole, tmp_path / "whole"))
    scoring.evaluate(model, Request(some, tmp_path / "some"))
    dice = {(row.case, row.region): row.scores.dice for row in read_rows(tmp_path / "whole")}
    for row in read_rows(tmp_path / "some"):
        expected = dice[row.case, row.region] if row.region == "whole_tumour" else 0  # the core is seen after contrast
        assert row.scores.dice in (expected, None)
    with pytest.raises(tumorline.UserError, match="2 channels; the model takes 3"):
        scoring.evaluate(stand_in(), Request(some, tmp_path / "refused"))


def test_every_subset_is_scored_and_what_it_loses_is_said(load_slices: Load, tmp_path: Path) -> None:
    model, request = standing_in(), Request(load_slices(), tmp_path)
    summary = add_subsets(model, request, scoring.evaluate(model, request))
    assert read_summary(tmp_path / SUMMARY_NAME).subsets == summary.subsets
    core = {"+".join(level.channels): level for level in summary.subsets["tumour_core"]}
    assert len(core) == 7
    whole = core["flair+post_contrast+t2"]
    assert whole.dice.mean == pytest.approx(summary.regions["tumour_core"].dice.mean)
    assert core["flair+post_contrast"].dice.lost_against(whole.dice) == 0
    assert core["flair+t2"].dice.lost_against(whole.dice) == whole.dice.mean
    assert core["flair+t2"].missed == whole.cases
    records = read_csv(tmp_path / SUBSETS_NAME)
    assert len(records) == 7 * 3 * whole.cases
    assert len(add_subsets(model, request, summary, most=2).subsets) == 3
    assert len({record["case"] for record in read_csv(tmp_path / SUBSETS_NAME)}) == 2
    assert [row["channels"] for row in subset_rows(summary)][:2] == ["flair, post_contrast, t2", "flair, post_contrast"]


@pytest.mark.parametrize("lacking", [False, True])
def test_of_folds_the_subsets_are_put_together_where_all_have_them(
    load_slices: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lacking: bool
) -> None:
    dataset, model = load_slices(), standing_in()
    load_config(None, ["split.folds=3"]).save(tmp_path / CONFIG_NAME)
    for fold, case in enumerate(dataset.cases):
        folder, one = tmp_path / f"fold-{fold}", replace(dataset, source=replace(dataset.source, cases=(case,)))
        request = Request(replace(one, facts=(dataset.facts[fold],)), folder)
        summary = scoring.evaluate(model, request)
        if not (lacking and fold == 1):
            add_subsets(model, request, summary)
        for name, told in (("evaluation.csv", ",{},"), ("summary.json", '"{}"'), ("certainty.csv", ",{},")):
            text = (folder / name).read_text().replace(told.format("unseen"), told.format("test"))
            (folder / name).write_text(text)
        (folder / "report.html").touch()
    monkeypatch.setattr("tumorline.run.finishing.render_report", lambda *_: None)
    monkeypatch.setattr("tumorline.cross_validation.read_certainties", lambda *_: {})
    subsets = gather(tmp_path).subsets
    assert bool(subsets) is not lacking
    assert (tmp_path / SUBSETS_NAME).exists() is not lacking
    assert lacking or subsets == add_subsets(model, Request(dataset, tmp_path), whole(dataset, model, tmp_path)).subsets


def whole(dataset: Dataset, model: Model, folder: Path) -> Summary:
    return scoring.evaluate(model, Request(dataset, folder))


def test_what_was_measured_before_a_stop_is_not_measured_again(load_slices: Load) -> None:
    kept: dict[str, object] = {}

    class Kept:
        recall, keep = kept.get, kept.__setitem__

    dataset = load_slices()
    names = [case.id for case in dataset.cases]
    first = measure_subsets(standing_in(), dataset, names, Kept())  # type: ignore[arg-type]
    nothing = replace(standing_in(), runtime=None)  # type: ignore[arg-type]
    assert measure_subsets(nothing, dataset, names, Kept()) == first  # type: ignore[arg-type]


def test_a_model_that_needs_all_of_its_channels_refuses_in_one_line(program: Program, tmp_path: Path) -> None:
    refused = program("evaluate", "builtin", "--data", tmp_path, "--subsets")
    assert refused.status == 2
    assert "was trained with all of its channels; train with augment.channel_dropout" in refused.err
    image = np.zeros((1, 8, 8), np.float32)
    assert stand_in().complete(image, ("flair",)) is image
