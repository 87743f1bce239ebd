"""`log.txt` of a run folder: what was said while it was made, each line with its time."""

import shlex
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tumorline import environment
from tumorline.errors import UserError
from tumorline.escaping import one_line
from tumorline.file_names import LOG_NAME
from tumorline.files import writing
from tumorline.progress import Notify

UNTOLD = "the data cannot be used; what was said of them may quote files of others and is not repeated here"


def append_log(run: Path, message: str) -> None:
    """One line, at once on the disk."""
    path = run / LOG_NAME
    with writing(path), path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {one_line(message)}\n")


def begin_log(run: Path) -> None:
    """By what command, with which versions, on which machine."""
    append_log(run, f"$ {command_line()}")
    append_log(run, ", ".join(f"{name} {version}" for name, version in environment.versions().items()))
    append_log(run, ", ".join(f"{name} {value}" for name, value in environment.machine().items()))


def command_line() -> str:
    """What the user typed, where that is known."""
    program = Path(sys.argv[0] if sys.argv else "")
    if program.stem != "tumorline" and program.parts[-2:] != ("tumorline", "__main__.py"):
        return "called from Python"
    return shlex.join(["tumorline", *sys.argv[1:]])


def logging_too(run: Path, notify: Notify) -> Notify:
    """Notices go to the log as well."""

    def both(message: str) -> None:
        append_log(run, message)
        notify(message)

    return both


@contextmanager
def logged_warnings(run: Path) -> Iterator[None]:
    """What Python and its libraries warn of goes to the log as well."""
    show = warnings.showwarning

    def both(message: Warning | str, *rest: Any, **named: Any) -> None:
        append_log(run, f"warning: {message}")
        show(message, *rest, **named)

    warnings.showwarning = both
    try:
        yield
    finally:
        warnings.showwarning = show


@contextmanager
def logged_end(run: Path) -> Iterator[None]:
    """Why a training did not come to its end; where even that cannot be written, the error itself counts."""
    try:
        yield
    except BaseException as error:
        with suppress(UserError):
            for line in _reason_lines(error):
                append_log(run, line)
        raise


def _reason_lines(error: BaseException) -> list[str]:
    """One line of what is known, for the rest where it happened as well."""
    if not isinstance(error, Exception):
        return [str(error) or type(error).__name__]
    if isinstance(error, UserError):
        return [f"error: {UNTOLD if error.kept_off_files else error}"]
    where = [line for part in traceback.format_exception(error) for line in part.rstrip("\n").split("\n")]
    return [*where, f"error: {type(error).__name__}: {error}"]
