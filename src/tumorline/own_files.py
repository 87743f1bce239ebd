"""What the program wrote itself, read back: whole and as it was written, or one line that says what to do."""

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tumorline.errors import UserError
from tumorline.escaping import from_cell

Cell = Callable[[str], object]
"""Raises ValueError for what the cell of a column cannot be, with what is expected."""
ROUNDING = 1e-9
"""By so much a share may be above 1."""

EVALUATE_AGAIN = "evaluate again, or restore it from a copy"
TRAIN_AGAIN = "restore it from a copy, or train again"

LARGEST_BYTES = 2**28
"""Of a file that is read as a whole."""
DEEPEST = 64
"""Lists and objects within one another."""

Number = Annotated[float, Field(ge=-1e15, le=1e15)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Limits = Annotated[list[Number], Field(min_length=2, max_length=2)]


class Written(BaseModel):
    """A part of a file: what readers rely on. Further keys, of other versions, are let through."""

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)


Kind = TypeVar("Kind", bound=Written)


def read_own_json(path: Path, kind: Any, cure: str) -> Any:
    """A value, held against `kind` and given as it is written. Raises UserError with the cure where it is not one."""
    return _read_held(path, kind, cure)[0]


def read_own_model(path: Path, kind: type[Kind], cure: str) -> Kind:
    """As `read_own_json`, given as what it was held against."""
    model: Kind = _read_held(path, kind, cure)[1]
    return model


def _read_held(path: Path, kind: Any, cure: str) -> tuple[Any, Any]:
    """A value as it is written, and as `kind` understands it."""
    try:
        value = json.loads(_text(path), parse_constant=_refuse_constant)
        _refuse_depth(value)
        return value, TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UserError(_damaged(path, f"{place}: {first['msg']}" if place else first["msg"], cure)) from None
    except OSError as error:
        raise UserError(_refused(path, error)) from None
    except (ValueError, RecursionError) as error:
        raise UserError(_damaged(path, _reason(error), cure)) from None


def read_own_csv(
    path: Path, columns: Mapping[str, Cell], cure: str, optional: Mapping[str, Cell] | None = None
) -> list[dict[str, str]]:
    """Rows whose cells are what `columns` says; a column that is `optional` may be missing as a whole.

    Raises UserError with the cure where a column is missing, or a cell is not what it should be.
    """
    try:
        text = _text(path)
        if not text.endswith("\n"):
            raise ValueError("the last line is not whole")
        table = csv.reader(io.StringIO(text, newline=""), strict=True)
        header = [from_cell(cell) for cell in next(table, [])]
        if missing := [name for name in columns if name not in header]:
            raise ValueError(f"no column '{missing[0]}'")
        known = {name: cell for name, cell in {**(optional or {}), **columns}.items() if name in header}
        return [_check_cells(header, cells, known, f"line {table.line_num}") for cells in table]
    except OSError as error:
        raise UserError(_refused(path, error)) from None
    except (ValueError, csv.Error) as error:
        raise UserError(_damaged(path, _reason(error), cure)) from None


def _check_cells(
    header: Sequence[str], cells: Sequence[str], columns: Mapping[str, Cell], where: str
) -> dict[str, str]:
    if len(cells) != len(header):
        raise ValueError(f"{where}: {len(cells)} cells, the header has {len(header)}")
    row = dict(zip(header, map(from_cell, cells), strict=True))
    for name, cell in columns.items():
        try:
            cell(row[name])
        except ValueError as error:
            raise ValueError(f"{where}, column '{name}': {error}") from None
    return row


def _text(path: Path) -> str:
    """Of a regular file of bounded size; a pipe would be waited for."""
    if not path.is_file():
        raise ValueError("there is no such file")
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError(f"more than {LARGEST_BYTES // 2**20} MiB")
    return path.read_text(encoding="utf-8-sig")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _refuse_depth(value: Any) -> None:
    layer = [value]
    for _ in range(DEEPEST):
        layer = [item for found in layer for item in _items(found)]
        if not layer:
            return
    raise ValueError(f"more than {DEEPEST} lists and objects within one another")


def _items(value: Any) -> Sequence[Any]:
    return list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else ()


def _reason(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


def _refused(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read ({error.strerror or error})"


def _damaged(path: Path, reason: str, cure: str) -> str:
    return f"{path}: cut off, changed or of another version ({reason[:200]}); {cure}"


# ---------------------------------------------------------------- what a cell may be


def any_text(text: str) -> None:
    """Whatever it says."""


def case_name(text: str) -> None:
    """A case's id, which names files below a folder."""
    path = PurePosixPath(text.replace("\\", "/"))
    if not text or path.is_absolute() or ".." in path.parts or "\0" in text:
        raise ValueError(f"expected a case's name (found {text[:40]!r})")


def whole_number(text: str) -> None:
    """0 or more."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise ValueError(f"expected a whole number (found {text[:40]!r})")


def finite_number(text: str) -> None:
    if not _as_number(text) or not abs(float(text)) <= 1e15:
        raise ValueError(f"expected a number (found {text[:40]!r})")


def share(text: str) -> None:
    """From 0 to 1, but for what rounding adds."""
    finite_number(text)
    if not 0 <= float(text) <= 1 + ROUNDING:
        raise ValueError(f"expected a number from 0 to 1 (found {text[:40]!r})")


def amount(text: str) -> None:
    """A number, 0 or more."""
    finite_number(text)
    if float(text) < 0:
        raise ValueError(f"expected a number of 0 or more (found {text[:40]!r})")


def measured_number(text: str) -> None:
    """Also NaN and infinity, as a training that diverged leaves them."""
    if not _as_number(text):
        raise ValueError(f"expected a number (found {text[:40]!r})")


def or_empty(cell: Cell) -> Cell:
    """The same, or nothing."""
    return lambda text: cell(text) if text else None


def truth_value(text: str) -> None:
    if text not in ("True", "False"):
        raise ValueError(f"expected True or False (found {text[:40]!r})")


def _as_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


# ---------------------------------------------------------------- what a cell says


def number_or_none(text: str) -> float | None:
    return float(text) if text else None


def is_true(text: str) -> bool:
    return text == "True"
