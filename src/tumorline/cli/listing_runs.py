"""The command that lists run folders: runs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tumorline.cli.arguments import require_paths
from tumorline.cli.options import AsJson
from tumorline.cli.printing import note, print_json, print_table
from tumorline.cli.shown_results import format_number

if TYPE_CHECKING:
    from tumorline.run_list import Listed


def runs(
    folder: Annotated[Path | None, typer.Argument(help="Where to look; else runs/.")] = None, as_json: AsJson = False
) -> None:
    """List run folders, newest first: how far each one is, its Dice, minutes of training.

    Dice is by patient on the held-out cases of a finished run, validation that of the best epoch so far.
    """
    require_paths(folder)
    from tumorline.run_list import list_runs

    root = folder or Path("runs")
    listed = list_runs(root)
    if as_json:
        print_json([run.to_json() for run in listed])
    elif listed:
        print_table([run_row(run) for run in listed])
    else:
        note(f"no run folders in {root}; 'tumorline train' makes one")


def run_row(one: "Listed") -> dict[str, object]:
    interval = f" ({one.interval[0]:.3f} to {one.interval[1]:.3f})" if one.interval else ""
    return {
        "run": one.run,
        "state": one.state,
        "dice": "" if one.dice is None else f"{format_number(one.dice)}{interval}",
        "validation": "" if one.validation_dice is None else format_number(one.validation_dice),
        "epochs": one.epochs,
        "minutes": "" if one.minutes is None else f"{one.minutes:.1f}",
        "changed": one.changed[:16],
        "network": one.network,
    }
