"""Results of version 0.1.0, whose folders have no journal: known by their names, their table and their times."""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from tumorline.files import read_csv
from tumorline.output.journal import Journal, files_below, hash_file

TABLES = {"evaluate": ("evaluation.csv", "summary.json"), "predict": ("predictions.csv", "predictions.json")}
FURTHER = {"evaluate": ("certainty.csv", "baselines.csv", "stress.csv", "report.html"), "predict": ()}
AFTERWARDS_S = 60.0
"""What was changed longer after the table was written than this is the user's own."""


def read_first_version(folder: Path) -> Journal | None:
    """A journal such as 0.1.0 would have left of its results; None where the folder holds none.

    It lists what the table names and what goes with it; anything else, and a mask that was corrected, is the user's.
    """
    for command, names in TABLES.items():
        if all((folder / name).is_file() for name in names):
            journal = Journal(command, complete=True)
            with suppress(OSError, ValueError):
                for path in _written_then(folder, names[0], (*names, *FURTHER[command])):
                    journal.hashes[path.relative_to(folder).as_posix()] = {hash_file(path)}
            return journal
    return None


def _written_then(folder: Path, table: str, names: Iterable[str]) -> list[Path]:
    cells = {cell for row in read_csv(folder / table) for cell in row.values() if isinstance(cell, str)}
    listed = {*names, *(f"predictions/{cell}.png" for cell in cells)}
    files = {PurePosixPath(cell.replace("\\", "/")).name for cell in cells if cell.endswith(".png")}
    latest = (folder / table).stat().st_mtime + AFTERWARDS_S
    return [
        path
        for path in files_below(folder)
        if path.is_file() and not path.is_symlink() and path.stat().st_mtime <= latest
        if path.relative_to(folder).as_posix() in listed or path.name in files
    ]
