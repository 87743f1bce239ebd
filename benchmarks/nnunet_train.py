"""Each side's training on one fold, within the minutes."""

import csv
import json
import math
import os
import shutil
import time
import tomllib
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from nnunet_commands import HERE, machine, run_here, run_nnunet
from nnunet_folds import Fold

ITERATIONS = 10
"""Of what is an epoch of nnU-Net's here: after each its state is saved, and one validation batch is looked at."""
RATE_EPOCHS = 2
"""Of a trial of Tumorline's own, from which follows how many fit into the minutes: the second one counts."""
ALLOWANCE = 0.97
"""Of the minutes are planned for: an epoch may take longer than the one that was timed."""


def train(fold: Fold) -> None:
    if fold.is_finished or (fold.weights.is_file() and fold.note("training")):
        return
    how = {"nnunet": train_nnunet, "tumorline": train_tumorline, "monai": train_monai}
    print(f"== {fold.name}, fold {fold.number}: training", flush=True)
    how[fold.side.tool](fold)


def train_nnunet(fold: Fold) -> None:
    """Plans and preprocessing by nnU-Net itself, then its trainer for the seconds that are left."""
    given, identifier = fold.given, fold.dataset.name[7:10]
    planned = fold.note("preprocessing")
    if not planned:
        workers = str(os.cpu_count())
        command = ["nnUNetv2_plan_and_preprocess", "-d", identifier, "-c", fold.side.configuration]
        planned = run_nnunet(given, *command, "-np", workers, "-npfp", workers, "--verify_dataset_integrity")
        fold.keep("preprocessing", planned)
    times = read_times(fold.nnunet_results)
    goes_on = ["--c"] if (fold.nnunet_results / "checkpoint_latest.pth").is_file() else []
    command = ["nnUNetv2_train", identifier, fold.side.configuration, "all", "-tr", "TimedTrainer", "-device", "cpu"]
    timing = {
        "TIMED_SECONDS": str(60 * given.minutes),
        "TIMED_SPENT": str(times.get("spent", planned["seconds"])),
        "TIMED_BEGAN": str(time.time()),
        "TIMED_ITERATIONS": str(ITERATIONS),
    }
    used = run_nnunet(given, *command, *goes_on, variables=timing)
    keep_training(fold, read_times(fold.nnunet_results), max(used["peak_mb"], planned["peak_mb"]))


def train_monai(fold: Fold) -> None:
    arguments = [str(HERE / "monai_segresnet.py"), "train", str(fold.dataset), str(fold.folder)]
    more = ["--seconds", str(60 * fold.given.minutes), "--began", str(time.time()), "--precision", fold.side.precision]
    used = run_here(fold.given, *arguments, *more)
    keep_training(fold, read_times(fold.folder), used["peak_mb"])


def read_times(folder: Path) -> dict[str, Any]:
    file = folder / "times.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def keep_training(fold: Fold, times: dict[str, Any], peak_mb: float) -> None:
    steps = times["step_seconds"]
    fold.keep(
        "training",
        {
            "minutes": round(times["spent"] / 60, 2),
            "iterations": times["iterations"],
            "iteration_s": round(median(steps), 3),
            "images": times["iterations"] * times["batch_size"],
            "batch": f"{times['batch_size']} x {' x '.join(map(str, times['patch']))}",
            "peak_mb": peak_mb,
            "machine": machine(),
        },
    )


def train_tumorline(fold: Fold) -> None:
    """As many epochs as the minutes hold; what they take is measured once for each side."""
    epochs = fold.note("plan").get("epochs") or plan_epochs(fold)
    fold.keep("plan", {"epochs": epochs})
    if (fold.folder / "config.toml").is_file():
        used = run_here(fold.given, "-m", "tumorline", "train", "--resume", str(fold.folder))
    else:
        used = run_here(fold.given, *training_command(fold, fold.folder, epochs))
    history = list(csv.DictReader((fold.folder / "history.csv").open(newline="")))
    facts = json.loads((fold.folder / "environment.json").read_text())
    images = sum(float(row["images_per_second"]) * float(row["seconds"]) for row in history)
    settings = tomllib.loads((fold.folder / "config.toml").read_text())
    batch, size = settings["train"]["batch_size"], [settings["data"]["image_size"]] * 2
    fold.keep(
        "training",
        {
            "minutes": round(minutes_of(fold, len(history)), 2),
            "iterations": round(images / batch),
            "iteration_s": round(facts["seconds_of_training_steps"] / (images / batch), 3),
            "images": round(images),
            "batch": f"{batch} x {' x '.join(map(str, settings['data'].get('window', size)))}",
            "peak_mb": used["peak_mb"],
            "machine": machine(),
        },
    )


def minutes_of(fold: Fold, epochs: int) -> float:
    """What comes before the first epoch, from the trial, and so many epochs, whatever pauses lay between them."""
    trial = epoch_seconds(trial_of(fold))
    epoch = epoch_seconds(fold.folder)["epoch_s"] if epochs > 1 else trial["epoch_s"]
    return (trial["before_s"] + epochs * epoch) / 60


def trial_of(fold: Fold) -> Path:
    return fold.folder.with_name("trial")


def training_command(fold: Fold, output: Path, epochs: int) -> list[str]:
    recipe = HERE.parent / "configs" / f"{fold.side.recipe}.toml"
    changes = [
        "split.folds=0",
        f"train.epochs={epochs}",
        f"train.precision={fold.side.precision}",
        f"name={fold.name}",
        *fold.given.set,
    ]
    words = ["-m", "tumorline", "train", str(recipe), "--data", str(fold.dataset), "--output", str(output)]
    return [*words, *(word for change in changes for word in ("--set", change))]


def plan_epochs(fold: Fold) -> int:
    """From a trial without a test: what comes before the first epoch, and what the second one takes, validation too."""
    trial = trial_of(fold)
    if not (trial / "environment.json").is_file():
        shutil.rmtree(trial, ignore_errors=True)
        run_here(fold.given, *training_command(fold, trial, RATE_EPOCHS), "--no-test")
    facts, seconds = epoch_seconds(trial), 60 * fold.given.minutes
    epochs: int = max(1, math.floor((ALLOWANCE * seconds - facts["before_s"]) / facts["epoch_s"]))
    print(
        f"{fold.name}: {facts['epoch_s']:.1f} s an epoch: {epochs} epochs in {fold.given.minutes:g} minutes", flush=True
    )
    return epochs


def epoch_seconds(run: Path) -> dict[str, float]:
    """What an epoch takes with its validation, from the times at which the run's log was written to."""
    lines = (run / "log.txt").read_text().splitlines()
    stamps = [stamp_of(line) for line in lines]
    epochs = [stamp for line, stamp in zip(lines, stamps, strict=True) if line[20:26] == "epoch "]
    begun = next(stamp for stamp in stamps if stamp)
    epoch = median(later - earlier for earlier, later in pairwise(epochs))
    return {"epoch_s": epoch, "before_s": max(0.0, epochs[0] - begun - epoch)}


def stamp_of(line: str) -> float:
    """Seconds of the epoch of a line of a log; 0 of one that bears none."""
    try:
        return time.mktime(time.strptime(line[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        return 0.0
