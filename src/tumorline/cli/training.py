"""Commands that train: train, folds, benchmark, tune."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorline.cli.arguments import require_paths, require_run, require_sources
from tumorline.cli.options import (
    AsJson,
    Logged,
    Output,
    Overrides,
    Plan,
    Recipe,
    Search,
    Source,
    Sources,
    Trusted,
    TrustPaths,
)
from tumorline.cli.printing import note, print_json, print_table, say
from tumorline.cli.shown_results import fold_rows, headline_lines, print_headline, print_leaderboard, print_rate
from tumorline.environment import is_first_process
from tumorline.errors import UserError, require_extra
from tumorline.escaping import for_shell
from tumorline.file_names import (
    BEST_TRIAL_NAME,
    CARD_NAME,
    LEADERBOARD_PAGE_NAME,
    REPORT_NAME,
    SEARCH_PAGE_NAME,
    SUMMARY_NAME,
)
from tumorline.signals import stopped_by_signals
from tumorline.wording import some_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tumorline.benchmarking.hours import ArmHours
    from tumorline.callbacks import Callback
    from tumorline.config import Config
    from tumorline.user_text import TomlTable


def train(
    recipe: Recipe = None,
    data: Sources = None,
    overrides: Overrides = None,
    output: Output = None,
    resume: Annotated[
        Path | None,
        typer.Option(
            help="Go on with this run folder; with --set train.epochs=N further than it was begun for, with --set "
            "model.threshold=X and other keys of what follows the training finished anew."
        ),
    ] = None,
    log: Logged = None,
    no_test: Annotated[
        bool, typer.Option("--no-test", help="Stop before the test patients; --resume goes on with them.")
    ] = False,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Only look for a learning rate: a short test on the training cases.")
    ] = False,
    trust_module: Trusted = None,
    trust_paths: TrustPaths = False,
) -> None:
    """Train a model, evaluate it on held-out patients and write a report."""
    from tumorline.recipe_files import read_recipe

    if resume and (recipe or data or output or find_lr):
        raise UserError("--resume goes on with the run's own configuration; beside it stands --set alone")
    if find_lr and (no_test or log):
        raise UserError("--find-lr keeps no model to test and has no epochs to log; leave out --no-test and --log")
    require_sources(data or ())
    if resume:
        require_run(resume)
    epochs, settings = resumed_with(overrides or ()) if resume else (None, [])
    config = None if resume else with_loggers(read_recipe(recipe, data or None, overrides or ()), log or ())
    require_extra("torch", "training", "train")
    from tumorline import api

    if find_lr:
        print_rate(*api.find_learning_rate(config, output=output, notify=note))
        return
    if resume:
        callbacks = further_callbacks(resume, log or ())
        run = api.resume(resume, note, not no_test, trust_module or (), trust_paths, callbacks, epochs, settings)
    else:
        run = api.train(config, output=output, test=not no_test, notify=note)
    if not is_first_process():
        return
    if no_test:
        say(f"trained, not tested: {run}")
    elif not (run / SUMMARY_NAME).exists():
        say(f"trained on all patients, with nobody left to test: {run}; its card: {run / CARD_NAME}")
    else:
        from tumorline.results import read_summary
        from tumorline.run_log import append_log

        for line in [*headline_lines(read_summary(run / SUMMARY_NAME)), f"report: {run / REPORT_NAME}"]:
            append_log(run, line)
            say(line)


def resumed_with(overrides: "Sequence[str]") -> "tuple[int | None, list[str]]":
    """The epochs that `--resume RUN --set train.epochs=N` asks for, None where it does not, and its other settings."""
    from tumorline.config import TrainConfig, apply_override, parse_config

    values: TomlTable = {}
    lengths = [text for text in overrides if text.partition("=")[0].strip() == "train.epochs"]
    for override in lengths:
        apply_override(values, override)
    train: TrainConfig = parse_config(values, "--set").train
    return train.epochs if lengths else None, [text for text in overrides if text not in lengths]


def with_loggers(config: "Config", names: "Sequence[str]") -> "Config":
    """The configuration with more callbacks."""
    from tumorline.config import parse_config

    if not names:
        return config
    values = config.model_dump()
    values["train"]["callbacks"] = [*config.train.callbacks, *names]
    return parse_config(values, "--log")


def further_callbacks(run: Path, names: "Sequence[str]") -> "list[Callback]":
    """Those that a run is to tell beside those of its own configuration."""
    from tumorline.callbacks import make_callbacks
    from tumorline.config import Config
    from tumorline.run_folder import read_config
    from tumorline.trust import modules_in, trusting

    configured = read_config(run).train.callbacks
    more = [name for name in with_loggers(Config(), names).train.callbacks if name not in configured]
    with trusting(modules_in(more)):
        return make_callbacks(more)


def folds(
    recipe: Recipe = None,
    data: Sources = None,
    overrides: Overrides = None,
    output: Output = None,
    log: Logged = None,
    fold: Annotated[list[int] | None, typer.Option(help="Only this fold; may be repeated.")] = None,
) -> None:
    """Cross-validate: one run per fold (--set split.folds=5), and a table over all patients out of fold.

    The same command goes on where it was stopped.
    """
    from tumorline.recipe_files import read_recipe

    require_sources(data or ())
    config = with_loggers(read_recipe(recipe, data or None, overrides or ()), log or ())
    if not config.split.folds:
        raise UserError("split.folds is 0; say how many folds with --set split.folds=5")
    require_extra("torch", "training", "train")
    from tumorline import api

    folder = api.cross_validate(config, output=output, only=fold or (), notify=note)
    if is_first_process():
        from tumorline.results import read_summary

        summary = read_summary(folder / SUMMARY_NAME)
        print_headline(summary)
        print_table(fold_rows(summary))
        say(f"report: {folder / REPORT_NAME}")


def benchmark(
    plan: Plan,
    data: Source = None,
    output: Output = None,
    only: Annotated[list[str] | None, typer.Option(metavar="ARM", help="Only this arm; may be repeated.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Cells at a time on one machine, which share its cores.")] = 1,
    ray: Annotated[str, typer.Option(metavar="ADDRESS", help="On a Ray cluster; all machines share the folder.")] = "",
    hours: Annotated[
        bool, typer.Option("--hours", help="Only count the hours, from a few steps of each arm on this machine.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train models x losses x variants x seeds x folds under one budget, and rank them.

    The same command goes on where it was stopped; exit status 2 where an arm could not be measured.
    """
    from tumorline.recipe_files import find_recipe

    require_paths(data, find_recipe(plan, "benchmark"))
    from tumorline import api

    how = api.BenchmarkOptions(data, output, only or (), processes, ray, note)
    if hours:
        print_hours(api.benchmark_hours(plan, how), as_json)
        return
    with stopped_by_signals("stopped; the same command goes on"):
        result = api.run_benchmark(plan, how)
    if as_json:
        print_json(result.to_json())
    else:
        print_leaderboard(result)
        say(f"report: {api.benchmark_folder(result.name, output) / LEADERBOARD_PAGE_NAME}")
    if any(not only or arm.name in only for arm in result.unmeasured):
        sys.exit(2)


