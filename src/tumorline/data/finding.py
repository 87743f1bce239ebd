"""What a data check says, one thing at a time."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tumorline.errors import UserError

Severity = Literal["error", "warning", "info"]


@dataclass(frozen=True)
class Finding:
    """Something that a data check noticed. Errors stop a training, warnings are reported."""

    code: str
    severity: Severity
    message: str
    files: tuple[str, ...] = ()
    stands_for: str = ""
    """The id of the case in whose place an error stands; empty where there is none."""


def unreadable(error: UserError | str, *files: Path, stands_for: str = "") -> Finding:
    """An error of files that cannot be read."""
    return Finding("unreadable", "error", str(error), tuple(map(str, files)), stands_for)
