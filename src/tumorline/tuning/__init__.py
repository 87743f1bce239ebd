"""Search for the best settings by validation Dice: each trial is a training that never sees the test part.

Trials are proposed by a tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS) through Optuna (Akiba et al.
2019, arXiv:1907.10902), and given up where they are worse than the median of those before them (Golovin et al. 2017,
"Google Vizier"). The folder is the memory: what was tried lies in `trials.json`, each training in `trial-NNN`. A
proposal depends on the trials before it and the seed alone, so that a stop changes nothing.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from tumorline import run
from tumorline.errors import Diverged, Interrupted, UserError, require_extra
from tumorline.file_names import (
    BEST_TRIAL_NAME,
    SEARCH_NAME,
    SEARCH_PAGE_NAME,
    STATE_NAME,
    TRIALS_NAME,
    TRIALS_TABLE_NAME,
)
from tumorline.files import alone_in
from tumorline.output.folder import claim_output
from tumorline.output.journal import JOURNAL_NAME
from tumorline.output.place import require_utf_8
from tumorline.progress import Notify
from tumorline.tuning.plan import TuningPlan, check_choices, read_plan
from tumorline.tuning.results import trial_rows, write_results
from tumorline.tuning.sampler import ask_again, propose
from tumorline.tuning.trials import (
    Trial,
    best_trial,
    claim,
    drop_weights,
    read_trials,
    scores,
    trial_folder,
    trials_to_go_on_with,
    write_trials,
)

__all__ = ["TuningPlan", "best_trial", "read_plan", "read_trials", "trial_rows", "tune"]

NAMES = (SEARCH_NAME, TRIALS_NAME, TRIALS_TABLE_NAME, BEST_TRIAL_NAME, SEARCH_PAGE_NAME, "trial-*")
"""All that a search's folder holds, with or without a journal."""


def tune(plan: TuningPlan, folder: Path, notify: Notify) -> None:
    """Try settings until there are `tune.trials` trials, and write what came out after each.

    Called again with the same plan it goes on where it was stopped; more trials may be asked for. Raises UserError for
    another plan in the same folder, and where another search is at work there.
    """
    require_extra("torch", "training", "train")
    require_extra("optuna", "tuning", "tune")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("tuning runs in one process; start it without torchrun")
    check_choices(plan)
    require_utf_8(folder)
    claim_output(folder, "tune", NAMES)
    with alone_in(folder):
        claim(plan, folder)
        _search(plan, folder, notify)


def _search(plan: TuningPlan, folder: Path, notify: Notify) -> None:
    trials = trials_to_go_on_with(plan, folder)
    if plan.caveat:
        notify(f"warning: {plan.caveat}")
    while True:
        if not trials or trials[-1].state != "running":
            if len(trials) >= plan.tune.trials:
                break
            trials.append(Trial(number=len(trials) + 1, params=propose(plan, trials)))
            write_trials(trials, folder)
        with _unclaimed_at_first_error(trials, folder):
            trials[-1] = _carried_out(plan, trials, folder, notify)
        write_trials(trials, folder)
        drop_weights(trials, folder)
        write_results(plan, trials, folder)
    write_results(plan, trials, folder)
    if best_trial(trials) is None:
        raise UserError(f"{folder}: none of {len(trials)} trials was completed; the last one: {trials[-1].error}")


@contextmanager
def _unclaimed_at_first_error(trials: Sequence[Trial], folder: Path) -> Iterator[None]:
    """Where the very first trial cannot be trained at all, the folder takes a corrected tune file."""
    first = trial_folder(folder, 1)
    try:
        yield
    except UserError:
        if len(trials) == 1 and not (first / STATE_NAME).exists():
            shutil.rmtree(first, ignore_errors=True)
            for name in (SEARCH_NAME, TRIALS_NAME, JOURNAL_NAME):
                (folder / name).unlink(missing_ok=True)
        raise


def _carried_out(plan: TuningPlan, trials: Sequence[Trial], folder: Path, notify: Notify) -> Trial:
    """Train the last trial, from its start or from where it was stopped.

    A training that diverges ends the trial alone; so does another UserError, unless no other trial has ever been
    completed.
    """
    trial = trials[-1]
    run_folder = trial_folder(folder, trial.number)
    notify(f"trial {trial.number}/{plan.tune.trials}: {json.dumps(trial.params)}")
    try:
        state = _train(plan, trials, run_folder, notify)
    except Interrupted:
        raise Interrupted("stopped and saved; the same command goes on") from None
    except UserError as error:
        if not isinstance(error, Diverged) and not any(other.state == "complete" for other in trials):
            raise UserError(f"trial {trial.number}: {error}") from None
        notify(f"trial {trial.number} failed: {error}")
        return trial.model_copy(update={"state": "failed", "dice": scores(run_folder), "error": str(error)})
    done = trial.model_copy(update={"state": state, "dice": scores(run_folder)})
    notify(f"trial {trial.number} {state}: validation Dice by patient {done.value:.4f}")
    return done


def _train(
    plan: TuningPlan, trials: Sequence[Trial], run_folder: Path, notify: Notify
) -> Literal["complete", "pruned"]:
    """Fit, and ask after each epoch whether the trial is worth going on; epochs before a stop are asked again."""
    import optuna

    *before, trial = trials
    config = plan.config(trial.params)
    asked = ask_again(plan, before, trial.params)

    def judge(epoch: int, dice: float) -> None:
        asked.report(dice, epoch)
        if epoch < config.train.epochs and asked.should_prune():
            raise optuna.TrialPruned

    with suppress(optuna.TrialPruned):
        for epoch, dice in enumerate(scores(run_folder), 1):
            judge(epoch, dice)
        run.fit_only(config, run_folder, notify, lambda row: judge(row["epoch"], row["validation_dice"]))
        return "complete"
    return "pruned"
