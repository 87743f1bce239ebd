"""Folders of results: fresh, or gone on with. No file is replaced or removed that Tumorline did not write.

Each folder keeps a journal. Its first line says what the folder is for; a line with path and hash is written before a
file gets its name, a line with the result for each case that is done, and a last one where all is complete. What the
journal does not list, or lists with another hash, is the user's.
"""

import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import Any

from tumorline.errors import Interrupted, UserError
from tumorline.files import (
    JsonObject,
    admit_file,
    alone_in,
    refuse_links_outside,
    remove_unfinished,
    require_writable,
    write_text,
    writing,
)
from tumorline.output.journal import JOURNAL_NAME, Journal, files_below, hash_file, read_journal
from tumorline.output.place import check_place, shorten_name
from tumorline.output.purpose import Purpose
from tumorline.output.taken import is_of_no_owner, refuse_strangers, refuse_taken


class OutputFolder:
    """A folder that results are written to. It belongs to its command from the first file on."""

    def __init__(self, path: Path, purpose: Purpose, journal: Journal | None) -> None:
        self.path, self.root, self.purpose = path, path.resolve(), purpose
        self.goes_on = journal is not None and not journal.complete and not purpose.difference(journal)
        self.journal = journal if journal and self.goes_on else Journal()
        self.replaced = None if self.goes_on else journal
        """What was here before and goes as soon as there is something to take its place."""
        self.begun = False
        self.lacks_cases = False
        """Whether some could not be done, so that the same command is not done with it."""
        self.turn = RLock()
        """Of the threads that write, one at a time looks after the journal."""

    @property
    def replaces(self) -> bool:
        """Whether earlier results are still here, to go when the first new file is there."""
        return self.replaced is not None and not self.begun

    def recall(self, name: str) -> Any | None:
        """The result of a case that an earlier try has finished; None where there is none."""
        return self.journal.results.get(name)

    def keep(self, name: str, result: Any) -> None:
        """Note a case as done, with what is needed to go on without doing it again."""
        self._note({"done": name, "result": result, "content": self.purpose.contents.get(name)})

    def admit(self, temporary: Path, path: Path) -> None:
        """Before a file gets its name: list it. Raises UserError outside the folder and in place of a user's file."""
        if path.name == JOURNAL_NAME:
            return
        resolved = path.parent.resolve() / path.name
        if not resolved.is_relative_to(self.root):
            raise UserError(f"{path}: lies outside the output folder {self.path}")
        content = hash_file(temporary)
        with self.turn:
            self._begin()
            if os.path.lexists(resolved) and not self.journal.wrote(self.root, resolved):
                raise UserError(f"{path}: was not written by Tumorline and is not replaced; choose another --output")
            self._note({"file": resolved.relative_to(self.root).as_posix(), "sha256": content})

    def complete(self) -> None:
        if self.begun and not self.lacks_cases:
            self._note({"complete": True})

    def _note(self, line: JsonObject) -> None:
        path = self.path / JOURNAL_NAME
        with self.turn:
            self._begin()
            with writing(path), path.open("a", encoding="utf-8") as file:
                file.write("\n" + json.dumps(line))  # what comes before may be cut off
            self.journal.add(line)

    def _begin(self) -> None:
        if self.begun:
            return
        if not self.goes_on:
            lines = [self.purpose.header(), *_as_earlier(self.replaced)]
            write_text(self.path / JOURNAL_NAME, "".join(json.dumps(line) + "\n" for line in lines))
            for line in lines:
                self.journal.add(line)
        self._remove_earlier()
        self.begun = True  # not before: where one thread fails at it, the next has to do it

    def _remove_earlier(self) -> None:
        """The last written goes first, so that no table outlives the masks that it is about."""
        ours = {path for path in files_below(self.root) if self.journal.wrote(self.root, path)}
        for path in (self.root / name for name in reversed(self.journal.hashes) if name in self.journal.earlier):
            if path in ours:
                path.unlink()
                with suppress(OSError):
                    path.parent.rmdir()


def _as_earlier(journal: Journal | None) -> Iterator[JsonObject]:
    for name, hashes in (journal.hashes if journal else {}).items():
        yield from ({"file": name, "sha256": value, "earlier": True} for value in sorted(hashes))


