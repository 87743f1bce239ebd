"""What a training tells while it runs, to whoever listens: loggers that come with the package, and your own.

A listener cannot end or change a training. What goes wrong in one is said in one line, and it is not told more.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from tumorline.config import LOGGERS, Config
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.progress import Notify
from tumorline.trust import is_trusted

EpochRow = Mapping[str, Any]
"""A finished epoch's row of `history.csv` by column, numbers as numbers."""
OnBegin = Callable[[Sequence[EpochRow]], None]
"""Gets the rows of the epochs that are done already, before the first step."""
OnEpoch = Callable[[EpochRow], None]
"""Gets each finished epoch's row, once the state is saved; what it raises ends the training there."""


@dataclass(frozen=True)
class Begun:
    """A training that begins, or goes on."""

    folder: Path
    """Of the run; a listener may keep files of its own in it."""
    config: Config
    history: Sequence[EpochRow]
    """The epochs that are done already, of a run that goes on; rows as `on_epoch` gets them."""


class Callback:
    """Hears of a training. Subclass it and override what you want to hear of; it cannot change anything.

    Of several processes only the first tells. In a configuration it is named as `train.callbacks =
    ["package.module:Printer"]`, and made without arguments.

    Args:
        None: A subclass may take what it likes, unless a configuration names it.

    Example:
        >>> class Printer(tumorline.Callback):
        ...     def on_epoch(self, row):
        ...         print(row["epoch"], row["validation_dice"])
        >>> # tumorline.train("lite0", data="scans", callbacks=[Printer()])
    """

    def on_begin(self, begun: Begun) -> None:
        """Before the first step."""

    def on_epoch(self, row: EpochRow) -> None:
        """After each epoch, once its state is saved: a row of `history.csv`, numbers as numbers."""

    def on_test(self, summary: Mapping[str, Any]) -> None:
        """After the evaluation of a finished training: the content of `summary.json`."""

    def on_end(self, outcome: str) -> None:
        """At the end: 'finished', 'trained' (without the test part), 'stopped' or 'failed'."""


class Listeners:
    """Callbacks that are told what happens, as long as nothing goes wrong in them."""

    def __init__(self, callbacks: Iterable[Callback], notify: Notify) -> None:
        self.callbacks, self.notify, self.has_begun = list(callbacks), notify, False

    def begin(self, folder: Path, config: Config) -> OnBegin:
        """To be called with the epochs that are done already, before the first step."""

        def tell(history: Sequence[EpochRow]) -> None:
            self.has_begun = True
            self.tell("on_begin", Begun(folder, config, tuple(history)))

        return tell

    def tell(self, event: str, content: object) -> None:
        """Call `event` of each; one that fails is named and left out from then on."""
        for callback in list(self.callbacks):
            try:
                getattr(callback, event)(content)
            except Exception as error:
                self.callbacks.remove(callback)
                logging.getLogger("tumorline").debug("a callback failed", exc_info=error)
                name, kind = type(callback).__name__, type(error).__name__
                self.notify(
                    f"warning: callback {name} failed in {event} ({kind}: {error}); the training goes on without it"
                )

    @contextmanager
    def listening(self, outcome: str) -> Iterator[None]:
        """What happens within ends with `outcome`, or in that it was stopped or failed."""
        try:
            yield
        except KeyboardInterrupt:
            outcome = "stopped"
            raise
        except BaseException:
            outcome = "failed"
            raise
        finally:
            if self.has_begun:
                self.tell("on_end", outcome)


def make_callbacks(names: Iterable[str]) -> list[Callback]:
    """Those that a configuration names. Raises UserError where one cannot be had or is not trusted."""
    return [_make(name) for name in names]


def _make(name: str) -> Callback:
    if name in LOGGERS:
        return _shipped(name)
    module, _, attribute = name.partition(":")
    if not is_trusted(module):
        raise UserError(
            f"the callback '{name}' is code from outside Tumorline, named by a run folder; if you trust whoever made "
            f"it, say --trust-module {for_shell(module)}"
        )
    try:
        callback = getattr(import_module(module), attribute)()
    except Exception as error:
        raise UserError(f"train.callbacks names '{name}', which cannot be made ({error})") from None
    if not isinstance(callback, Callback):
        raise UserError(f"train.callbacks names '{name}', which is no tumorline.Callback")
    return callback


def _shipped(name: str) -> Callback:
    """Raises MissingExtraError where its extra is not installed."""
    logger: type[Callback] = getattr(import_module(f"tumorline.callbacks.{name}"), LOGGERS[name])
    return logger()


def check_callbacks(callbacks: object) -> None:
    """Raise UserError for what is no list of callbacks."""
    if not isinstance(callbacks, Iterable):
        raise UserError(f"callbacks: {callbacks!r:.80}; give a list of objects of a subclass of tumorline.Callback")
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise UserError(f"callbacks: {callback!r:.80} is no tumorline.Callback; give objects of a subclass")
