"""The command line: parse, call one public function, print. Heavy imports happen inside the commands.

One module for each group of commands; this one puts them together, in the order in which the help lists them.
"""

import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from tumorline import __version__
from tumorline.cli import configuration, data, evaluating, listing_runs, models, predicting, serving, training
from tumorline.cli.arguments import as_key, refuse_empty
from tumorline.cli.printing import note, say
from tumorline.cli.streams import NOT_PRINTED, is_all_printed, prepared_streams
from tumorline.environment import is_first_process
from tumorline.errors import Interrupted, UserError
from tumorline.escaping import one_line
from tumorline.formats.boundary import MAX_PIXELS
from tumorline.signals import stopped_by_signals

Commands = tuple[Callable[..., object], ...]
COMMANDS: Commands = (
    training.train,
    training.folds,
    training.benchmark,
    training.tune,
    evaluating.evaluate,
    evaluating.score,
    evaluating.compare,
    predicting.predict,
    serving.app,
    evaluating.report,
    listing_runs.runs,
    models.ensemble,
    models.export,
    models.models,
    models.losses,
)
CONFIG_COMMANDS: Commands = (configuration.init, configuration.show, configuration.explain)
DATA_COMMANDS: Commands = (data.check, data.report, data.plan, data.split, data.convert, data.simulate, data.fetch)

STOPPED = 130
"""Exit status of a command that was asked to stop."""
NO_MEMORY = "not enough memory; stop other programs, or raise the limit of this one (ulimit -v)"
UsageError: Any = typer.BadParameter.__base__
"""Typer's own error of a command line that it cannot parse."""

app = typer.Typer(
    name="tumorline",
    help="Train, audit, compare and run segmentation models for brain tumours in MRI.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
data_app = typer.Typer(help="Fetch, check, split and make data sets.", no_args_is_help=True, rich_markup_mode=None)
config_app = typer.Typer(help="Write, show and explain configurations.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(data_app, name="data")
app.add_typer(config_app, name="config")


def _says_where_it_stopped(command: Callable[..., object]) -> Callable[..., object]:
    """Typer takes each KeyboardInterrupt for itself and is silent of it."""

    @wraps(command)
    def carried_out(*arguments: Any, **given: Any) -> object:
        try:
            return command(*arguments, **given)
        except Interrupted as stop:
            note(str(stop))
            raise typer.Exit(STOPPED) from None

    return carried_out


for group, commands in ((app, COMMANDS), (data_app, DATA_COMMANDS), (config_app, CONFIG_COMMANDS)):
    for command in commands:
        group.command()(_says_where_it_stopped(command))


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
        refuse_empty(sys.argv[1:])
        with stopped_by_signals("stopped"):
            return app(prog_name="tumorline", standalone_mode=False) or 0
    except SystemExit as end:
        return int(end.code or 0)
    except UsageError as error:
        if line := as_key(error):
            _say_error(line)
            return 2
        error.message = "\n".join(map(one_line, error.message.split("\n")))
        error.show()
        return int(error.exit_code)
    except UserError as error:
        logging.getLogger("tumorline").debug("what was raised", exc_info=error)
        _say_error(str(error))
        return 2
    except Interrupted as stop:
        note(str(stop))
        return STOPPED
    except OSError as error:
        _say_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return 2
    except MemoryError:
        _say_error(NO_MEMORY)
        return 2


def _say_error(message: str) -> None:
    if is_first_process():
        note(f"error: {message}")


def print_version(asked: bool) -> None:
    if asked:
        say(f"tumorline {__version__}")
        raise typer.Exit


@app.callback()
def configure(
    max_pixels: Annotated[
        int | None,
        typer.Option(min=1, envvar=MAX_PIXELS, help="Most pixels or voxels of a file that is read; 100 million."),
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=print_version, help="Print the version and exit.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the tracebacks behind the errors of files.")] = False,
) -> None:
    """Train, audit, compare and run segmentation models for brain tumours in MRI."""
    if max_pixels:
        os.environ[MAX_PIXELS] = str(max_pixels)
    if debug:
        log = logging.getLogger("tumorline")
        log.handlers[:] = [logging.StreamHandler()]
        log.setLevel(logging.DEBUG)
