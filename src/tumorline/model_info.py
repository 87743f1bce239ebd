"""What a model says of itself, and the bounds of it: a model file may come from anyone."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from tumorline.config import MOST_CHANNELS, RUN_NAME, Postprocessing, Side, Spacing
from tumorline.own_files import Count, Written
from tumorline.results import PointFigures

SCHEMA_VERSION = 2
READABLE_VERSIONS = (1, 2)
"""Version 1 had no `input` and one region."""
LARGEST_METADATA = 1 << 26
"""Bytes of JSON; hashes of half a million cases take half of it."""
DEEPEST, LONGEST_TEXT, LARGEST_NUMBER = 16, 100_000, 2**64

Value = TypeVar("Value")
Text = Annotated[str, Field(max_length=10_000)]
Embedded = Annotated[str, Field(max_length=LONGEST_TEXT)]
"""A picture as text."""
Hashes = list[Annotated[str, Field(max_length=200)]]
Threshold = Annotated[float, Field(gt=0, lt=1)]
Temperature = Annotated[float, Field(ge=1e-6, le=1e6)]
Name = Annotated[str, Field(pattern=r"^\w[\w -]*$", max_length=50)]
"""Of a region or a channel."""
MOST_REGIONS, MOST_NEIGHBOURS = 16, 16


class Architecture(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^\w+(\.\w+)*(:\w+)?$", max_length=200)
    options: dict[str, Any]
    channels: int = Field(ge=1, le=64)


class InputSpec(BaseModel):
    """What of a case a network sees at once; the defaults are those of every model before there were volumes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    dims: Literal[2, 3] = 2
    channels: list[Name] = Field(default=[], max_length=MOST_CHANNELS)
    """Names of the image's channels in their order; empty where they have none."""
    context: int = Field(default=0, ge=0, le=MOST_NEIGHBOURS)
    """Of volumes, so many neighbouring slices on each side are channels as well: (2 * context + 1) * channels, slice by
    slice from the lowest up."""
    axis: Literal["axial", "coronal", "sagittal"] = "axial"
    """Across which volumes are cut into slices."""
    normalisation: Literal["picture", "volume"] = "picture"
    """Whether grey values are judged slice by slice or over the whole volume."""
    window: tuple[Side, Side, Side] | None = None
    """Of three dimensions: the patch (slices, rows, columns) that is seen at once, in voxels of the network."""
    voxel_mm: tuple[Spacing, Spacing, Spacing] = (1.0, 1.0, 1.0)
    """Of three dimensions: the size of the network's voxels."""
    overlap: float = Field(default=0.5, ge=0, le=0.9)
    """Of three dimensions: the share of a patch that the next one covers again."""
    may_lack_channels: bool = False
    """Whether it was trained to do without some of its channels, though never without all: a channel that is not there
    is 0 everywhere once the others are normalised (`config.ABSENT`), which is what a constant one becomes too."""

    @model_validator(mode="after")
    def has_a_window_in_three_dimensions(self) -> Self:
        if (self.dims == 3) != (self.window is not None):
            raise ValueError("a network of three dimensions has a window, one of two has none")
        return self

    @model_validator(mode="after")
    def names_what_may_be_lacking(self) -> Self:
        if self.may_lack_channels and len(self.channels) < 2:
            raise ValueError("channels may be lacking where there are several, with names")
        return self

    @property
    def depth(self) -> int:
        """Slices that are seen at once."""
        return 2 * self.context + 1


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
    threshold: Threshold | list[Threshold]
    temperature: Temperature | list[Temperature]
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


MEAN_CHANGE, LARGEST_CHANGE = 0.005, 0.1
"""Of the Dice of cases: up to here a precision may take the place of float32."""


class _Config(BaseModel):
    model: dict[str, Any]


class PrecisionChange(Written):
    """By how much the Dice of cases changes where the network computes in another precision than float32."""

    cases: int = Field(ge=1)
    """Cases and regions with a tumour of which it was measured."""
    mean: float = Field(ge=-1, le=1)
    """Of the signed changes."""
    largest: float = Field(ge=0, le=1)
    """Of their absolute values."""
    runtime: Text = ""
    processor: Text = ""

    @property
    def verified(self) -> bool:
        return abs(self.mean) <= MEAN_CHANGE and self.largest <= LARGEST_CHANGE


