"""How long one picture waits for its mask, from the start of the program to its end.

    python benchmarks/cold_start.py IMAGE [--rounds 5]

A process of its own each time: `predict` of one picture where no network is compiled yet (a cache folder that is
empty), where the compiled one is kept, with and without the overlay; and `models`. Seconds of the clock, medians with
their range. Writes benchmarks/cold_start.md (between its markers) and prints the table.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from hardening_speed import describe_machine
from refusals import said_in_one_line
from table import write_table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("image", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    predict = ["predict", str(given.image)]
    rows = [["what", "seconds, median (range)"]]
    with tempfile.TemporaryDirectory() as kept:
        first = [in_empty_cache([*predict, "--no-overlay"]) for _ in range(given.rounds)]
        seconds(predict, kept)
        again = {
            "predict --no-overlay, network compiled before": [*predict, "--no-overlay"],
            "predict, network compiled before": predict,
            "models": ["models"],
        }
        found = {name: [seconds(command, kept) for _ in range(given.rounds)] for name, command in again.items()}
    for name, taken in {"predict --no-overlay, nothing compiled yet": first, **found}.items():
        rows.append([name, f"{median(taken):.2f} ({min(taken):.2f} to {max(taken):.2f})"])
    print(f"{describe_machine()}, {time.strftime('%Y-%m-%d')}", *map(" | ".join, rows), sep="\n")
    write_table(Path(__file__).with_name("cold_start.md"), rows)


def in_empty_cache(arguments: list[str]) -> float:
    with tempfile.TemporaryDirectory() as cache:
        return seconds(arguments, cache)


def seconds(arguments: list[str], cache: str) -> float:
    """Of one process, with this folder as the user's cache."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "tumorline", *arguments],
            cwd=folder,
            env={**os.environ, "XDG_CACHE_HOME": cache},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )
        return time.perf_counter() - began


if __name__ == "__main__":
    with said_in_one_line():
        main()
