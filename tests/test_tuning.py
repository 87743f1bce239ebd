import csv
import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import TINY, refused_in_one_line
from tumorline import api, cli, run, tuning
from tumorline.config import load_config
from tumorline.errors import Interrupted, MissingExtraError, UserError
from tumorline.files import alone_in, write_csv
from tumorline.tuning.plan import check_choices
from tumorline.tuning.trials import Trial

pytest.importorskip("torch")
pytest.importorskip("optuna")

SPACE = """
[tune]
trials = 3
startup = {startup}
grace_epochs = 0
[tune.space]
"train.learning_rate" = {{ low = 1e-3, high = 1e-1, log = true }}
"model.options.widths" = [[4, 8], [4, 4]]
"train.batch_size" = {{ low = 4, high = 8, step = 2 }}
"""


def tune_file(folder: Path, startup: int = 2, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "recipe.toml").write_text('name = "tiny"\n[train]\nepochs = 9\n')
    path = folder / "tune.toml"
    path.write_text('recipe = "recipe.toml"\n' + more + SPACE.format(startup=startup))
    return path


def tune(path: Path, source: Path, output: Path, **more: Any) -> Path:
    overrides = [*TINY, "train.epochs=2", f"data.cache='{source.parent / 'cache'}'"]
    return api.tune(path, data=source, overrides=overrides, output=output, **more)


@pytest.fixture(scope="module")
def search(tiny_source: Path) -> Path:
    """Three trials of two epochs; treat it as read-only."""
    return tune(tune_file(tiny_source.parent / "tune"), tiny_source, tiny_source.parent / "search")


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_trial_is_scored_on_validation_and_the_test_part_is_left_alone(search: Path) -> None:
    rows = table(search)
    assert [row["trial"] for row in rows] == ["1", "2", "3"]
    assert list(rows[0])[-1] == "error"
    assert (search / "trials.csv").read_text().splitlines()[0].count("error") == 1
    assert {row["state"] for row in rows} <= {"complete", "pruned"}
    assert {row["train.batch_size"] for row in rows} <= {"4", "6", "8"}
    assert all(1e-3 <= float(row["train.learning_rate"]) <= 1e-1 for row in rows)
    for number, row in enumerate(rows, 1):
        with (search / f"trial-{number:03d}" / "history.csv").open(newline="") as file:
            assert float(row["validation_dice"]) == max(
                float(epoch["validation_dice"]) for epoch in csv.DictReader(file)
            )
    forbidden = {"test_uses.jsonl", "evaluation.csv", "model.safetensors", "model.onnx", "summary.json"}
    assert not [path for path in search.rglob("*") if path.name in forbidden]


def test_the_best_settings_are_a_configuration_to_train(search: Path, tiny_source: Path) -> None:
    best = max((row for row in table(search) if row["state"] == "complete"), key=lambda row: row["validation_dice"])
    config = load_config(search / "best.toml")
    assert config.train.learning_rate == float(best["train.learning_rate"])
    assert config.model.options["widths"] == json.loads(best["model.options.widths"])
    assert (config.name, config.train.epochs, config.data.source) == ("tiny", 2, str(tiny_source.resolve()))
    assert (search / "best.toml").read_text().startswith("# Trial ")


def test_only_the_best_trial_keeps_its_weights(search: Path) -> None:
    best = tuning.best_trial(tuning.read_trials(search))
    assert best is not None
    assert [path.parent.name for path in search.rglob("*.safetensors")] == [f"trial-{best.number:03d}"] * 2


def test_the_page_says_what_was_chosen_on_what(search: Path) -> None:
    page = (search / "tune.html").read_text()
    assert "the test part was not looked at" in page
    assert "Chosen on validation (2 patients)" in page
    assert page.count("<svg") == 4
    assert "http" not in page.replace("http://www.w3.org", "").replace("http-equiv", "")


