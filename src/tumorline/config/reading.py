"""A TOML file and what is set on the command line become a configuration."""

import copy
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tumorline.config.mistakes import explain
from tumorline.config.run import Config
from tumorline.errors import UserError
from tumorline.given_paths import as_path, as_texts
from tumorline.user_text import TomlTable, parse_user_toml, read_user_text

NAMES = ("data.channels", "data.regions", "data.leave_out")
"""Keys whose values are names, even where they look like numbers."""


def load_config(path: Path | str | None, overrides: Iterable[str] = ()) -> Config:
    """Read a TOML file and apply overrides.

    Args:
        path: The file; None takes all defaults.
        overrides: 'section.key=value' texts, as `--set` of the command line.

    Returns:
        The `Config`, whose values are within their ranges.

    Raises:
        UserError: For a missing file, broken TOML, an unknown key (with the nearest name) or a value out of range.

    Example:
        >>> tumorline.load_config(None, ["train.epochs=3"]).train.epochs
        3
    """
    values = {} if path is None else read_toml(as_path(path, "config"))
    where = "the command line" if path is None else str(path)
    changed = copy.deepcopy(values)
    for override in as_texts(overrides, "overrides"):
        apply_override(changed, override)
    try:
        return parse_config(changed, where)
    except UserError:
        parse_config(values, where)
    return parse_config(changed, "--set")  # which is wrong, since the file by itself is not


def parse_config(values: Mapping[str, object], where: str) -> Config:
    """Check a nested dictionary; `where` names its origin in error messages."""
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: {explain(error, Config)}") from None


def read_toml(path: Path) -> TomlTable:
    """The content of a TOML file. Raises UserError where it cannot be read."""
    text = read_user_text(path)
    try:
        return parse_user_toml(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not a valid TOML file ({error})") from None


def apply_override(values: TomlTable, override: str) -> None:
    """Set the key that `section.key=value` names in a nested dictionary."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise UserError(f"--set {override}: expected section.key=value, for example train.epochs=20")
    key, text = key.strip(), text.strip()
    is_written = key in NAMES and not text.startswith(("[", '"', "'"))
    set_key(values, key, text if is_written else parse_value(text), f"--set {override}")


def set_key(values: TomlTable, key: str, value: object, where: str) -> None:
    """Put a value at `section.key` of a nested dictionary; `where` names the origin in the error message."""
    *sections, last = key.split(".")
    for section in sections:
        values = values.setdefault(section, {})
        if not isinstance(values, dict):
            raise UserError(f"{where}: '{section}' is a value, not a section")
    values[last] = value


def parse_value(text: str) -> Any:
    """A TOML value where the text is one, a plain string otherwise (so that quotes may be left out)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text
