"""Commands that score: evaluate, score, compare, report."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorline.cli.arguments import require_computing, require_models, require_paths, require_sources
from tumorline.cli.options import (
    AsJson,
    KeepIdentifiers,
    Models,
    Output,
    Overrides,
    Overwrite,
    Precision,
    RayAddress,
    RuntimeName,
    TrustPaths,
    Tta,
    with_identifiers,
)
from tumorline.cli.printing import counter, note, print_json, print_table, say
from tumorline.cli.shown_results import (
    contender_rows,
    lost_lines,
    print_headline,
    print_matrix,
    stress_rows,
    subset_rows,
)
from tumorline.errors import UserError
from tumorline.file_names import COMPARISON_PAGE_NAME, REPORT_NAME
from tumorline.trust import trusting_paths

if TYPE_CHECKING:
    from tumorline.results import Summary


def evaluate(
    models: Models = None,
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
    subsets: Annotated[
        bool, typer.Option("--subsets", help="Also with each subset of the channels, of a model that may lack some.")
    ] = False,
    tta: Tta = "none",
    precision: Precision = "float32",
    runtime: RuntimeName = "openvino",
    ray: RayAddress = "",
    keep_identifiers: KeepIdentifiers = False,
    as_json: AsJson = False,
) -> None:
    """Score a model on cases that it was not trained on; several models or sets as one matrix.

    Results go to evaluations/<time>-<model>-<source>. The same command goes on where it was stopped.
    """
    chosen = models or [Path("builtin")]
    require_models(chosen)
    require_sources(data or ())
    require_computing(precision, runtime)
    from tumorline import api
    from tumorline.source_spec import read_spec
    from tumorline.work_ahead import count_cores

    how = api.EvaluationOptions(
        output=output,
        overwrite=overwrite,
        overrides=with_identifiers(overrides, keep_identifiers),
        allow_training_cases=allow_training_cases,
        trust_paths=trust_paths,
        stress=stress,
        tta=tta,
        processes=count_cores(),
        progress=counter("evaluating"),
        subsets=subsets,
        precision=precision,
        runtime=runtime,
        ray=ray,
        stress_progress=counter("under stress"),
        decoding_progress=counter("reading"),
    )
    if len(chosen) > 1 or len(data or ()) > 1:
        if stress or subsets:
            raise UserError(f"--{'stress' if stress else 'subsets'} takes one model and one set")
        if not data:
            raise UserError("several models need --data SOURCE")
        folder, result = api.write_matrix(chosen, data, how)
        print_matrix(result, folder, as_json)
        return
    spec = read_spec(data[0]) if data else None
    how = replace(how, overrides=(*how.overrides, *(spec.settings if spec else ())))
    folder, summary = api.write_evaluation(chosen[0], spec.path if spec else None, how)
    print_evaluation(folder, summary, as_json)


def print_evaluation(folder: Path, summary: "Summary", as_json: bool) -> None:
    """All that it found, and where its page is."""
    if as_json:
        print_json(summary.to_json())
        note(f"report: {folder / REPORT_NAME}")
        return
    print_headline(summary)
    print_table(stress_rows(summary))
    for line in lost_lines(summary):
        say(line)
    print_table(subset_rows(summary))
    say(f"report: {folder / REPORT_NAME}")


def score(
    masks: Annotated[
        Path,
        typer.Argument(metavar="MASKS", help="Folder of masks, CASE.png or CASE.nii.gz, with the values of the set's."),
    ],
    data: Annotated[
        str,
        typer.Option(metavar="SOURCE[,KEY=VALUE...]", help="The set that they are of, with settings after commas."),
    ],
    overrides: Overrides = None,
    output: Output = None,
    overwrite: Overwrite = False,
    keep_identifiers: KeepIdentifiers = False,
    as_json: AsJson = False,
) -> None:
    """Score masks that another program has drawn by the rules of 'evaluate', for 'compare' to put beside others.

    Which cases that program was trained on is not known here, and every output says so.
    Results go to evaluations/<time>-<masks>-<source>.
    """
    require_paths(masks)
    require_sources([data])
    from tumorline import api
    from tumorline.source_spec import read_spec
    from tumorline.work_ahead import count_cores

    spec = read_spec(data)
    how = api.MaskOptions(
        output=output,
        overwrite=overwrite,
        overrides=[*with_identifiers(overrides, keep_identifiers), *spec.settings],
        processes=count_cores(),
        progress=counter("scoring"),
        decoding_progress=counter("reading"),
    )
    print_evaluation(*api.write_scores(masks, spec.path, how), as_json)


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
    if study not in (None, "leak"):
        raise UserError(f"--study {study}: expected leak")
    groups = read_groups(group or ())
    require_paths(*(runs or ()), *(run for members in groups.values() for run in members))
    from tumorline import api

    with trusting_paths(trust_paths):
        folder, result = api.write_comparison(
            runs or (), groups=groups, study="leak" if study else None, reference=reference, output=output
        )
    if as_json:
        print_json(result.to_json())
        note(f"report: {folder / COMPARISON_PAGE_NAME}")
        return
    for line in [*(f"! {warning}" for warning in result.warnings), *result.verdicts]:
        say(line)
    print_table(contender_rows(result))
    say(f"report: {folder / COMPARISON_PAGE_NAME}")


def read_groups(texts: Sequence[str]) -> dict[str, list[Path]]:
    """The runs of each group by its name. Raises UserError where one is given twice."""
    pairs = [read_group(text) for text in texts]
    names = [name for name, _ in pairs]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"--group {twice[0]}=...: given twice; write all of its runs after one, with commas between")
    return dict(pairs)


def read_group(text: str) -> tuple[str, list[Path]]:
    """NAME=RUN,RUN,RUN."""
    name, equals, runs = text.partition("=")
    if not equals or not name or not runs:
        raise UserError(f"--group {text}: expected NAME=RUN,RUN,RUN")
    return name, [Path(run) for run in runs.split(",") if run]


def report(
    run: Annotated[
        Path,
        typer.Argument(
            help="Finished run folder, or an evaluation; with --figures a comparison, matrix or benchmark as well."
        ),
    ],
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE[,KEY=VALUE...]", help="Of an evaluation of other data: where they are, for its images."
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write figures, tables, methods and references for a paper there (extra: paper)."
        ),
    ] = None,
    overwrite: Overwrite = False,
    trust_paths: TrustPaths = False,
) -> None:
    """Write report.html of a finished run again, or, with --figures, what a paper needs of it.

    --figures writes each chart as SVG and PDF, each table as CSV and LaTeX, the methods as CLAIM 2024 asks for, and
    a bibliography of what was used. The same command writes them again; what you have changed there is not replaced.
    """
    require_paths(run)
    require_sources([data] if data else [])
    if figures and (data or trust_paths):
        raise UserError("--figures writes what a finished folder holds; --data and --trust-paths are for its page")
    if data and trust_paths:
        raise UserError("--trust-paths is for a run folder's own paths; beside --data, which you give, leave it out")
    if overwrite and not figures:
        raise UserError("--overwrite is for --figures; the page of a folder is always written again")
    if figures:
        from tumorline.paper import write_paper

        say(f"for a paper: {write_paper(run, figures, overwrite)}")
        return
    if data:
        from tumorline.assessment import show_evaluation

        say(show_evaluation(run, data))
        return
    from tumorline.run import render_report

    with trusting_paths(trust_paths):
        say(render_report(run))
