"""Values of each examination and region, for few examinations, of models that were trained by folds.

    python benchmarks/volumes.py benchmarks/volumes.md runs/volumes/brats_2d runs/volumes/brats_25d --unseen FOLDER ...

Each run is a folder of `tumorline folds`; its table holds the test cases of all finished folds. `--kept` takes folders
of rows that this script kept of runs of the same name: they fill the folds that the run lacks, where the machine that
trained them is gone. `--unseen` takes evaluation folders of other data (one for each model). Between nine cases there
are no intervals and no tests: values and range only. Writes the tables between the markers of the Markdown file, so
that no figure is typed by hand, and keeps the rows beside it in benchmarks/results/<run>/.
"""

import argparse
import csv
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, median

from kept import LAST, leave_paths_out, mark_as_brought_back
from marked import markdown_table, write_marked

VERY_LITTLE_ML = 2.0
"""Cases with less of a region stand apart: their Dice says little."""
KEPT = ("config.toml", "evaluation.csv", "baselines.csv", "history.csv")
"""Of a fold; rows that were brought back may have no history."""
Row = dict[str, str]


def read_table(path: Path) -> list[Row]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def finished(run: Path) -> list[Path]:
    return sorted(fold for fold in run.glob("fold-*") if (fold / LAST).exists())


def tested(run: Path) -> list[Row]:
    """The test rows of all folds, by case and region."""
    rows = [row for fold in finished(run) for row in read_table(fold / "evaluation.csv")]
    return sorted((row for row in rows if row["status"] == "test"), key=lambda row: (row["region"], row["case"]))


def number(text: str | None) -> float | None:
    return float(text) if text else None


