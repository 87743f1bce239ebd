"""Gather finished runs into one Markdown table, and keep what it was made from.

    python benchmarks/table.py benchmarks/cheng.md runs/cheng-notebook runs/cheng-unet runs/cheng-lite0
    python benchmarks/table.py --validation benchmarks/recipe.md runs/lab/*

With --validation the table leaves the test part out: it is for choosing between recipes. Copies config.toml,
history.csv, summary.json and environment.json of each run to benchmarks/results/<run>/ and writes the table between
the markers of the Markdown file (or at its end), so that no figure is typed by hand.
"""

import argparse
import csv
import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

from kept import leave_paths_out
from marked import markdown_table, write_marked

KEPT = ("config.toml", "history.csv", "summary.json", "environment.json")
COLUMNS = (
    "recipe",
    "network",
    "epochs",
    "seed",
    "training steps",
    "validation Dice by patient",
    "test Dice by patient",
    "test Dice over slices",
    "test Dice by class",
    "HD95 detected",
    "missed",
    "mean area ratio",
    "pixel accuracy",
)
VALIDATION_COLUMNS = (
    "run",
    "epochs",
    "training steps",
    "lowest validation loss",
    "validation Dice by patient",
    "over slices",
    "missed",
    "mean area ratio",
)


def keep(run: Path, results: Path) -> Path:
    """Copy the run's small text files, without the paths of the machine it ran on."""
    folder = results / run.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in KEPT:
        shutil.copyfile(run / name, folder / name)
    leave_paths_out(folder / "config.toml")
    return folder


def validation_row(folder: Path) -> list[str]:
    summary = json.loads((folder / "summary.json").read_text())
    history = list(csv.DictReader((folder / "history.csv").open(newline="")))
    environment = json.loads((folder / "environment.json").read_text())
    figures = summary["validation"]["tumour"]
    return [
        folder.name,
        str(len(history)),
        f"{environment['seconds_of_training_steps'] / 60:.0f} min",
        f"{min(float(epoch['validation_loss']) for epoch in history):.3f}",
        with_interval(figures["dice"]),
        f"{figures['dice']['mean_over_cases']:.3f}",
        f"{figures['missed']} of {figures['tumour_cases']}",
        f"{figures['volume_ratio']['mean']:.2f}",
    ]


def row(folder: Path) -> list[str]:
    summary = json.loads((folder / "summary.json").read_text())
    config = tomllib.loads((folder / "config.toml").read_text())
    environment = json.loads((folder / "environment.json").read_text())
    figures = summary["regions"]["tumour"]
    options = ", ".join(f"{key} {value}" for key, value in config["model"]["options"].items())
    return [
        config["name"],
        f"{config['model']['name']}{f' ({options})' if options else ''}, {config['data']['image_size']} px",
        str(config["train"]["epochs"]),
        str(config["seed"]),
        f"{environment['seconds_of_training_steps'] / 60:.0f} min",
        with_interval(summary["validation"]["tumour"]["dice"]),
        with_interval(figures["dice"]),
        f"{figures['dice']['mean_over_cases']:.3f}",
        ", ".join(f"{name} {group['dice']['mean']:.2f}" for name, group in figures["by_class"].items()),
        f"{figures['hd95_detected']['mean']:.1f} {figures['hd95']['unit']}",
        f"{figures['missed']} of {figures['tumour_cases']}",
        f"{figures['volume_ratio']['mean']:.2f} (median {figures['volume_ratio']['median']:.2f})",
        f"{figures['accuracy']['mean']:.4f}",
    ]


def with_interval(figure: dict[str, Any]) -> str:
    low, high = figure["ci95"] or figure["range"]
    kind = "95 % interval" if figure["ci95"] else "range"
    return f"{figure['mean']:.3f} ({kind} {low:.3f} to {high:.3f}, {figure['patients']} patients)"


def background_row(folder: Path) -> list[str]:
    summary = json.loads((folder / "summary.json").read_text())
    figures = summary["regions"]["tumour"]
    background = summary["baselines"]["all_background"]["tumour"]
    missed = f"{background['missed']} of {figures['tumour_cases']}"
    nothing = ["all background", "none", "-", "-", "-", "0", "0", "0", "0", "-", missed, "-"]
    return [*nothing, f"{background['accuracy']:.4f}"]


def write_table(target: Path, rows: list[list[str]], name: str = "table") -> None:
    """Replace what stands between the markers of this name; the first row is the head."""
    write_marked(target, markdown_table(rows[0], rows[1:]), name)


def main(target: Path, runs: list[Path], validation: bool) -> None:
    folders = [keep(run, target.parent / "results") for run in runs]
    if validation:
        rows = [list(VALIDATION_COLUMNS), *map(validation_row, folders)]
    else:
        rows = [list(COLUMNS), background_row(folders[0]), *map(row, folders)]
    write_table(target, rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--validation", action="store_true", help="leave the test part out")
    given = parser.parse_args()
    main(given.page, given.runs, given.validation)
