"""Search for the best settings by validation Dice: each trial is a training that never sees the test part.

Trials are proposed by a tree-structured Parzen estimator (Bergstra et al. 2011, NeurIPS) through Optuna (Akiba et al.
2019, arXiv:1907.10902), and given up where they are worse than the median of those before them (Golovin et al. 2017,
"Google Vizier"). The folder is the memory: what was tried lies in `trials.json`, each training in `trial-NNN`. A
proposal depends on the trials before it and the seed alone, so that a stop changes nothing.
"""

import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
import tomli_w
from pydantic import Field, ValidationError, model_validator

from tumorline import run
from tumorline.config import Config, Section, apply_override, parse_config, read_toml, set_key
from tumorline.errors import Interrupted, UserError, did_you_mean, require_extra
from tumorline.files import read_csv, read_json, write_csv, write_json, write_text
from tumorline.report.tuning import write_page
from tumorline.run import Notify
from tumorline.run_folder import HISTORY_NAME, SPLIT_NAME, STATE_NAME

if TYPE_CHECKING:
    import optuna

TUNE_NAME, RECORD_NAME, TRIALS_NAME, BEST_NAME = "tune.toml", "trials.json", "trials.csv", "best.toml"
NOT_TUNED = ("name", "seed", "split", "data")
"""They decide what the figure is measured on, or by what luck; two values of them cannot be compared."""
TUNED_ALL_THE_SAME = ("data.image_size",)

Params = Mapping[str, Any]


class Range(Section):
    """Numbers to try, ends included; whole ones where both ends are."""

    low: int | float
    high: int | float
    log: bool = False
    """Even by orders of magnitude."""
    step: int | float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with log, low must be above 0 and there is no step")
        return self


class TuneConfig(Section):
    """The `[tune]` section."""

    trials: int = Field(default=20, ge=1)
    """All together; a larger number goes on with the same search."""
    seed: int = 0
    startup: int = Field(default=5, ge=1)
    """Trials at random before any is proposed or given up."""
    grace_epochs: int = Field(default=2, ge=0)
    """Epochs that every trial gets."""
    space: dict[str, Range | list[Any]] = Field(min_length=1)
    """What to vary, by `section.key`: a range of numbers or a list of values."""


class Plan(Section):
    """A tune file with its recipe filled in."""

    recipe: dict[str, Any]
    tune: TuneConfig

    def to_toml(self) -> str:
        """A tune file that says the same without a second file."""
        return tomli_w.dumps(self.recipe | {"tune": self.tune.model_dump(exclude_none=True)})

    def config(self, params: Params) -> Config:
        """The configuration of a trial."""
        values = json.loads(json.dumps(self.recipe))
        for key, value in params.items():
            set_key(values, key, value, key)
        return parse_config(values, ", ".join(f"{key} = {value!r}" for key, value in params.items()))


class Trial(Section):
    """One row of `trials.json`."""

    number: int
    params: dict[str, Any]
    state: Literal["running", "complete", "pruned", "failed"] = "running"
    dice: list[float] = Field(default=[])
    """Validation Dice by patient after each epoch; of a running trial it lies in its folder."""
    error: str = ""

    @property
    def value(self) -> float | None:
        return max(self.dice, default=None)


def read_plan(path: Path, data: str | None, overrides: Iterable[str] = (), trials: int | None = None) -> Plan:
    """Read a tune file: `recipe` (a file beside it), sections that change it, and `[tune]`.

    `data` and `overrides` change the recipe, `trials` the number of trials. Raises UserError for unknown keys and for
    values that no run would take.
    """
    values = read_toml(path)
    base = read_toml(path.parent / str(values.pop("recipe"))) if "recipe" in values else {}
    tune = values.pop("tune", None)
    if not isinstance(tune, dict):
        raise UserError(f"{path}: no [tune] section; a search needs [tune.space], what to vary")
    recipe = _merged(base, values)
    for override in overrides:
        apply_override(recipe, override)
    if data is not None:
        recipe.setdefault("data", {})["source"] = data
    if trials is not None:
        tune = tune | {"trials": trials}
    try:
        settings = TuneConfig.model_validate(tune | {"space": _flat(tune.get("space", {}))})
    except ValidationError as error:
        raise UserError(f"{path}: {_explained(error)}") from None
    plan = Plan(recipe=recipe, tune=settings)
    _check_space(plan, path)
    return plan


