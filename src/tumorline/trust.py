"""Which modules a network may come from: importing one runs its code, and files of models come from anyone.

A configuration that the user names may use a module. A name out of a model file, or out of a run folder's
configuration, may not, unless the user trusts it by name.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_trusted: ContextVar[frozenset[str]] = ContextVar("_trusted", default=frozenset())


@contextmanager
def trusting(modules: Iterable[str]) -> Iterator[None]:
    """Networks may come from these modules as well."""
    token = _trusted.set(_trusted.get() | frozenset(modules))
    try:
        yield
    finally:
        _trusted.reset(token)


def is_trusted(module: str) -> bool:
    return module in _trusted.get()


def modules_in(values: Any) -> set[str]:
    """The modules of all texts `package.module:Name` in nested tables and lists, keys not included."""
    if isinstance(values, str):
        return {values.partition(":")[0]} if ":" in values else set()
    members = values.values() if isinstance(values, Mapping) else values if isinstance(values, (list, tuple)) else ()
    return set().union(*map(modules_in, members))
