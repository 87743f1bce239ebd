"""Recipes: TOML files that a user wrote, and those that travel with the package and are known by name."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tumorline.config import Config, load_config
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.given_paths import as_path, as_sources
from tumorline.source_spec import with_data

Data = Path | str | Sequence[Path | str] | None
"""A source, with settings of its own after commas (`lgg,channel=flair`), or several that train together."""

RECIPES = Path(__file__).with_name("recipes")
DEMO = RECIPES / "demo.toml"
KINDS = {"": "train, folds", "tune": "tune", "benchmark": "benchmark"}
"""Folders of recipes, each with the commands that take them."""


def recipe_names(kind: str = "") -> list[str]:
    """Of trainings, or of another kind of file: 'tune', 'benchmark'."""
    return sorted(path.stem for path in (RECIPES / kind).glob("*.toml"))


def find_recipe(given: Path | str, kind: str = "") -> Path:
    """The file that a path or the name of a recipe stands for; a file of the user's goes before a name.

    Raises UserError for a folder, and for a single word that is neither a file nor a name.
    """
    path, names = as_path(given, "config"), recipe_names(kind)
    if not path.is_file() and str(given) in names:
        return RECIPES / kind / f"{given}.toml"
    if path.is_dir():
        raise UserError(f"{given}: a folder; expected a file of TOML. Data are given with --data {for_shell(given)}")
    if not path.exists() and path.stem in names and path.name != str(given):
        raise UserError(
            f"{given}: no such file; the recipe that comes with the package is '{path.stem}', without a path"
        )
    if not path.exists() and path.name == str(given):
        near = difflib.get_close_matches(path.stem, names, n=1)
        said = f"did you mean '{near[0]}'?" if near else f"recipes: {', '.join(names)}"
        raise UserError(f"{given}: no such file, and no recipe of this name; {said}")
    return path


def other_recipe(name: str) -> Path | None:
    """A search or a benchmark's plan that comes with the package, where no file and no training is called so.

    One that shares its name with a training is found with its kind: `tune/lite0`.
    """
    if Path(name).exists() or name in recipe_names():
        return None
    found = (RECIPES / kind / f"{name.removeprefix(f'{kind}/')}.toml" for kind in KINDS if kind)
    return next((path for path in found if name and path.is_file()), None)


def what_it_is(recipe: Path) -> str:
    """The first line of a recipe that comes with the package: what it is."""
    return recipe.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")


def read_recipe(given: Path | str | None, data: Data = None, overrides: Iterable[str] = ()) -> Config:
    """A recipe with the data and overrides applied; None is the demo, or all defaults where data is given."""
    if given is None and data is None:
        given = DEMO
    config = load_config(None if given is None else find_recipe(given), overrides)
    return config if data is None else with_data(config, as_sources(data, "data"))