def print_hours(found: "Sequence[ArmHours]", as_json: bool) -> None:
    total = sum(arm.hours or 0.0 for arm in found)
    without_pace = [arm.name for arm in found if arm.hours is None]
    if as_json:
        print_json({"arms": [arm.row() for arm in found], "hours": round(total, 2), "without_pace": without_pace})
        return
    print_table([arm.row() for arm in found])
    left_out = f", without {some_of(without_pace)}, whose pace is not known" if without_pace else ""
    say(f"about {total:.1f} hours in all, one cell at a time{left_out}")


def tune(
    search: Search,
    data: Source = None,
    overrides: Overrides = None,
    output: Output = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials all together, instead of the file's.")] = None,
) -> None:
    """Search for better settings by validation Dice; the test part is not looked at.

    The same command goes on where it was stopped; more --trials go on with a finished search.
    """
    from tumorline.recipe_files import find_recipe

    require_paths(data, find_recipe(search, "tune"))
    from tumorline import api
    from tumorline.tuning import read_trials, trial_rows

    folder = api.tune(search, data=data, overrides=overrides or (), output=output, trials=trials, notify=note)
    print_table(trial_rows(read_trials(folder)))
    how = f"tumorline train {for_shell(folder / BEST_TRIAL_NAME)}"
    say(f"chosen on validation; the test part was not looked at. Train it: {how}")
    say(f"report: {folder / SEARCH_PAGE_NAME}")
