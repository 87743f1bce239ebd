"""A run folder: its path, its configuration, and what a training leaves there, read back."""

import time
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path

from tumorline.begun import note_begun
from tumorline.config import Config, bare_name, load_config
from tumorline.errors import UserError
from tumorline.file_names import CONFIG_NAME, ENVIRONMENT_NAME, HISTORY_NAME, REPORT_NAME, SPLIT_NAME
from tumorline.files import JsonObject
from tumorline.own_files import (
    TRAIN_AGAIN,
    Cell,
    Count,
    Number,
    Written,
    any_text,
    case_name,
    finite_number,
    measured_number,
    or_empty,
    read_own_csv,
    read_own_json,
)

MEASURED = ("learning_rate", "train_loss", "validation_loss", "seconds", "images_per_second")
SPLIT_COLUMNS: dict[str, Cell] = {"case": case_name, "patient": any_text, "class_name": any_text, "part": any_text}


class Processor(Written):
    processor: str


class Environment(Written):
    """What the leaderboard takes from `environment.json`; the report shows all of it."""

    machine: Processor
    device: str
    precision: str
    seconds_of_training_steps: Number
    peak_memory_mb: Number
    parameters: Count
    multiply_adds: Count
    initialisation: str


def is_finished(run: Path) -> bool:
    """Whether all is done: the page of a run, or of folds, is written last."""
    return (run / REPORT_NAME).is_file()


def read_config(run: Path, overrides: Iterable[str] = ()) -> Config:
    """The configuration that a run was started with."""
    path = run / CONFIG_NAME
    if not path.is_file():
        raise UserError(f"{run}: not a run folder (no {CONFIG_NAME}); runs are made by 'tumorline train'")
    return load_config(path, overrides)


def read_history(run: Path, needed: Iterable[str] = ()) -> list[dict[str, str]]:
    """The row of each epoch, with a number in the columns that are `needed`; none where nothing was trained."""
    path = run / HISTORY_NAME
    measured = dict.fromkeys(MEASURED, or_empty(measured_number))
    columns: dict[str, Cell] = {"validation_dice": or_empty(measured_number), **dict.fromkeys(needed, finite_number)}
    return read_own_csv(path, columns, TRAIN_AGAIN, measured) if path.exists() else []


def read_split(run: Path) -> list[dict[str, str]]:
    """Case, patient, class and part of each case; none where the folder does not say."""
    path = run / SPLIT_NAME
    return read_own_csv(path, SPLIT_COLUMNS, TRAIN_AGAIN) if path.exists() else []


def read_environment(run: Path) -> JsonObject:
    """What the run was trained with; older runs wrote the place of the model that they started from."""
    environment: JsonObject = read_own_json(run / ENVIRONMENT_NAME, Environment, TRAIN_AGAIN)
    return {**environment, "initialisation": bare_name(environment["initialisation"])}


def region_column(region: str) -> str:
    """The column of the history that holds a region's validation Dice, where there are several regions."""
    return f"validation_dice_{region}"


def source_columns(source: str) -> tuple[str, str]:
    """The columns of the history that hold the validation figures of one of several sources."""
    return f"dice_in_{source}", f"false_positives_in_{source}"


def validation_dice(history: Iterable[Mapping[str, str]]) -> list[float]:
    """By patient, of each epoch; not a number where nobody validates."""
    return [float(row["validation_dice"] or "nan") for row in history]


def is_out_of_patience(patience: int, history: Iterable[Mapping[str, str]]) -> bool:
    """Whether so many epochs have brought no better validation Dice; 0 waits for ever."""
    dice = validation_dice(history)
    return bool(patience and dice) and len(dice) - 1 - dice.index(max(dice)) >= patience


def best_validation_dice(run: Path) -> float | None:
    """By patient, over all epochs; None where nobody validates. Raises UserError where no epoch is finished."""
    if not (history := read_history(run)):
        raise UserError(f"{run / HISTORY_NAME}: no epoch is finished; {TRAIN_AGAIN}")
    return max(filter(isfinite, validation_dice(history)), default=None)


def save_config(config: Config, run: Path) -> None:
    """Begin a run folder, and remember that it was this user who did."""
    note_begun(config.to_toml())
    config.save(run / CONFIG_NAME)


def new_run_folder(name: str) -> Path:
    """`runs/<time>-<name>`, a path that is not taken yet."""
    stem = Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    candidates = (stem.with_name(f"{stem.name}-{number}") for number in range(2, 1000))
    return next(path for path in (stem, *candidates) if not path.exists())