class _Metrics(BaseModel):
    precisions: dict[str, PrecisionChange] = {}
    """By precision."""
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
    regions: list[Name] = Field(min_length=1, max_length=MOST_REGIONS)
    input: InputSpec = InputSpec()
    image_size: int = Field(ge=16, le=4096)
    preprocessing: int
    """Version of `data.preprocess`."""
    threshold: Threshold | list[Threshold] = 0.5
    """Probability from which a pixel is tumour; of several regions one for each, or one for all."""
    temperature: Temperature | list[Temperature] = 1.0
    """The logits are divided by it before the sigmoid; fitted on validation cases. As `threshold`."""
    postprocessing: Postprocessing = Postprocessing()
    """What is taken out of the masks that the thresholds give."""
    constant_mask: Embedded | list[Embedded] = ""
    """The best constant answer to the training cases (`baselines.constant_masks`) as text; empty where unknown. Of
    several regions one for each."""
    mean_image: Embedded = ""
    """The mean of the training pictures (`data.describe.mean_picture`) as text; empty where unknown."""
    data: dict[str, Any]
    split: dict[str, Any]
    known_cases: KnownCases
    config: dict[str, Any]
    metrics: dict[str, Any]
    versions: dict[str, Text]
    licence: Text
    intended_use: Text = "Research on brain tumour segmentation in MRI. Not a medical device."

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Of each region."""
        return one_for_each(self.threshold, len(self.regions))

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Of each region."""
        return one_for_each(self.temperature, len(self.regions))

    @property
    def constant_masks(self) -> dict[str, str]:
        """By region; without those that are unknown."""
        texts = self.constant_mask if isinstance(self.constant_mask, list) else [self.constant_mask]
        return {region: text for region, text in zip(self.regions, texts, strict=False) if text}

    @property
    def image_channels(self) -> int:
        """Channels of an image that the model takes, neighbouring slices not counted."""
        return self.architecture.channels // self.input.depth

    @property
    def network_size(self) -> tuple[int, ...]:
        """Sides of what the network sees at once."""
        return self.input.window or (self.image_size, self.image_size)

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

    @model_validator(mode="after")
    def has_an_input_of_its_channels(self) -> Self:
        named = len(self.input.channels) * self.input.depth
        if self.architecture.channels % self.input.depth or named not in (0, self.architecture.channels):
            raise ValueError(f"{self.architecture.channels} channels do not fit the input that is stated")
        return self

    @model_validator(mode="after")
    def has_a_point_for_each_region(self) -> Self:
        if len(set(self.regions)) < len(self.regions):
            raise ValueError("two regions have one name")
        self.postprocessing.require_regions(self.regions)
        points = [(point.threshold, point.temperature) for point in self.members]
        for values in (self.threshold, self.temperature, *(value for point in points for value in point)):
            if isinstance(values, list) and len(values) != len(self.regions):
                raise ValueError(f"{len(values)} thresholds or temperatures for {len(self.regions)} regions")
        return self


def one_for_each(value: float | list[float], regions: int) -> tuple[float, ...]:
    return tuple(value) if isinstance(value, list) else (value,) * regions


def one_or_list(values: Sequence[Value]) -> Value | list[Value]:
    """As a model file keeps what it has of each region: the value itself for one, a list for several."""
    return values[0] if len(values) == 1 else list(values)


def describe_points(figures: Mapping[str, PointFigures]) -> dict[str, Any]:
    """As a model file's metrics keep it; `point_figures` reads it."""
    by_region = {region: found.to_json() for region, found in figures.items()}
    return {"operating_points": by_region} if len(by_region) > 1 else {"operating_point": by_region.popitem()[1]}


def point_figures(info: ModelInfo, region: str) -> PointFigures:
    """What a model file says of the choice of a region's operating point."""
    by_region = info.metrics.get("operating_points", {})
    return PointFigures.model_validate(by_region.get(region) or info.metrics.get("operating_point", {}))


def precision_changes(info: ModelInfo) -> dict[str, PrecisionChange]:
    """What a model file says of each reduced precision in which it was tried."""
    return {name: PrecisionChange.model_validate(found) for name, found in info.metrics.get("precisions", {}).items()}


def write_info(info: ModelInfo) -> str:
    """The metadata as JSON; what version 1 can say is said in version 1, so that 0.1.0 reads it."""
    is_plain = info.input == InputSpec() and info.postprocessing == Postprocessing()
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
