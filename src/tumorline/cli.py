"""The command line: parse, call one public function, print. Heavy imports happen inside the commands."""

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tumorline.errors import Interrupted, UserError
from tumorline.escaping import one_line
from tumorline.formats.boundary import MAX_PIXELS
from tumorline.printing import (
    contender_rows,
    counter,
    fold_rows,
    megabytes,
    note,
    print_check,
    print_headline,
    print_json,
    print_leaderboard,
    print_matrix,
    print_rate,
    print_table,
    say,
    stress_rows,
)
from tumorline.signals import stopped_by_signals
from tumorline.streams import NOT_PRINTED, is_all_printed, prepared_streams
from tumorline.trust import trusting_paths
from tumorline.wording import numbered

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

UsageError: Any = typer.BadParameter.__base__
"""Typer's own error of a command line that it cannot parse."""

app = typer.Typer(
    name="tumorline",
    help="Train, audit, compare and run segmentation models for brain tumours in MRI.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Fetch, check, split and make data sets.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")

Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one key; may be repeated."),
]
MODEL_HELP = "Run folder, .safetensors file, or a listed model such as 'builtin'."
Tta = Annotated[
    str, typer.Option(metavar="none|flips|all", help="Average over flipped, or flipped and turned, copies (4 or 8).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON on standard output.")]
Trusted = Annotated[
    list[str] | None,
    typer.Option("--trust-module", metavar="MODULE", help="Run this module's code where a model or run names it."),
]
TrustPaths = Annotated[
    bool, typer.Option("--trust-paths", help="Open what a run that another user or machine began names as its data.")
]
Output = Annotated[Path | None, typer.Option("--output", help="Folder for the results.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace earlier results; never other files.")]


def main() -> None:
    """Entry point: errors of the user are one line on standard error and exit status 2.

    What cannot be printed because standard output is full or closed ends quietly, with exit status 1.
    """
    with prepared_streams():
        status = _exit_status()
        status = status or (0 if is_all_printed() else NOT_PRINTED)
    sys.exit(status)


def _exit_status() -> int:
    """Carry out the command; what goes wrong is said in one line."""
    try:
        with stopped_by_signals("stopped"):
            return app(standalone_mode=False) or 0
    except SystemExit as end:
        return int(end.code or 0)
    except UsageError as error:
        error.message = "\n".join(map(one_line, error.message.split("\n")))
        error.show()
        return int(error.exit_code)
    except UserError as error:
        logging.getLogger("tumorline").debug("what was raised", exc_info=error)
        _say_error(str(error))
        return 2
    except Interrupted as stop:
        note(str(stop))
        return 130
    except OSError as error:
        _say_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 2


def _say_error(message: str) -> None:
    if os.environ.get("RANK", "0") == "0":
        note(f"error: {message}")


@app.callback()
def configure(
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, envvar=MAX_PIXELS, help="Most pixels or voxels of a file that is read; 100 million."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the tracebacks behind the errors of files.")] = False,
) -> None:
    """Train, audit, compare and run segmentation models for brain tumours in MRI."""
    if max_pixels:
        os.environ[MAX_PIXELS] = str(max_pixels)
    if debug:
        log = logging.getLogger("tumorline")
        log.handlers[:] = [logging.StreamHandler()]
        log.setLevel(logging.DEBUG)


