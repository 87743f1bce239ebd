"""The pages that are made from the program, and what the configuration's commands say."""

import json
import tomllib
from pathlib import Path

import pytest

from tests.conftest import Program
from tumorline.benchmarking.plan import BenchmarkPlan
from tumorline.cli.reference import PAGES
from tumorline.config import Config, LossTerm, load_config
from tumorline.config.as_text import as_resolved, as_template
from tumorline.config.reference import every_key, keys_meant, sections
from tumorline.errors import UserError
from tumorline.inference.model import load
from tumorline.recipe_files import KINDS, RECIPES, find_recipe, recipe_names, what_it_is
from tumorline.tuning.plan import TuneConfig

ROOT = Path(__file__).parents[1]
EVERY_RECIPE = [(kind, name) for kind in KINDS for name in recipe_names(kind)]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_the_program_says(name: str) -> None:
    written = (ROOT / "docs" / name).read_text(encoding="utf-8")
    assert written == PAGES[name](), f"docs/{name} is out of date: make docs"


@pytest.mark.parametrize("columns", ["40", "400"])
def test_a_page_does_not_depend_on_the_terminal(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("TERMINAL_WIDTH", columns)
    assert PAGES["commands.md"]() == (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


def test_every_command_and_option_has_words() -> None:
    lines = PAGES["commands.md"]().splitlines()
    assert [line for line in lines if line.startswith("| `") and line.split(" | ")[1].strip(" |") == ""] == []


def test_every_command_that_takes_output_takes_o() -> None:
    lines = PAGES["commands.md"]().splitlines()
    assert [line for line in lines if line.startswith("| `--output") and " -o " not in line] == []


@pytest.mark.parametrize("kind", [Config, TuneConfig, BenchmarkPlan, LossTerm])
def test_every_key_says_what_it_means(kind: type[Config]) -> None:
    assert [key.name for key in every_key(kind, of_lists=True) if not key.meaning] == []


def test_every_section_says_what_it_is_about() -> None:
    assert [name for name, text in sections().items() if not text] == []


def test_keys_have_types_limits_and_defaults_in_words() -> None:
    keys = {key.name: (key.accepts, key.shown_default) for key in every_key()}
    assert keys["train.epochs"] == ("whole number, 1 or more", "16")
    assert keys["train.learning_rate"] == ("number, above 0", "0.002")
    assert keys["split.leak"] == ("number, 0 to below 1", "0.0")
    assert keys["model.threshold"] == ('"validation" or number, above 0 to below 1', '"validation"')
    assert keys["augment.flips"] == ('true or false or "horizontal" or "vertical"', "true")
    assert keys["data.window"] == ("list of 3: whole number, 8 to 512", "left out")
    inner = {key.name: key.shown_default for key in every_key(of_lists=True)}
    assert (inner["loss.sum[].weight"], "loss.sum[].weight" in keys) == ("1.0", False)
    assert keys["loss.sum"] == ("list: table { name, options, weight }", "[]")
    assert keys["model.postprocessing.smallest_ml"][0] == "table of names, each with number, 0 or more"


@pytest.mark.parametrize(("kind", "name"), EVERY_RECIPE)
def test_a_recipe_begins_with_a_sentence_about_itself(kind: str, name: str) -> None:
    line = what_it_is(RECIPES / kind / f"{name}.toml")
    assert line[0].isupper()
    assert line.endswith((".", "?", "]'", "d", ")")), line
    assert len(line) < 130


def test_all_recipes_travel_in_the_wheel() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["tumorline"]
    packed = {path for pattern in patterns for path in RECIPES.parent.glob(pattern)}
    assert {RECIPES / kind / f"{name}.toml" for kind, name in EVERY_RECIPE} <= packed
    assert find_recipe("lite0").samefile(ROOT / "configs" / "lite0.toml")
    assert find_recipe("boundary", "benchmark").samefile(ROOT / "benchmarks" / "plans" / "boundary.toml")


@pytest.mark.parametrize("name", recipe_names())
def test_a_recipe_is_the_same_as_it_is_shown_and_as_a_file_to_edit(name: str) -> None:
    config = load_config(find_recipe(name))
    assert Config.model_validate(tomllib.loads(as_resolved(config))) == config
    assert Config.model_validate(tomllib.loads(as_template(config))) == config


def test_a_file_to_edit_holds_every_key_in_place() -> None:
    text = as_template(load_config(None))
    assert tomllib.loads(text) == {section: {} for section in ("data", "split", "loss", "augment", "train")} | {
        "model": {"postprocessing": {}}
    }
    active = "\n".join(
        line.removeprefix("# ") if " = " in line and line[2:].split(" = ")[0].isidentifier() else line
        for line in text.splitlines()
    )
    assert Config.model_validate(tomllib.loads(active)) == Config()


def test_a_file_of_the_users_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lite0").mkdir()
    assert find_recipe("lite0") == RECIPES / "lite0.toml"
    (tmp_path / "demo").write_text("name = 'mine'\n")
    assert find_recipe("demo") == Path("demo")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("litte0", r"litte0: no such file, and no recipe of this name; did you mean 'lite0'\?"),
        ("lite0.toml", r"lite0\.toml: no such file.*did you mean 'lite0'\?"),
        (
            "configs/lite0.toml",
            r"configs/lite0\.toml: no such file; the recipe that comes .* is 'lite0', without a path",
        ),
        ("xyzzy", r"xyzzy: no such file.*recipes: brats_25d, "),
        ("folder", r"folder: a folder; .* Data are given with --data folder"),
    ],
)
def test_what_is_no_recipe_is_said(given: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match=said):
        find_recipe(given)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("epochs", ["train.epochs"]),
        ("epoch", ["train.epochs"]),
        ("lr", ["train.learning_rate"]),
        ("learning_rate", ["train.learning_rate"]),
        ("seed", ["seed", "split.seed"]),
        ("batch", ["train.batch_size"]),
        ("learnign_rate", ["train.learning_rate"]),
        ("xyzzy", []),
    ],
)
def test_a_word_means_a_key(word: str, meant: list[str]) -> None:
    assert [key.name for key in keys_meant(word, every_key())] == meant


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["train", "--epochs", "3"],
            "no option --epochs; a key of the configuration is set with --set train.epochs=3\n",
        ),
        (["folds", "lite0", "--batch-size=8"], "--set train.batch_size=8"),
        (["train", "--lr"], "--set train.learning_rate=VALUE"),
        (["data", "check", ".", "--spacing-mm", "1"], "--set data.spacing_mm=1"),
        (["train", "--seed", "4"], "--set seed=4, or --set split.seed=4"),
    ],
)
def test_an_option_that_is_a_key_is_answered_with_what_to_write(
    arguments: list[str], said: str, program: Program
) -> None:
    status, _, error = program(*arguments)
    assert status == 2
    assert said in error
    assert error.count("\n") == 1


