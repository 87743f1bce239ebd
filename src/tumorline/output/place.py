"""Where results may lie: not in the package, not among the data, not over what the user has."""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.output.journal import read_journal

PACKAGE = Path(__file__).resolve().parents[1]


LONGEST_NAME = 60


def check_place(path: Path) -> None:
    """Raise UserError where no folder of results can be: a file, a link that leads nowhere, the installed package."""
    for ancestor in (path, *path.parents):
        if ancestor.is_symlink() and not ancestor.exists():
            raise UserError(f"{ancestor}: a symbolic link that leads nowhere; choose another --output")
        if ancestor.exists() and not ancestor.is_dir():
            raise UserError(f"{ancestor}: is a file, not a folder; choose another --output")
    refuse_package(path)


def require_utf_8(path: Path) -> None:
    """Raise UserError for a name that is not UTF-8: weights could be written there and not read."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise UserError(f"{path}: a name that is not UTF-8, where weights cannot be read; choose another") from None


def refuse_package(path: Path) -> None:
    """Raise UserError for a path inside the installed package."""
    if path.resolve().is_relative_to(PACKAGE):
        raise UserError(f"{path}: lies in the installed package, which is never written to; choose another --output")


def refuse_in_data(output: Path, source: Path | str | None) -> None:
    """Raise UserError where results would lie among the data that they are made from."""
    if source and Path(source).is_dir() and output.resolve().is_relative_to(Path(source).resolve()):
        raise UserError(
            f"{output}: lies in the data folder {source}; choose an --output outside, or it becomes data itself"
        )


def refuse_inputs_in(output: Path, inputs: Iterable[Path]) -> None:
    """Raise UserError where inputs are earlier results, which would be gone before they are read."""
    if read_journal(output) is not None:
        for path in inputs:
            if path.resolve().is_relative_to(output.resolve()):
                raise UserError(f"{path}: lies in the output folder {output}; choose another --output")


def refuse_taken_file(path: Path, suffix: str, overwrite: bool, is_ours: Callable[[Path], bool]) -> None:
    """Raise UserError where a file may not be written: another suffix, in the package, or in place of a user's file."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; give the name of a {suffix} file")
    if path.suffix != suffix:
        raise UserError(f"{path}: is written as {suffix}; choose --output {for_shell(path.with_suffix(suffix).name)}")
    check_place(path.absolute().parent)
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise UserError(f"{path}: exists already; choose another --output, or --overwrite")
    if path.is_symlink() or not is_ours(path):
        raise UserError(f"{path}: was not written by this command and is not replaced; choose another --output")


def shorten_name(name: str) -> str:
    """A name for a folder, of letters that every system takes."""
    return re.sub(r"[^\w.-]+", "_", name.encode(errors="replace").decode()).strip("._")[:LONGEST_NAME]
