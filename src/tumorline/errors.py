"""The one exception that is meant for the person at the keyboard."""

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from numbers import Integral


class UserError(ValueError):
    """Input that Tumorline cannot use. The command line prints it as one line and exits with status 2.

    The message names the file or key, the value found, what is accepted and what to do.

    Args:
        message: That line.

    Example:
        >>> try:
        ...     tumorline.load_config(None, ["train.epoch=3"])
        ... except tumorline.UserError as error:
        ...     print(error)
        --set: unknown key 'train.epoch'; did you mean 'train.epochs'?
    """

    kept_off_files = False
    """Whether it may quote files that are not the run's own, so that no file of the run repeats it."""


@contextmanager
def kept_off_files() -> Iterator[None]:
    """What is raised within is told to whoever is at the keyboard, and written to no file of a run."""
    try:
        yield
    except UserError as error:
        error.kept_off_files = True
        raise


class WriteError(UserError):
    """A file that cannot be written. `only_this` where the next one may well be, as with a name that is too long."""

    def __init__(self, message: str, only_this: bool = False) -> None:
        super().__init__(message)
        self.only_this = only_this


class ReadError(UserError):
    """A file that the system did not give, or had no memory for: it may be whole, and read by the next command."""


class MissingExtraError(UserError):
    """A command needs an optional dependency; the message says which extra to install."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the '{extra}' extra: pip install 'tumorline[{extra}]'")


def require_extra(module: str, what: str, extra: str) -> None:
    """Raise MissingExtraError where a module that belongs to an extra is not installed."""
    if find_spec(module) is None:
        raise MissingExtraError(what, extra)


class UserNotice(UserWarning):
    """What a person should know and a script may go on with; the command line prints it as one line."""


class Diverged(UserError):
    """A training came to a loss or a weight that is not finite; what was good before is kept."""


class NotFinite(UserError):
    """A network whose answer to a case is not finite, which is no answer."""


class Interrupted(KeyboardInterrupt):
    """A command was asked to stop; of a training the state is saved and the message says how to go on.

    It is no Exception: what goes on after any failure of one file does not go on after this.
    """


def require_one_of(options: Iterable[str], name: str, value: object) -> None:
    """Raise UserError for a parameter whose value is none of those that there are."""
    known = [*options]
    if not isinstance(value, str) or value not in known:
        raise UserError(f"{name} is '{value}'; {did_you_mean(str(value), known)}")


def require_number(name: str, value: object, least: int) -> None:
    """Raise UserError for a parameter that is no whole number, or a smaller one."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise UserError(f"{name} is {value!r:.40}; expected a whole number, {least} or more")


def did_you_mean(word: str, options: Iterable[str], before: str = "") -> str:
    """'did you mean X?' for the nearest option, with what stands `before` it; the options where none is near."""
    known = sorted(options)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"did you mean '{before}{near[0]}'?" if near else f"known: {', '.join(known)}"
