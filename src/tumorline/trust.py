"""Which modules a network may come from: importing one runs its code, and files of models come from anyone.

A configuration that the user names may use a module. A name out of a model file, or out of a run folder's
configuration, may not, unless the user trusts it by name. Nor is anybody contacted whom a run folder names.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from tumorline.errors import UserError

T = TypeVar("T")
REMOTE = re.compile(r"\s*(?:[\\/]{2}|[A-Za-z][\w+.-]+:[\\/]{2})")
"""How a share of another machine (`\\\\host\\share`, `//host/share`), a device or an address begins."""

CURE = "copy it here, and name the copy there or with --data"
_local_only: ContextVar[bool] = ContextVar("_local_only", default=False)
_paths_trusted: ContextVar[bool] = ContextVar("_paths_trusted", default=False)
_trusted: ContextVar[frozenset[str]] = ContextVar("_trusted", default=frozenset())


@contextmanager
def _within(setting: ContextVar[T], value: T) -> Iterator[None]:
    token = setting.set(value)
    try:
        yield
    finally:
        setting.reset(token)


def trusting(modules: Iterable[str]) -> AbstractContextManager[None]:
    """Networks may come from these modules as well."""
    return _within(_trusted, _trusted.get() | frozenset(modules))


def is_trusted(module: str) -> bool:
    return module in _trusted.get()


def modules_in(values: Any) -> set[str]:
    """The modules of all texts `package.module:Name` in nested tables and lists, keys not included."""
    return {text.partition(":")[0] for text in texts_in(values) if ":" in text}


def local_only() -> AbstractContextManager[None]:
    """What is named meanwhile comes from a run folder: nothing is downloaded, and no place in a network is opened."""
    return _within(_local_only, True)


def trusting_paths(trusted: bool = True) -> AbstractContextManager[None]:
    """The user has looked at the paths that a run folder names: they are opened whoever began the run."""
    return _within(_paths_trusted, trusted)


def are_paths_trusted() -> bool:
    return _paths_trusted.get()


def may_download() -> bool:
    return not _local_only.get()


def is_remote(text: str) -> bool:
    """Whether a path leads to another machine, as its text has it."""
    return REMOTE.match(text) is not None


def refuse_remote(text: str, where: str) -> None:
    """Raise UserError, under `local_only`, for a path in a network: opening it would contact whoever it names."""
    if _local_only.get() and is_remote(text):
        raise UserError(f"{where}: '{text}' is a place in a network, and a run folder may come from anyone; {CURE}")


def texts_in(values: Any) -> Iterator[str]:
    """All texts in nested tables and lists, keys not included."""
    if isinstance(values, str):
        yield values
    members = values.values() if isinstance(values, Mapping) else values if isinstance(values, (list, tuple)) else ()
    for member in members:
        yield from texts_in(member)
