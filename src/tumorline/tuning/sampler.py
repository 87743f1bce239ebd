"""Proposals of a tree-structured Parzen estimator and the median rule for giving up, both by Optuna."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tumorline.tuning.plan import Domain, Params, Range, TuningPlan
from tumorline.tuning.trials import Trial

if TYPE_CHECKING:
    import optuna


def propose(plan: TuningPlan, trials: Sequence[Trial]) -> dict[str, object]:
    """The settings of the next trial; they depend on the plan and the trials before it alone."""
    params = _study(plan, trials).ask(_distributions(plan)).params
    return {key: _decoded(plan.tune.space[key], params[key]) for key in plan.tune.space}


def ask_again(plan: TuningPlan, trials: Sequence[Trial], params: Params) -> "optuna.Trial":
    """A proposal once more, to report its epochs to and to ask whether it is worth going on."""
    study = _study(plan, trials)
    study.enqueue_trial(_encoded(plan, params))
    return study.ask(_distributions(plan))


def _study(plan: TuningPlan, trials: Sequence[Trial]) -> "optuna.Study":
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


def _distributions(plan: TuningPlan) -> "dict[str, optuna.distributions.BaseDistribution]":
    from optuna.distributions import (
        BaseDistribution,
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    distributions: dict[str, BaseDistribution] = {}
    for key, domain in plan.tune.space.items():
        if isinstance(domain, list):
            distributions[key] = CategoricalDistribution([json.dumps(value) for value in domain])
        elif _is_whole(domain):
            distributions[key] = IntDistribution(int(domain.low), int(domain.high), domain.log, int(domain.step or 1))
        else:
            distributions[key] = FloatDistribution(domain.low, domain.high, domain.log, domain.step)
    return distributions


def _is_whole(domain: Range) -> bool:
    return all(isinstance(number, int) for number in (domain.low, domain.high, domain.step or 1))


def _encoded(plan: TuningPlan, params: Params) -> dict[str, object]:
    """Values of a list travel as JSON: Optuna takes no lists and tables as choices."""
    return {
        key: json.dumps(value) if isinstance(plan.tune.space[key], list) else value for key, value in params.items()
    }


def _decoded(domain: Domain, value: Any) -> Any:
    return json.loads(value) if isinstance(domain, list) else value
