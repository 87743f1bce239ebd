"""Commands about data sets: data check, report, split, plan, convert, simulate, fetch."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from tumorline.cli.arguments import require_paths, require_sources
from tumorline.cli.options import AsJson, KeepIdentifiers, Output, Overrides, Overwrite, with_identifiers
from tumorline.cli.printing import counter, megabytes, note, print_json, print_table, say
from tumorline.cli.shown_results import print_check
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.file_names import DATA_PAGE_NAME
from tumorline.wording import numbered

SOURCES_HELP = "Source with settings of its own after commas; several are looked at as they would train together."
Checked = Annotated[list[str], typer.Argument(metavar="SOURCE[,KEY=VALUE...]", help=SOURCES_HELP)]


def check(
    sources: Checked,
    against: Annotated[
        str | None,
        typer.Option(metavar="SOURCE[,KEY=VALUE...]", help="Look instead for what this second source shares."),
    ] = None,
    overrides: Overrides = None,
    keep_identifiers: KeepIdentifiers = False,
    as_json: AsJson = False,
) -> None:
    """Look for what would spoil a training or a figure; exit status 2 on errors.

    With --against: pictures and patients that two sources share, which is an error; masks are not needed.
    """
    from tumorline.config import load_config
    from tumorline.source_spec import with_data

    require_sources([*sources, *([against] if against else [])])
    changes = with_identifiers(overrides, keep_identifiers)
    if against is not None:
        if len(sources) > 1:
            raise UserError("--against compares two sources; give one before it")
        audit(sources[0], against, changes, as_json)
    config = with_data(load_config(None, changes), sources, absolute=False)
    from tumorline.audit import check as checks
    from tumorline.data.joined import load_data

    dataset = load_data(config, counter("decoding"))
    findings = checks.check(dataset)
    result = checks.as_json(dataset, findings)
    if as_json:
        print_json(result)
    else:
        print_check(result)
    sys.exit(2 if any(finding.severity == "error" for finding in findings) else 0)


def audit(source: str, against: str, changes: Sequence[str], as_json: bool) -> NoReturn:
    from tumorline.audit import between

    sets = [between.open_side(side, changes, counter(f"decoding {Path(side).name}")) for side in (source, against)]
    overlap = between.compare_sets(*sets)
    if as_json:
        print_json(between.as_json(overlap))
    else:
        for line in between.as_lines(overlap):
            say(line)
    sys.exit(2 if any(finding.severity == "error" for finding in overlap.findings) else 0)


def report(
    sources: Checked,
    overrides: Overrides = None,
    output: Output = None,
    overwrite: Overwrite = False,
    keep_identifiers: KeepIdentifiers = False,
) -> None:
    """Write a page of what a set holds: classes, sizes, places, grey values, examples, findings, split.

    The page and a table of all cases go to data_reports/<time>-<source>. Exit status 2 where the check found errors.
    """
    require_sources(sources)
    from tumorline import api

    folder, findings = api.describe_data(
        sources,
        output=output,
        overrides=with_identifiers(overrides, keep_identifiers),
        overwrite=overwrite,
        progress=counter("decoding"),
    )
    errors = sum(finding.severity == "error" for finding in findings)
    say(f"{numbered(errors, 'error')}, {numbered(len(findings) - errors, 'further finding')}")
    say(f"report: {folder / DATA_PAGE_NAME}")
    sys.exit(2 if errors else 0)


def split(
    sources: Checked,
    overrides: Overrides = None,
    keep_identifiers: KeepIdentifiers = False,
    as_json: AsJson = False,
) -> None:
    """Print which patient is in which part."""
    from tumorline.config import load_config
    from tumorline.source_spec import with_data

    require_sources(sources)
    config = with_data(load_config(None, with_identifiers(overrides, keep_identifiers)), sources, absolute=False)
    from tumorline.data.joined import load_data
    from tumorline.data.splits.split import part_counts, split_dataset, split_table

    dataset = load_data(config, counter("decoding"))
    chosen = split_dataset(dataset, config.split)
    if as_json:
        print_json({"origin": chosen.origin, "cases": split_table(dataset, chosen)})
        return
    say(f"# {chosen.origin}")
    if dataset.source.patients_unknown:
        say("# PATIENTS UNKNOWN: slices of one patient may lie on both sides")
    print_table(part_counts(dataset, chosen))
    print_table(split_table(dataset, chosen))


def plan(
    source: Annotated[Path, typer.Argument(help="Folder in a supported layout, or a CSV.")],
    minutes: Annotated[float, typer.Option(min=1, max=10**6, help="What the training may take.")] = 60.0,
    memory_gb: Annotated[float | None, typer.Option(min=0.1, help="Memory to plan for; all that is here.")] = None,
    gflops: Annotated[
        float | None, typer.Option(min=1, help="Speed of training to plan for, in GFLOP/s; one that was measured.")
    ] = None,
    axes: Annotated[
        int | None, typer.Option(min=2, max=3, help="2 for slices, 3 for volumes; without it the set decides.")
    ] = None,
    overrides: Overrides = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="TOML file to write; plan-<source>.toml.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Choose spacing, size, network and length of a training for a set, say why, and write the recipe.

    What --set states stays as it is; the rest is chosen around it.
    """
    from tumorline import api

    how = api.PlanOptions(minutes, memory_gb, gflops, axes, overrides or ())
    path, planned = api.write_plan(source, how, output, counter("looking for heads"))
    if as_json:
        choices = [{"key": choice.key, "value": choice.value, "why": choice.why} for choice in planned.choices]
        print_json({"recipe": str(path), "choices": choices})
        return
    for line in planned.explain():
        say(line)
    command = "folds" if planned.config.split.folds else "train"
    say(f"recipe: {path}; train it with: {for_shell('tumorline', command, path, '--data', source)}")