@dataclass(frozen=True)
class Memory:
    """What was done in an output folder, or in a folder below it."""

    folder: OutputFolder
    below: str = ""

    @property
    def path(self) -> Path:
        return self.folder.path / self.below

    def recall(self, name: str) -> Any | None:
        return self.folder.recall(f"{self.below}/{name}")

    def keep(self, name: str, result: Any) -> None:
        self.folder.keep(f"{self.below}/{name}", result)


@contextmanager
def open_output(given: Path | None, purpose: Purpose, overwrite: bool = False) -> Iterator[OutputFolder]:
    """The folder to write to: `given`, else an unfinished one of the same purpose, else a fresh one.

    Every file that is written below it meanwhile is listed in its journal. Raises UserError where the folder holds
    other results (unless they are to be overwritten) or anything that Tumorline did not write. A folder in which
    nothing was written is not left behind.
    """
    path = given or _unfinished(purpose) or _fresh(purpose)
    check_place(path)
    refuse_taken(path, purpose, overwrite)
    new = given is None or not path.exists()
    require_writable(path)
    try:
        with alone_in(path):
            yield from _recorded(OutputFolder(path, purpose, refuse_taken(path, purpose, overwrite)))
    finally:
        if new:
            with suppress(OSError):
                path.rmdir()


def _recorded(folder: OutputFolder) -> Iterator[OutputFolder]:
    remove_unfinished(folder.path)
    try:
        with recording(folder.admit):
            yield folder
            folder.complete()
    except KeyboardInterrupt:
        raise Interrupted(f"stopped; the same command goes on in {folder.path}") from None


@contextmanager
def recording(admit: Callable[[Path, Path], None]) -> Iterator[None]:
    """Every file that is written meanwhile is shown to `admit` before it gets its name."""
    token = admit_file.set(admit)
    try:
        yield
    finally:
        admit_file.reset(token)


@contextmanager
def amended(path: Path) -> Iterator[None]:
    """Files that are derived anew in a finished folder are listed in its journal, if it has one."""
    journal = read_journal(path)
    if journal is None:
        yield
        return
    folder = OutputFolder(path, Purpose(journal.command, {}), None)
    folder.journal, folder.begun = journal, True
    with recording(folder.admit):
        yield


def _unfinished(purpose: Purpose) -> Path | None:
    """The newest folder of the same purpose that was not completed and that no process works in."""
    for path in sorted(Path(purpose.base).glob(f"*/{JOURNAL_NAME}"), reverse=True):
        if _may_go_on(path.parent, purpose):
            return path.parent
    return None


def _may_go_on(folder: Path, purpose: Purpose) -> bool:
    journal = read_journal(folder)
    if journal is None or journal.complete or purpose.difference(journal):
        return False
    with suppress(UserError, OSError):
        refuse_strangers(folder, journal)
        with alone_in(folder):
            return True
    return False


def _fresh(purpose: Purpose) -> Path:
    """`<base>/<time>-<name>`, made here and now, so that no other process takes it as well."""
    stem = "-".join(filter(None, [time.strftime("%Y%m%d-%H%M%S"), shorten_name(purpose.name)]))
    require_writable(Path(purpose.base))
    names = (stem, *(f"{stem}-{number}" for number in range(2, 1000)))
    return next(path for name in names if _was_made(path := Path(purpose.base) / name))


def _was_made(path: Path) -> bool:
    try:
        path.mkdir()
    except FileExistsError:
        return False
    return True


def claim_output(folder: Path, command: str, names: Collection[str], identity: Mapping[str, str] | None = None) -> None:
    """Make a folder that one command owns and goes on with, such as that of `folds`; `identity` is noted in it.

    Raises UserError where it holds something and neither was made by this command nor has `names` (patterns) only.
    """
    check_place(folder)
    refuse_links_outside(folder)
    journal = read_journal(folder)
    existing = [entry.name for entry in folder.iterdir()] if folder.is_dir() else []
    strange = [name for name in existing if not is_of_no_owner(name, names)]
    if journal is not None and journal.command != command:
        raise UserError(f"{folder}: holds the results of '{journal.command}'; choose another --output")
    if journal is None and strange:
        why = f"it holds {sorted(strange)[0]}, which '{command}' did not write"
        raise UserError(f"{folder}: not an empty folder; {why}; choose another --output")
    if journal is None:
        write_text(folder / JOURNAL_NAME, json.dumps(Purpose(command, identity or {}).header()) + "\n")