def shown(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def dice_all(row: Row) -> float:
    """BraTS's: both empty counts 1, a region drawn where there is none 0."""
    dice = number(row["dice"])
    return dice if dice is not None else float(int(row["predicted_px"]) == 0)


def mean_over_regions(rows: Iterable[Row]) -> float:
    """Of the mean Dice over the cases that have the region."""
    by_region = defaultdict(list)
    for row in rows:
        if row["dice"]:
            by_region[row["region"]].append(float(row["dice"]))
    return fmean(map(fmean, by_region.values()))


def case_table(rows: Sequence[Row], models: Sequence[str] = ()) -> str:
    """A line for each row; `models` names whose it is, where the rows are of several."""
    head = ("case", "true ml", "drawn ml", "Dice", "both empty = 1", "NSD 2 mm", "HD95 mm", "lesion-wise", "BraTS 2023")
    if not models:
        return markdown_table(head, map(case_line, rows))
    return markdown_table(("model", *head), ([model, *case_line(row)] for model, row in zip(models, rows, strict=True)))


def case_line(row: Row) -> list[str]:
    return [
        row["case"],
        shown(number(row["truth_ml"]), 2),
        shown(number(row["predicted_ml"]), 2),
        shown(number(row["dice"])),
        shown(dice_all(row)),
        shown(number(row["nsd"])),
        shown(number(row["hd95"]), 1),
        shown(number(row["lesion_dice"])),
        shown(number(row["brats2023_lesion_dice"])),
    ]


def background_line(rows: Sequence[Row]) -> list[str]:
    """What drawing nothing reaches: 0 wherever there is something, and 1 where there is nothing."""
    empty = sum(not row["dice"] for row in rows)
    return [
        "all background",
        f"{len(rows) - empty} of {len(rows)}",
        *["0.000"] * 2,
        "0.000",
        shown(empty / len(rows)),
        "-",
    ]


def summary_line(name: str, rows: Sequence[Row]) -> list[str]:
    dice = [value for row in rows if (value := number(row["dice"])) is not None]
    everything = [dice_all(row) for row in rows]
    spread = f"{min(dice):.3f} to {max(dice):.3f}" if dice else "-"
    figures = (fmean(dice), median(dice)) if dice else (None, None)
    lesions = [value for row in rows if (value := number(row["brats2023_lesion_dice"])) is not None]
    lesion_wise = shown(fmean(lesions) if lesions else None)
    return [name, f"{len(dice)} of {len(rows)}", *map(shown, figures), spread, shown(fmean(everything)), lesion_wise]


def without_very_little(name: str, rows: Sequence[Row]) -> list[list[str]]:
    """The summary again, without cases that have next to nothing of the region; empty where there are none."""
    apart = [row["case"] for row in rows if 0 < (number(row["truth_ml"]) or 0) < VERY_LITTLE_ML]
    rest = [row for row in rows if row["case"] not in apart]
    return [summary_line(f"{name} without {', '.join(case[-5:] for case in apart)}", rest)] if apart else []


def baseline_lines(run: Path, region: str) -> list[list[str]]:
    """What trivial answers reach on the same cases."""
    by_name: dict[str, list[float]] = defaultdict(list)
    for fold in finished(run):
        for row in read_table(fold / "baselines.csv"):
            if row.get("region", region) == region and row["dice"]:
                by_name[row["baseline"]].append(float(row["dice"]))
    return [
        [
            f"{name} (baseline)",
            str(len(dice)),
            shown(fmean(dice)),
            shown(median(dice)),
            f"{min(dice):.3f} to {max(dice):.3f}",
            "-",
            "-",
        ]
        for name, dice in sorted(by_name.items())
    ]


def keep(run: Path, results: Path) -> None:
    """Copy what the tables were made from, without the paths of the machine."""
    for fold in finished(run):
        folder = results / run.name / fold.name
        folder.mkdir(parents=True, exist_ok=True)
        for name in KEPT:
            if (fold / name).exists():
                shutil.copyfile(fold / name, folder / name)
        leave_paths_out(folder / "config.toml", "start_from")


def bring_back(kept: Path, runs: Sequence[Path]) -> None:
    """Rows that were kept of a run, for the folds that it lacks."""
    run = next(run for run in runs if run.name == kept.name)
    for fold in sorted(kept.glob("fold-*")):
        if not (run / fold.name).exists():
            shutil.copytree(fold, run / fold.name)
            mark_as_brought_back(run / fold.name)


def minutes(run: Path) -> str:
    """Training minutes of the folds that were trained here, and the machine they ran on."""
    folds = finished(run)
    found = [json.loads(path.read_text()) for fold in folds if (path := fold / "environment.json").exists()]
    if not found:
        return f"rows of {len(folds)} folds that were kept"
    total = sum(environment["seconds_of_training_steps"] for environment in found) / 60
    precision, processor = found[0]["precision"], found[0]["machine"]["processor"]
    of_all = f" of {len(folds)}" if len(found) < len(folds) else ""
    return f"{total:.0f} min of training steps in {len(found)}{of_all} folds, {precision}, {processor}"


def section(runs: Sequence[Path]) -> list[str]:
    rows = {run: tested(run) for run in runs}
    regions = list(dict.fromkeys(row["region"] for found in rows.values() for row in found))
    lines = [f"- {run.name}: {minutes(run)}; mean over regions {mean_over_regions(rows[run]):.3f}" for run in runs]
    head = ("", "cases with it", "mean Dice", "median", "range", "mean, both empty = 1", "mean lesion-wise, BraTS 2023")
    for region in regions:
        members = {run: [row for row in found if row["region"] == region] for run, found in rows.items()}
        summary = [summary_line(run.name, found) for run, found in members.items()]
        summary += [line for run, found in members.items() for line in without_very_little(run.name, found)]
        trivial = [background_line(members[runs[0]]), *baseline_lines(runs[0], region)]
        lines += [f"\n### {region.replace('_', ' ')}\n", markdown_table(head, [*summary, *trivial])]
        for run, found in members.items():
            lines += [f"\n{run.name}:\n", case_table(found)]
    return lines


def unseen_section(folders: Sequence[Path]) -> list[str]:
    rows = [(folder.name, row) for folder in folders for row in read_table(folder / "evaluation.csv")]
    rows = [(name, row) for name, row in rows if row["status"] == "unseen"]
    lines = ["\n## Other data, never trained on"] if rows else []
    for region in dict.fromkeys(row["region"] for _, row in rows):
        members = [(name, row) for name, row in rows if row["region"] == region]
        models, found = zip(*members, strict=True)
        lines += [f"\n### {region.replace('_', ' ')}, other data\n", case_table(found, models)]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--unseen", type=Path, nargs="*", default=[])
    parser.add_argument("--kept", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    for kept in given.kept:
        bring_back(kept, given.runs)
    for run in given.runs:
        keep(run, given.report.parent / "results")
    made = "\n".join([*section(given.runs), *unseen_section(given.unseen)])
    write_marked(given.report, f"\n{made}\n")


if __name__ == "__main__":
    main()
