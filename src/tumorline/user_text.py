"""Text that people wrote, whatever editor or spreadsheet saved it: its encoding, line ends, separators, backslashes."""

import codecs
import contextlib
import csv
import io
import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tumorline.errors import UserError
from tumorline.trust import refuse_remote
from tumorline.wording import numbered

LARGEST_BYTES = 1 << 28
"""A table of ten million rows."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""Byte order marks; that of UTF-16 begins that of UTF-32."""
TOML_PIECE = re.compile(
    r"""\"{3}[\s\S]*?(?:\"{3}|\Z)|'{3}[\s\S]*?(?:'{3}|\Z)|'[^'\n]*'?|#[^\n]*|(?P<text>"(?:[^"\\\n]|\\.)*"?)"""
)
"""Texts in quotes of all kinds, also without an end, and comments; `text` is one line in which escapes count."""
DRIVE = re.compile(r'"[A-Za-z]:\\(?!\\)')
ESCAPE = re.compile(r"""\\([\\"]|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8})?""")
SEPARATORS = (",", ";", "\t", "|")

TomlTable = dict[str, Any]
"""A table of a TOML file: values, lists and tables below it by key."""
Rows = dict[int, dict[str, str]]
"""Cells of a table by column, for each number of a line in the file."""


def read_user_text(path: Path) -> str:
    """Text in UTF-8, UTF-16, UTF-32 or else Windows-1252, with `\\n` as its only line end.

    Raises UserError for what is no regular file, too large, in none of these encodings or not text at all.
    """
    text = _decoded(path, _content(path))
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(f"{path}: line {line} holds a NUL byte, so it is damaged or no text; save it again as text")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_user_table(path: Path) -> Rows:
    """Rows of a table with commas, semicolons, tabs or bars between its cells, which are stripped.

    Empty lines and columns without a name are passed over. Raises UserError as `read_user_text`, for a column that
    is there twice, for quotes without an end and for a row of more cells than the header.
    """
    text, separator = _without_hint(read_user_text(path))
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True, strict=True)
    try:
        found = ((reader.line_num, [cell.strip() for cell in row]) for row in reader)
        lines = {number: cells for number, cells in found if any(cells)}
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num} is no row of a table ({error}); look at its quotes") from None
    if not lines:
        return {}
    header = lines.pop(next(iter(lines)))
    if twice := {name for name in header if name and header.count(name) > 1}:
        raise UserError(
            f"{path}: column '{min(twice)}' is there {numbered(header.count(min(twice)), 'time')}; names must differ"
        )
    return {number: dict(_cells(path, number, header, row)) for number, row in lines.items()}


def parse_user_toml(text: str) -> TomlTable:
    """The content of TOML in which the backslashes of a Windows path in double quotes may stand for themselves.

    They do behind a drive's letter, and where the text is no TOML otherwise. Raises TOMLDecodeError.
    """
    if DRIVE.search(text):
        return tomllib.loads(_with_plain_backslashes(text))
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        with contextlib.suppress(tomllib.TOMLDecodeError):
            return tomllib.loads(_with_plain_backslashes(text))
        raise error from None


def _with_plain_backslashes(toml: str) -> str:
    def mend(match: re.Match[str]) -> str:
        return ESCAPE.sub(lambda one: one[0] if one[1] else "\\\\", match[0]) if match["text"] else match[0]

    return TOML_PIECE.sub(mend, toml)


def written_path(text: str, folder: Path = Path()) -> Path:
    """The file that a text names relative to a folder; backslashes separate folders where no file has such a name.

    Raises UserError as `refuse_remote`.
    """
    refuse_remote(text, str(folder))
    path = folder / text
    return folder / text.replace("\\", "/") if "\\" in text and not os.path.exists(path) else path


def _content(path: Path) -> bytes:
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: a {'folder' if path.is_dir() else 'device or pipe'}; expected a file of text")
        if path.stat().st_size > LARGEST_BYTES:
            raise UserError(f"{path}: {path.stat().st_size / 1e6:.0f} MB; expected a file of text below 268 MB")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot read it ({error.strerror})") from None


def _decoded(path: Path, content: bytes) -> str:
    for encoding in _encodings(content):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UserError(f"{path}: text in an encoding that is not known; save it as UTF-8")


def _encodings(content: bytes) -> tuple[str, ...]:
    for mark, encoding in MARKS:
        if content.startswith(mark):
            return (encoding,)
    if content.count(0) >= max(1, len(content) // 3):
        return ("utf-16-be" if content[0] == 0 else "utf-16-le",)
    return ("utf-8", "cp1252")


def _without_hint(text: str) -> tuple[str, str]:
    """The text and its separator, which some spreadsheets write into the first line as `sep=;`."""
    head, _, rest = text.lstrip("\n").partition("\n")
    if hint := re.fullmatch(r'"?sep=(.)"?', head, re.IGNORECASE):
        return "\n" + rest, hint[1]
    names = re.sub(r'"[^"]*"', "", head)
    return text, max(SEPARATORS, key=names.count)


def _cells(path: Path, number: int, header: list[str], row: list[str]) -> Iterator[tuple[str, str]]:
    if any(row[len(header) :]):
        raise UserError(
            f"{path}: line {number} has {len(row)} cells, the header {len(header)}; put a cell that holds the "
            "separator in quotes"
        )
    cells = row + [""] * (len(header) - len(row))
    yield from ((name, cell) for name, cell in zip(header, cells, strict=False) if name)


SAYS_NOTHING = re.compile(
    r"[\W_]*|n/?a|#?n/a|<na>|nan|nil|null|none|unknown|unk|not[-_ ](?:known|available|applicable|given)|missing"
    r"|undefined|tbd|anon(?:ymous|ymi[sz]ed)?|de-?identified",
    re.IGNORECASE,
)


def says_nothing(text: str) -> bool:
    """Whether a cell that ought to name a patient leaves it unknown: empty, 'nan', 'NA', 'None', 'unknown', ..."""
    return SAYS_NOTHING.fullmatch(text.strip()) is not None
