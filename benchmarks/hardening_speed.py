"""Whether what guards against bad and hostile input costs time: two source trees side by side, in turns.

    python benchmarks/hardening_speed.py OLD/src NEW/src DATA [--rounds 5] [--images 600] [--again]

Both trees run in this environment, so that only Tumorline differs. A round runs each command with either tree, which
goes first changing from round to round:

- check, cold: `tumorline data check DATA`, with nothing remembered
- check, warm: the same command once more, with what it remembers
- predict: `tumorline predict` of the first images of DATA/images with builtin

Counted are processor seconds (user and system, with all threads and child processes): they depend less than the clock
on whatever else the machine does. `--again` runs the old tree as both, which shows the spread of two equal builds.
Writes benchmarks/hardening.md (between its markers) unless `--again` is given, and prints the table.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from refusals import said_in_one_line
from table import write_table
from tumorline.environment import machine, processor_kind

COMMANDS = ("check, cold", "check, warm", "predict")
Seconds = dict[str, dict[str, list[float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("old", "new", "data"):
        parser.add_argument(name, type=lambda text: Path(text).resolve())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--again", action="store_true")
    given = parser.parse_args()
    images = sorted((given.data / "images").iterdir())[: given.images]
    trees = {"old": given.old, "new": given.old if given.again else given.new}
    seconds: Seconds = {name: {tree: [] for tree in trees} for name in COMMANDS}
    with tempfile.TemporaryDirectory() as compiled:
        for turn in range(given.rounds + 1):
            for tree in sorted(trees, reverse=turn % 2 == 1):
                measured = measure(trees[tree], given.data, images if turn else images[:2], Path(compiled) / tree)
                print(turn, tree, json.dumps(measured), flush=True)
                for name, value in measured.items() if turn else ():  # the first round, of two images, warms up
                    seconds[name][tree].append(value)
    rows = as_rows(seconds)
    print(f"{describe_machine()}, {time.strftime('%Y-%m-%d')}", *map(" | ".join, rows), sep="\n")
    if not given.again:
        write_table(Path(__file__).with_name("hardening.md"), rows)


def measure(source: Path, data: Path, images: list[Path], compiled: Path) -> dict[str, float]:
    """Processor seconds of each command, in a cache folder of its own."""
    with tempfile.TemporaryDirectory() as place:
        settings = {"PYTHONPATH": str(source), "PYTHONPYCACHEPREFIX": str(compiled), "XDG_CACHE_HOME": f"{place}/cache"}
        environment = {**os.environ, **settings, "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        check = ["data", "check", str(data)]
        predict = ["predict", *map(str, images), "--output", f"{place}/out"]
        return {
            name: run(arguments, environment, place)
            for name, arguments in zip(COMMANDS, (check, check, predict), strict=True)
        }


def run(arguments: list[str], environment: dict[str, str], place: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "tumorline", *arguments]
    subprocess.run(command, env=environment, cwd=place, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime, 3)


def as_rows(seconds: Seconds) -> list[list[str]]:
    rows = [["command", "old, median (range) of processor s", "new, median (range) of processor s", "new / old"]]
    for name, of in seconds.items():
        median = {tree: statistics.median(values) for tree, values in of.items()}
        ranges = [f"{median[tree]:.2f} ({min(values):.2f} to {max(values):.2f})" for tree, values in of.items()]
        rows.append([name, *ranges, f"{median['new'] / median['old']:.2f}"])
    return rows


def describe_machine() -> str:
    return f"{processor_kind(machine())}, {os.cpu_count()} cores, Python {platform.python_version()}"


if __name__ == "__main__":
    with said_in_one_line():
        main()
