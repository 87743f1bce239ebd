"""Keep a benchmark's leaderboard, and the configurations and histories of its cells, and write it into its page.

    python benchmarks/leaderboard.py runs/architectures benchmarks/architectures.md

The tables go between the markers of the Markdown file, `leaderboard.json`, the picture, and of each cell what it was
trained with and how it went to benchmarks/results/<name of the Markdown>/. Pictures of cases stay where they are.
"""

import shutil
import sys
from pathlib import Path

from table import BEGIN, END

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
    text = page.read_text() if page.exists() else f"# {page.stem.replace('_', ' ').capitalize()}\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    board = (folder / "leaderboard.md").read_text().strip()
    page.write_text(f"{before}{BEGIN}\n{board}\n{END}{after}")


def keep_cell(cell: Path, target: Path) -> None:
    """The small text files of a cell, without the paths of the machine it ran on."""
    target.mkdir(parents=True, exist_ok=True)
    for name in KEPT_OF_CELLS:
        if (cell / name).is_file():
            shutil.copyfile(cell / name, target / name)
    lines = (target / "config.toml").read_text().splitlines(keepends=True)
    (target / "config.toml").write_text("".join(line for line in lines if not line.startswith(("source", "cache"))))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
