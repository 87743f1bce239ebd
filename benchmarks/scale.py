"""Whether time grows in proportion and memory does not, on simulated volumes of four channels and three regions.

    python benchmarks/scale.py [10 50 250] [--spacing 6] [--work FOLDER]

For each number of volumes: `data check` (nothing remembered), `data split`, `train` of one epoch of 20 steps,
`evaluate` of a model of other patients on all of them, and `report` of the run. A command is a process of its own, of
which processor seconds (user and system, with its child processes) and the peak of resident memory are taken. Writes
benchmarks/scale.md between its markers, and prints the table.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from hardening_speed import describe_machine
from refusals import said_in_one_line
from table import write_table
from tumorline.simulation import simulate

COMMANDS = ("check", "split", "train", "training step", "evaluate", "report")
KEYS = {
    "data.channels": '["flair", "post_contrast", "t2", "pre_contrast"]',
    "data.regions": '["whole_tumour", "tumour_core", "enhancing_tumour"]',
}
STEPS, BATCH = 20, 8
TRAINING = {
    "data.image_size": "32",
    "model.options.widths": "[8, 16]",
    "train.epochs": "1",
    "train.batch_size": str(BATCH),
    "train.epoch_images": str(STEPS * BATCH),
    "train.precision": "float32",
}
OTHER_PATIENTS = 10
"""Of the model that is evaluated."""


class Cost(NamedTuple):
    seconds: float
    peak_mib: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", type=int, nargs="*", default=[10, 50, 250])
    parser.add_argument("--spacing", type=float, default=6.0)
    parser.add_argument("--work", type=Path, help="where the volumes lie, and stay for another try")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (given.work or Path(temporary)).resolve()
        sets = {number: first_of(work, number, max(given.numbers), given.spacing) for number in given.numbers}
        model = train_other(work, given.spacing)
        costs = {number: measure(data, model, work / f"out-{number}") for number, data in sets.items()}
    rows = as_rows(costs)
    print(describe_machine(), *map(" | ".join, rows), sep="\n")
    write_table(Path(__file__).with_name("scale.md"), rows)


def first_of(work: Path, number: int, largest: int, spacing: float) -> Path:
    """A folder of links to the first volumes of the largest cohort."""
    cohort = made(work / f"cohort-{spacing:g}-{largest}", largest, spacing, seed=0)
    folder = work / f"first-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for scan in sorted(path for path in cohort.iterdir() if path.is_dir())[:number]:
        (folder / scan.name).symlink_to(scan)
    return folder


def made(folder: Path, volumes: int, spacing: float, seed: int) -> Path:
    return folder if folder.is_dir() else simulate(folder, volumes=volumes, spacing_mm=spacing, seed=seed)


def train_other(work: Path, spacing: float) -> Path:
    data = made(work / f"others-{spacing:g}", OTHER_PATIENTS, spacing, seed=1)
    run = work / "model"
    shutil.rmtree(run, ignore_errors=True)
    cost(["train", "--data", str(data), *settings(KEYS | TRAINING), "--output", str(run)], work / "others-cache")
    return run


def settings(keys: dict[str, str]) -> list[str]:
    return [word for key, value in keys.items() for word in ("--set", f"{key}={value}")]


def measure(data: Path, model: Path, out: Path) -> dict[str, Cost]:
    """All commands on one set, in the order in which a user calls them."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    run, cache = out / "run", out / "cache"
    train = ["train", "--data", str(data), *settings(KEYS | TRAINING), "--output", str(run)]
    evaluate = ["evaluate", str(model), "--data", str(data), *settings(KEYS), "--output", str(out / "evaluation")]
    costs = {
        "check": cost(["data", "check", str(data), *settings(KEYS)], cache),
        "split": cost(["data", "split", str(data), *settings(KEYS)], cache),
        "train": cost(train, cache),
        "evaluate": cost(evaluate, cache),
        "report": cost(["report", str(run)], cache),
    }
    environment = json.loads((run / "environment.json").read_text())
    step = environment["seconds_of_training_steps"] / STEPS
    return {**costs, "training step": Cost(step, environment["peak_memory_mb"])}


def cost(arguments: list[str], cache: Path) -> Cost:
    """What one command takes."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tumorline", *arguments], env=environment, stdout=said, stderr=said
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            raise SystemExit(f"tumorline {' '.join(arguments)}\n{said.read()[-2000:]}")
    print(
        f"{' '.join(arguments)[:70]}: {used.ru_utime + used.ru_stime:.1f} s, {used.ru_maxrss / 1024:.0f} MiB",
        flush=True,
    )
    return Cost(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def as_rows(costs: dict[int, dict[str, Cost]]) -> list[list[str]]:
    numbers = sorted(costs)
    head = [
        "command",
        *(f"{number} volumes: s, peak MiB" for number in numbers),
        "s for each volume more",
        "MiB for each",
    ]
    rows = [head]
    for name in COMMANDS:
        first, last = costs[numbers[0]][name], costs[numbers[-1]][name]
        cells = [f"{costs[number][name].seconds:.3g}, {costs[number][name].peak_mib:.0f}" for number in numbers]
        more = max(1, numbers[-1] - numbers[0])
        slope, growth = (last.seconds - first.seconds) / more, (last.peak_mib - first.peak_mib) / more
        rows.append([name, *cells, f"{slope:.3f}", f"{growth:.2f}"])
    return rows


if __name__ == "__main__":
    with said_in_one_line():
        main()
