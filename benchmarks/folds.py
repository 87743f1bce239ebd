"""Write the out-of-fold table of a cross-validation into benchmarks/folds.md, and keep what it was made from.

    python benchmarks/folds.py runs/builtin-5folds

One row for all patients, for each class, each tercile of tumour size and each fold.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from table import keep, with_interval, write_table

HERE = Path(__file__).parent
COLUMNS = (
    "test cases",
    "patients",
    "slices",
    "Dice by patient",
    "Dice over slices",
    "HD95 detected, px",
    "missed",
    "area ratio",
)


def groups(summary: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    tumour = summary["regions"]["tumour"]
    yield "all", tumour
    yield from tumour["by_class"].items()
    for name, figures in tumour["by_size"].items():
        yield f"{name} tumours", figures
    for fold in summary["folds"]:
        yield fold["fold"], fold


def row(name: str, figures: dict[str, Any]) -> list[str]:
    return [
        name,
        str(figures["patients"]),
        str(figures["tumour_cases"]),
        with_interval(figures["dice"]),
        f"{figures['dice']['mean_over_cases']:.3f}",
        f"{figures['hd95_detected']['mean']:.1f}",
        f"{figures['missed']} ({figures['missed'] / figures['tumour_cases']:.1%})",
        f"{figures['volume_ratio']['mean']:.2f} (median {figures['volume_ratio']['median']:.2f})",
    ]


def main(run: Path) -> None:
    folder = HERE / "results" / run.name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(run / "summary.json", folder / "summary.json")
    summary = json.loads((folder / "summary.json").read_text())
    for fold in summary["folds"]:
        keep(run / fold["fold"], folder)
    write_table(HERE / "folds.md", [list(COLUMNS), *(row(*group) for group in groups(summary))])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
