"""The folder of a run: what it may hold beforehand, and that one training has it to itself."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tumorline.config import Config
from tumorline.environment import is_first_process
from tumorline.errors import Diverged, UserError
from tumorline.escaping import for_shell
from tumorline.file_names import CONFIG_NAME, ENVIRONMENT_NAME, LOG_NAME, SPLIT_NAME, STATE_NAME
from tumorline.files import alone_in, is_leftover, remove_content, remove_unfinished
from tumorline.output.place import require_utf_8
from tumorline.run_folder import read_config, save_config


def refuse_existing(run: Path) -> None:
    """Raise UserError for a folder that holds anything, or where a file has its name."""
    if is_first_process() and (run.is_file() or _holds_anything(run)):
        raise UserError(f"{run}: exists already; choose another --output, or go on with --resume {for_shell(run)}")


def refuse_another(config: Config, run: Path) -> None:
    """Raise UserError for a folder that holds anything but a run of this configuration."""
    if not (run / CONFIG_NAME).exists():
        refuse_existing(run)
    elif is_first_process() and _without_cache(read_config(run)) != _without_cache(config):
        raise UserError(f"{run}: holds a training of another configuration; choose another --output")
    refuse_strange(run)


def _without_cache(config: Config) -> dict[str, object]:
    return config.model_dump(exclude={"data": {"cache"}})


def refuse_strange(run: Path) -> None:
    """Raise UserError for a folder that has a configuration and other things, but nothing that a training leaves."""
    traces = (LOG_NAME, SPLIT_NAME, STATE_NAME, ENVIRONMENT_NAME)
    if not is_first_process() or any((run / name).exists() for name in traces):
        return
    names = [path.name for path in run.glob("*") if not is_leftover(path)]
    if strange := sorted(set(names) - {CONFIG_NAME}):
        raise UserError(f"{run}: holds {strange[0]} and nothing that a training leaves; choose another --output")


def begin_run(config: Config, run: Path) -> None:
    """The first file of a run, written by the one that has claimed the folder."""
    if is_first_process() and not (run / CONFIG_NAME).exists():
        save_config(config, run)


def _holds_anything(run: Path) -> bool:
    """Anything but what a process leaves that is killed before it begins."""
    return any(not is_leftover(path) for path in run.glob("*"))


@contextmanager
def claimed_folder(run: Path) -> Iterator[None]:
    """No other training works in the folder meanwhile.

    What was empty before is gone after an error of the user, unless something was trained; where the training diverged
    it stays, with the log that says so.
    """
    if not is_first_process():
        yield
        return
    require_utf_8(run)
    try:
        with alone_in(run), _emptied_at_error(run, keep=_holds_anything(run)):
            yield
    finally:
        with suppress(OSError):  # it is not empty
            run.rmdir()


@contextmanager
def _emptied_at_error(run: Path, keep: bool) -> Iterator[None]:
    remove_unfinished(run)
    try:
        yield
    except Diverged:
        raise
    except UserError:
        if not keep and not (run / STATE_NAME).exists():
            remove_content(run)
        raise
