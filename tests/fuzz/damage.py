"""Files that were cut off, changed by hand, garbled on a disk, or written by another version."""

import copy
import csv
import io
import json
from pathlib import Path
from typing import Any

from hypothesis import strategies

ODD_NUMBERS = (0, -1, 1, 1.5, -0.0, 1e308, -1e308, 10**30, 2**63, 0.1)
ODD_TEXTS = (
    "",
    "x",
    "nan",
    "inf",
    "-1",
    "1e999",
    "../../x",
    "/etc/x",
    "a\0b",
    "=1+1",
    "\x1b[31m",
    "\ud7ff",
    "1_0",
    "٣",
)
ODD_JSON: strategies.SearchStrategy[Any] = strategies.one_of(
    strategies.none(),
    strategies.booleans(),
    strategies.sampled_from(ODD_NUMBERS),
    strategies.sampled_from(ODD_TEXTS),
    strategies.sampled_from(([], {}, [[]], [None], [1, 2], ["x"], {"x": 1}, {"": {}})),
)
ODD_CELLS = strategies.sampled_from((*ODD_TEXTS, "0", "1", "True", "0.5", "999999999999999", "1 2 3"))


def damage(data: strategies.DataObject, path: Path) -> None:
    """Change a file in one of the ways that its kind allows."""
    ways = [cut, garble, splice]
    ways += [change_json] * 4 if path.suffix == ".json" else []
    ways += [change_csv] * 4 if path.suffix == ".csv" else []
    data.draw(strategies.sampled_from(ways))(data, path)


def cut(data: strategies.DataObject, path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(strategies.integers(0, len(content)))])


def garble(data: strategies.DataObject, path: Path) -> None:
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(strategies.integers(1, 4)) if content else 0):
        place = data.draw(strategies.integers(0, len(content) - 1))
        content[place] = data.draw(strategies.integers(0, 255))
    path.write_bytes(bytes(content))


def splice(data: strategies.DataObject, path: Path) -> None:
    """Put something in place of a span: nothing, noise, or the beginning of the file."""
    content = path.read_bytes()
    first, last = sorted(data.draw(strategies.tuples(*[strategies.integers(0, len(content))] * 2)))
    put = data.draw(strategies.one_of(strategies.binary(max_size=20), strategies.just(content[:200])))
    path.write_bytes(content[:first] + put + content[last:])


def change_json(data: strategies.DataObject, path: Path) -> None:
    """Drop, replace or add to some values, wherever they lie."""
    value = json.loads(path.read_text(encoding="utf-8"))
    for _ in range(data.draw(strategies.integers(1, 3))):
        value = changed(data, value)
    path.write_text(json.dumps(value), encoding="utf-8")


def changed(data: strategies.DataObject, value: Any) -> Any:
    if not isinstance(value, (dict, list)) or not value or not data.draw(strategies.integers(0, 9)):
        return data.draw(ODD_JSON)
    value = copy.copy(value)
    key = data.draw(strategies.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
    if isinstance(value[key], (dict, list)) or data.draw(strategies.booleans()):
        value[key] = changed(data, value[key])
    else:
        del value[key]
    return value


def change_csv(data: strategies.DataObject, path: Path) -> None:
    """Change cells, drop a column, repeat or drop a row."""
    rows = list(csv.reader(io.StringIO(path.read_text(encoding="utf-8"))))
    if not rows or not all(rows):
        return
    row = data.draw(strategies.integers(0, len(rows) - 1))
    column = data.draw(strategies.integers(0, min(map(len, rows)) - 1))
    kind = data.draw(strategies.sampled_from(("cell", "cell", "cell", "column", "row", "repeat", "empty")))
    if kind == "cell":
        rows[row][column] = data.draw(ODD_CELLS)
    elif kind == "column":
        rows = [cells[:column] + cells[column + 1 :] for cells in rows]
    elif kind == "empty":
        rows = rows[:1]
    else:
        rows[row : row + 1] = [rows[row]] * (0 if kind == "row" else 2)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
