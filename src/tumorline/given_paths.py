"""Paths and texts as a script gives them, one or several; what is neither is refused in one line."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tumorline.errors import UserError


def as_path(given: Any, what: str) -> Path:
    """Raises UserError for what is no path, and for an empty text, which would be the current folder."""
    if not isinstance(given, str | os.PathLike):
        raise UserError(f"{what}: a {type(given).__name__}; give a path")
    if given == "":
        raise UserError(f"{what}: an empty text, as a variable that is not set gives; give a path, '.' for this folder")
    return Path(given)


def as_path_or_none(given: Any, what: str) -> Path | None:
    """As `as_path`, None where nothing is given."""
    return None if given is None else as_path(given, what)


def as_paths(given: Any, what: str) -> list[Path]:
    """Several paths, or one by itself. Raises UserError for what is none."""
    return [as_path(one, what) for one in _several(given)]


def as_sources(given: Any, what: str) -> list[str]:
    """As `as_paths`, each as it is written, since settings may follow a path after commas."""
    return [one if one and isinstance(one, str) else str(as_path(one, what)) for one in _several(given)]


def as_texts(given: Any, what: str) -> list[str]:
    """Several texts. Raises UserError for anything else, one by itself too, which would be read letter by letter."""
    texts = _several(given)
    if isinstance(given, str) or not all(isinstance(text, str) for text in texts):
        raise UserError(f"{what}: {given!r:.80}; give a list of texts")
    return texts


def _several(given: Any) -> list[Any]:
    return [*given] if isinstance(given, Iterable) and not isinstance(given, str | os.PathLike) else [given]
