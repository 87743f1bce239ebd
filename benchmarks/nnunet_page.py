"""The tables of nnunet.md, and the rows that they are made from."""

import argparse
import shutil
from collections.abc import Iterable, Sequence
from statistics import fmean, median
from typing import Any

from marked import markdown_table, write_marked
from nnunet_commands import HERE
from nnunet_folds import FOLDS, REGIONS, SIDES, Fold
from volumes import shown

KEPT = HERE / "results" / "nnunet"


def write_page(given: argparse.Namespace) -> None:
    done = [fold for fold in every_fold(given) if fold.is_finished]
    rows = [row for fold in done for way in fold.side.masks for row in fold.note(way)["rows"]]
    keep(done)
    content = [
        table_of_times(done),
        *(tables_of_axes(rows, axes) for axes in (3, 2)),
        lines_of_configuration(given),
    ]
    tables = "\n\n".join(filter(None, content))
    write_marked(HERE / "nnunet.md", f"\n{tables}\n")


def every_fold(given: argparse.Namespace) -> list[Fold]:
    return [Fold(given, name, number) for name in SIDES for number in range(FOLDS)]


def keep(done: Iterable[Fold]) -> None:
    """The notes of finished folds, rows and times."""
    for fold in done:
        target = KEPT / fold.name
        target.mkdir(parents=True, exist_ok=True)
        for name in ("preprocessing", "training", *fold.side.masks):
            if fold.note(name):
                shutil.copyfile(fold.file_of(name), target / fold.file_of(name).name)


def restore(given: argparse.Namespace) -> None:
    """The notes of folds that were finished on another machine."""
    for file in sorted(KEPT.glob("*/*.json")):
        target = given.output / file.relative_to(KEPT)
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)


def table_of_times(done: Sequence[Fold]) -> str:
    head = ("side", "fold", "precision", "minutes", "of them preprocessing", "iterations", "s an iteration", "batch")
    more = ("peak MB training", "s a case", "s a case, mirrored", "peak MB predicting", "machine")
    return "### Time and memory\n\n" + markdown_table([*head, *more], map(times_line, done))


def times_line(fold: Fold) -> list[str]:
    training, plain, mirrored = (fold.note(name) for name in ("training", "plain", "mirrored"))
    before = fold.note("preprocessing").get("seconds")
    each = [f"{used['seconds'] / used['cases']:.1f}" if used else "-" for used in (plain, mirrored)]
    return [
        fold.name,
        str(fold.number),
        fold.side.precision,
        f"{training['minutes']:.1f}",
        f"{before / 60:.1f}" if before else "-",
        str(training["iterations"]),
        f"{training['iteration_s']:.2f}",
        training["batch"],
        str(training["peak_mb"]),
        *each,
        str(plain.get("peak_mb", "-")),
        training["machine"],
    ]


def tables_of_axes(rows: Sequence[dict[str, Any]], axes: int) -> str:
    """For each region a line for each case, a column for each side; then median, range and who is ahead."""
    mine = [row for row in rows if SIDES[row["side"]].axes == axes]
    if not mine:
        return ""
    said = [f"## {axes}D, {'cases of 2 mm' if axes == 3 else 'cases as they are'}"]
    said += [region_table([row for row in mine if row["region"] == region], region) for region in REGIONS]
    return "\n\n".join(said)


def region_table(rows: Sequence[dict[str, Any]], region: str) -> str:
    columns = list(dict.fromkeys((row["side"], row["way"]) for row in rows))
    by_case = {(row["side"], row["way"], row["case"]): row for row in rows}
    cases = sorted({row["case"] for row in rows})
    head = ["case", "true ml", *(side if way == "plain" else f"{side}, {way}" for side, way in columns)]
    lines = [[case, true_ml(rows, case), *(cell(by_case.get((*column, case))) for column in columns)] for case in cases]
    for name, gather in (("median Dice", median), ("mean Dice", fmean)):
        lines.append([name, "", *(figure_of(rows, column, gather) for column in columns)])
    lines.append(["range", "", *(range_of(rows, column) for column in columns)])
    return "\n\n".join([f"### {region.replace('_', ' ')}", markdown_table(head, lines), *paired(rows, columns)])


def true_ml(rows: Iterable[dict[str, Any]], case: str) -> str:
    return shown(next(row["truth_ml"] for row in rows if row["case"] == case), 2)


def cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return shown(row["dice"]) if row["dice"] is not None else f"none; {shown(row['predicted_ml'], 2)} ml drawn"


def dice_of(rows: Iterable[dict[str, Any]], column: tuple[str, str]) -> dict[str, float]:
    """By case, of those that have the region."""
    mine = [row for row in rows if (row["side"], row["way"]) == column]
    return {row["case"]: row["dice"] for row in mine if row["dice"] is not None}


def figure_of(rows: Sequence[dict[str, Any]], column: tuple[str, str], gather: Any) -> str:
    found = dice_of(rows, column)
    return shown(gather(found.values())) if found else "-"


def range_of(rows: Sequence[dict[str, Any]], column: tuple[str, str]) -> str:
    found = dice_of(rows, column).values()
    return f"{min(found):.3f} to {max(found):.3f}" if found else "-"


def paired(rows: Sequence[dict[str, Any]], columns: Sequence[tuple[str, str]]) -> list[str]:
    """Each of Tumorline's sides against each other tool's, predicted the same way: who is ahead in how many cases."""
    lines = []
    for own in (column for column in columns if SIDES[column[0]].tool == "tumorline"):
        for other in (column for column in columns if SIDES[column[0]].tool != "tumorline" and column[1] == own[1]):
            mine, theirs = dice_of(rows, own), dice_of(rows, other)
            both = [mine[case] - theirs[case] for case in mine.keys() & theirs.keys()]
            if both:
                ahead = sum(value >= 0 for value in both)
                spread = f"{min(both):+.3f} to {max(both):+.3f}, median {median(both):+.3f}"
                lines.append(
                    f"- {own[0]} minus {other[0]} ({own[1]}): {spread}; at least as good in {ahead} of {len(both)}"
                )
    return lines


def lines_of_configuration(given: argparse.Namespace) -> str:
    """What a user writes beside the data."""
    datasets = sorted((given.output / "raw").glob("*/dataset.json"))
    lines = len(datasets[0].read_text().splitlines()) if datasets else 0
    program = len((HERE / "monai_segresnet.py").read_text().splitlines())
    return (
        "### What a user writes\n\n"
        f"- nnU-Net: {lines} lines of dataset.json, three environment variables, files renamed, three commands "
        "(preprocess, train, predict); the trainer of this page is ours and not counted\n"
        f"- MONAI: a program ({program} lines here)\n"
        "- Tumorline: two commands (train, predict), no file: a recipe by name, BraTS's own files as they are"
    )
