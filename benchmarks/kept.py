"""Runs of which only text was kept: it says nothing of the machine they ran on, and counts as finished elsewhere."""

import re
from pathlib import Path

PATHS = ("source", "cache")
SOURCE_PATH = re.compile(r'^(path = ").*/', re.MULTILINE)
"""Of one of several sources, up to the name of its folder."""


LAST = "report.html"
"""What a run writes last; of one that was brought back it says where the rows are from."""
BROUGHT_BACK = "<!doctype html><title>Kept</title><p>The rows of this run were kept, its pictures and weights not.\n"


def mark_as_brought_back(run: Path) -> None:
    (run / LAST).write_text(BROUGHT_BACK)


def leave_paths_out(config: Path, *more: str) -> None:
    """Rewrite a config.toml without the lines that begin with `PATHS` or more keys, and sources by name alone."""
    lines = config.read_text().splitlines(keepends=True)
    kept = "".join(line for line in lines if not line.startswith((*PATHS, *more)))
    config.write_text(SOURCE_PATH.sub(r"\1", kept))
