"""Keep a benchmark's leaderboard and what its finished cells are ranked by, write it into its page, and bring it back.

    python benchmarks/leaderboard.py runs/decoders benchmarks/decoders.md              # keep
    python benchmarks/leaderboard.py runs/decoders benchmarks/decoders.md --restore    # on another machine, to go on

The tables go between the markers of the Markdown file; `leaderboard.json`, the picture, and of each cell what it was
trained with, how it went and what it scored to benchmarks/results/<name of the Markdown>/. Pictures of cases and
weights stay where they are: a cell that was brought back is finished and ranked, but has no inference speed. Rates that
validation has to choose between are trained again.
"""

import argparse
import gzip
import shutil
from pathlib import Path

from kept import LAST, leave_paths_out, mark_as_brought_back
from marked import write_marked

RESULTS = Path(__file__).parent / "results"
KEPT = ("leaderboard.json", "pareto.svg")
KEPT_OF_CELLS = ("config.toml", "history.csv")
SCORES = ("environment.json", "evaluation.csv", "split.csv", "summary.json")
"""Of a finished cell, compressed: hundreds of rows each."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("page", type=Path)
    parser.add_argument("--restore", action="store_true", help="finished cells of the page, into the folder")
    given = parser.parse_args()
    kept = RESULTS / given.page.stem
    if given.restore:
        restore(kept, given.folder / "cells")
    else:
        keep(given.folder, kept)
        board = (given.folder / "leaderboard.md").read_text().strip()
        write_marked(given.page, board, title=given.page.stem.replace("_", " ").capitalize())


def keep(folder: Path, kept: Path) -> None:
    kept.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, kept / name)
    for config in sorted((folder / "cells").rglob("config.toml")):
        keep_cell(config.parent, kept / config.parent.relative_to(folder / "cells"))


def keep_cell(cell: Path, kept: Path) -> None:
    """The text files of a cell, without the paths of the machine it ran on."""
    kept.mkdir(parents=True, exist_ok=True)
    for name in KEPT_OF_CELLS:
        if (cell / name).is_file():
            shutil.copyfile(cell / name, kept / name)
    leave_paths_out(kept / "config.toml")
    if (cell / LAST).is_file():
        for name in SCORES:
            (kept / f"{name}.gz").write_bytes(gzip.compress((cell / name).read_bytes(), mtime=0))


def restore(kept: Path, cells: Path) -> None:
    """Finished cells that are not there yet."""
    for scores in sorted(kept.rglob(f"{SCORES[0]}.gz")):
        cell = cells / scores.parent.relative_to(kept)
        if cell.exists():
            continue
        cell.mkdir(parents=True)
        for name in KEPT_OF_CELLS:
            shutil.copyfile(scores.parent / name, cell / name)
        for name in SCORES:
            (cell / name).write_bytes(gzip.decompress((scores.parent / f"{name}.gz").read_bytes()))
        mark_as_brought_back(cell)


if __name__ == "__main__":
    main()
