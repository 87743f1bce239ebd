"""The run folders below a folder: how far each one is, and what it came to."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from pathlib import Path

from tumorline.config import Config
from tumorline.errors import UserError
from tumorline.file_names import CARD_NAME, CONFIG_NAME, HISTORY_NAME, LOG_NAME, REPORT_NAME, STATE_NAME, SUMMARY_NAME
from tumorline.files import JsonObject, is_at_work
from tumorline.output.journal import read_journal
from tumorline.results import Summary, mean_dice_over_regions, read_summary
from tumorline.run_folder import is_finished, is_out_of_patience, read_config, read_history, validation_dice

PASSED_OVER = ("predictions", "tensorboard", "mlruns", "examples")
"""Folders that hold no runs, and many files."""
TAIL_BYTES = 4096


@dataclass(frozen=True)
class Listed:
    """One run folder, or one folder of folds."""

    run: str
    state: str
    dice: float | None
    """By patient on the held-out cases, of several regions the mean over them; None where the run is not finished."""
    interval: tuple[float, float] | None
    """95 % interval of the one region's Dice."""
    validation_dice: float | None
    """The best one so far."""
    epochs: str
    minutes: float | None
    """Of training steps, whatever machine they ran on."""
    changed: str
    """When anything was last written."""
    network: str

    def to_json(self) -> JsonObject:
        return dict(vars(self))


def list_runs(folder: Path) -> list[Listed]:
    """All below a folder, itself included; newest first."""
    return sorted(map(_look_at, _run_folders(folder)), key=lambda one: one.changed, reverse=True)


def _run_folders(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in PASSED_OVER and not name.startswith("."))
        if CONFIG_NAME in files:
            yield Path(place)


def _look_at(run: Path) -> Listed:
    """What can be told of a run; what cannot be read of it is its state."""
    try:
        config = read_config(run)
        return _of_folds(run, config) if _is_of_folds(run) else _of_run(run, config)
    except (UserError, OSError) as error:
        said = f"broken: {str(error).removeprefix(f'{run}/')}"
        return Listed(str(run), said, None, None, None, "", None, _changed(run), "")


def _is_of_folds(run: Path) -> bool:
    journal = read_journal(run)
    return any(run.glob(f"fold-*/{CONFIG_NAME}")) or (journal is not None and journal.command == "folds")


def _of_folds(run: Path, config: Config) -> Listed:
    members = [run / f"fold-{fold}" for fold in range(config.split.folds)]
    done = sum(map(is_finished, members))
    summary = read_summary(run / SUMMARY_NAME) if (run / SUMMARY_NAME).is_file() else None
    histories = [read_history(fold) for fold in members if fold.is_dir()]
    state = "finished" if done == len(members) else f"{done} of {len(members)} folds"
    minutes = sum(_minutes(history) for history in histories)
    return Listed(
        str(run), state, *_figure(summary), None, f"{len(members)} folds", minutes, _changed(run), config.model.name
    )


def _of_run(run: Path, config: Config) -> Listed:
    history = read_history(run)
    state = _state(run, config, history)
    summary = read_summary(run / SUMMARY_NAME) if state == "finished" else None
    epochs = f"{len(history)}/{config.train.epochs}"
    best = max(filter(isfinite, validation_dice(history)), default=None)
    return Listed(str(run), state, *_figure(summary), best, epochs, _minutes(history), _changed(run), config.model.name)


def _state(run: Path, config: Config, history: Sequence[Mapping[str, str]]) -> str:
    done = len(history)
    where = f"epoch {done} of {config.train.epochs}"
    if is_at_work(run):
        return f"running, {where} done" if done else "running, first epoch"
    if done >= config.train.epochs or is_out_of_patience(config.train.patience, history):
        return _end(run, config)
    if _last_line(run / LOG_NAME)[20:].startswith("error: "):
        return f"failed after {where}" if done else "failed in the first epoch"
    if done:
        return f"stopped at {where}"
    return "stopped in the first epoch" if (run / STATE_NAME).is_file() else "begun, nothing saved"


def _end(run: Path, config: Config) -> str:
    """Of what was trained; where nobody is left to test, the card is written last."""
    if (run / SUMMARY_NAME).is_file():
        return "finished"
    on_all = config.split.trains_on_all and (run / CARD_NAME).is_file()
    return "finished, all patients trained" if on_all else "trained, not tested"


def _figure(summary: Summary | None) -> tuple[float | None, tuple[float, float] | None]:
    """Dice with its interval; of several regions the mean without one."""
    if summary is None:
        return None, None
    if len(summary.regions) > 1:
        return mean_dice_over_regions(summary.regions), None
    (figures,) = summary.regions.values()
    interval = figures.dice.ci95
    return figures.dice.mean, (interval[0], interval[1]) if interval else None


def _minutes(history: Sequence[Mapping[str, str]]) -> float:
    return round(sum(float(row["seconds"] or 0) for row in history) / 60, 1)


def _changed(run: Path) -> str:
    names = (CONFIG_NAME, HISTORY_NAME, LOG_NAME, STATE_NAME, SUMMARY_NAME, REPORT_NAME)
    times = [path.stat().st_mtime for name in names if (path := run / name).is_file()]
    return datetime.fromtimestamp(max(times, default=0)).strftime("%Y-%m-%d %H:%M:%S")


def _last_line(path: Path) -> str:
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    return lines[-1] if lines else ""
