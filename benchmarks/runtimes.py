"""Whether runtimes and precisions draw the same masks: the change of Dice of each case that no fold has trained on.

    python benchmarks/runtimes.py FOLDS DATA --model builtin [--most N] [--work out.jsonl]

FOLDS is a folder of `tumorline folds`: each case is answered by the model of the fold that tests its patient, by
OpenVINO in float32 and by every other runtime and precision that is installed and computes here (int8 where
`export --precision int8` has written it beside the model). Each region of a case is a line of the work file as soon as
the case is done, and a second run goes on where the first one ended; --most ends a run after so many cases, evenly
spread over those that are left. --model is the model that is made by the recipe of the folds: its table stands in
benchmarks/runtimes.md between markers of its name, the changes themselves in benchmarks/results/runtimes/, from where
ship.py takes them. Prints the table: of how many cases of how many.
"""

import argparse
import csv
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from hardening_speed import describe_machine
from refusals import said_in_one_line
from table import write_table
from tumorline.assessment import open_wanted
from tumorline.environment import machine
from tumorline.errors import UserError
from tumorline.evaluation.precision import region_changes
from tumorline.evaluation.status import case_status
from tumorline.inference.model import Model, load
from tumorline.model_file import BUILTIN, BUILTIN_OF_SCANS
from tumorline.runtime import PRECISIONS, QUANTISED, RUNTIMES
from tumorline.spread import spread_evenly

EXACT = ("openvino", "float32")
PROCESSOR = "processor"
"""A column of the changes that are kept, beside the case and a column for each way to compute."""
COLUMNS = ("against OpenVINO in float32", "regions of cases", "mean change of Dice", "mean size of it", "largest", "of")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folds", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", choices=(BUILTIN, BUILTIN_OF_SCANS), required=True)
    parser.add_argument("--most", type=int, default=10**6)
    parser.add_argument("--work", type=Path, default=Path("runtimes.jsonl"))
    given = parser.parse_args()
    began, every = time.perf_counter(), 0
    lines = read_lines(given.work)
    folds = sorted(given.folds.glob("fold-*/model.safetensors"))
    for path in folds:
        model = load(path)
        dataset = open_wanted(model, given.data, ())
        status = case_status(model.info, dataset)
        tested = [name for name, own in status.items() if own == "test"]
        every += len(tested)
        done = {line["case"] for line in lines}
        others = other_ways(path)
        for name in spread_evenly([name for name in tested if name not in done], given.most // len(folds)):
            changes = [*region_changes(model, others, dataset, [name])]
            if broken := [way for one in changes for way, value in one.items() if value is None]:
                raise SystemExit(f"{name}: no finite answer by {broken[0]}")
            lines += (new := [{"case": name, PROCESSOR: machine()[PROCESSOR], "changes": one} for one in changes])
            with given.work.open("a") as file:
                file.writelines(json.dumps(line) + "\n" for line in new)
    ways = list(dict.fromkeys(way for line in lines for way in line["changes"]))
    rows = [list(COLUMNS), *(as_row(way, lines) for way in ways)]
    keep(lines, ways, kept_changes(given.model))
    minutes = (time.perf_counter() - began) / 60
    cases = len({line["case"] for line in lines})
    said = f"{cases} of {every} cases, {describe_machine()}, {time.strftime('%Y-%m-%d')}, {minutes:.0f} min"
    print(said, *map(" | ".join, rows), sep="\n")
    write_table(Path(__file__).with_name("runtimes.md"), rows, given.model)


def kept_changes(model: str) -> Path:
    return Path(__file__).parent / "results" / "runtimes" / f"{model}.csv"


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


def keep(lines: list[dict[str, Any]], ways: list[str], target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with target.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["case", PROCESSOR, *ways])
        for line in lines:
            changes = [f"{line['changes'][way]:.5f}" if way in line["changes"] else "" for way in ways]
            writer.writerow([line["case"], line[PROCESSOR], *changes])


def as_row(way: str, lines: list[dict[str, Any]]) -> list[str]:
    changes = [(line["changes"][way], line["case"]) for line in lines if way in line["changes"]]
    largest, case = max(changes, key=lambda change: abs(change[0]))
    values = np.array([change for change, _ in changes])
    return [
        way,
        str(len(values)),
        f"{values.mean():+.5f}",
        f"{np.abs(values).mean():.5f}",
        f"{largest:+.4f}",
        case,
    ]


if __name__ == "__main__":
    with said_in_one_line():
        main()
