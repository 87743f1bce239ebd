"""Keywords of a public function that go into one object of options, and still are shown one by one."""

import inspect
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeVar

Public = TypeVar("Public", bound=Callable[..., Any])


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
        function.__signature__ = signature.replace(parameters=[*parameters, *shown])  # type: ignore[attr-defined]
        return function

    return spell_out
