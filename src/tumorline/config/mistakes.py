"""A mistake in a configuration as one line: the key, what was found, what is accepted."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from tumorline.errors import did_you_mean

SHOWN = 80
"""Characters of a value in a message."""
NEEDED = {"tuple_type": "expected a list such as [1, 2]"}
"""Of kinds of mistakes what is accepted, where pydantic says it in words of Python."""


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first of the errors as one line: key, value found, what is accepted."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    if first["type"] == "missing" and path[-1].isdigit():
        return f"{'.'.join(path[:-1])}: expected more than {path[-1]} values (found {_shortened(first['input'])})"
    key = ".".join(path)
    if first["type"] == "extra_forbidden":
        options = _keys_of(model, path[:-1])
        return f"unknown key '{key}'; {did_you_mean(path[-1], options)}"
    message = NEEDED.get(first["type"], first["msg"].removeprefix("Value error, "))
    if isinstance(first["input"], Mapping):
        names_it = first["type"] == "value_error" and path[-1:] != ["options"]
        return message if names_it else f"{key}: {message}"
    return f"{key + ': ' if key else ''}{message} (found {_shortened(first['input'])})" if key else message


def _shortened(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**SHOWN else "a number of many digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _keys_of(model: type[BaseModel], path: list[str]) -> list[str]:
    """Of the section at a path; a number in it is a place in a list of sections."""
    annotation: Any = model
    for part in path:
        annotation = get_args(annotation)[0] if part.isdigit() else annotation.model_fields[part].annotation
    return list(annotation.model_fields)
