"""Keywords of a public function that go into one object of options, and still are shown one by one."""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields
from functools import wraps
from numbers import Integral
from typing import Any, TypeVar, cast

from tumorline.errors import UserError, did_you_mean
from tumorline.progress import Notify, Progress

Public = TypeVar("Public", bound=Callable[..., Any])


def checked(function: Public) -> Public:
    """Refuse, in one line, a flag that is a text (which would count as true) and a listener that is no function."""
    parameters = inspect.signature(function).parameters

    @wraps(function)
    def with_sound_values(*arguments: Any, **given: Any) -> Any:
        for name, value in {**dict(zip(parameters, arguments, strict=False)), **given}.items():
            if name in parameters:
                _require_kind(name, value, parameters[name].annotation)
        return function(*arguments, **given)

    return cast(Public, with_sound_values)


def _require_kind(name: str, value: object, annotation: object) -> None:
    if annotation is bool and not _is_flag(value):
        raise UserError(f"{name} is {value!r:.40}; expected True or False")
    hears = annotation == Notify or (annotation == Progress | None and value is not None)
    if hears and not callable(value):
        raise UserError(f"{name} is {value!r:.40}; expected a function to call")


def _is_flag(value: object) -> bool:
    """Also NumPy's, and 0 and 1."""
    return type(value).__name__ in ("bool", "bool_") or (isinstance(value, Integral) and value in (0, 1))


def spelled_out(keywords: type, options: type) -> Callable[[Public], Public]:
    """Let `help()`, notebooks and `inspect.signature` show each keyword of `**options` with its type and default.

    Args:
        keywords: The TypedDict of what the function takes.
        options: The dataclass that it makes of them, whose order and defaults are shown.
    """
    shown = [
        inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=field.type)
        for field in fields(options)
        if field.name in keywords.__annotations__
    ]

    def spell_out(function: Public) -> Public:
        signature = inspect.signature(function)
        parameters = [
            parameter
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        spelled = signature.replace(parameters=[*parameters, *shown])

        @wraps(function)
        def known_keywords_only(*arguments: Any, **given: Any) -> Any:
            _require_known(given, function.__name__, spelled)
            return function(*arguments, **given)

        known_keywords_only.__signature__ = spelled  # type: ignore[attr-defined]
        return checked(cast(Public, known_keywords_only))

    return spell_out


def _require_known(given: Iterable[str], name: str, signature: inspect.Signature) -> None:
    """Raises TypeError, as Python does, with the nearest keyword."""
    for keyword in given:
        if keyword not in signature.parameters:
            meant = did_you_mean(keyword, list(signature.parameters))
            raise TypeError(f"{name}() got an unexpected keyword argument '{keyword}'; {meant}")
