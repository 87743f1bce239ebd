"""Keep a benchmark's leaderboard, and the configurations and histories of its cells, and write it into its page.

    python benchmarks/leaderboard.py runs/architectures benchmarks/architectures.md

The tables go between the markers of the Markdown file, `leaderboard.json`, the picture, and of each cell what it was
trained with and how it went to benchmarks/results/<name of the Markdown>/. Pictures of cases stay where they are.
"""

import shutil
import sys
from pathlib import Path

from kept import leave_paths_out
from marked import write_marked

RESULTS = Path(__file__).parent / "results"
KEPT = ("leaderboard.json", "pareto.svg")
KEPT_OF_CELLS = ("config.toml", "history.csv")


def main(folder: Path, page: Path) -> None:
    target = RESULTS / page.stem
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    for config in sorted((folder / "cells").rglob("config.toml")):
        keep_cell(config.parent, target / config.parent.relative_to(folder / "cells"))
    board = (folder / "leaderboard.md").read_text().strip()
    write_marked(page, board, title=page.stem.replace("_", " ").capitalize())


def keep_cell(cell: Path, target: Path) -> None:
    """The small text files of a cell, without the paths of the machine it ran on."""
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT_OF_CELLS:
        if (cell / name).is_file():
            shutil.copyfile(cell / name, target / name)
    leave_paths_out(target / "config.toml")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
