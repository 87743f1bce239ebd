"""What a script gives where a path, texts or a setting belong: what it may be, and one line for anything else."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

import tumorline
from tests.conftest import PairFolder, Program, refused_in_one_line

RUN = Path(__file__).parent / "frozen" / "0.1.0" / "run"
WRONG = cast(Any, tumorline)
"""The public functions, called as their types forbid it."""

MISUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a number as cohort": (lambda: WRONG.simulate(3), "directory: a int; give a path"),
    "patients as text": (lambda: WRONG.simulate("c", patients="5"), "patients is 5; accepted: 1 to 9999"),
    "half a patient": (lambda: WRONG.simulate("c", patients=2.5), "patients is 2.5; accepted: 1 to 9999"),
    "a word as seed": (lambda: WRONG.simulate("c", seed="x"), "seed is x; accepted: 0 or more"),
    "a word as spacing": (lambda: WRONG.simulate("c", spacing_mm="x"), "spacing_mm is x; accepted: 1 to 4"),
    "a word as spacing of scans": (lambda: WRONG.simulate("c", volumes=1, spacing_mm="x"), "spacing_mm is x;"),
    "a word as height": (lambda: WRONG.view(np.zeros((8, 8)), height="x"), "height is 'x'; expected a whole number"),
    "half a scan": (lambda: WRONG.simulate("c", volumes=2.5), "volumes is 2.5; accepted: 1 to 9999"),
    "a number as set": (lambda: WRONG.load_dataset(3, tumorline.load_config(None).data), "path: a int; give a path"),
    "a dictionary as settings": (
        lambda: WRONG.load_dataset("s", {"image_size": 64}),
        "settings: a dict; give load_config",
    ),
    "a number as file": (lambda: WRONG.load_config(3), "config: a int; give a path"),
    "a number as recipe": (lambda: WRONG.train(3, data="s"), "config: a int; give a path"),
    "a number as data": (lambda: WRONG.train(data=3), "data: a int; give a path"),
    "a number as evaluation data": (lambda: WRONG.evaluate(RUN, 3), "data: a int; give a path"),
    "a number as output": (lambda: WRONG.evaluate(RUN, "s", output=3), "output: a int; give a path"),
    "a number as predictions": (lambda: WRONG.predict("s/images", RUN, output=3), "output: a int; give a path"),
    "nothing as plan": (lambda: WRONG.plan(None), "source: a NoneType; give a path"),
    "a number to check": (lambda: WRONG.check(3), "source: a int; give a path"),
    "a number to check against": (lambda: WRONG.check("s", against=3), "against: a int; give a path"),
    "one text to load": (
        lambda: tumorline.load_config(None, "train.epochs=3"),
        "overrides: 'train.epochs=3'; give a list",
    ),
    "one text to train": (lambda: tumorline.train(data="s", overrides="seed=1"), "overrides: 'seed=1'; give a list"),
    "one text to check": (lambda: tumorline.check("s", "seed=1"), "overrides: 'seed=1'; give a list"),
    "one text to evaluate": (
        lambda: tumorline.evaluate(RUN, "s", overrides="seed=1"),
        "overrides: 'seed=1'; give a list",
    ),
    "one text to plan": (lambda: tumorline.plan("s", overrides="seed=1"), "overrides: 'seed=1'; give a list"),
    "numbers as overrides": (lambda: WRONG.load_config(None, [3]), "overrides: [3]; give a list of texts"),
    "one channel": (lambda: tumorline.predict(model=RUN, channels="t1=a.nii"), "channels: 't1=a.nii'; give a list"),
    "a list of groups": (lambda: WRONG.compare(groups=["a"]), "groups: a list; give a dictionary"),
    "one callback": (lambda: WRONG.train(data="s", callbacks=tumorline.Callback()), "give a list of objects of"),
    "no models": (lambda: tumorline.cross_evaluate([], ["s"]), "give a model and a source, or several"),
    "no sets": (lambda: tumorline.cross_evaluate([RUN], []), "give a model and a source, or several"),
    "less than no time": (lambda: tumorline.plan("s", minutes=-1), "minutes is -1; expected a number above 0"),
    "time as text": (lambda: WRONG.plan("s", minutes="5"), "minutes is '5'; expected a number above 0"),
    "no memory": (lambda: tumorline.plan("s", memory_gb=0), "memory_gb is 0; expected a number above 0"),
    "no speed": (lambda: tumorline.plan("s", gflops=float("nan")), "gflops is nan; expected a number above 0"),
    "five axes": (lambda: tumorline.plan("s", axes=5), "axes is 5; expected 2 or 3"),
    "a text as flag": (
        lambda: WRONG.evaluate(RUN, "s", allow_training_cases="no"),
        "allow_training_cases is 'no'; exp",
    ),
    "nothing as flag": (lambda: WRONG.predict("s", RUN, overlay=None), "overlay is None; expected True or False"),
    "a text as flag of a training": (lambda: WRONG.train(data="s", test="no"), "test is 'no'; expected True or False"),
    "a flag in its place": (lambda: WRONG.resume(RUN, print, "no"), "test is 'no'; expected True or False"),
    "a number as listener": (lambda: WRONG.predict("s", RUN, progress=3), "progress is 3; expected a function"),
    "nothing as listener": (lambda: WRONG.train(data="s", notify=None), "notify is None; expected a function"),
    "no processes": (lambda: tumorline.evaluate(RUN, "s", processes=0), "processes is 0; expected a whole number, 1"),
    "processes as text": (lambda: WRONG.evaluate(RUN, "s", processes="2"), "processes is '2'; expected a whole number"),
    "a number as cluster": (lambda: WRONG.evaluate(RUN, "s", ray=3), "ray is 3; expected 'HOST:PORT'"),
    "a flag as threads": (lambda: WRONG.load(RUN, threads=True), "threads is True; expected a whole number"),
    "a precision that is none": (lambda: tumorline.load(RUN, precision="Auto"), "did you mean 'auto'?"),
    "no input": (lambda: tumorline.predict("", RUN), "inputs: an empty text"),
    "no input among others": (lambda: tumorline.predict(["s", ""], RUN), "inputs: an empty text"),
    "no set": (lambda: tumorline.check(""), "source: an empty text"),
    "no data": (lambda: tumorline.train(data=""), "data: an empty text"),
    "an output without a name": (lambda: tumorline.predict("s", RUN, output=""), "output: an empty text"),
    "an evaluation without a name": (lambda: tumorline.evaluate(RUN, "s", output=""), "output: an empty text"),
    "a setting of the model": (
        lambda: tumorline.evaluate(RUN, "s", overrides=["model.threshold=0.1"]),
        "--set model.threshold=0.1: changes nothing here",
    ),
    "a study that is none": (lambda: WRONG.compare(["a", "b"], study="x"), "study is 'x'; known: leak"),
    "a list to view": (lambda: WRONG.view([[1, 2]]), "view: a list of list; give an array"),
    "nothing to view": (lambda: tumorline.view(np.zeros((0, 0))), "an array of the shape (1, 0, 0)"),
    "objects to view": (lambda: tumorline.view(np.zeros((8, 8), object)), "image: a ndarray; give an array"),
    "a list as outline": (lambda: WRONG.view(np.zeros((8, 8)), truth=[[0]]), "mask: a list; give a path"),
    "one side to view": (lambda: WRONG.view(np.zeros((8, 8)), spacing_mm=1), "spacing_mm is 1; expected a length"),
    "no side to view": (lambda: tumorline.view(np.zeros((8, 8)), spacing_mm=(np.nan, 1)), "spacing_mm is (nan, 1.0);"),
    "a fraction of patients": (lambda: WRONG.simulate("c", patients=np.float64(3)), "patients is 3.0; accepted"),
    "a tuple as grid": (lambda: WRONG.load(RUN).mask(np.ones((8, 8)), (1, 1)), "grid: a tuple; give a Grid"),
}


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set called `s`."""
    monkeypatch.chdir(tmp_path)
    PairFolder(tmp_path / "s")(patients=4, slices=1)


