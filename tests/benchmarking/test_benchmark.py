"""Cells are carried out once, shared where they may be, chosen between on validation, and ranked within a start."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from tests.benchmarking.conftest import in_this_process, open_benchmark, write_plan
from tumorline.benchmarking import Benchmark
from tumorline.benchmarking.plan import arms
from tumorline.errors import UserError
from tumorline.files import read_csv

Result = dict[str, Any]


@pytest.fixture(scope="module")
def module_patch() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def finished(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory, module_patch: pytest.MonkeyPatch) -> Path:
    """The tiny benchmark, carried out; its folder."""
    folder = tmp_path_factory.mktemp("benchmark")
    module_patch.setenv("TORCH_HOME", str(folder / "hub"))
    module_patch.setattr("tumorline.models.pretrained.reachable", lambda url: False)
    plan = write_plan(folder, tiny_source)
    open_benchmark(plan, tiny_source).run(in_this_process)
    return folder


def result_of(folder: Path) -> Result:
    found: Result = json.loads((folder / "out/leaderboard.json").read_text())
    return found


def cell(folder: Path, name: str) -> Path:
    return folder / "out/cells" / name


def test_each_arm_takes_the_rate_that_is_better_on_validation_and_only_that_one_is_tested(finished: Path) -> None:
    (group,) = result_of(finished)["groups"]
    assert {row["name"]: row["chosen"] for row in group["rows"]} == {
        "base": {"train.learning_rate": 0.02},
        "fixed": {"train.learning_rate": 0.02},
    }
    assert (cell(finished, "base_learning-rate-0.02_seed-0") / "report.html").is_file()
    rejected = cell(finished, "base_learning-rate-1e-06_seed-0")
    assert (rejected / "history.csv").is_file()
    assert not (rejected / "summary.json").exists()
    assert not (rejected / "test_uses.jsonl").exists()


def test_cells_that_differ_in_the_threshold_share_one_training(finished: Path) -> None:
    base, fixed = (cell(finished, f"{name}_learning-rate-0.02_seed-0") for name in ("base", "fixed"))
    assert (base / "history.csv").read_bytes() == (fixed / "history.csv").read_bytes()
    assert json.loads((fixed / "summary.json").read_text())["operating_point"]["threshold"] == 0.5


def test_what_needs_weights_that_are_not_at_hand_is_named_with_its_command(finished: Path) -> None:
    (missing,) = result_of(finished)["unmeasured"]
    assert missing["name"] == "foreign"
    assert missing["reason"].startswith("the weights fcn_resnet50_coco-1167a1af.pth are not on this machine")
    assert missing["command"] == "tumorline benchmark plan.toml --only foreign"
    assert str(Path.home()) not in missing["reason"]


def test_the_leaderboard_has_figures_tests_size_and_speed(finished: Path) -> None:
    result = result_of(finished)
    (group,) = result["groups"]
    row = group["rows"][0]
    assert (result["finished"], result["cells"]) == (2, 3)
    assert (group["initialisation"], group["about"]) == ("scratch", "models")
    assert {pair["second"] for pair in group["pairs"]} == {"base"}
    assert row["parameters"] > 1000
    assert row["multiply_adds"] > 1e6
    for name in ("inference_images_per_second", "training_images_per_second", "peak_memory_mb"):
        assert row[name] > 0
    assert any("ONE SEED EACH" in warning for warning in result["warnings"])
    page, text = ((finished / f"out/leaderboard.{kind}").read_text() for kind in ("html", "md"))
    dice = f"{row['dice']['mean']:.3f}"
    assert f"<b>{dice}</b>" in page
    assert f"| {dice} (range " in text
    assert "one seed" in text
    assert not (finished / "out/pareto.svg").exists(), "one network against itself is no picture"


def test_a_finished_cell_is_never_run_again(finished: Path, tiny_source: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (finished / "out/cells").rglob("*/summary.json")}
    notices: list[str] = []
    open_benchmark(finished / "plan.toml", tiny_source, notices).run(in_this_process, ["base", "fixed"])
    assert notices == []
    assert before == {path: path.stat().st_mtime_ns for path in (finished / "out/cells").rglob("*/summary.json")}


def test_another_configuration_in_the_same_folder_is_refused(finished: Path, tiny_source: Path) -> None:
    changed = finished / "changed.toml"
    new = "[variants.new]\n'train.clip_norm' = 2.0\n"
    changed.write_text((finished / "plan.toml").read_text().replace("epochs = 3", "epochs = 4") + new)
    before = (finished / "out/leaderboard.json").read_bytes()
    for only in ([], ["new"]):
        with pytest.raises(UserError, match="holds a cell of another configuration; choose another --output"):
            open_benchmark(changed, tiny_source).run(in_this_process, only)
    assert (finished / "out/leaderboard.json").read_bytes() == before


BEST = """
name = "best"
seeds = [0, 1, 2]
best = 1
longer = 1
[recipe.train]
epochs = 2
[models.plain]
name = "unet"
[models.gated]
name = "attention_unet"
[models.foreign]
name = "fcn"
options = { weights = "none" }
"""


def pretend_trained(benchmark: Benchmark, name: str, dice: float) -> None:
    folder = benchmark.output / "cells" / name
    folder.mkdir(parents=True)
    (folder / "environment.json").write_text("{}")
    (folder / "history.csv").write_text(f"epoch,validation_dice\n1,{dice}\n")


def test_the_best_on_validation_get_all_seeds_and_the_longer_training(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text(BEST)
    benchmark = open_benchmark(tmp_path / "plan.toml", tmp_path)
    plain, gated, foreign = arms(benchmark.plan)
    pretend_trained(benchmark, "plain_seed-0", 0.4)
    pretend_trained(benchmark, "gated_seed-0", 0.6)
    assert [len(benchmark.cells(arm)) for arm in (plain, gated, foreign)] == [1, 1, 1], "one of them may yet be better"
    log = benchmark.output / "cells/foreign_seed-0.log"
    log.write_text("error: stopped and saved; go on with: tumorline train --resume X\n")
    assert benchmark.leaders(1) == set(), "what was stopped goes on"
    log.write_text("error: no memory\n")
    assert benchmark.leaders(1) == {"gated"}
    assert [cell.seed for cell in benchmark.cells(gated)] == [0, 1, 2]
    assert [len(benchmark.cells(arm)) for arm in (plain, foreign)] == [1, 1]
    assert [cell.name for cell in benchmark.longer_cells(gated)] == ["gated_length-2_seed-0"]
    assert benchmark.longer_cells(plain) == []


SEEDS_AND_FOLDS = """
name = "folds"
seeds = [0, 1, 2]
folds = [0]
[recipe.data]
image_size = 32
cache = "{cache}"
[recipe.split]
folds = 2
[recipe.model]
name = "unet"
options = {{ widths = [4, 8] }}
[recipe.train]
epochs = 1
batch_size = 4
[losses.dice_ce]
name = "dice_ce"
[losses.bce]
name = "bce"
"""


@pytest.mark.slow
def test_three_seeds_are_compared_as_recipes_and_folds_are_put_together(tmp_path: Path, tiny_source: Path) -> None:
    plan = write_plan(tmp_path, tiny_source, SEEDS_AND_FOLDS)
    result = open_benchmark(plan, tiny_source).run(in_this_process)
    (group,) = result.groups
    assert (group.about, result.finished, result.unmeasured) == ("recipes", 6, [])
    assert [list(row.seeds) for row in group.rows] == [["0", "1", "2"]] * 2
    assert {row.patients for row in group.rows} == {10}
    together = tmp_path / "out/cells/bce_seed-2"
    assert {row["status"] for row in read_csv(together / "evaluation.csv")} == {"test"}
    assert (together / "fold-0/report.html").is_file()
    fewer = tmp_path / "fewer.toml"
    fewer.write_text(plan.read_text().replace("folds = [0]", "folds = [1]"))
    result = open_benchmark(fewer, tiny_source).run(in_this_process)
    assert {row.patients for group in result.groups for row in group.rows} == {10}, "fold 0 is not counted"


def test_arms_that_were_not_asked_for_are_not_finished(tmp_path: Path, tiny_source: Path) -> None:
    plan = write_plan(tmp_path, tiny_source)
    result = open_benchmark(plan, tiny_source).run(in_this_process, ["foreign"])
    assert result.groups == []
    reasons = {one.name: one.reason[:12] for one in result.unmeasured}
    assert reasons == {"base": "not finished", "fixed": "not finished", "foreign": "the weights "}
    assert "Not measured here" in (tmp_path / "out/leaderboard.html").read_text()


STUDY = """
name = "study"
seeds = [0, 1, 2]
choose_at = 0.5
best = 1
longer = 1
vary = ["data.image_size"]
[choose]
"train.learning_rate" = [1e-6, 0.02]
[recipe.data]
image_size = 32
cache = "{cache}"
[recipe.model]
name = "unet"
options = {{ widths = [4, 8] }}
[recipe.train]
epochs = 2
batch_size = 4
precision = "float32"
[variants.small]
"data.image_size" = 16
[variants.large]
"""


@pytest.mark.slow
def test_a_study_chooses_repeats_the_best_and_trains_it_longer(tmp_path: Path, tiny_source: Path) -> None:
    plan = write_plan(tmp_path, tiny_source, STUDY)
    result = open_benchmark(plan, tiny_source).run(in_this_process)
    everyone, repeated = result.groups
    assert (everyone.about, repeated.about) == ("models", "recipes")
    assert {row.name for row in everyone.rows} == {"small", "large"}
    (best,) = repeated.rows
    assert list(best.seeds) == ["0", "1", "2"]
    assert best.longer is not None
    assert best.longer.epochs == 4
    assert best.output_stride == 1
    assert (result.finished, result.cells, result.unmeasured) == (5, 5, [])
    cells = {path.name for path in (tmp_path / "out/cells").iterdir() if path.is_dir()}
    assert cells >= {f"{name}_learning-rate-1e-06_length-0.5_seed-0" for name in ("small", "large")}
    text = (tmp_path / "out/leaderboard.md").read_text()
    assert "### From scratch, one seed" in text
    assert f"{best.name} at 4 epochs: Dice" in text


def test_a_benchmark_that_was_kept_goes_on_elsewhere_with_the_same_ranking(
    finished: Path, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    import leaderboard

    leaderboard.keep(finished / "out", tmp_path / "kept")
    plan = write_plan(tmp_path / "elsewhere", tiny_source)
    leaderboard.restore(tmp_path / "kept", tmp_path / "elsewhere/out/cells")
    notices: list[str] = []
    open_benchmark(plan, tiny_source, notices).run(in_this_process, ["base", "fixed"])
    assert not [text for text in notices if "finished" in text], "no cell is tested again"
    before, after = result_of(finished), result_of(tmp_path / "elsewhere")
    (old,), (new,) = before["groups"], after["groups"]
    assert {row.pop("inference_images_per_second") for row in new["rows"]} == {None}
    for row in old["rows"]:
        del row["inference_images_per_second"]
    assert new == old
