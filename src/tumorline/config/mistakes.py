"""A mistake in a configuration as one line: the key, what was found, what is accepted."""

from collections.abc import Iterator, Mapping
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
        return f"unknown key '{key}'; {_key_meant(path, model)}"
    message = NEEDED.get(first["type"], first["msg"].removeprefix("Value error, "))
    if isinstance(first["input"], Mapping):
        names_it = first["type"] == "value_error" and path[-1:] != ["options"]
        return message if names_it else f"{key}: {message}"
    return f"{key + ': ' if key else ''}{message} (found {_shortened(first['input'])})" if key else message


def _shortened(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**SHOWN else "a number of many digits"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _key_meant(path: list[str], model: type[BaseModel]) -> str:
    """One of the same name in another section, or the nearest of this one."""
    if elsewhere := [key for key in _every_key(model) if key.rpartition(".")[2] == path[-1]]:
        return f"did you mean '{elsewhere[0]}'?"
    return did_you_mean(path[-1], _keys_of(model, path[:-1]), "".join(f"{part}." for part in path[:-1]))


def _every_key(model: type[BaseModel], section: str = "") -> Iterator[str]:
    """With their sections: `train.epochs`."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _every_key(kind, f"{section}{name}.")
        else:
            yield f"{section}{name}"


def _keys_of(model: type[BaseModel], path: list[str]) -> list[str]:
    """Of the section at a path; a number in it is a place in a list of sections."""
    annotation: Any = model
    for part in path:
        annotation = get_args(annotation)[0] if part.isdigit() else annotation.model_fields[part].annotation
    return list(annotation.model_fields)