def tune(plan: Plan, folder: Path, notify: Notify) -> None:
    """Try settings until there are `tune.trials` trials, and write what came out after each.

    Called again with the same plan it goes on where it was stopped; more trials may be asked for. Raises UserError for
    another plan in the same folder.
    """
    require_extra("torch", "training", "train")
    require_extra("optuna", "tuning", "tune")
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise UserError("tuning runs in one process; start it without torchrun")
    _check_choices(plan)
    _claim(plan, folder)
    trials = read_trials(folder)
    while True:
        if not trials or trials[-1].state != "running":
            if len(trials) >= plan.tune.trials:
                break
            trials.append(Trial(number=len(trials) + 1, params=_propose(plan, trials)))
            _write_record(trials, folder)
        with _unclaimed_at_first_error(trials, folder):
            trials[-1] = _carried_out(plan, trials, folder, notify)
        _write_record(trials, folder)
        _drop_weights(trials, folder)
        write_results(plan, trials, folder)
    write_results(plan, trials, folder)


def read_trials(folder: Path) -> list[Trial]:
    """What was tried so far."""
    path = folder / RECORD_NAME
    return [Trial.model_validate(row) for row in read_json(path)] if path.exists() else []


def best_trial(trials: Sequence[Trial]) -> Trial | None:
    """The complete trial with the highest validation Dice; the first of equal ones."""
    return max((t for t in trials if t.state == "complete"), key=lambda trial: trial.value or 0.0, default=None)