def test_other_options_are_left_to_the_parser(program: Program) -> None:
    assert "No such option: --outptu" in program("train", "--outptu", "x").err
    assert "No such option: --epochs" in program("export", "model", "--epochs", "3").err


def test_the_short_options(program: Program) -> None:
    assert program("--version").out.startswith("tumorline 0.")
    assert program("data", "check", "-h").out.startswith("Usage: ")
    assert "-o" in program("predict", "-h").out


def test_init_writes_a_file_and_replaces_none(program: Program, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    assert program("config", "init", "lite0", "-o", path).status == 0
    assert load_config(path) == load_config(find_recipe("lite0"))
    assert "already" in program("config", "init", "-o", path).err


def test_show_marks_what_is_no_default(program: Program) -> None:
    shown = program("config", "show", "lite0", "--set", "train.patience=3").out.splitlines()
    assert "epochs = 12  # default: 16" in shown
    assert "patience = 3  # default: 0" in shown
    assert "batch_size = 16" in shown
    assert program("config", "show").out.splitlines()[0] == "recipe\tfor\twhat"
    for name in ("architectures", "tune/lite0"):
        assert program("config", "show", name).out.startswith("# ")
        assert json.loads(program("config", "show", name, "--json").out)["recipe"]
        refused = program("config", "show", name, "--set", "seed=1")
        assert (refused.status, "is a plan of several; edit a copy of it" in refused.err) == (2, True)
    assert "epochs = 6  # default: 16" in program("config", "show", ROOT / "tests" / "frozen" / "0.1.0" / "run").out


def test_explain_says_what_a_key_takes(program: Program) -> None:
    assert program("config", "explain", "lr").out.startswith(
        "train.learning_rate = 0.002\n  accepts  number, above 0\n"
    )
    assert program("config", "explain", "split").out.count("  accepts  ") == len(
        [key for key in every_key() if key.section == "split"]
    )
    assert program("config", "explain", "schedul").out.startswith("train.schedule = ")
    assert program("config", "explain", "xyzzy").status == 2


@pytest.mark.parametrize(
    ("arguments", "offered"),
    [
        ("train li", "lite0"),
        ("train --set train.ep", "train.epochs="),
        ("tune l", "lite0"),
        ("benchmark arch", "architectures"),
        ("evaluate buil", "builtin"),
        ("config explain train.pat", "train.patience"),
    ],
)
def test_the_shell_is_offered_names(
    arguments: str, offered: str, program: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = f"tumorline {arguments}"
    monkeypatch.setenv("_TUMORLINE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", words)
    monkeypatch.setenv("COMP_CWORD", str(len(words.split()) - 1))
    assert offered in program().out.splitlines()


def test_the_recipe_for_own_patients_goes_on_from_the_network_that_comes_with_the_package() -> None:
    recipe, builtin = load_config(find_recipe("own_patients")), load("builtin").info
    assert recipe.model.start_from == "builtin"
    assert recipe.model.name == builtin.architecture.name
    ours, its = recipe.model.options, builtin.architecture.options
    assert {**ours, "weights": ""} == {**its, "weights": ""}
    assert recipe.data.image_size == builtin.image_size
