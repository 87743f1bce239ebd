"""What can be known to be wrong from the arguments alone is said before anything heavy is imported."""

import difflib
import os
import re
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from tumorline.errors import UserError, did_you_mean
from tumorline.escaping import for_shell
from tumorline.file_names import CONFIG_NAME

NEAR = 0.75
MAY_BE_EMPTY = ("--ray", "--reference", "--token")
"""Options of which an empty text says "none"."""
WITHOUT_VALUE = re.compile(r"--[\w-]+=")
WEIGHTS = Path(__file__).parents[1] / "weights"


def require_paths(*paths: Path | None) -> None:
    """Raise UserError for a path where there is nothing."""
    for path in paths:
        if path is not None and not path.exists():
            raise UserError(f"{path}: no such file or folder")


def refuse_empty(words: Sequence[str]) -> None:
    """Raise UserError for an empty word where a path belongs: as one it would be the current folder."""
    for before, word in pairwise(["", *words]):
        option = before if not word else word[:-1] if WITHOUT_VALUE.fullmatch(word) else None
        if option is not None and option not in MAY_BE_EMPTY:
            place = option if option.startswith("-") else "INPUT"
            raise UserError(f"{place}: an empty text, as a variable that is not set gives; give a path")


def require_sources(sources: Iterable[str]) -> None:
    """The same for sources with settings after commas."""
    for text in sources:
        if not os.path.exists(text):  # of a text too long for a name Path raises
            require_paths(Path(re.split(r",(?=[\w.]+=)", text, maxsplit=1)[0]))


def require_models(models: Iterable[Path]) -> None:
    """Raise UserError for what is neither a model that comes with the package nor there."""
    for model in models:
        if not model.exists() and not (WEIGHTS / f"{model}.safetensors").is_file():
            from tumorline.model_file import find_model

            find_model(model)


def require_computing(precision: str, runtime: str) -> None:
    """Raise UserError for what is no precision or no runtime."""
    from tumorline.runtime import PRECISIONS, QUANTISED, RUNTIMES

    precisions = (*PRECISIONS, QUANTISED, "auto")
    for name, chosen, choices in (("precision", precision, precisions), ("runtime", runtime, RUNTIMES)):
        if chosen not in choices:
            raise UserError(f"--{name} is '{chosen}'; {did_you_mean(chosen, choices)}")


def require_run(run: Path) -> None:
    """Raise UserError where there is no run folder."""
    if not (run / CONFIG_NAME).is_file():
        problem = "not a run folder (no config.toml)" if run.is_dir() else "no such folder"
        raise UserError(f"{run}: {problem}; runs are made by 'tumorline train', and 'tumorline runs' lists them")


def as_key(error: Any) -> str:
    """The one line for an option that is none but a key of the configuration; empty for all other mistakes.

    `error` is typer's own.
    """
    command = getattr(error.ctx, "command", None)
    if type(error).__name__ != "NoSuchOption" or command is None:
        return ""
    options = [text for parameter in command.params for text in parameter.opts]
    if "--set" not in options:
        return ""
    option = str(error.option_name)
    if difflib.get_close_matches(option, options, n=1, cutoff=NEAR):
        return ""
    from tumorline.config.reference import every_key, keys_meant

    keys = [key.name for key in keys_meant(option.lstrip("-").replace("-", "_"), every_key())]
    value = _value_of(option, sys.argv)
    settings = ", or ".join(f"--set {for_shell(f'{key}={value}')}" for key in keys)
    return f"{command.name} has no option {option}; a key of the configuration is set with {settings}" if keys else ""


def _value_of(option: str, arguments: Sequence[str]) -> str:
    """What was given with an option; VALUE where that cannot be told."""
    for position, argument in enumerate(arguments):
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
        if argument == option and position + 1 < len(arguments) and not arguments[position + 1].startswith("--"):
            return arguments[position + 1]
    return "VALUE"
