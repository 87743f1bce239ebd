"""What can be configured: keys, what they accept, their defaults and what they mean, from the typed sections alone."""

import ast
import difflib
import inspect
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tumorline.config import Config
from tumorline.errors import UserError

Kind = type[BaseModel]
NEAR = 0.75
"""How much like a word another one is that is offered for it."""


@dataclass(frozen=True)
class Key:
    """One key of a configuration."""

    name: str
    """With its sections: `train.epochs`."""
    accepts: str
    default: Any
    """None where the key is left out."""
    needed: bool
    meaning: str

    @property
    def section(self) -> str:
        return self.name.rpartition(".")[0]

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def initials(self) -> str:
        return "".join(part[0] for part in self.last.split("_")) if "_" in self.last else ""

    @property
    def shown_default(self) -> str:
        return "none, it has to be given" if self.needed else "left out" if self.default is None else toml(self.default)


def every_key(kind: Kind = Config, section: str = "", of_lists: bool = False) -> list[Key]:
    """All keys of a section and of the sections within it, in their order.

    With `of_lists` also those of the tables in a list, such as `loss.sum[].weight`.
    """
    keys = _keys(kind, section)
    return [key for key in keys if of_lists or "[]" not in key.name]


def sections(kind: Kind = Config, name: str = "") -> dict[str, str]:
    """Name and description of a section and of those within it."""
    members = {key: field.annotation for key, field in kind.model_fields.items()}
    members |= {
        f"{key}[]": get_args(annotation)[0]
        for key, annotation in members.items()
        if any(_keys_of_tables(annotation, key, {}))
    }
    within = {
        inner: text
        for key, annotation in members.items()
        if _is_section(annotation)
        for inner, text in sections(annotation, f"{name}.{key}".lstrip(".")).items()  # type: ignore[arg-type]
    }
    description, *_ = (kind.__doc__ or "").partition("\n\n")
    return {name: " ".join(description.split()), **within}


def find_keys(wanted: str, keys: Sequence[Key]) -> list[Key]:
    """The key of this name, those of a section, or those that are meant. Raises UserError where there is none."""
    exact = [key for key in keys if key.name == wanted]
    below = [key for key in keys if key.name.startswith(f"{wanted}.")]
    if matches := exact or below or keys_meant(wanted, keys):
        return matches
    words = {word for key in keys for word in (key.name, key.section, key.last) if word}
    near = difflib.get_close_matches(wanted, words, n=1, cutoff=NEAR)
    raise UserError(f"no key '{wanted}'; " + (f"did you mean '{near[0]}'?" if near else "'config explain' lists them"))


def keys_meant(word: str, keys: Sequence[Key]) -> list[Key]:
    """Those whose last part is a word, but for an s; else that have it as their initials, begin with it, or are near.

    Of several that are only alike, those of the training count.
    """
    exact = [key for key in keys if key.last == word] or [key for key in keys if f"{word}s" == key.last]
    near = difflib.get_close_matches(word, [key.last for key in keys], n=1, cutoff=NEAR)
    alike = [key for key in keys if key.initials == word]
    alike = (
        alike or [key for key in keys if key.last.startswith(f"{word}_")] or [key for key in keys if key.last in near]
    )
    return exact or [key for key in alike if key.section == "train"] or alike


def toml(value: Any) -> str:
    """A value as it stands on one line of a TOML file."""
    if isinstance(value, BaseModel):
        value = value.model_dump(exclude_none=True)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_toml_key(key)} = {toml(member)}" for key, member in value.items() if member is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else json.dumps(key)


def _keys(kind: Kind, section: str) -> Iterator[Key]:
    meanings = _meanings(kind)
    for name, field in kind.model_fields.items():
        full = f"{section}.{name}".lstrip(".")
        if _is_section(field.annotation):
            yield from _keys(field.annotation, full)  # type: ignore[arg-type]
        else:
            needed = field.is_required()
            default = None if needed else field.get_default(call_default_factory=True)
            yield Key(full, _accepts(field), default, needed, meanings.get(name, ""))
    for name, field in kind.model_fields.items():
        yield from _keys_of_tables(field.annotation, f"{section}.{name}".lstrip("."), meanings)


