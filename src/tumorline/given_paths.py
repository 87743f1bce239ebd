"""Paths as a script gives them: a text or a path, one or several."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tumorline.errors import UserError


def as_path(given: Any, what: str) -> Path:
    """Raises UserError for what is no path."""
    if not isinstance(given, str | os.PathLike):
        raise UserError(f"{what}: a {type(given).__name__}; give a path")
    return Path(given)


def as_paths(given: Any, what: str) -> list[Path]:
    """Several paths, or one by itself. Raises UserError for what is none."""
    if isinstance(given, str | os.PathLike) or not isinstance(given, Iterable):
        return [as_path(given, what)]
    return [as_path(one, what) for one in given]
