"""A training on all patients: nothing is left to validate or test, and everything says so."""

from pathlib import Path
from types import ModuleType

import pytest

import tumorline
from tests.conftest import TINY, PairFolder, Program
from tests.test_shipping import scripts, ship  # noqa: F401  (fixtures)
from tumorline.config import load_config
from tumorline.errors import UserError
from tumorline.model_file import read_info
from tumorline.run_folder import read_history

pytest.importorskip("torch")
ALL = ("split.train=1", "model.threshold=0.4", "model.temperature=1.5")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on all patients."""
    folder = tmp_path_factory.mktemp("whole")
    source = PairFolder(folder / "source")(patients=5)
    settings = [*TINY, *ALL, "train.epochs=2", f"data.cache='{folder / 'cache'}'"]
    return tumorline.train(data=source, overrides=settings, output=folder / "run")


def test_the_last_weights_are_kept_with_the_stated_operating_point(whole: Path) -> None:
    info = read_info(whole / "model.safetensors")
    assert (info.threshold, info.temperature) == (0.4, 1.5)
    assert info.split.parts == {"train": 10, "validation": 0, "test": 0}
    assert (len(info.known_cases.contents["train"]), info.known_cases.contents["test"]) == (10, [])
    rows = read_history(whole)
    assert [row["best"] for row in rows] == ["1", "1"]
    assert [row["validation_dice"] for row in rows] == ["", ""]


def test_the_card_says_that_all_trained(whole: Path) -> None:
    card = (whole / "MODEL_CARD.md").read_text()
    assert "**All patients trained**" in card
    assert "None of its own" in card
    assert not (whole / "summary.json").exists()


def test_it_is_not_evaluated_on_its_own_set(whole: Path, program: Program) -> None:
    said = program("evaluate", whole, "--data", whole.parent / "source", "--output", whole.parent / "evaluated")
    assert said.status == 2
    assert "it was trained on all patients" in said.err
    assert "folds of its recipe" in said.err
    other = PairFolder(whole.parent / "other")(patients=3, first_seed=300)
    assert program("evaluate", whole, "--data", other, "--output", whole.parent / "of-others").status == 0
    own = program("evaluate", whole, "--output", whole.parent / "own")
    assert own.status == 2
    assert "it was trained on all patients" in own.err


def test_the_command_says_so_and_goes_on(whole: Path, program: Program) -> None:
    again = program("train", "--resume", whole)
    assert again.status == 0, again.err
    assert "trained on all patients, with nobody left to test" in again.out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["split.train=1"], "nothing is left to choose model.threshold on"),
        ([*ALL[:2]], "nothing is left to choose model.temperature on"),
        ([*ALL, "split.folds=5"], "leave out split.folds"),
        ([*ALL, "split.file=x.csv"], "leave out split.file"),
        ([*ALL, "train.patience=3"], "leave out train.patience"),
        ([*ALL, "train.schedule=plateau"], "leave out train.schedule"),
        ([*ALL, "model.postprocessing.choose=true"], "leave out model.postprocessing.choose"),
        ([*ALL, "data.sources=[{path='a'}, {path='b', part='test'}]"], "no source can be for test"),
        (["split.train=1.1"], "less than or equal to 1"),
    ],
)
def test_what_needs_validation_is_refused(given: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_config(None, given)


@pytest.mark.slow
def test_a_stated_temperature_is_taken_beside_validation(tiny_source: Path, tmp_path: Path) -> None:
    settings = [*TINY, "train.epochs=1", "model.temperature=2.5", f"data.cache='{tiny_source.parent / 'cache'}'"]
    run = tumorline.train(data=tiny_source, overrides=settings, output=tmp_path / "run")
    assert read_info(run / "model.safetensors").temperature == 2.5


@pytest.mark.slow
def test_a_shipped_one_bears_the_figures_of_its_folds(ship: ModuleType, tmp_path: Path, program: Program) -> None:  # noqa: F811
    source = f"{PairFolder(tmp_path / 'source')(patients=6)},licence=CC BY 4.0"
    settings = [*TINY, "train.epochs=1", f"data.cache='{tmp_path / 'cache'}'"]
    run = tumorline.train(data=[source], overrides=[*settings, *ALL], output=tmp_path / "run")
    options = [text for setting in [*settings, "split.folds=3"] for text in ("--set", setting)]
    assert program("folds", "--data", source, *options, "--output", tmp_path / "folds").status == 0
    with pytest.raises(SystemExit, match="give --folds"):
        ship.ship_builtin(run, None)
    ship.ship_builtin(run, tmp_path / "folds")
    assert tumorline.load("builtin", precision="float32").info.metrics.precisions["bfloat16"].cases == 3
    card = (tmp_path / "listed" / "builtin.md").read_text()
    assert "Out of fold: each case was scored by a model of the same recipe" in card
    assert "| Dice |" in card
    assert "| unchanged |" in card
    assert "(3 regions of cases that its folds held out, openvino, P and Q)" in card
    assert ", out of fold" in program("models").out
    said = program("evaluate", "builtin", "--data", tmp_path / "source", "--output", tmp_path / "evaluated")
    assert "Its figures out of fold stand in its card ('tumorline models' shows them): Dice by patient" in said.err
