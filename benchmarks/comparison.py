"""Keep a comparison (`compare.json`) or a matrix (`matrix.json`) and write its table.

    python benchmarks/comparison.py comparisons/leaking-honest benchmarks/leak.md
    python benchmarks/comparison.py evaluations/matrix benchmarks/cross_dataset.md

The table goes between the markers of the Markdown file, the figures to benchmarks/results/<name of the Markdown>.json.
Of scans in a matrix the counts by slice (`presence.csv`) are kept in benchmarks/results/<name of the Markdown>/.
The pages with pictures stay where they are: the pictures are the data's.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from refusals import said_in_one_line
from table import write_table
from tumorline.file_names import PRESENCE_NAME
from tumorline.wording import tell_p

RESULTS = Path(__file__).parent / "results"
LEFT_OUT = {"disagreements", "dice_of_cases"}
"""Case by case; the pages have them."""


def write_comparison(folder: Path, target: Path) -> None:
    """The table into the page `target`, the figures beside it."""
    (path,) = [path for name in ("compare.json", "matrix.json") if (path := folder / name).is_file()]
    result = _without_cases(json.loads(path.read_text()))
    (RESULTS / f"{target.stem}.json").write_text(json.dumps(result, indent=1) + "\n")
    write_table(target, contenders(result) if "contenders" in result else cells(result))
    keep_presence(folder, RESULTS / target.stem)


def keep_presence(folder: Path, target: Path) -> None:
    """Of each cell of a matrix in how many slices of a scan something is there, drawn or found."""
    for path in sorted(folder.glob(f"*/{PRESENCE_NAME}")):
        target.mkdir(exist_ok=True)
        shutil.copyfile(path, target / f"{path.parent.name}.csv")


def contenders(result: dict[str, Any]) -> list[list[str]]:
    """A row for each recipe or model, then one for each difference."""
    rows = [["", "Dice by patient", "over slices", "NSD", "HD95", "missed", "Dice of each seed", "deviation"]]
    for one in result["contenders"]:
        figures = one["figures"]
        rows.append(
            [
                one["name"],
                limits(figures["dice"]),
                f"{figures['dice']['mean_over_cases']:.3f}",
                f"{figures['nsd']['mean']:.3f}",
                f"{figures['hd95']['mean']:.1f} {figures['hd95']['unit']}",
                f"{one['missed']:.1f} of {one['tumour_cases']}",
                ", ".join(f"{run['dice']:.3f} (seed {run['seed']})" for run in one["runs"]),
                f"{one['seed_deviation']:.3f}" if one["seed_deviation"] is not None else "-",
            ]
        )
    for pair in result["pairs"]:
        low, high = pair["difference"]["ci95"]
        digits = 1 if pair["metric"] == "hd95" else 3
        said = "within noise" if pair["noise"] else "real"
        difference = f"{pair['difference']['mean']:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})"
        name = f"{pair['first']} minus {pair['second']}: {pair['metric']}"
        rows.append([name, difference, f"{tell_p(pair['p_corrected'])}, {said}", *[""] * 5])
    return rows


def cells(result: dict[str, Any]) -> list[list[str]]:
    """A row for each model and set."""
    head = ["model", "set", "patients", "slices", "Dice by patient", "over slices", "NSD", "HD95 detected", "missed"]
    rows = [[*head, "median area ratio", "false positives", "their rate by patient"]]
    for cell in (cell for cell in result["cells"] if not cell["error"]):  # of which nothing is left to score
        figures = cell["figures"]
        dice = figures["dice"]
        rows.append(
            [
                cell["model"],
                f"{cell['set']}, {cell['domain']}",
                "unknown" if result["sets"][cell["set"]]["patients_unknown"] else str(cell["patients"]),
                str(cell["cases"]),
                limits(dice),
                _number(dice["mean_over_cases"], 3),
                _number(figures["nsd"]["mean"], 3),
                _number(figures["hd95_detected"]["mean"], 1, f" {figures['hd95']['unit']}"),
                _share(figures["missed"], figures["tumour_cases"]),
                _number(figures["volume_ratio"]["median"], 2),
                _share(figures["invented"], figures["tumour_free_cases"]),
                limits(figures["false_positive"]),
            ]
        )
    return rows


def limits(figure: dict[str, Any]) -> str:
    """A mean over patients with its interval, or with the range where there are too few."""
    if figure["mean"] is None:
        return "-"
    low, high = figure["ci95"] or figure["range"]
    return f"{figure['mean']:.3f} ({'' if figure['ci95'] else 'range '}{low:.3f} to {high:.3f})"


def _number(value: float | None, digits: int, unit: str = "") -> str:
    return "-" if value is None else f"{value:.{digits}f}{unit}"


def _share(count: int, of: int) -> str:
    return f"{count} of {of}" if of else "-"


def _without_cases(value: Any) -> Any:
    """The same without what is of single cases, and without the place of a set that an error names first."""
    if isinstance(value, dict):
        kept = {key: _without_cases(one) for key, one in value.items() if key not in LEFT_OUT}
        return kept | {"error": kept["error"].partition(": ")[2]} if kept.get("error") else kept
    return [_without_cases(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    with said_in_one_line():
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("folder", type=Path)
        parser.add_argument("page", type=Path)
        given = parser.parse_args()
        write_comparison(given.folder, given.page)
