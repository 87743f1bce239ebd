"""A configuration as TOML that people read: each value beside its default, or each key with what it means."""

import textwrap
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

from tumorline.config import Config
from tumorline.config.reference import Key, every_key, sections, toml

WIDTH = 100


def as_resolved(config: Config) -> str:
    """Every key with its value; what differs from the default says so."""
    return "\n".join(_section_lines(config, _resolved_lines)) + "\n"


def as_template(config: Config) -> str:
    """Every key below what it means; those at their defaults are commented out."""
    return "\n".join([INTRODUCTION, *_section_lines(config, _template_lines)]) + "\n"


INTRODUCTION = """\
# A configuration of Tumorline: one file is one run. What is commented out stands for its default.
# Train:   tumorline train THIS_FILE --data SOURCE
# Explain: tumorline config explain KEY"""


def _section_lines(config: Config, of_key: Callable[[Key, Any], Iterator[str]]) -> Iterator[str]:
    described = sections()
    for section, keys in groupby(every_key(), lambda key: key.section):
        if section:
            yield ""
            if of_key is _template_lines:
                yield from _comment_lines(described[section])
            yield f"[{section}]"
        for key in keys:
            yield from of_key(key, _value_of_key(config, key))


def _resolved_lines(key: Key, value: Any) -> Iterator[str]:
    if value is not None:
        changed = f"  # default: {key.shown_default}" if value != key.default else ""
        yield f"{key.last} = {toml(value)}{changed}"


def _template_lines(key: Key, value: Any) -> Iterator[str]:
    yield ""
    yield from _comment_lines(f"{key.meaning} ({key.accepts})")
    if value is None:
        yield f"# {key.last} ="
    else:
        yield f"{'# ' if value == key.default else ''}{key.last} = {toml(value)}"


def _comment_lines(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(text, WIDTH)]


def _value_of_key(config: Config, key: Key) -> Any:
    value: Any = config
    for part in key.name.split("."):
        value = getattr(value, part)
    return value
