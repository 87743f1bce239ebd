"""What the commands print: progress and warnings on standard error, results on standard output."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tumorline.escaping import one_line, to_cell
from tumorline.progress import Progress, minutely


def say(line: object = "") -> None:
    """A line of the result goes to standard output."""
    print(one_line(str(line)))


def note(message: str) -> None:
    """Progress and warnings go to standard error."""
    print(one_line(message), file=sys.stderr, flush=True)


def print_json(content: object) -> None:
    """JSON is ASCII, so that only this character of all that are harmful is left."""
    print(json.dumps(content, indent=2).replace("\x7f", "\\u007f"))


def counter(what: str) -> Progress:
    """A progress callback on standard error: it counts in one line of a terminal, elsewhere it says a line a minute."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return minutely(what, note)
    label = one_line(what)

    def show(done: int, total: int) -> None:
        print(f"\r{label} {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show


def megabytes(show: Progress) -> Progress:
    """Bytes as whole megabytes, rounded up, and only where the figure changes."""
    shown: list[tuple[int, int]] = []

    def show_changes(done: int, total: int) -> None:
        figures = -(-done // 10**6), -(-total // 10**6)
        if [figures] != shown:
            shown[:] = [figures]
            show(*figures)

    return show_changes


def print_table(rows: Sequence[Mapping[str, Any]]) -> None:
    """Rows with a header: in even columns on a terminal, tab-separated elsewhere.

    A cell is empty where a row has none of its column.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = [[to_cell(str(cell)) for cell in line] for line in _table_lines(rows, columns)] if rows else []
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    on_terminal = sys.stdout.isatty()
    for cells in table:
        even = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        print(even if on_terminal else "\t".join(cells))


def _table_lines(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Iterator[Sequence[Any]]:
    yield columns
    for row in rows:
        yield [row.get(name, "") for name in columns]