@app.command()
def train(
    config: Annotated[Path | None, typer.Argument(help="TOML file; without it and without --data: the demo.")] = None,
    data: Annotated[Path | None, typer.Option(help="Folder in a supported layout, or a CSV.")] = None,
    overrides: Overrides = None,
    output: Output = None,
    resume: Annotated[Path | None, typer.Option(help="Go on with this run folder.")] = None,
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
    from tumorline import api

    if resume and (config or data or overrides or output or find_lr):
        raise UserError("--resume goes on with the run's own configuration; give nothing beside it")
    if find_lr and no_test:
        raise UserError("--find-lr keeps no model, so that there is nothing to test; leave out --no-test")
    if find_lr:
        print_rate(*api.find_learning_rate(config, data=data, overrides=overrides or (), output=output, notify=note))
        return
    if resume:
        run = api.resume(resume, note, not no_test, trust_module or (), trust_paths)
    else:
        run = api.train(config, data=data, overrides=overrides or (), output=output, test=not no_test, notify=note)
    if os.environ.get("RANK", "0") != "0":
        return
    if no_test:
        say(f"trained, not tested: {run}")
    else:
        from tumorline.results import read_summary

        print_headline(read_summary(run / "summary.json"))
        say(f"report: {run / 'report.html'}")


@app.command()
def folds(
    config: Annotated[Path | None, typer.Argument(help="TOML file; without it and without --data: the demo.")] = None,
    data: Annotated[Path | None, typer.Option(help="Source, in any supported layout.")] = None,
    overrides: Overrides = None,
    output: Output = None,
    fold: Annotated[list[int] | None, typer.Option(help="Only this fold; may be repeated.")] = None,
) -> None:
    """Cross-validate: one run per fold (--set split.folds=5), and a table over all patients out of fold.

    The same command goes on where it was stopped.
    """
    from tumorline import api

    folder = api.cross_validate(
        config, data=data, overrides=overrides or (), output=output, only=fold or (), notify=note
    )
    if os.environ.get("RANK", "0") == "0":
        from tumorline.results import read_summary

        summary = read_summary(folder / "summary.json")
        print_headline(summary)
        print_table(fold_rows(summary))
        say(f"report: {folder / 'report.html'}")


@app.command()
def benchmark(
    plan: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="Models, losses, variants, seeds, folds.")],
    data: Annotated[Path | None, typer.Option(help="Source, in any supported layout.")] = None,
    output: Output = None,
    only: Annotated[list[str] | None, typer.Option(metavar="ARM", help="Only this arm; may be repeated.")] = None,
    processes: Annotated[int, typer.Option(min=1, help="Cells at a time on one machine, which share its cores.")] = 1,
    ray: Annotated[str, typer.Option(metavar="ADDRESS", help="On a Ray cluster; all machines share the folder.")] = "",
    as_json: AsJson = False,
) -> None:
    """Train models x losses x variants x seeds x folds under one budget, and rank them.

    The same command goes on where it was stopped; exit status 2 where an arm could not be measured.
    """
    from tumorline import api

    with stopped_by_signals("stopped; the same command goes on"):
        result = api.run_benchmark(
            plan, data=data, output=output, only=only or (), processes=processes, ray=ray, notify=note
        )
    if as_json:
        print_json(result.to_json())
    else:
        print_leaderboard(result)
        say(f"report: {api.benchmark_folder(result.name, output) / 'leaderboard.html'}")
    if any(not only or one.name in only for one in result.unmeasured):
        sys.exit(2)


@app.command()
def tune(
    config: Annotated[
        Path, typer.Argument(help="TOML file with [tune] and [tune.space]; see configs/tune/lite0.toml.")
    ],
    data: Annotated[Path | None, typer.Option(help="Source, in any supported layout.")] = None,
    overrides: Overrides = None,
    output: Output = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials all together, instead of the file's.")] = None,
) -> None:
    """Search for better settings by validation Dice; the test part is not looked at.

    The same command goes on where it was stopped; more --trials go on with a finished search.
    """
    from tumorline import api
    from tumorline.tuning import read_trials, trial_rows

    folder = api.tune(config, data=data, overrides=overrides or (), output=output, trials=trials, notify=note)
    print_table(trial_rows(read_trials(folder)))
    say(f"chosen on validation; the test part was not looked at. Train it: tumorline train {folder / 'best.toml'}")
    say(f"report: {folder / 'tune.html'}")


@app.command()
def evaluate(
    models: Annotated[list[Path] | None, typer.Argument(help=MODEL_HELP + " Several make a matrix.")] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE[,KEY=VALUE...]",
            help="Source, with settings after commas; several make a matrix. Without it the run's own test part.",
        ),
    ] = None,
    overrides: Overrides = None,
    output: Output = None,
    overwrite: Overwrite = False,
    allow_training_cases: Annotated[
        bool, typer.Option("--allow-training-cases", help="Score training cases too and mark every output.")
    ] = False,
    trust_paths: TrustPaths = False,
    stress: Annotated[bool, typer.Option("--stress", help="Also under noise, blur, turns, JPEG ... (slow).")] = False,
    tta: Tta = "none",
    as_json: AsJson = False,
) -> None:
    """Score a model on cases that it was not trained on; several models or sets as one matrix.

    Results go to evaluations/<time>-<model>-<source>. The same command goes on where it was stopped.
    """
    from tumorline import api
    from tumorline.cross_dataset import read_spec

    chosen = models or [Path("builtin")]
    how = api.EvaluationOptions(
        output,
        overwrite,
        tuple(overrides or ()),
        allow_training_cases,
        trust_paths,
        stress,
        tta,
        os.cpu_count() or 1,
        counter("evaluating"),
    )
    if len(chosen) > 1 or len(data or ()) > 1:
        if stress or not data:
            raise UserError("--stress takes one model and one set" if stress else "several models need --data SOURCE")
        folder, result = api.write_matrix(chosen, data, how)
        print_matrix(result, folder, as_json)
        return
    spec = read_spec(data[0]) if data else None
    how = replace(how, overrides=(*how.overrides, *(spec.settings if spec else ())))
    folder, summary = api.write_evaluation(chosen[0], spec.path if spec else None, how)
    if as_json:
        print_json(summary.to_json())
        note(f"report: {folder / 'report.html'}")
    else:
        print_headline(summary)
        print_table(stress_rows(summary))
        say(f"report: {folder / 'report.html'}")