def convert(
    scans: Annotated[list[Path], typer.Argument(help="Folders with DICOM series and their segmentations (SEG).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the set.")],
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=FOLDER]",
            help="A sequence that is written, with =FOLDER or =FOLDER#NUMBER if no header tells; may be repeated.",
        ),
    ] = None,
    region: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=LABEL[,LABEL...]", help="A region, the union of these segments; may be repeated."),
    ] = None,
    overwrite: Overwrite = False,
    keep_identifiers: KeepIdentifiers = False,
) -> None:
    """Write DICOM series and their segmentations as NIfTI that train, evaluate and nnU-Net read.

    The series of a study are the channels of one scan, on the grid of the one that its segmentation refers to. Without
    --channel they are the sequences that every scan has, without --region the segments by their labels. Scans without a
    segmentation go to imagesTs/. Exit status 2 where something was left out.
    """
    require_paths(*scans)
    from tumorline import api
    from tumorline.conversion.plan import Wanted

    wanted = Wanted(channel or (), region or (), keep_identifiers)
    made = api.write_converted(scans, output, wanted, overwrite, counter("converting"), note)
    for problem in made.problems:
        note(f"error: {problem}")
    without = len(made.written) - made.with_truth
    counts = f"{numbered(made.with_truth, 'scan')} with truth, {without} without, {len(made.problems)} left out"
    say(f"{counts}: {made.folder}")
    say(f"next: {made.next_command}")
    sys.exit(2 if made.problems else 0)


def simulate(
    directory: Annotated[Path, typer.Argument(help="Folder that does not exist yet.")],
    patients: Annotated[int | None, typer.Option(min=3, help="Number of patients; 100 if not given.")] = None,
    slices: Annotated[int | None, typer.Option(min=1, help="Slices per patient; 5 if not given.")] = None,
    volumes: Annotated[
        int,
        typer.Option(min=0, help="Instead of slices so many scans as volumes, as BraTS names them."),
    ] = 0,
    spacing_mm: Annotated[float, typer.Option(min=1.0, max=8.0, help="Of pixels, 4 at most, or voxels.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal cohorts.")] = 0,
) -> None:
    """Make a simulated cohort with known truth."""
    if volumes and (patients is not None or slices is not None):
        raise UserError("--volumes makes scans in place of slices; leave out --patients and --slices")
    from tumorline import simulation

    folder = simulation.simulate(
        directory,
        patients=100 if patients is None else patients,
        slices=5 if slices is None else slices,
        volumes=volumes,
        spacing_mm=spacing_mm,
        seed=seed,
        progress=counter("simulating"),
    )
    say(folder)


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
