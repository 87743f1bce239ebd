"""All that is needed to use a model and to judge it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from tumorline.config import RUN_NAME, Postprocessing
from tumorline.model_info.bounds import MOST_REGIONS, SCHEMA_VERSION, Embedded, Name, Temperature, Text, Threshold
from tumorline.model_info.described import KnownCases, ModelMetrics, TrainingData, TrainingSplit
from tumorline.model_info.network import Architecture, InputSpec
from tumorline.results import PointFigures
from tumorline.user_text import TomlTable

Value = TypeVar("Value")


class Member(BaseModel):
    """One of the networks of an ensemble; its weights have the prefix `members.<position>.`"""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=RUN_NAME, max_length=200)
    architecture: Architecture
    threshold: Threshold | list[Threshold]
    temperature: Temperature | list[Temperature]
    config: TomlTable


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
    """Version of `network_input.fit`."""
    threshold: Threshold | list[Threshold] = 0.5
    """Probability from which a pixel is tumour; of several regions one for each, or one for all."""
    temperature: Temperature | list[Temperature] = 1.0
    """The logits are divided by it before the sigmoid; fitted on validation cases. As `threshold`."""
    postprocessing: Postprocessing = Postprocessing()
    """What is taken out of the masks that the thresholds give."""
    constant_mask: Embedded | list[Embedded] = ""
    """The best constant answer to the training cases (`baselines.constant_masks`) as text; empty where unknown. Of
    several regions one for each, and of pictures beside volumes those of the pictures before those of the volumes."""
    mean_image: Embedded | list[Embedded] = ""
    """The mean of the training pictures (`audit.describe.mean_picture`) as text; empty where unknown. Of several
    sources one for each."""
    data: TrainingData
    split: TrainingSplit
    known_cases: KnownCases
    config: TomlTable
    """The configuration of its training, of whatever version, for people to read."""
    metrics: ModelMetrics
    versions: dict[str, Text]
    licence: Text
    intended_use: Text = "Research on brain tumour segmentation in MRI. Not a medical device."

    @property
    def mean_images(self) -> tuple[str, ...]:
        """As text, of each source that keeps one."""
        texts = self.mean_image if isinstance(self.mean_image, list) else [self.mean_image]
        return tuple(filter(None, texts))

    @property
    def thresholds(self) -> tuple[float, ...]:
        """Of each region."""
        return one_for_each(self.threshold, len(self.regions))

    @property
    def temperatures(self) -> tuple[float, ...]:
        """Of each region."""
        return one_for_each(self.temperature, len(self.regions))

    @property
    def states_threshold(self) -> bool:
        """Whether its thresholds were given, and not chosen on validation patients."""
        return not isinstance(point_figures(self, self.regions[0]).chosen, str)

    @property
    def states_temperature(self) -> bool:
        """Whether its temperatures were given, and not fitted on validation patients."""
        return bool(self.config["model"].get("temperature", "validation") != "validation")

    @property
    def constant_masks(self) -> dict[str, list[str]]:
        """By region, of pictures beside volumes one of each; without those that are unknown."""
        texts = self.constant_mask if isinstance(self.constant_mask, list) else [self.constant_mask]
        by_region = {region: texts[index :: len(self.regions)] for index, region in enumerate(self.regions)}
        return {
            region: known_texts
            for region, region_texts in by_region.items()
            if (known_texts := [*filter(None, region_texts)])
        }

    @property
    def image_channels(self) -> int:
        """Channels of an image that the model takes, neighbouring slices not counted."""
        return self.architecture.channels // self.input.depth

    @property
    def network_size(self) -> tuple[int, ...]:
        """Sides of what the network sees at once."""
        return self.input.window or (self.image_size, self.image_size)

    @property
    def storage(self) -> str:
        """In which number format the weights are kept."""
        return str(self.config["model"].get("storage", "float32"))

    def with_metrics(self, **found: Any) -> Self:
        """The same with more of its metrics."""
        return self.model_copy(update={"metrics": self.metrics.model_copy(update=found)})

    @model_validator(mode="before")
    @classmethod
    def names_an_old_ensemble(cls, values: Any) -> Any:
        """Version 0.1.0 named an ensemble after its file, blanks and accents included."""
        name = values.get("name") if isinstance(values, dict) and values.get("members") else None
        if isinstance(name, str) and name.isprintable() and not re.search(r"[/\\]", name):
            return values | {"name": re.sub(r"[^A-Za-z0-9._-]+", "-", name).lstrip("._-") or "ensemble"}
        return values

    @field_validator("config")
    @classmethod
    def tells_of_the_model(cls, value: TomlTable) -> TomlTable:
        if not isinstance(value.get("model"), dict):
            raise ValueError("it says nothing of the model")
        return value

    @model_validator(mode="after")
    def has_members_of_its_own_channels(self) -> Self:
        if any(member.architecture.channels != self.architecture.channels for member in self.members):
            raise ValueError("the members take different numbers of channels")
        return self

    @model_validator(mode="after")
    def has_an_input_of_its_channels(self) -> Self:
        channels_named = len(self.input.channels) * self.input.depth
        if self.architecture.channels % self.input.depth or channels_named not in (0, self.architecture.channels):
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
    return {"operating_points": {**figures}} if len(figures) > 1 else {"operating_point": next(iter(figures.values()))}


def point_figures(info: ModelInfo, region: str) -> PointFigures:
    """What a model file says of the choice of a region's operating point."""
    return info.metrics.operating_points.get(region) or info.metrics.operating_point