def test_a_finished_search_is_not_tried_again_and_more_trials_go_on(
    search: Path, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted: list[str] = []

    def fit(_config: object, folder: Path, *_: object) -> None:
        fitted.append(folder.name)
        write_csv(folder / "history.csv", ("epoch", "validation_dice"), [{"epoch": 1, "validation_dice": 0.9}])

    monkeypatch.setattr(run, "fit_only", fit)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("trials.json", "tune.toml"):
        (copy / name).write_bytes((search / name).read_bytes())
    path = tiny_source.parent / "tune" / "tune.toml"
    tune(path, tiny_source, copy)
    assert fitted == []
    tune(path, tiny_source, copy, trials=4)
    assert fitted == ["trial-004"]
    assert [row["trial"] for row in table(copy)] == ["1", "2", "3", "4"]


def stop_at(number: int, epoch: int, error: BaseException) -> Callable[..., Path]:
    """`fit_only` that raises after one epoch of one trial."""
    original = run.fit_only

    def fit(config: Any, folder: Path, notify: Any, on_epoch: Any) -> Path:
        def judge(row: Mapping[str, Any]) -> None:
            on_epoch(row)
            if folder.name == f"trial-{number:03d}" and row["epoch"] == epoch:
                raise error

        return original(config, folder, notify, judge)

    return fit


def test_a_killed_search_goes_on_from_the_state_of_its_trial_to_the_same_result(
    search: Path, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_source.parent / "tune" / "tune.toml"
    with monkeypatch.context() as patch:
        patch.setattr(run, "fit_only", stop_at(2, 1, SystemExit(9)))
        with pytest.raises(SystemExit):
            tune(path, tiny_source, tmp_path / "stopped")
    assert [trial.state for trial in tuning.read_trials(tmp_path / "stopped")] == ["complete", "running"]
    begun: list[str] = []
    tune(path, tiny_source, tmp_path / "stopped", notify=begun.append)
    assert [text.split(":")[0] for text in begun if text.startswith("trial ") and "{" in text] == [
        "trial 2/3",
        "trial 3/3",
    ]
    assert (tmp_path / "stopped" / "trials.json").read_text() == (search / "trials.json").read_text()


def test_a_stop_that_was_asked_for_says_how_to_go_on(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object) -> None:
        raise Interrupted("go on with: tumorline train --resume")

    monkeypatch.setattr(run, "fit_only", fit)
    with pytest.raises(Interrupted, match="the same command goes on"):
        tune(tune_file(tmp_path / "file"), tiny_source, tmp_path / "out")
    assert [trial.state for trial in tuning.read_trials(tmp_path / "out")] == ["running"]


def test_a_trial_below_the_median_is_given_up(
    tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = {"trial-001": [0.5, 0.6], "trial-002": [0.7, 0.8], "trial-003": [0.1, 0.9]}

    def fit(_config: object, folder: Path, _notify: object, judge: Any) -> None:
        rows = [{"epoch": epoch, "validation_dice": value} for epoch, value in enumerate(dice[folder.name], 1)]
        for count, row in enumerate(rows, 1):
            write_csv(folder / "history.csv", ("epoch", "validation_dice"), rows[:count])
            judge(row)

    monkeypatch.setattr(run, "fit_only", fit)
    output = tune(tune_file(tmp_path / "file"), tiny_source, tmp_path / "out")
    rows = table(output)
    assert [(row["state"], row["epochs"]) for row in rows] == [("complete", "2"), ("complete", "2"), ("pruned", "1")]
    best = tuning.best_trial(tuning.read_trials(output))
    assert best is not None
    assert best.number == 2


def test_a_changed_file_is_refused_but_for_the_number_of_trials(
    search: Path, tiny_source: Path, tmp_path: Path
) -> None:
    before = (search / "tune.toml").read_bytes()
    with pytest.raises(UserError, match=r"holds another search \('tune.startup' differs\); choose another --output"):
        tune(tune_file(tmp_path / "other", startup=1), tiny_source, search)
    with pytest.raises(UserError, match=r"'seed' differs"):
        tune(tune_file(tmp_path / "seed", more="seed = 4\n"), tiny_source, search)
    assert (search / "tune.toml").read_bytes() == before


def test_the_kept_file_is_a_tune_file_that_needs_no_other(search: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tuning.read_plan(search / "tune.toml", None)
    assert kept.config({}).name == "tiny"
    assert tomllib.loads(kept.to_toml()) == tomllib.loads((search / "tune.toml").read_text())
    cli.training.tune(str(search / "tune.toml"), output=search)
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split("\t")[:3] == ["trial", "state", "validation_dice"]
    assert shown[1].split("\t")[1] == "complete"
    assert shown[-2].endswith(f"tumorline train {search / 'best.toml'}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[tune\] section"),
        ("[tune]\ntrials = 3", "tune.space"),
        ("[tune]\ntrails = 3\n[tune.space]\nx = [1, 2]", "unknown key 'tune.trails'; did you mean 'tune.trials'"),
        ("[tune.space]\n'train.learning_rat' = [1, 2]", "unknown key 'train.learning_rat'; did you mean"),
        ("[tune.space]\n'train.epochs' = {low = 3, high = 2}", "tune.space.train.epochs: low must be below high"),
        ("[tune.space]\n'train.learning_rate' = {low = -1.0, high = 2.0}", "greater than or equal to 0.0"),
        ("[tune.space]\n'train.epochs' = [3]", "has 1 values; expected 2 or more"),
        ("[tune.space]\n'train.epochs' = 3", r"expected a range such as .* or a list of values"),
        ("[tune.space]\n'split.seed' = [1, 2]", "'split.seed' cannot be tuned"),
        ("[tune.space]\nseed = [1, 2]", "'seed' cannot be tuned"),
        ("[tune.space]\n'model.threshold' = [0.4, 0.5]", "'model.threshold' cannot be tuned; it is decided after"),
        (
            "[tune.space]\n'train.learning_rate' = {low = 0.1, high = inf}",
            r"tune\.space\.train\.learning_rate\.high: Input should be a finite number \(found inf\)",
        ),
        ("[tune.space]\n'model.options.x' = [2020-01-01, 1]", "holds datetime.date.2020, 1, 1., which is no"),
        ("[tune]\nseed = -1\n[tune.space]\n'train.epochs' = [1, 2]", "tune.seed: .*greater than or equal to 0"),
        ("[trian]\n[tune.space]\n'train.epochs' = [1, 2]", "unknown key 'trian'"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "tune.toml").write_text(text)
    with refused_in_one_line(message):
        tuning.read_plan(tmp_path / "tune.toml", None)


def test_the_example_is_a_tune_file() -> None:
    plan = tuning.read_plan(Path(__file__).parents[1] / "configs/tune/lite0.toml", None)
    assert (plan.config({}).name, plan.config({}).train.epochs) == ("lite0", 8)
    check_choices(plan)


def test_nested_tables_are_the_same_space(tmp_path: Path) -> None:
    (tmp_path / "tune.toml").write_text("[tune.space.train]\nepochs = [1, 2]\nlearning_rate = {low=0.1, high=0.2}\n")
    assert set(tuning.read_plan(tmp_path / "tune.toml", None).tune.space) == {"train.epochs", "train.learning_rate"}


def test_a_source_that_is_no_section_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tune.toml").write_text("data = 3\n[tune.space]\n'train.epochs' = [1, 2]\n")
    with pytest.raises(UserError, match="'data' is a value, not a section"):
        tuning.read_plan(tmp_path / "tune.toml", "set")


def test_a_first_trial_that_does_not_fit_the_memory_leaves_the_folder_free(
    tmp_path: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(config: Any, folder: Path, *_: object) -> None:
        config.save(folder / "config.toml")
        raise UserError("the memory is full")

    monkeypatch.setattr(run, "fit_only", fit)
    with pytest.raises(UserError, match="trial 1: the memory is full"):
        tune(tune_file(tmp_path / "file"), tiny_source, tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_an_error_keeps_what_the_first_trial_has_learnt(
    tmp_path: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(_config: object, folder: Path, *_: object) -> None:
        folder.mkdir()
        (folder / "state.safetensors").write_bytes(b"state")
        raise UserError("the source is gone")

    monkeypatch.setattr(run, "fit_only", fit)
    with pytest.raises(UserError, match="trial 1: the source is gone"):
        tune(tune_file(tmp_path / "file"), tiny_source, tmp_path / "out")
    assert (tmp_path / "out/trial-001/state.safetensors").is_file()
    assert [trial.state for trial in tuning.read_trials(tmp_path / "out")] == ["running"]


def test_a_search_on_one_of_several_folds_says_where_its_settings_may_be_tested(
    tmp_path: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def carried_out(_plan: object, trials: list[Trial], *_: object) -> Trial:
        return trials[-1].model_copy(update={"state": "complete", "dice": [0.5]})

    monkeypatch.setattr(tuning, "_carried_out", carried_out)
    said: list[str] = []
    path = tune_file(tmp_path / "file", more="[split]\nfolds = 3\nfold = 1\n")
    tune(path, tiny_source, tmp_path / "out", notify=said.append)
    caveat = (
        "split.folds is 3: these settings are chosen on validation patients of fold 1, who test in other folds; test "
        "them in fold 1 alone (tumorline train), not in all (tumorline folds)"
    )
    assert said == [f"warning: {caveat}"]
    assert (tmp_path / "out/best.toml").read_text().splitlines()[1] == f"# {caveat}"


def test_two_searches_do_not_share_a_folder(tmp_path: Path, tiny_source: Path) -> None:
    (tmp_path / "out").mkdir()
    with alone_in(tmp_path / "out"), pytest.raises(UserError, match="out: another process is at work there"):
        tune(tune_file(tmp_path / "file"), tiny_source, tmp_path / "out")


def test_an_unknown_loss_is_refused_before_anything_is_written(tmp_path: Path, tiny_source: Path) -> None:
    (tmp_path / "tune.toml").write_text("[tune.space]\n'loss.name' = ['dice', 'dize']\n")
    with pytest.raises(UserError, match="dize"):
        tune(tmp_path / "tune.toml", tiny_source, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_data_that_cannot_be_used_leave_the_folder_free(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="trial 1: "):
        tune(tune_file(tmp_path / "file"), tmp_path / "nowhere", tmp_path / "out")
    assert [path for path in (tmp_path / "out").rglob("*") if path.is_file()] == []


def test_a_trial_that_cannot_be_trained_fails_alone(
    search: Path, tiny_source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(*_: object) -> None:
        raise UserError("out of luck")

    for name in ("trials.json", "tune.toml"):
        (tmp_path / name).write_bytes((search / name).read_bytes())
    monkeypatch.setattr(run, "fit_only", fit)
    tune(tiny_source.parent / "tune" / "tune.toml", tiny_source, tmp_path, trials=5)
    assert [(row["state"], row["error"]) for row in table(tmp_path)[3:]] == [("failed", "out of luck")] * 2
    assert "failed: out of luck" in (tmp_path / "tune.html").read_text()


def test_without_optuna_the_extra_is_named(tmp_path: Path, tiny_source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.setattr("tumorline.errors.find_spec", lambda name: None if name == "optuna" else object())
    with pytest.raises(MissingExtraError, match=r"tuning needs the 'tune' extra: pip install 'tumorline\[tune\]'"):
        tune(tune_file(tmp_path / "file"), tiny_source, tmp_path / "out")