@pytest.mark.usefixtures("source")
@pytest.mark.parametrize("what", MISUSED)
def test_what_a_script_gets_wrong_is_one_line(what: str) -> None:
    call, said = MISUSED[what]
    with refused_in_one_line() as refused:
        call()
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("function", "keyword", "meant"),
    [("evaluate", "outpt", "output"), ("predict", "overwrit", "overwrite"), ("plan", "minuts", "minutes")],
)
def test_a_keyword_that_is_none_names_the_nearest(function: str, keyword: str, meant: str) -> None:
    said = rf"{function}\(\) got an unexpected keyword argument '{keyword}'; did you mean '{meant}'\?"
    with pytest.raises(TypeError, match=said):
        getattr(tumorline, function)("s", **{keyword: 1})


@pytest.mark.usefixtures("source")
def test_a_path_may_be_a_text() -> None:
    settings = tumorline.load_config(None).data
    assert len(tumorline.load_dataset("s", settings).cases) == 4
    assert tumorline.simulate("cohort", patients=3, slices=1) == Path("cohort")


@pytest.mark.usefixtures("source")
def test_one_model_and_one_set_need_no_list() -> None:
    matrix = tumorline.cross_evaluate(RUN, "s", output="matrix")
    assert [cell["set"] for cell in matrix["cells"]] == ["s"]


@pytest.mark.parametrize(
    ("words", "place"),
    [
        (["predict", ""], "INPUT"),
        (["predict", "s", "--output", ""], "--output"),
        (["evaluate", "--data", ""], "--data"),
        (["evaluate", "builtin", "--data="], "--data"),
        (["report", RUN, "--figures="], "--figures"),
    ],
)
def test_an_empty_word_is_not_the_current_folder(program: Program, words: list[str], place: str) -> None:
    said = f"error: {place}: an empty text, as a variable that is not set gives; give a path\n"
    assert program(*words) == (2, "", said)
    assert program("config", "show", "--set=model.start_from=").status == 0


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    numbers: dict[str, Any] = {"patients": np.int64(3), "slices": np.int8(1), "seed": np.uint8(2)}
    cohort = tumorline.simulate(tmp_path / "c", **numbers)
    assert (cohort / "simulated.json").is_file()


def test_a_model_outlives_the_folder_that_its_path_began_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(RUN.parent)
    model = tumorline.load("run")
    expected = tumorline.load("run").fingerprint
    monkeypatch.chdir(tmp_path)
    assert model.fingerprint == expected
    assert pickle.loads(pickle.dumps(model)).fingerprint == expected


@pytest.mark.usefixtures("source")
def test_a_stop_is_what_python_raises_and_leaves_what_was_done() -> None:
    def press(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="the same command goes on in out"):
        tumorline.predict("s", RUN, output="out", progress=press)
    assert len(tumorline.predict("s", RUN, output="out")) == 4
