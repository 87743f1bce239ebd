"""What is public says what it takes, gives and refuses, and its examples run."""

import doctest
import inspect
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import tumorline
from tests.conftest import PairFolder
from tests.inference.test_predict_series import draw
from tumorline.inference.model import Model

SLOW = {
    "train",
    "resume",
    "find_learning_rate",
    "cross_validate",
    "tune",
    "benchmark",
    "ensemble",
    "simulate",
    "compare",
}
NEEDS = {"tune": "optuna"}
SMALL = ["data.image_size=32", "model.options.widths=[4,8]", "train.epochs=1", "train.batch_size=4"]
PLAN = """
name = "mine"
seeds = [0]
[recipe.data]
image_size = 32
[recipe.train]
epochs = 1
batch_size = 4
[recipe.model.options]
widths = [4, 8]
[losses.dice_ce]
name = "dice_ce"
[losses.dice]
name = "dice"
"""
SPACE = """
name = "mine"
[data]
image_size = 32
[model.options]
widths = [4, 8]
[train]
epochs = 1
batch_size = 4
[tune]
trials = 2
[tune.space]
"train.learning_rate" = { low = 1e-4, high = 1e-2, log = true }
"""
NAMES = [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in tumorline.__all__]


@pytest.fixture
def workplace(tiny_source: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `scans`, `other`, `study` and `runs/first`, in which the examples are."""
    (tmp_path / "scans").symlink_to(tiny_source, target_is_directory=True)
    PairFolder(tmp_path / "other")(patients=4, slices=2, first_seed=500)
    shutil.copytree(tmp_path / "other" / "masks", tmp_path / "drawn")
    shutil.copytree(tiny_run, tmp_path / "runs" / "first")
    draw(tmp_path / "study", lambda _, own: own.update(SeriesDescription="T1 post"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_run(name: str, workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip(NEEDS.get(name, "numpy"))
    known = {
        "tumorline": tumorline,
        name: getattr(tumorline, name),
        "Path": Path,
        "np": np,
        "SMALL": SMALL,
        "PLAN": PLAN,
        "SPACE": SPACE,
    }
    (example,) = (one for one in doctest.DocTestFinder(recurse=False).find(getattr(tumorline, name), name, globs=known))
    assert example.examples, f"{name} has no example"
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert result.failed == 0, capsys.readouterr().out


@pytest.mark.parametrize("name", tumorline.__all__)
def test_arguments_result_and_errors_are_described(name: str) -> None:
    public = getattr(tumorline, name)
    text = inspect.getdoc(public) or ""
    is_class = inspect.isclass(public)
    wanted = ["Args:", "Example:"] + ([] if is_class else ["Returns:", "Raises:"])
    assert [section for section in wanted if f"\n{section}\n" not in text] == []
    described = re.findall(r"^    (\w+): ", text.partition("Args:")[2].partition("\n\n")[0], re.M)
    if not is_class:
        assert described == list(inspect.signature(public).parameters)


def test_the_mask_of_a_model_says_what_it_takes() -> None:
    text = inspect.getdoc(Model.mask) or ""
    assert all(f"\n{section}:\n" in text for section in ("Args", "Returns", "Raises"))


@pytest.mark.parametrize("name", ["evaluate", "predict", "cross_evaluate", "plan", "benchmark"])
def test_a_keyword_that_is_none_is_refused_by_name(name: str) -> None:
    positional = {"cross_evaluate": 2}.get(name, 1)
    with pytest.raises(TypeError, match="overwritte"):
        getattr(tumorline, name)(*["nowhere"] * positional, overwritte=True)
