"""The metadata of a model file as text, there and back."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from tumorline.config import Postprocessing
from tumorline.model_info.bounds import DEEPEST, LARGEST_NUMBER, LONGEST_TEXT, SCHEMA_VERSION
from tumorline.model_info.info import ModelInfo
from tumorline.model_info.network import InputSpec

READABLE_VERSIONS = (1, 2)
"""Version 1 had no `input` and one region."""

LARGEST_METADATA = 1 << 26
"""Bytes of JSON; hashes of half a million cases take half of it."""


def write_info(info: ModelInfo) -> str:
    """The metadata as JSON; what version 1 can say is said in version 1, so that 0.1.0 reads it."""
    is_plain = info.input == InputSpec() and info.postprocessing == Postprocessing() and not info.known_cases.looks
    if is_plain and len(info.regions) == 1:
        return info.model_copy(update={"schema_version": 1}).model_dump_json(exclude={"input", "postprocessing"})
    return info.model_copy(update={"schema_version": SCHEMA_VERSION}).model_dump_json()


def parse_info(text: str) -> ModelInfo:
    """The metadata of a model file. Raises ValueError, in one line, for what this version does not understand."""
    if len(text) > LARGEST_METADATA:
        raise ValueError(f"{len(text) / 1e6:.0f} MB of metadata; expected at most {LARGEST_METADATA / 1e6:.0f} MB")
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    version = values.get("schema_version", SCHEMA_VERSION) if isinstance(values, dict) else "none"
    if version not in READABLE_VERSIONS:
        raise ValueError(f"schema_version is {version!r:.40}; this version reads up to {SCHEMA_VERSION}")
    for problem in _absurdities(values, ""):
        raise ValueError(problem)
    try:
        return ModelInfo.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ValueError(f"{key or 'metadata'}: {first['msg']} (found {first['input']!r:.60})") from None


def _absurdities(value: Any, key: str, depth: int = 0) -> Iterator[str]:
    """What no model says of itself: numbers that are none, endless texts, deep nesting."""
    if depth > DEEPEST:
        yield f"{key:.100}: nested too deeply"
    elif isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for name, member in pairs:
            yield from _absurdities(member, f"{key}.{name}" if key else str(name), depth + 1)
    elif isinstance(value, str) and len(value) > LONGEST_TEXT:
        yield f"{key:.100}: a text of {len(value)} characters"
    elif isinstance(value, int | float) and not abs(value) <= LARGEST_NUMBER:
        yield f"{key:.100}: {value!r:.40} is no number that a model states"