def trial_rows(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    """The rows of `trials.csv` to read: the best first, those that were not completed last, numbers short."""
    ranked = sorted(trials, key=lambda trial: (trial.state != "complete", -(trial.value or 0.0), trial.number))
    return [{key: _short(value) for key, value in _row(trial).items()} for trial in ranked]


def _short(value: Any) -> Any:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else value


def trial_folder(folder: Path, number: int) -> Path:
    return folder / f"trial-{number:03d}"


def write_results(plan: Plan, trials: Sequence[Trial], folder: Path) -> None:
    """Write `trials.csv`, `best.toml` and `tune.html`."""
    best = best_trial(trials)
    write_csv(folder / TRIALS_NAME, _row(trials[0]), [_row(trial) for trial in trials])
    if best is not None:
        note = (
            f"# Trial {best.number} of {len(trials)}, chosen on validation (Dice by patient {best.value:.4f}); "
            "the test part was not looked at.\n"
        )
        write_text(folder / BEST_NAME, note + plan.config(best.params).to_toml())
    write_page(
        {
            "name": plan.config({}).name,
            "space": {key: _described(domain) for key, domain in plan.tune.space.items()},
            "recipe": {key: _value_at(plan.config({}), key) for key in plan.tune.space},
            "trials": [trial.model_dump() | {"value": trial.value} for trial in trials],
            "wanted": plan.tune.trials,
            "best": None if best is None else best.number,
            "patients": _validation_patients(trial_folder(folder, (best or trials[0]).number)),
        },
        folder,
    )


# ---------------------------------------------------------------- one trial


@contextmanager
def _unclaimed_at_first_error(trials: Sequence[Trial], folder: Path) -> Iterator[None]:
    """Where the very first trial cannot be trained, the folder takes a corrected tune file."""
    try:
        yield
    except UserError:
        if len(trials) == 1:
            for name in (TUNE_NAME, RECORD_NAME):
                (folder / name).unlink(missing_ok=True)
        raise


def _carried_out(plan: Plan, trials: Sequence[Trial], folder: Path, notify: Notify) -> Trial:
    """Train the last trial, from its start or from where it was stopped.

    A UserError or a full memory ends the trial alone, unless no other has ever been completed.
    """
    import torch

    trial = trials[-1]
    place = trial_folder(folder, trial.number)
    notify(f"trial {trial.number}/{plan.tune.trials}: {json.dumps(trial.params)}")
    try:
        state = _train(plan, trials, place, notify)
    except Interrupted:
        raise Interrupted("stopped and saved; the same command goes on") from None
    except (UserError, torch.OutOfMemoryError) as error:
        if not any(other.state == "complete" for other in trials):
            raise UserError(f"trial {trial.number}: {error}") from None
        notify(f"trial {trial.number} failed: {error}")
        return trial.model_copy(update={"state": "failed", "dice": _scores(place), "error": str(error)})
    done = trial.model_copy(update={"state": state, "dice": _scores(place)})
    notify(f"trial {trial.number} {state}: validation Dice by patient {done.value:.4f}")
    return done


def _train(plan: Plan, trials: Sequence[Trial], place: Path, notify: Notify) -> Literal["complete", "pruned"]:
    """Fit, and ask after each epoch whether the trial is worth going on; epochs before a stop are asked again."""
    import optuna

    *before, trial = trials
    config = plan.config(trial.params)
    study = _study(plan, before)
    study.enqueue_trial(_encoded(plan, trial.params))
    asked = study.ask(_distributions(plan))

    def judge(epoch: int, dice: float) -> None:
        asked.report(dice, epoch)
        if epoch < config.train.epochs and asked.should_prune():
            raise optuna.TrialPruned

    with suppress(optuna.TrialPruned):
        for epoch, dice in enumerate(_scores(place), 1):
            judge(epoch, dice)
        run.fit_only(config, place, notify, lambda row: judge(row["epoch"], row["validation_dice"]))
        return "complete"
    return "pruned"


def _scores(place: Path) -> list[float]:
    path = place / HISTORY_NAME
    return [float(row["validation_dice"]) for row in read_csv(path)] if path.exists() else []


def _drop_weights(trials: Sequence[Trial], folder: Path) -> None:
    """Of all trials that have ended, only the best keeps its weights: with them `tumorline train --resume` ends it."""
    best = best_trial(trials)
    for trial in trials:
        if trial.state != "running" and trial is not best:
            for name in (STATE_NAME, "best.safetensors"):
                (trial_folder(folder, trial.number) / name).unlink(missing_ok=True)


# ---------------------------------------------------------------- Optuna


def _propose(plan: Plan, trials: Sequence[Trial]) -> dict[str, Any]:
    params = _study(plan, trials).ask(_distributions(plan)).params
    return {key: _decoded(plan.tune.space[key], params[key]) for key in plan.tune.space}


def _study(plan: Plan, trials: Sequence[Trial]) -> "optuna.Study":
    """A study in memory that knows the trials that have ended."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    settings, distributions = plan.tune, _distributions(plan)
    seed = int(np.random.SeedSequence([settings.seed, len(trials)]).generate_state(1)[0])
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(n_startup_trials=settings.startup, seed=seed),
        pruner=optuna.pruners.MedianPruner(settings.startup, n_warmup_steps=settings.grace_epochs + 1),
    )
    states = {
        "complete": optuna.trial.TrialState.COMPLETE,
        "pruned": optuna.trial.TrialState.PRUNED,
        "failed": optuna.trial.TrialState.FAIL,
    }
    for trial in trials:
        finished = optuna.trial.create_trial(
            state=states[trial.state],
            value=None if trial.state == "failed" else trial.value,
            params=_encoded(plan, trial.params),
            distributions=distributions,
            intermediate_values=dict(enumerate(trial.dice, 1)),
        )
        study.add_trial(finished)
    return study


def _distributions(plan: Plan) -> "dict[str, optuna.distributions.BaseDistribution]":
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for key, domain in plan.tune.space.items():
        if isinstance(domain, list):
            found[key] = CategoricalDistribution([json.dumps(value) for value in domain])
        elif _is_whole(domain):
            found[key] = IntDistribution(int(domain.low), int(domain.high), domain.log, int(domain.step or 1))
        else:
            found[key] = FloatDistribution(domain.low, domain.high, domain.log, domain.step)
    return found


def _is_whole(domain: Range) -> bool:
    return all(isinstance(number, int) for number in (domain.low, domain.high, domain.step or 1))


def _encoded(plan: Plan, params: Params) -> dict[str, Any]:
    """Values of a list travel as JSON: Optuna takes no lists and tables as choices."""
    return {
        key: json.dumps(value) if isinstance(plan.tune.space[key], list) else value for key, value in params.items()
    }


def _decoded(domain: Range | list[Any], value: Any) -> Any:
    return json.loads(value) if isinstance(domain, list) else value


# ---------------------------------------------------------------- the tune file


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Tables are merged, everything else is replaced."""
    both = {
        key for key in base.keys() & changes.keys() if isinstance(base[key], dict) and isinstance(changes[key], dict)
    }
    return {**base, **changes, **{key: _merged(base[key], changes[key]) for key in both}}


def _flat(space: Any, prefix: str = "") -> Any:
    """Dotted keys, whether the file has them in quotes or as nested tables."""
    if not isinstance(space, dict):
        return space
    found: dict[str, Any] = {}
    for key, value in space.items():
        nested = isinstance(value, dict) and not value.keys() & Range.model_fields.keys()
        found |= _flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return found


def _explained(error: ValidationError) -> str:
    """The first thing that is wrong with a `[tune]` section."""
    first = error.errors()[0]
    path = [str(part) for part in (*first["loc"][:2], *first["loc"][3:])]  # without which of the two it was read as
    key = ".".join(["tune", *path])
    if first["type"] == "extra_forbidden":
        known = TuneConfig if len(path) == 1 else Range
        return f"unknown key '{key}'; {did_you_mean(path[-1], known.model_fields)}"
    message = first["msg"].removeprefix("Value error, ")
    hint = "; expected a range such as { low = 0.001, high = 0.1, log = true } or a list of values"
    return f"{key}: {message} (found {first['input']!r}){hint if path[0] == 'space' else ''}"


def _check_space(plan: Plan, path: Path) -> None:
    """Raise UserError where a recipe or one value of the space is none that a run would take."""
    with_name = f"{path}: tune.space"
    parse_config(plan.recipe, str(path))
    for key, domain in plan.tune.space.items():
        if key.split(".")[0] in NOT_TUNED and key not in TUNED_ALL_THE_SAME:
            raise UserError(
                f"{with_name}: '{key}' cannot be tuned; figures of different {', '.join(NOT_TUNED[1:])} cannot be "
                f"compared (of these only {', '.join(TUNED_ALL_THE_SAME)} can)"
            )
        if isinstance(domain, list) and len(domain) < 2:
            raise UserError(f"{with_name}: '{key}' has {len(domain)} values; expected 2 or more")
        for value in domain if isinstance(domain, list) else (domain.low, domain.high):
            try:
                plan.config({key: value})
            except UserError as error:
                raise UserError(f"{with_name}: {error}") from None


def _check_choices(plan: Plan) -> None:
    """Raise UserError for a network or loss among the choices that cannot be built beside the rest of the recipe."""
    run.check_model(plan.config({}))
    for key, domain in plan.tune.space.items():
        if key.startswith(("model.", "loss.")) and isinstance(domain, list):
            for value in domain:
                run.check_model(plan.config({key: value}))


def _claim(plan: Plan, folder: Path) -> None:
    """Keep the plan in the folder, or compare it with the one that is there; only `tune.trials` may differ."""
    path = folder / TUNE_NAME
    if path.exists():
        ours, theirs = tomllib.loads(plan.to_toml()), read_toml(path)
        ours["tune"].pop("trials")
        theirs["tune"].pop("trials")
        if changed := sorted(_leaves(ours).items() ^ _leaves(theirs).items()):
            raise UserError(f"{folder}: holds another search ('{changed[0][0]}' differs); choose another --output")
    write_text(path, plan.to_toml())


def _leaves(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Every value as JSON by its dotted key."""
    found: dict[str, str] = {}
    for key, value in values.items():
        found |= _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: json.dumps(value)}
    return found


# ---------------------------------------------------------------- what came out


def _write_record(trials: Sequence[Trial], folder: Path) -> None:
    write_json(folder / RECORD_NAME, [trial.model_dump() for trial in trials])


def _row(trial: Trial) -> dict[str, Any]:
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


def _described(domain: Range | list[Any]) -> dict[str, Any]:
    if isinstance(domain, list):
        return {"values": domain}
    return domain.model_dump()


def _value_at(config: Config, key: str) -> Any:
    """The recipe's own value of a key; None where it has none (an option of a model or loss)."""
    value: Any = config.model_dump()
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _validation_patients(place: Path) -> int | None:
    path = place / SPLIT_NAME
    if not path.exists():
        return None
    return len({row["patient"] or row["case"] for row in read_csv(path) if row["part"] == "validation"})
