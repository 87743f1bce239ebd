"""What a model says of itself, and the bounds of it: a model file may come from anyone."""

import json
import re
from collections.abc import Iterator
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tumorline.config import RUN_NAME
from tumorline.own_files import Count, Written
from tumorline.results import PointFigures

SCHEMA_VERSION = 1
LARGEST_METADATA = 1 << 26
"""Bytes of JSON; hashes of half a million cases take half of it."""
DEEPEST, LONGEST_TEXT, LARGEST_NUMBER = 16, 100_000, 2**64

Text = Annotated[str, Field(max_length=10_000)]
Hashes = list[Annotated[str, Field(max_length=200)]]
Threshold = Annotated[float, Field(gt=0, lt=1)]
Temperature = Annotated[float, Field(ge=1e-6, le=1e6)]


class Architecture(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w+(\.\w+)*(:\w+)?$", max_length=200)
    options: dict[str, Any]
    channels: int = Field(ge=1, le=64)


class KnownCases(BaseModel):
    """Hashes of what a model has seen: a model knows its cases."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    patients: dict[str, Hashes]
    """Part (train, validation, test) -> hashed patient groups."""
    contents: dict[str, Hashes]
    """Part -> content hashes of the images."""


class Member(BaseModel):
    """One of the networks of an ensemble; its weights have the prefix `members.<position>.`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=RUN_NAME, max_length=200)
    architecture: Architecture
    threshold: Threshold
    temperature: Temperature
    config: dict[str, Any]


class _Data(BaseModel):
    """What the description of the training data holds at least."""

    name: Text
    simulated: bool
    cases: int = Field(default=0, ge=0)
    channel: Text = ""
    label: Text = ""
    attribution: Text = ""


class _Split(Written):
    """What the description of the split holds at least."""

    by: Text
    seed: int | None
    origin: Text
    leaking: bool
    patients_unknown: bool
    parts: dict[str, Count]


class _Config(BaseModel):
    model: dict[str, Any]


class _Metrics(BaseModel):
    operating_point: PointFigures = PointFigures()
    operating_points: dict[str, PointFigures] = {}
    """By region, of a model of several."""


READ_OF_IT: dict[str, type[BaseModel]] = {"data": _Data, "split": _Split, "config": _Config, "metrics": _Metrics}


class ModelInfo(BaseModel):
    """All that is needed to use a model and to judge it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = SCHEMA_VERSION
    name: str = Field(pattern=RUN_NAME, max_length=200)
    architecture: Architecture
    members: list[Member] = Field(default=[], max_length=100)
    """The networks whose probabilities an ensemble averages; empty where the model is one network."""
    regions: list[Annotated[str, Field(pattern=r"^\w[\w -]*$", max_length=50)]] = Field(min_length=1, max_length=16)
    image_size: int = Field(ge=16, le=4096)
    preprocessing: int
    """Version of `data.preprocess`."""
    threshold: Threshold = 0.5
    """Probability from which a pixel is tumour."""
    temperature: Temperature = 1.0
    """The logits are divided by it before the sigmoid; fitted on validation cases."""
    constant_mask: str = Field(default="", max_length=LONGEST_TEXT)
    """The best constant answer to the training cases (`baselines.constant_mask`) as text; empty where unknown."""
    mean_image: str = Field(default="", max_length=LONGEST_TEXT)
    """The mean of the training pictures (`data.describe.mean_picture`) as text; empty where unknown."""
    data: dict[str, Any]
    split: dict[str, Any]
    known_cases: KnownCases
    config: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, Text]
    licence: Text
    intended_use: Text = "Research on brain tumour segmentation in MRI. Not a medical device."

    @model_validator(mode="before")
    @classmethod
    def names_an_old_ensemble(cls, values: Any) -> Any:
        """Version 0.1.0 named an ensemble after its file, blanks and accents included."""
        name = values.get("name") if isinstance(values, dict) and values.get("members") else None
        if isinstance(name, str) and name.isprintable() and not re.search(r"[/\\]", name):
            return values | {"name": re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-") or "ensemble"}
        return values

    @field_validator("data", "split", "config", "metrics")
    @classmethod
    def holds_what_is_read_of_it(cls, value: dict[str, Any], found: Any) -> dict[str, Any]:
        READ_OF_IT[found.field_name].model_validate(value)
        return value

    @model_validator(mode="after")
    def has_members_of_its_own_channels(self) -> Self:
        if any(member.architecture.channels != self.architecture.channels for member in self.members):
            raise ValueError("the members take different numbers of channels")
        return self


def parse_info(text: str) -> ModelInfo:
    """The metadata of a model file. Raises ValueError, in one line, for what this version does not understand."""
    if len(text) > LARGEST_METADATA:
        raise ValueError(f"{len(text) / 1e6:.0f} MB of metadata; expected at most {LARGEST_METADATA / 1e6:.0f} MB")
    try:
        values = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    version = values.get("schema_version", SCHEMA_VERSION) if isinstance(values, dict) else "none"
    if version != SCHEMA_VERSION:
        raise ValueError(f"schema_version is {version!r:.40}; this version reads {SCHEMA_VERSION}")
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
