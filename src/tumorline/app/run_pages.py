"""Run folders below the folder that the user named, and their pages: asked for by what was listed, never by a path."""

import hashlib
import hmac
import os
from collections.abc import Iterator
from pathlib import Path
from secrets import token_urlsafe
from typing import NamedTuple

from tumorline.app.records import Record
from tumorline.errors import UserError
from tumorline.file_names import (
    COMPARISON_PAGE_NAME,
    CONFIG_NAME,
    HISTORY_NAME,
    LEADERBOARD_PAGE_NAME,
    LEARNING_RATE_PAGE_NAME,
    MATRIX_PAGE_NAME,
    REPORT_NAME,
    SEARCH_PAGE_NAME,
    SUMMARY_NAME,
)
from tumorline.metrics.headline import count_cases
from tumorline.results import mean_dice_over_regions, read_summary

PAGES = {
    REPORT_NAME: "report",
    COMPARISON_PAGE_NAME: "comparison",
    MATRIX_PAGE_NAME: "matrix",
    LEADERBOARD_PAGE_NAME: "leaderboard",
    SEARCH_PAGE_NAME: "search",
    LEARNING_RATE_PAGE_NAME: "learning rate",
}
"""Pages that Tumorline writes, and what each is of."""
BESIDE = (".html", ".png", ".jpg", ".jpeg", ".webp", ".svg", ".js", ".css", ".json", ".md")
"""Files beside a page, or in folders below it, that the page may ask for."""
DEEPEST, MOST_RUNS, MOST_FILES = 3, 1000, 20_000


class Run(NamedTuple):
    """A folder with results."""

    key: str
    """By which it is asked for: the same at each start."""
    name: str
    folder: Path
    page: str
    """Name of its page; empty where it has none yet."""


class RunShelf:
    """What lies below a folder, looked up at each question: runs come and go while the app is open."""

    def __init__(self, root: Path | None) -> None:
        self.root = root.resolve() if root else None
        self.secret = token_urlsafe(16)
        """Stands in the addresses of pages, which are shown in a sandbox of another origin."""
        self.opened: dict[str, dict[str, Path]] = {}
        """By key, the files of the runs whose pages were opened."""

    def runs(self) -> list[Run]:
        return list(self._found(self.root, 0)) if self.root else []

    def folders(self) -> dict[str, Path]:
        return {run.name: run.folder for run in self.runs()}

    def find_run(self, key: str) -> Run | None:
        return next((run for run in self.runs() if run.key == key), None)

    def open_page(self, key: str) -> str | None:
        """The address of a run's page; None where there is no such run, or no page of it."""
        run = self.find_run(key)
        if run is None or not run.page:
            return None
        self.opened[key] = {path.relative_to(run.folder).as_posix(): path for path in _files_beside(run.folder)}
        return f"/pages/{self.secret}/{key}/{run.page}"

    def find_file(self, secret: str, key: str, name: str) -> Path | None:
        """A file of a run whose page was opened, by the name under which it lies there."""
        has_secret = hmac.compare_digest(secret.encode(), self.secret.encode())
        return self.opened.get(key, {}).get(name) if has_secret else None

    def _found(self, folder: Path, depth: int) -> Iterator[Run]:
        assert self.root
        page = next((name for name in PAGES if (folder / name).is_file()), "")
        if page or (folder / CONFIG_NAME).is_file() or (folder / SUMMARY_NAME).is_file():
            name = folder.relative_to(self.root).as_posix()
            name = folder.name if name == "." else name
            yield Run(hashlib.sha256(os.fsencode(folder)).hexdigest()[:16], name, folder, page)
        if depth < DEEPEST:
            for inner in _folders_in(folder):
                yield from self._found(inner, depth + 1)


def _folders_in(folder: Path) -> list[Path]:
    """Without links, which may lead anywhere."""
    try:
        inner = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    except OSError:
        return []
    return [path for path in inner if not path.name.startswith(".")][:MOST_RUNS]


def _files_beside(folder: Path) -> Iterator[Path]:
    passed = 0
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(parent, name)
            passed += 1
            if passed > MOST_FILES:
                return
            if path.suffix.lower() in BESIDE and not path.is_symlink():
                yield path


def describe_runs(runs: list[Run]) -> Iterator[Record]:
    """The newest first."""
    for run in sorted(runs, key=_changed, reverse=True):
        yield {
            "key": run.key,
            "name": run.name,
            "page": PAGES.get(run.page, ""),
            "changed": round(_changed(run)),
            **_figures(run.folder),
        }


def _changed(run: Run) -> float:
    names = (run.page, SUMMARY_NAME, HISTORY_NAME, CONFIG_NAME)
    times = [(run.folder / name).stat().st_mtime for name in names if name and (run.folder / name).is_file()]
    return max(times, default=0.0)


def _figures(folder: Path) -> Record:
    """The headline of an evaluation, and whether the training is done."""
    if not (folder / SUMMARY_NAME).is_file():
        state = "not evaluated yet" if (folder / CONFIG_NAME).is_file() else ""
        return {"state": state, "dice": None, "counted": ""}
    try:
        summary = read_summary(folder / SUMMARY_NAME)
    except UserError as error:
        return {"state": str(error).replace(f"{folder}/", ""), "dice": None, "counted": ""}
    return {
        "state": "evaluated",
        "dice": mean_dice_over_regions(summary.regions),
        "counted": count_cases(summary),
    }