def _keys_of_tables(annotation: Any, name: str, outer: Mapping[str, str]) -> Iterator[Key]:
    """Of a list of sections, what each of them holds; a key without a text means what it means outside."""
    inner = get_args(annotation)
    if get_origin(annotation) is tuple and inner[1:] == (...,) and _is_section(inner[0]):
        for key in _keys(inner[0], f"{name}[]"):
            yield key if key.meaning else replace(key, meaning=outer.get(key.last, ""))


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


@cache
def _meanings(kind: Kind) -> dict[str, str]:
    """The text that stands below each field in the source; that of a class goes before that of its bases."""
    meanings: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if issubclass(base, BaseModel) and base is not BaseModel:
            meanings |= _texts_of(base.__module__).get(base.__name__, {})
    return meanings


@cache
def _texts_of(module: str) -> dict[str, dict[str, str]]:
    """Of each class of a module, the texts below its fields."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {node.name: dict(_texts_in(node)) for node in tree.body if isinstance(node, ast.ClassDef)}


def _texts_in(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, text in zip(node.body, node.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str):
            yield field.target.id, " ".join(text.value.value.split())


def _accepts(field: FieldInfo) -> str:
    return _type_in_words(field.annotation, field.metadata)


def _type_in_words(annotation: Any, limits: Sequence[Any] = ()) -> str:
    """What a type takes, in words."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_in_words(inner[0], [*_limits(inner[1:]), *limits])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type_in_words(member, limits) for member in inner if member is not NoneType))
    if origin is Literal:
        return " or ".join(map(toml, inner))
    if origin is tuple and inner[1:] != (...,):
        return f"list of {len(inner)}: {_type_in_words(inner[0])}"
    if origin in (tuple, list):
        return f"list: {_type_in_words(inner[0])}"
    if origin is dict:
        return "table" if inner[1] is Any else f"table of names, each with {_type_in_words(inner[1])}"
    if _is_section(annotation):
        shown = list(annotation.model_fields)
        return f"table {{ {', '.join(shown if len(shown) <= MOST_NAMED else [*shown[:MOST_NAMED], '...'])} }}"
    return f"{NAMES.get(annotation, 'any value')}{_within(limits)}"


MOST_NAMED = 4
"""Keys of a table that are named where it is accepted."""

ABSURD, TINY = 10**6, 1e-6
"""Bounds beyond these are there to refuse slips of the keyboard."""

NAMES = {bool: "true or false", int: "whole number", float: "number", str: "text"}


def _limits(metadata: Sequence[Any]) -> list[Any]:
    return [
        limit
        for constraint in metadata
        for limit in (constraint.metadata if isinstance(constraint, FieldInfo) else [constraint])
    ]


def _within(limits: Sequence[Any]) -> str:
    """The bounds of a number, but for those that nobody comes near."""
    bounds = {
        name: getattr(limit, name) for limit in limits for name in ("ge", "gt", "le", "lt") if hasattr(limit, name)
    }
    least = bounds.get("ge", bounds.get("gt", -ABSURD))
    most = bounds.get("le", bounds.get("lt", ABSURD))
    lowest = "" if abs(least) >= ABSURD else "above 0" if 0 < least <= TINY or "gt" in bounds else f"{least:g}"
    highest = (
        ""
        if most >= ABSURD
        else f"below {most:g}"
        if "lt" in bounds
        else "below 1"
        if 1 - TINY <= most < 1
        else f"{most:g}"
    )
    if lowest and not highest and not lowest.startswith("above"):
        return f", {lowest} or more"
    return ", " + " to ".join(filter(None, (lowest, highest))) if lowest or highest else ""
