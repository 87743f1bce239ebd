"""Whose is what lies in a folder already: ours, to be gone on with or replaced, or the user's."""

from collections.abc import Collection
from fnmatch import fnmatch
from pathlib import Path

from tumorline.errors import UserError
from tumorline.files import LOCK_NAME
from tumorline.output.first_version import read_first_version
from tumorline.output.journal import JOURNAL_NAME, Journal, files_below, read_journal
from tumorline.output.purpose import Purpose

PASSED_OVER = (JOURNAL_NAME, LOCK_NAME, ".*.part", ".DS_Store", "Thumbs.db", "desktop.ini")
"""Names that say nothing about whose a folder is: our own, and those that systems leave everywhere."""

CHOICE = "choose another --output, or replace them with --overwrite"


def is_of_no_owner(name: str, more: Collection[str] = ()) -> bool:
    """Whether a name says nothing about whose a folder is, or is one of `more` (patterns)."""
    return any(fnmatch(name, pattern) for pattern in (*PASSED_OVER, *more))


def refuse_taken(path: Path, purpose: Purpose, overwrite: bool) -> Journal | None:
    """The journal of what is there, where it may be gone on with or overwritten. Raises UserError elsewhere."""
    journal = read_journal(path) or read_first_version(path)
    refuse_strangers(path, journal or Journal())
    if journal is None or overwrite:
        return journal
    if journal.complete:
        raise UserError(f"{path}: holds the results of '{journal.command}' already; {CHOICE}")
    if difference := purpose.difference(journal):
        raise UserError(f"{path}: holds an unfinished {difference}; {CHOICE}")
    return journal


def refuse_strangers(path: Path, journal: Journal) -> None:
    """Raise UserError where anything lies in a folder that is not as its journal says."""
    for found in files_below(path):
        if not is_of_no_owner(found.name) and not journal.wrote(path, found):
            name = found.relative_to(path).as_posix()
            why = "was changed since Tumorline wrote it" if name in journal.hashes else "Tumorline did not write"
            raise UserError(f"{path}: not an empty folder; it holds {name}, which {why}; choose another --output")