@app.command()
def compare(
    runs: Annotated[list[Path] | None, typer.Argument(help="Folders of train, folds or evaluate.")] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=RUN,RUN,RUN", help="Runs of one recipe with 3 seeds or more; may be repeated."),
    ] = None,
    reference: Annotated[str, typer.Option(metavar="NAME", help="Compare the others with this one only.")] = "",
    study: Annotated[str | None, typer.Option(help="'leak' compares a leaking split with an honest one.")] = None,
    output: Output = None,
    trust_paths: TrustPaths = False,
    as_json: AsJson = False,
) -> None:
    """Compare runs on the same cases: differences, whether they are noise, and pictures of the disagreements."""
    from tumorline import api

    if study not in (None, "leak"):
        raise UserError(f"--study {study}: expected leak")
    groups = dict(read_group(text) for text in group or ())
    with trusting_paths(trust_paths):
        folder, result = api.write_comparison(
            runs or (), groups=groups, study="leak" if study else None, reference=reference, output=output
        )
    if as_json:
        print_json(result.to_json())
        note(f"report: {folder / 'compare.html'}")
        return
    for line in [*(f"! {warning}" for warning in result.warnings), *result.verdicts]:
        say(line)
    print_table(contender_rows(result))
    say(f"report: {folder / 'compare.html'}")


@app.command()
def predict(
    inputs: Annotated[
        list[Path] | None, typer.Argument(help="Pictures, NIfTI volumes, folders of them, or a CSV of cases.")
    ] = None,
    model: Annotated[Path, typer.Option(help=MODEL_HELP)] = Path("builtin"),
    channel: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="One channel of one case, such as flair=a.nii.gz; once for each."),
    ] = None,
    enhancing_label: Annotated[
        int | None, typer.Option(help="Write BraTS's enhancing tumour as 3 (since 2023) instead of 4.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Folder for masks, overlays and tables.")] = None,
    overwrite: Overwrite = False,
    tta: Tta = "none",
    as_json: AsJson = False,
) -> None:
    """Write mask, overlay and figures for each picture or volume.

    A model of several channels takes folders whose volumes are named as in BraTS, a CSV with a column of files for each
    channel, or --channel for each. Results go to predictions/<time>. The same command goes on where it was stopped.
    """
    from tumorline import api

    folder, rows = api.write_predictions(
        inputs or (),
        model,
        output=output,
        overwrite=overwrite,
        tta=tta,
        channels=channel or (),
        enhancing_label=enhancing_label,
        progress=counter("predicting"),
        notify=note,
    )
    failed = [row for row in rows if row["error"]]
    for row in failed:
        note(f"error: {row['error']}")
    if as_json:
        print_json(rows)
        note(f"predictions: {folder / 'predictions.csv'}")
    else:
        kept = " (earlier results, which stay as they are)" if overwrite and len(failed) == len(rows) else ""
        say(f"{len(rows) - len(failed)} of {len(rows)} predicted: {folder / 'predictions.csv'}{kept}")
    sys.exit(2 if failed else 0)


@app.command()
def report(run: Annotated[Path, typer.Argument(help="Finished run folder.")], trust_paths: TrustPaths = False) -> None:
    """Write report.html of a finished run again."""
    from tumorline.run import render_report

    with trusting_paths(trust_paths):
        say(render_report(run))


@app.command()
def ensemble(
    models: Annotated[list[Path], typer.Argument(help="Two models or more, or one folder of 'tumorline folds'.")],
    output: Annotated[Path, typer.Option(help="Model file to write, NAME.safetensors; its .onnx goes beside it.")],
    threshold: Annotated[float | None, typer.Option(help="Instead of the mean of the members' thresholds.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier ensemble.")] = False,
    trust_module: Trusted = None,
) -> None:
    """Write several models, or all folds, as one model file that averages their probabilities."""
    from tumorline import api
    from tumorline.model_file import read_info

    info = read_info(api.ensemble(models, output, threshold, overwrite, trust_module or ()))
    known = info.split["parts"]
    say(f"{output}: {len(info.members)} members, threshold {', '.join(f'{value:g}' for value in info.thresholds)}")
    say("known cases: " + ", ".join(f"{number} {part}" for part, number in known.items()))
    if not known["test"]:
        note(
            "warning: every case was training or validation of one member, so none is left to test the ensemble on; "
            "evaluate it on another set (the out-of-fold figures of folds are those of their members)"
        )


