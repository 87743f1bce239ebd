"""Tables as CSV, with all digits, and as LaTeX (booktabs), with those that a reader wants."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from tumorline.files import fit_file_name
from tumorline.paper.latex import for_latex

LONG = 40
"""Rows from which on a table may break over pages."""
Cell = str | int | float | Sequence[float] | None
"""Text, a number, or limits."""
Row = Mapping[str, Cell]


@dataclass(frozen=True)
class Column:
    """A column of numbers (with `digits` after the point, or in words), of limits `[low, high]`, or of text."""

    key: str
    heading: str
    digits: int | None = None
    in_words: Callable[[float], str] | None = None
    has_limits: bool = False

    @property
    def is_number(self) -> bool:
        return self.digits is not None


@dataclass(frozen=True)
class Table:
    """Rows may have a key `digits` of their own, which stands in place of those of the columns that have any."""

    name: str
    """In LaTeX its label."""
    caption: str
    columns: Sequence[Column]
    rows: Sequence[Row]

    def for_csv(self) -> tuple[list[str], list[dict[str, Cell]]]:
        """Names of columns and rows; limits become two columns, which are empty where they are unknown."""
        rows = [_limits_apart(row, self.columns) for row in self.rows]
        return list(_limits_apart({}, self.columns)), rows

    def to_latex(self) -> str:
        """A `table` (a `longtable` of many rows) to be taken in with `\\input`; it needs booktabs and graphicx."""
        spec = "".join("r" if column.is_number else "l" for column in self.columns)
        head = " & ".join(for_latex(column.heading) for column in self.columns) + r" \\"
        body = "\n".join(" & ".join(self._cell(row, column) for column in self.columns) + r" \\" for row in self.rows)
        about = f"\\caption{{{for_latex(self.caption)}}}\n\\label{{tab:{self.name}}}"
        if len(self.rows) > LONG:
            return self._long(spec, head, body, about)
        fitted = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%"
        return (
            f"\\begin{{table}}[htbp]\n\\centering\n{about}\n{fitted}\n\\begin{{tabular}}{{{spec}}}\n\\toprule\n{head}\n"
            f"\\midrule\n{body}\n\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}\n"
        )

    def _long(self, spec: str, head: str, body: str, about: str) -> str:
        """Texts of a table of two columns break over lines."""
        spec = spec.replace("l", "p{0.44\\linewidth}") if len(spec) <= 2 else spec
        ends = f"\\toprule\n{head}\n\\midrule"
        return (
            f"{{\\footnotesize\n\\begin{{longtable}}{{{spec}}}\n{about} \\\\\n{ends}\n\\endfirsthead\n{ends}\n"
            f"\\endhead\n\\bottomrule\n\\endfoot\n{body}\n\\end{{longtable}}}}\n"
        )

    def _cell(self, row: Row, column: Column) -> str:
        value, row_digits = row.get(column.key), row.get("digits")
        if column.in_words and isinstance(value, int | float):
            return for_latex(column.in_words(value))
        digits = row_digits if column.digits and isinstance(row_digits, int) else column.digits
        if isinstance(value, list | tuple):
            return " to ".join(_to_digits(limit, digits) for limit in value)
        return _to_digits(value, digits)


def _limits_apart(row: Row, columns: Sequence[Column]) -> dict[str, Cell]:
    flat: dict[str, Cell] = {}
    for column in columns:
        value = row.get(column.key)
        if column.has_limits:
            low, high = value if isinstance(value, list | tuple) else (None, None)
            flat |= {f"{column.key}_low": low, f"{column.key}_high": high}
        else:
            flat[column.key] = value
    return flat


def _to_digits(value: object, digits: int | None) -> str:
    if value is None or value == "" or (isinstance(value, float) and not math.isfinite(value)):
        return "--"
    if isinstance(value, int | float) and not isinstance(value, bool) and digits is not None:
        return f"{value:.{digits}f}".replace("-", "$-$")
    return for_latex(str(value))


def labels_of(names: Iterable[str]) -> list[str]:
    """What figures or tables of these names are called, in files and for LaTeX: no two alike, in capitals or not."""
    labels: list[str] = []
    for name in names:
        stem = re.sub(r"[^\w-]+", "-", name, flags=re.ASCII)
        numbered = (stem if number == 1 else f"{stem}-{number}" for number in count(1))
        taken = {label.casefold() for label in labels}
        labels.append(next(label for each in numbered if (label := fit_file_name(each, "")).casefold() not in taken))
    return labels
