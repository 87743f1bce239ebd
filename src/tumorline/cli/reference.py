"""The pages `docs/commands.md` and `docs/configuration.md`, made from the commands and from the typed sections.

`python -m tumorline.cli.reference docs` writes them; tests hold them to what the program does.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

from tumorline.cli import app
from tumorline.cli.printing import say
from tumorline.config.reference import Key, every_key, sections
from tumorline.files import write_text
from tumorline.recipe_files import KINDS, RECIPES, recipe_names, what_it_is

COMMANDS_HEAD = """\
# Commands

Made from the program by `make docs`; what `tumorline COMMAND --help` says. Results go to standard output, progress
and warnings to standard error. Exit status 2 means that something you gave cannot be used (one line says what), 130
that the command was stopped, 1 that standard output took no more.

**Completion.** `tumorline --install-completion` has the Tab key offer commands, options, recipes, keys for `--set` and
models in bash, zsh, fish and PowerShell; it adds a line to your shell's start file. `tumorline --show-completion`
prints what it would add.
"""

CONFIGURATION_HEAD = """\
# Configuration

Made from the program by `make docs`. One TOML file is one run; every key has a default, so that a file holds what it
changes. `--set section.key=value` goes before the file. An unknown key is refused with the nearest name.

    tumorline config init lite0 -o mine.toml      # a file to edit: every key with what it means
    tumorline config show lite0                   # all of a recipe, a file or a run, defaults included
    tumorline config explain schedule             # one key
    tumorline train lite0 --set train.epochs=3    # a recipe by name, and one key changed
"""


def commands_page() -> str:
    return "\n".join([COMMANDS_HEAD, *_of_command(typer.main.get_command(app), "tumorline")]).rstrip() + "\n"


def configuration_page() -> str:
    from tumorline.benchmarking.plan import BenchmarkPlan
    from tumorline.tuning.plan import TuneConfig

    lines = [CONFIGURATION_HEAD, *_recipe_table(), "## Keys of a run", ""]
    lines += _of_sections(every_key(of_lists=True), sections())
    lines += [
        "## Keys of a search",
        "",
        "Beside those of a run, which are the recipe that is varied: `tumorline tune`.",
        "",
    ]
    lines += _of_sections(every_key(TuneConfig, "tune"), {"tune": "What is searched, and for how long."})
    lines += [
        "## Keys of a benchmark",
        "",
        "A file of its own, whose `recipe` holds keys of a run: `tumorline benchmark`.",
        "",
    ]
    lines += _key_table(every_key(BenchmarkPlan))
    return "\n".join(lines).rstrip() + "\n"


def _recipe_table() -> Iterator[str]:
    yield from ("## Recipes by name", "", "| recipe | for | what |", "|---|---|---|")
    for kind, commands in KINDS.items():
        for name in recipe_names(kind):
            yield f"| `{name}` | {commands} | {_cell_text(what_it_is(RECIPES / kind / f'{name}.toml'))} |"
    yield ""


def _of_sections(keys: list[Key], described: dict[str, str]) -> Iterator[str]:
    for section, members in groupby(keys, lambda key: key.section):
        if section:
            yield from (f"### {f'[[{section[:-2]}]]' if section.endswith('[]') else f'[{section}]'}", "")
        yield from (described.get(section, ""), "")
        yield from _key_table(list(members))


def _key_table(keys: list[Key]) -> Iterator[str]:
    yield from ("| key | default | accepts | meaning |", "|---|---|---|---|")
    for key in keys:
        default = (
            "*has to be given*" if key.needed else "*left out*" if key.default is None else f"`{key.shown_default}`"
        )
        yield f"| `{key.last}` | {default} | {_cell_text(key.accepts)} | {_cell_text(key.meaning)} |"
    yield ""


def _cell_text(text: str) -> str:
    return text.replace("|", "\\|")


def _of_command(command: Any, name: str) -> Iterator[str]:
    """Heading, usage, text and options of a command, then those of its own commands."""
    yield from (f"## {name}", "", f"    {_usage_line(command, name)}", "")
    yield from (_one_line_paragraphs(command.help), "")
    yield from _parameters(command)
    for inner in getattr(command, "commands", {}).values():
        yield from _of_command(inner, f"{name} {inner.name}")


def _usage_line(command: Any, name: str) -> str:
    arguments = [_argument_name(parameter) for parameter in command.params if parameter.param_type_name == "argument"]
    inner = ["COMMAND"] if hasattr(command, "commands") else []
    return " ".join([name, "[OPTIONS]", *inner, *arguments])


def _argument_name(parameter: Any) -> str:
    name = f"{parameter.metavar or parameter.name.upper()}{'...' if parameter.nargs == -1 else ''}"
    return name if parameter.required else f"[{name}]"


def _parameters(command: Any) -> Iterator[str]:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    if not shown:
        return
    kinds = get_type_hints(command.callback) if command.callback else {}
    yield from ("| | |", "|---|---|")
    for parameter in shown:
        name = _declaration(parameter, kinds.get(parameter.name))
        meaning = _one_line_paragraphs(getattr(parameter, "help", None)) + _stated_default(parameter)
        yield f"| `{_cell_text(name)}` | {_cell_text(meaning).strip()} |"
    yield ""


def _declaration(parameter: Any, kind: Any) -> str:
    if parameter.param_type_name == "argument":
        return _argument_name(parameter).strip("[]")
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    return names if parameter.is_flag else f"{names} {parameter.metavar or _kind_name(kind)}"


def _kind_name(kind: Any) -> str:
    """N of `int | None`, PATH of `Path`; other releases of typer have other words."""
    return next((name for candidate, name in KIND_NAMES.items() if candidate in (kind, *get_args(kind))), "TEXT")


KIND_NAMES: dict[Any, str] = {int: "N", float: "X", Path: "PATH", list[int]: "N"}


def _stated_default(parameter: Any) -> str:
    default = parameter.default
    is_stated = parameter.param_type_name == "option" and not parameter.is_flag and default not in (None, "", [])
    return f" Default: `{default}`." if is_stated and not callable(default) else ""


def _one_line_paragraphs(text: str | None) -> str:
    """Paragraphs as one line each."""
    paragraphs = (text or "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


PAGES = {"commands.md": commands_page, "configuration.md": configuration_page}


def write_pages(folder: Path) -> None:
    for name, page in PAGES.items():
        write_text(folder / name, page())
        say(folder / name)


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
