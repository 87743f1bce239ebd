"""What is kept of a run beside its figures says nothing of the machine that it ran on."""

import re
from pathlib import Path

PATHS = ("source", "cache")
SOURCE_PATH = re.compile(r'^(path = ").*/', re.MULTILINE)
"""Of one of several sources, up to the name of its folder."""


def leave_paths_out(config: Path, *more: str) -> None:
    """Rewrite a config.toml without the lines that begin with `PATHS` or more keys, and sources by name alone."""
    lines = config.read_text().splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith((*PATHS, *more)))
    config.write_text(SOURCE_PATH.sub(r"\1", kept))
