"""Which runs this user began: hashes of their configurations, kept outside of the run folders.

A run folder may come from anyone, and its configuration names paths. Where its hash is not among those of this user,
nobody here has chosen these paths.
"""

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tumorline.user_folders import record_folders

RECORD_NAME = "begun.txt"


def note_begun(text: str) -> None:
    """Remember that this user began a run of this configuration, where anything can be kept."""
    if is_begun(text):
        return
    for path in records():
        try:
            _append_private(path, _hash_text(text) + "\n")
        except OSError as error:
            logging.getLogger("tumorline").debug("cannot note in %s what was begun: %s", path, error.strerror)
        else:
            return


def is_begun(text: str) -> bool:
    """Whether this user began a run of exactly this configuration."""
    wanted = _hash_text(text)
    return any(wanted in _noted(path) for path in records())


def records() -> Iterator[Path]:
    """Where hashes are kept: the first that can be written takes new ones, all of them count."""
    return (folder / RECORD_NAME for folder in record_folders())


def _hash_text(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _noted(path: Path) -> set[str]:
    with suppress(OSError, ValueError):
        return set(path.read_text(encoding="ascii").split())
    return set()


def _append_private(path: Path, line: str) -> None:
    """As one write, so that the lines of several processes stay whole."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)
