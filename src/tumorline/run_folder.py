"""The names of a run folder's files, and what a training leaves there, read back."""

import os
import re
import time
from collections.abc import Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any

from tumorline.begun import is_begun, note_begun
from tumorline.config import Config, load_config
from tumorline.errors import UserError
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
from tumorline.trust import are_paths_trusted, is_remote, local_only, refuse_remote, texts_in

CONFIG_NAME = "config.toml"
SPLIT_NAME = "split.csv"
HISTORY_NAME = "history.csv"
ENVIRONMENT_NAME = "environment.json"
TEST_USES_NAME = "test_uses.jsonl"
STATE_NAME = "state.safetensors"
LOG_NAME = "log.txt"

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


def read_environment(run: Path) -> dict[str, Any]:
    """What the run was trained with."""
    found: dict[str, Any] = read_own_json(run / ENVIRONMENT_NAME, Environment, TRAIN_AGAIN)
    return found


def region_column(region: str) -> str:
    """The column of the history that holds a region's validation Dice, where there are several regions."""
    return f"validation_dice_{region}"


def source_columns(source: str) -> tuple[str, str]:
    """The columns of the history that hold the validation figures of one of several sources."""
    return f"dice_in_{source}", f"false_positives_in_{source}"


def validation_dice(history: Iterable[Mapping[str, str]]) -> list[float]:
    """By patient, of each epoch; not a number where nobody validates."""
    return [float(row["validation_dice"] or "nan") for row in history]


def best_validation_dice(run: Path) -> float | None:
    """By patient, over all epochs; None where nobody validates. Raises UserError where no epoch is finished."""
    if not (history := read_history(run)):
        raise UserError(f"{run / HISTORY_NAME}: no epoch is finished; {TRAIN_AGAIN}")
    return max(filter(isfinite, validation_dice(history)), default=None)


def save_config(config: Config, run: Path) -> None:
    """Begin a run folder, and remember that it was this user who did."""
    note_begun(config.to_toml())
    config.save(run / CONFIG_NAME)


def read_local_config(run: Path, overrides: Iterable[str] = ()) -> Config:
    """As `read_config`, to be used by whoever holds the folder: it may come from anyone.

    Raises UserError for paths into a network, and for any path where the run was not begun by this user, unless he
    trusts it (`trust.trusting_paths`). The cache of such a run is the user's own.
    """
    config = read_config(run, overrides)
    path = run / CONFIG_NAME
    with local_only():
        for _, text in _named_paths(config):
            refuse_remote(text, str(path))
    if _is_chosen_here(path):
        return config
    if not are_paths_trusted():
        _refuse_paths(path, config, read_config(run) if overrides else config)
    return _with_known_cache(config)


def _is_chosen_here(path: Path) -> bool:
    """Whether this user chose the paths of a configuration; a process that follows another leaves that to it."""
    if os.environ.get("RANK", "0") != "0":
        return True
    return is_begun(path.read_text(encoding="utf-8", errors="surrogateescape"))


def _refuse_paths(path: Path, config: Config, stored: Config) -> None:
    """Raise UserError for the first path that stands in the file, and that the user has not replaced."""
    from_file = _named_paths(stored)
    for key, text in _named_paths(config):
        if (key, text) in from_file:
            raise UserError(
                f"{path}: names {key} = '{text}', but this run was not begun by you on this machine; what it names is "
                "opened with --trust-paths only (evaluate: or give --data SOURCE)"
            )


def _with_known_cache(config: Config) -> Config:
    """The same with the user's own cache folder, unless the one that is named is trusted and holds a cache already."""
    if are_paths_trusted() and _holds_a_cache(config.data.cache):
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"cache": ""})})


def _holds_a_cache(folder: str) -> bool:
    patterns = ("facts-*.json", "*/images.npy")
    return bool(folder) and not is_remote(folder) and any(any(Path(folder).glob(pattern)) for pattern in patterns)


def _named_paths(config: Config) -> list[tuple[str, str]]:
    """Keys and texts of what a configuration has opened, but for the cache."""
    named = [("data.source", config.data.source), ("split.file", config.split.file)]
    named.append(("data.corrections", config.data.corrections))
    for number, source in enumerate(config.data.sources):
        named.append((f"data.sources.{number}.path", source.path))
        named.append((f"data.sources.{number}.corrections", source.corrections or ""))
    named += [("model.start_from", config.model.start_from), ("loss.teacher", config.loss.teacher)]
    named.append(("augment.donors", config.augment.donors))
    named += [("model.options", text) for text in texts_in(config.model.options) if _may_be_path(text)]
    return [(key, text) for key, text in named if text]


def _may_be_path(text: str) -> bool:
    return bool(re.search(r"[/\\]|\.(safetensors|pth?)$", text))


def new_run_folder(name: str) -> Path:
    """`runs/<time>-<name>`, a path that is not taken yet."""
    stem = Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    candidates = (stem.with_name(f"{stem.name}-{number}") for number in range(2, 1000))
    return next(path for path in (stem, *candidates) if not path.exists())


EVALUATION_NAME, SUMMARY_NAME, PREDICTIONS_NAME = "evaluation.csv", "summary.json", "predictions"
BASELINES_NAME, CERTAINTY_NAME = "baselines.csv", "certainty.csv"
PRESENCE_NAME = "presence.csv"


BEST_WEIGHTS_NAME = "best.safetensors"


STRESS_NAME = "stress.csv"
SUBSETS_NAME = "subsets.csv"


REPORT_NAME, REPORT_IMAGES_NAME = "report.html", "report-images"
"""The page, and the folder of its pictures where they are too large for it."""


CARD_NAME, CARD_PAGE_NAME = "MODEL_CARD.md", "model_card.html"


WEIGHTS_NAME = "model.safetensors"
ONNX_NAME = "model.onnx"
