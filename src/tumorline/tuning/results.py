"""What came out of a search: `trials.csv`, `best.toml` to train, and a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tumorline.config import Config
from tumorline.file_names import BEST_TRIAL_NAME, SPLIT_NAME, TRIALS_TABLE_NAME
from tumorline.files import write_csv, write_text
from tumorline.report.tuning import ShownDomain, ShownTrial, write_page
from tumorline.run_folder import read_split
from tumorline.tuning.plan import Domain, TuningPlan
from tumorline.tuning.trials import Trial, best_trial, trial_folder


def write_results(plan: TuningPlan, trials: Sequence[Trial], folder: Path) -> None:
    """Write `trials.csv`, `best.toml` and `tune.html`."""
    best = best_trial(trials)
    write_csv(folder / TRIALS_TABLE_NAME, _trial_row(trials[0]), [_trial_row(trial) for trial in trials])
    if best is not None:
        note = (
            f"# Trial {best.number} of {len(trials)}, chosen on validation (Dice by patient {best.value:.4f}); "
            "the test part was not looked at.\n"
        )
        note += f"# {plan.caveat}\n" if plan.caveat else ""
        write_text(folder / BEST_TRIAL_NAME, note + plan.config(best.params).to_toml())
    write_page(
        {
            "name": plan.config({}).name,
            "space": {key: _shown_domain(domain) for key, domain in plan.tune.space.items()},
            "recipe": {key: _value_at(plan.config({}), key) for key in plan.tune.space},
            "trials": [_shown_trial(trial) for trial in trials],
            "wanted": plan.tune.trials,
            "best": None if best is None else best.number,
            "patients": _validation_patients(trial_folder(folder, (best or trials[0]).number)),
        },
        folder,
    )


def trial_rows(trials: Sequence[Trial]) -> list[dict[str, object]]:
    """The rows of `trials.csv` to read: the best first, those that were not completed last, numbers short."""
    ranked = sorted(trials, key=lambda trial: (trial.state != "complete", -(trial.value or 0.0), trial.number))
    return [{key: _short(value) for key, value in _trial_row(trial).items()} for trial in ranked]


def _trial_row(trial: Trial) -> dict[str, object]:
    return {
        "trial": trial.number,
        "state": trial.state,
        "validation_dice": trial.value,
        "best_epoch": trial.dice.index(trial.value) + 1 if trial.value is not None else None,
        "epochs": len(trial.dice),
        **{
            key: value if isinstance(value, (int, float, str)) else json.dumps(value)
            for key, value in trial.params.items()
        },
        "error": trial.error,
    }


def _short(value: object) -> object:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else value


def _shown_domain(domain: Domain) -> ShownDomain:
    if isinstance(domain, list):
        return {"values": domain}
    return {"low": domain.low, "high": domain.high, "log": domain.log}


def _shown_trial(trial: Trial) -> ShownTrial:
    return {
        "number": trial.number,
        "state": trial.state,
        "value": trial.value,
        "dice": trial.dice,
        "params": trial.params,
        "error": trial.error,
    }


def _value_at(config: Config, key: str) -> Any:
    """The recipe's own value of a key; None where it has none (an option of a model or loss)."""
    value: Any = config.model_dump()
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _validation_patients(folder: Path) -> int | None:
    if not (folder / SPLIT_NAME).exists():
        return None
    return len({row["patient"] or row["case"] for row in read_split(folder) if row["part"] == "validation"})
