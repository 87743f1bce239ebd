"""What was tried: the record of a search in its folder, with a training in `trial-NNN` for each trial."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tumorline.config import Section, read_toml
from tumorline.errors import UserError
from tumorline.file_names import BEST_WEIGHTS_NAME, SEARCH_NAME, STATE_NAME, TRIALS_NAME
from tumorline.files import write_json, write_text
from tumorline.own_files import Number, read_own_json
from tumorline.run_folder import read_history, validation_dice
from tumorline.tuning.plan import Domain, Range, TuningPlan

TUNE_AGAIN = "restore it from a copy, or search in another --output"


class Trial(Section):
    """One row of `trials.json`."""

    number: int = Field(ge=1)
    params: dict[str, Any]
    state: Literal["running", "complete", "pruned", "failed"] = "running"
    dice: list[Number] = Field(default=[])
    """Validation Dice by patient after each epoch; of a running trial it lies in its folder."""
    error: str = ""

    @property
    def value(self) -> float | None:
        return max(self.dice, default=None)


def trial_folder(folder: Path, number: int) -> Path:
    return folder / f"trial-{number:03d}"


def claim(plan: TuningPlan, folder: Path) -> None:
    """Keep the plan in the folder, or compare it with the one that is there; only `tune.trials` may differ."""
    path = folder / SEARCH_NAME
    if path.exists():
        ours, theirs = tomllib.loads(plan.to_toml()), read_toml(path)
        ours["tune"].pop("trials")
        if isinstance(theirs.get("tune"), dict):
            theirs["tune"].pop("trials", None)
        if changed := sorted(_leaves(ours).items() ^ _leaves(theirs).items()):
            raise UserError(f"{folder}: holds another search ('{changed[0][0]}' differs); choose another --output")
    write_text(path, plan.to_toml())


def read_trials(folder: Path) -> list[Trial]:
    """What was tried so far."""
    path = folder / TRIALS_NAME
    rows = read_own_json(path, list[Trial], TUNE_AGAIN) if path.exists() else []
    return [Trial.model_validate(row) for row in rows]


def trials_to_go_on_with(plan: TuningPlan, folder: Path) -> list[Trial]:
    """What was tried so far. Raises UserError where a trial is none of this search."""
    trials = read_trials(folder)
    for number, trial in enumerate(trials, 1):
        measured = trial.state not in ("complete", "pruned") or trial.dice
        last_or_ended = number == len(trials) or trial.state != "running"
        if not (trial.number == number and measured and last_or_ended and _is_of(plan, trial)):
            raise UserError(f"{folder / TRIALS_NAME}: trial {number} is none of this search; {TUNE_AGAIN}")
    return trials


def _is_of(plan: TuningPlan, trial: Trial) -> bool:
    space = plan.tune.space
    return trial.params.keys() == space.keys() and all(_holds(space[key], trial.params[key]) for key in space)


def _holds(domain: Domain, value: object) -> bool:
    if isinstance(domain, Range):
        return isinstance(value, (int, float)) and domain.low <= value <= domain.high
    return value in domain


def write_trials(trials: Sequence[Trial], folder: Path) -> None:
    write_json(folder / TRIALS_NAME, [trial.model_dump() for trial in trials])


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the highest validation Dice; the first of equal ones."""
    return max((t for t in trials if t.state == "complete"), key=lambda trial: trial.value or 0.0, default=None)


def scores(place: Path) -> list[float]:
    return validation_dice(read_history(place))


def drop_weights(trials: Sequence[Trial], folder: Path) -> None:
    """Of all trials that have ended, only the best keeps its weights: with them `tumorline train --resume` ends it."""
    best = best_trial(trials)
    for trial in trials:
        if trial.state != "running" and trial is not best:
            for name in (STATE_NAME, BEST_WEIGHTS_NAME):
                (trial_folder(folder, trial.number) / name).unlink(missing_ok=True)


def _leaves(values: Mapping[str, object], prefix: str = "") -> dict[str, str]:
    """Every value as JSON by its dotted key."""
    leaves: dict[str, str] = {}
    for key, value in values.items():
        leaves |= (
            _leaves(value, f"{prefix}{key}.")
            if isinstance(value, dict)
            else {prefix + key: json.dumps(value, default=str)}
        )
    return leaves
