"""Text that came out of files and their names, made harmless for a terminal, a shell, a spreadsheet and Markdown."""

import re
import shlex
import unicodedata
from html import escape

HARMFUL_CATEGORIES = ("Cc", "Cf", "Cs", "Zl", "Zp")
"""Control and format characters (escape sequences, writing directions), lone surrogates, line and paragraph ends."""
JOINERS = "\u200c\u200d"
"""Format characters that the spelling of some languages needs."""
ESCAPE = re.compile(r"\\u([0-9a-f]{4})|\\U([0-9a-f]{8})")
FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠](?=.)")
"""What a spreadsheet would compute; the apostrophes before it are those of cells that were escaped already."""
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-](?:inf|nan)")
SHELL_WORD = re.compile(r"[\w@%+=:,./-][\w@%+=:,./#-]*")
"""What a shell takes as it is."""
MARKDOWN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "\\|", "`": "\\`"}


def one_line(text: str) -> str:
    """The text with what could move a cursor, hide or forge a line as visible escapes; nothing else is changed."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(character) if _is_harmful(character) else character for character in text)


def to_cell(text: str) -> str:
    """The text of a table's cell: harmless, no formula (numbers stay numbers), and as it was after `from_cell`."""
    harmless = text if text.isprintable() and "\\" not in text else _reversible(text)
    return f"'{harmless}" if FORMULA.match(harmless) and not NUMBER.fullmatch(harmless) else harmless


def from_cell(cell: str) -> str:
    """What `to_cell` was given."""
    text = cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell
    return ESCAPE.sub(_original, text) if "\\" in text else text


def for_markdown(text: str) -> str:
    """The text in one line without tags, links, code and cells of a table."""
    return "".join(MARKDOWN.get(character, character) for character in one_line(text)).replace("](", "]\\(")


def for_shell(*words: object) -> str:
    """The words of a command that people copy, each in quotes where a shell would read it as something else."""
    texts = map(str, words)
    return " ".join(text if SHELL_WORD.fullmatch(text) else shlex.quote(text) for text in texts)


def for_page(text: str) -> str:
    """The text in one line as a part of HTML or SVG."""
    return escape(one_line(text))


def _is_harmful(character: str) -> bool:
    return unicodedata.category(character) in HARMFUL_CATEGORIES and character not in JOINERS


def _visible(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _reversible(text: str) -> str:
    """Harmful characters as `\\uXXXX`, and so the backslash of what looks like one of these escapes."""
    marked = ESCAPE.sub(_spelled_out, text)
    return "".join(_code(character) if _is_harmful(character) else character for character in marked)


def _spelled_out(match: re.Match[str]) -> str:
    text = match[0]
    return _code("\\") + text[1:] if _original(match) != text else text


def _code(character: str) -> str:
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def _original(match: re.Match[str]) -> str:
    """The character of an escape; another one's escape is text like any other."""
    number = int(match[1] or match[2], 16)
    is_ours = number < 0x110000 and (chr(number) == "\\" or _is_harmful(chr(number)))
    return chr(number) if is_ours else match[0]