@app.command()
def export(
    model: Annotated[Path, typer.Argument(help="Run folder or .safetensors file.")],
    output: Annotated[Path | None, typer.Option(help="ONNX file; else MODEL.onnx in the current folder.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an ONNX file of Tumorline.")] = False,
    trust_module: Trusted = None,
) -> None:
    """Write a model's network as ONNX."""
    from tumorline import api

    say(api.export(model, output, overwrite, trust_module or ()))


@app.command()
def models() -> None:
    """List the trained models that come with the package, and the networks that can be trained."""
    from tumorline.listing import list_networks, list_trained_models

    print_table(list_trained_models())
    say()
    print_table(list_networks())


@app.command()
def losses() -> None:
    """List the losses."""
    from tumorline import api

    print_table(api.losses())


@data_app.command()
def check(
    source: Path,
    against: Annotated[Path | None, typer.Option(help="Look instead for what this second source shares.")] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Look for what would spoil a training or a figure; exit status 2 on errors.

    With --against: pictures and patients that two sources share, which is an error; masks are not needed.
    """
    if against is not None:
        audit(source, against, overrides or (), as_json)
    from tumorline.audit import check as checks
    from tumorline.config import load_config
    from tumorline.data.dataset import load_dataset

    dataset = load_dataset(source, load_config(None, overrides or ()).data, counter("decoding"))
    findings = checks.check(dataset)
    result = checks.as_json(dataset, findings)
    if as_json:
        print_json(result)
    else:
        print_check(result)
    sys.exit(2 if any(finding.severity == "error" for finding in findings) else 0)


def audit(source: Path, against: Path, overrides: "Sequence[str]", as_json: bool) -> "NoReturn":
    from tumorline.audit import between
    from tumorline.config import load_config

    settings = load_config(None, overrides).data
    sets = [between.load_pictures(path, settings, counter(f"decoding {path.name}")) for path in (source, against)]
    found = between.compare_sets(*sets)
    if as_json:
        print_json(between.as_json(found))
    else:
        for line in between.as_lines(found):
            say(line)
    sys.exit(2 if any(finding.severity == "error" for finding in found.findings) else 0)


@data_app.command()
def split(source: Path, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Print which patient is in which part."""
    from tumorline.config import load_config
    from tumorline.data import split as splits
    from tumorline.data.dataset import load_dataset

    config = load_config(None, overrides or ())
    dataset = load_dataset(source, config.data, counter("decoding"))
    chosen = splits.split_dataset(dataset, config.split)
    if as_json:
        print_json({"origin": chosen.origin, "cases": splits.split_table(dataset, chosen)})
        return
    say(f"# {chosen.origin}")
    if dataset.source.patients_unknown:
        say("# PATIENTS UNKNOWN: slices of one patient may lie on both sides")
    print_table(splits.counts(dataset, chosen))
    print_table(splits.split_table(dataset, chosen))


@data_app.command()
def simulate(
    directory: Path,
    patients: Annotated[int, typer.Option(min=3)] = 100,
    slices: Annotated[int, typer.Option(min=1, help="Slices per patient.")] = 5,
    volumes: Annotated[
        int,
        typer.Option(min=0, help="Instead of slices so many scans as volumes, as BraTS names them."),
    ] = 0,
    spacing_mm: Annotated[float, typer.Option(min=1.0, max=8.0)] = 2.0,
    seed: int = 0,
) -> None:
    """Make a simulated cohort with known truth."""
    from tumorline import simulation

    made = simulation.simulate(
        directory,
        patients=patients,
        slices=slices,
        volumes=volumes,
        spacing_mm=spacing_mm,
        seed=seed,
        progress=counter("simulating"),
    )
    say(made)


@data_app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="figshare, kaggle or lgg.")],
    directory: Annotated[Path, typer.Argument(help="Folder that does not exist yet.")],
    as_json: AsJson = False,
) -> None:
    """Download a public data set: resumable, verified, and in DIRECTORY as a whole or not at all."""
    from tumorline import fetch as fetching

    result = fetching.fetch(name, directory, notify=note, progress=megabytes(counter("MB")))
    if as_json:
        print_json(result)
    elif result["status"] == "present":
        say(f"{result['folder']}: '{name}' is there already, {numbered(result['files'], 'file')}; nothing was done")
    else:
        say(f"{result['folder']}: {numbered(result['files'], 'file')}, {result['bytes'] / 1e6:.1f} MB")


def read_group(text: str) -> "tuple[str, list[Path]]":
    """NAME=RUN,RUN,RUN."""
    name, equals, runs = text.partition("=")
    if not equals or not name or not runs:
        raise UserError(f"--group {text}: expected NAME=RUN,RUN,RUN")
    return name, [Path(run) for run in runs.split(",") if run]
