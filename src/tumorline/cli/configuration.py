"""Commands about configurations: config init, show, explain."""

import tomllib
from pathlib import Path
from typing import Annotated

import typer

from tumorline.cli.completion import complete_key_names, complete_recipes
from tumorline.cli.options import AsJson, Overrides
from tumorline.cli.printing import note, print_json, print_table, say
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.file_names import CONFIG_NAME

INIT_NAME = "tumorline.toml"
Begun = Annotated[
    str | None,
    typer.Argument(
        metavar="RECIPE", help="Whose values to begin with; else all defaults.", autocompletion=complete_recipes
    ),
]
Shown = Annotated[
    str | None,
    typer.Argument(metavar="RECIPE", help="Name, TOML file or run folder.", autocompletion=complete_recipes),
]


def init(
    recipe: Begun = None,
    overrides: Overrides = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="File to write; none is replaced.")] = Path(INIT_NAME),
) -> None:
    """Write a configuration to edit: every key with what it means; those at their defaults are commented out."""
    from tumorline.config import load_config
    from tumorline.config.as_text import as_template
    from tumorline.files import write_text
    from tumorline.recipe_files import find_recipe

    if output.exists():
        raise UserError(f"{output}: exists already; choose another --output")
    write_text(output, as_template(load_config(find_recipe(recipe) if recipe else None, overrides or ())))
    say(output)
    note(f"edit it, then: tumorline train {for_shell(output)} --data SOURCE")


def show(recipe: Shown = None, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print all of a recipe, of a TOML file or of a run, defaults included; without one list the recipes by name."""
    if recipe is None and not overrides:
        _list_recipes(as_json)
        return
    from tumorline.config import load_config
    from tumorline.config.as_text import as_resolved
    from tumorline.recipe_files import find_recipe, other_recipe

    if plan := other_recipe(recipe or ""):
        _show_plan(plan, bool(overrides), as_json)
        return
    run = Path(recipe or "") / CONFIG_NAME
    path = run if run.is_file() else find_recipe(recipe) if recipe else None
    config = load_config(path, overrides or ())
    if as_json:
        print_json(config.model_dump(mode="json"))
        return
    _say_lines(as_resolved(config))


def _show_plan(plan: Path, overridden: bool, as_json: bool) -> None:
    """Of a benchmark or a search, which is more than a configuration."""
    if overridden:
        raise UserError(f"--set is for recipes of trainings, and {plan.stem} is a plan of several; edit a copy of it")
    text = plan.read_text(encoding="utf-8")
    if as_json:
        print_json(tomllib.loads(text))
    else:
        _say_lines(text)


def _say_lines(text: str) -> None:
    for line in text.splitlines():
        say(line)


def explain(
    key: Annotated[
        str | None,
        typer.Argument(metavar="KEY", help="Key, section, or last part of a key.", autocompletion=complete_key_names),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say what a key of the configuration means, what it takes and what it is without it; without KEY list all."""
    from tumorline.config.reference import every_key, find_keys

    keys = find_keys(key, every_key(of_lists=True)) if key else every_key()
    if as_json:
        print_json(
            [
                {"key": one.name, "accepts": one.accepts, "default": one.shown_default, "meaning": one.meaning}
                for one in keys
            ]
        )
    elif key is None:
        print_table([{"key": one.name, "default": one.shown_default, "accepts": one.accepts} for one in keys])
    else:
        for number, one in enumerate(keys):
            if number:
                say()
            say(f"{one.name} = {one.shown_default}")
            say(f"  accepts  {one.accepts}")
            say(f"  means    {one.meaning}")


def _list_recipes(as_json: bool) -> None:
    from tumorline.recipe_files import KINDS, RECIPES, recipe_names, what_it_is

    rows = [
        {"recipe": name, "for": commands, "what": what_it_is(RECIPES / kind / f"{name}.toml")}
        for kind, commands in KINDS.items()
        for name in recipe_names(kind)
    ]
    if as_json:
        print_json(rows)
    else:
        print_table(rows)
