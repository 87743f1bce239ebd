"""A run goes on beyond the epochs that it was begun with, to what it would be had it been begun with more.

That is so where the learning rate of an epoch does not depend on how many follow: of the schedules 'constant' and
'plateau', once the warm-up keeps its number of steps.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tumorline.begun import is_begun
from tumorline.config import Config, TrainConfig
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.file_names import CONFIG_NAME, HISTORY_NAME, LENGTHENED_NAME, TEST_USES_NAME
from tumorline.files import append_line
from tumorline.progress import Notify
from tumorline.run_folder import is_out_of_patience, read_config, read_history, save_config
from tumorline.wording import numbered

LENGTHENABLE = ("constant", "plateau")
MOST_STEPS = 2000
"""Steps of an epoch up to which a warm-up is held to be the same."""
CURE = "restore the file from a copy, or start a new run"


def lengthen(run: Path, config: Config, epochs: int) -> Config:
    """The configuration with so many epochs; the run folder stays as it is until `keep_length`.

    Raises UserError where a longer training would be another one.
    """
    if epochs == config.train.epochs:
        return config
    _refuse(run, config, epochs)
    return with_length(config, epochs)


def keep_length(run: Path, epochs: int, notify: Notify) -> None:
    """Write the length to the run folder, beside the old one, and say so."""
    written = read_config(run)
    if epochs == written.train.epochs:
        return
    before, longer = written.train, with_length(written, epochs)
    append_line(run / LENGTHENED_NAME, {"epochs": before.epochs, "warmup": before.warmup})
    save_as_begun(run, longer, is_begun(written.to_toml()))
    warmup = "" if longer.train.warmup == before.warmup else f", train.warmup {before.warmup} to {longer.train.warmup}"
    again = "; its test part will be looked at once more" if (run / TEST_USES_NAME).exists() else ""
    notify(f"lengthened: train.epochs {before.epochs} to {epochs}{warmup}{again}")


def with_length(config: Config, epochs: int) -> Config:
    """The same with more epochs and as many steps of warm-up."""
    warmup = same_rise(config.train.warmup, config.train.epochs, epochs)
    return _with(config, {"epochs": epochs, "warmup": warmup})


def same_rise(warmup: float, before: int, after: int) -> float:
    """The share of the longer training that is as many steps as this share of the shorter one."""
    share = warmup * before / after
    nearby = (share, math.nextafter(share, 0), math.nextafter(share, 1))
    steps = range(1, MOST_STEPS)
    rises = [math.ceil(warmup * (before * step)) for step in steps]
    same = (value for value in nearby if [math.ceil(value * (after * step)) for step in steps] == rises)
    return next(same, share)


def earlier_lengths(run: Path, config: Config) -> list[Config]:
    """The configuration as it was before it was lengthened, each time. Raises UserError for a damaged file."""
    path = run / LENGTHENED_NAME
    if not path.is_file():
        return []
    try:
        lengths = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        return [_with(config, {key: length[key] for key in ("epochs", "warmup")}) for length in lengths]
    except (ValueError, TypeError, KeyError, OSError, RecursionError):
        raise UserError(f"{path}: damaged; {CURE}") from None


def _with(config: Config, changes: Mapping[str, Any]) -> Config:
    try:
        train = TrainConfig.model_validate({**config.train.model_dump(), **changes})
    except ValidationError as error:
        raise UserError(f"train: {error.errors()[0]['msg']}") from None
    return config.model_copy(update={"train": train})


def save_as_begun(run: Path, config: Config, begun_here: bool) -> None:
    """A run of somebody else's does not become one of this user's."""
    if begun_here:
        save_config(config, run)
    else:
        config.save(run / CONFIG_NAME)


def _refuse(run: Path, config: Config, epochs: int) -> None:
    settings = config.train
    if epochs < settings.epochs:
        raise UserError(f"{run}: train.epochs is {settings.epochs}; a run can be lengthened, not shortened to {epochs}")
    anew = f"begin another from its weights: tumorline train RECIPE --set {for_shell(f'model.start_from={run}')}"
    if settings.schedule not in LENGTHENABLE:
        raise UserError(
            f"{run}: train.schedule is '{settings.schedule}', whose rates are laid out over {settings.epochs} epochs, "
            f"so that a longer training is another one; '{LENGTHENABLE[0]}' and '{LENGTHENABLE[1]}' go on. Or {anew}"
        )
    if any(first != last for first, last in (term.ends for term in config.loss.sum)):
        raise UserError(
            f"{run}: weights of loss.sum move over the {settings.epochs} epochs, so that a longer training is another "
            f"one; {anew}"
        )
    if is_out_of_patience(settings.patience, read_history(run)):
        raise UserError(
            f"{run}: stopped early, after {numbered(settings.patience, 'epoch')} without a better validation Dice "
            f"(train.patience; {HISTORY_NAME} has them); more epochs change nothing"
        )
