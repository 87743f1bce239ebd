"""Whether runtimes and precisions draw the same masks: the change of Dice of each slice that no fold has trained on.

    python benchmarks/runtimes.py FOLDS DATA [--most N] [--work out.jsonl]

FOLDS is a folder of `tumorline folds`: each slice is answered by the model of the fold that tests its patient, by
OpenVINO in float32 and by every other runtime and precision that is installed and computes here (int8 where
`export --precision int8` has written it beside the model). Each slice is a line of the work file as soon as it is done,
and a second run goes on where the first one ended; --most ends a run after so many slices, evenly spread over those
that are left. Writes benchmarks/runtimes.md (between its markers), the changes of each slice to
benchmarks/results/runtimes.csv, and prints the table: of how many slices of how many.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from hardening_speed import describe_machine
from table import write_table
from tumorline.assessment import open_wanted
from tumorline.environment import machine
from tumorline.errors import UserError
from tumorline.evaluation.precision import measure_changes
from tumorline.evaluation.status import case_status
from tumorline.inference.model import Model, load
from tumorline.runtime import PRECISIONS, QUANTISED, RUNTIMES
from tumorline.spread import spread_evenly

EXACT = ("openvino", "float32")
ROWS = Path(__file__).parent / "results" / "runtimes.csv"
PROCESSOR = "processor"
"""A column of it, beside the case and a column for each way to compute."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--most", type=int, default=10**6)
    parser.add_argument("--work", type=Path, default=Path("runtimes.jsonl"))
    given = parser.parse_args()
    began, every = time.perf_counter(), 0
    lines = read_lines(given.work)
    folds = sorted(given.folds.glob("fold-*/model.safetensors")) or [given.folds]
    for path in folds:
        model = load(path)
        dataset = open_wanted(model, given.data, ())
        status = case_status(model.info, dataset)
        names = [name for name, own in status.items() if own == "test"]
        every += len(names)
        done = {line["case"] for line in lines}
        others = other_ways(path)
        for name in spread_evenly([name for name in names if name not in done], given.most // len(folds)):
            changes = {way: one.mean for way, one in measure_changes(model, others, dataset, [name]).items()}
            lines.append({"case": name, PROCESSOR: machine()[PROCESSOR], "changes": changes})
            with given.work.open("a") as file:
                file.write(json.dumps(lines[-1]) + "\n")
    rows = [["against OpenVINO in float32", "slices", "mean change of Dice", "mean size of it", "largest", "of slice"]]
    changes_of = {line["case"]: line["changes"] for line in lines}
    ways = list(dict.fromkeys(way for changes in changes_of.values() for way in changes))
    rows += [as_row(way, changes_of) for way in ways]
    keep(lines, ways)
    minutes = (time.perf_counter() - began) / 60
    said = f"{len(lines)} of {every} slices, {describe_machine()}, {time.strftime('%Y-%m-%d')}, {minutes:.0f} min"
    print(said, *map(" | ".join, rows), sep="\n")
    write_table(Path(__file__).with_name("runtimes.md"), rows)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def other_ways(path: Path) -> dict[str, Model]:
    found = {}
    for runtime in RUNTIMES:
        for precision in (*PRECISIONS, QUANTISED):
            try:
                if (runtime, precision) != EXACT:
                    found[f"{runtime}, {precision}"] = load(path, precision=precision, runtime=runtime)
            except UserError:
                continue
    return found


def keep(lines: list[dict[str, Any]], ways: list[str]) -> None:
    with ROWS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", PROCESSOR, *ways])
        for line in lines:
            changes = [f"{line['changes'][way]:.5f}" if way in line["changes"] else "" for way in ways]
            writer.writerow([line["case"], line[PROCESSOR], *changes])


def as_row(way: str, done: dict[str, dict[str, float]]) -> list[str]:
    changes = {name: found[way] for name, found in done.items() if way in found}
    worst = max(changes, key=lambda name: abs(changes[name]))
    values = np.array(list(changes.values()))
    return [
        way,
        str(len(values)),
        f"{values.mean():+.5f}",
        f"{np.abs(values).mean():.5f}",
        f"{changes[worst]:+.4f}",
        worst,
    ]


if __name__ == "__main__":
    main()
