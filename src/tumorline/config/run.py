"""A run's whole configuration: its sections, and what of them must fit together."""

import copy
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import tomli_w
from pydantic import Field, ValidationError, model_validator

from tumorline.config.augment import AugmentConfig
from tumorline.config.data import PATHS, DataConfig
from tumorline.config.loss import LossConfig
from tumorline.config.mistakes import explain
from tumorline.config.model import ModelConfig
from tumorline.config.section import RUN_NAME, Section, Seed
from tumorline.config.split import SplitConfig
from tumorline.config.train import TrainConfig
from tumorline.errors import UserError
from tumorline.files import write_text
from tumorline.regions import REGION
from tumorline.user_text import TomlTable

DECIDED_LATER = ("threshold", "temperature", "gate", "storage", "postprocessing")
"""Keys of `[model]` that change nothing in a training, and so nothing in its validation figure."""
AFTER_TRAINING = tuple(f"model.{key}" for key in DECIDED_LATER)

READ_BESIDE_DATA = (("split", "file"), ("model", "start_from"), ("loss", "teacher"), ("augment", "donors"))
"""Section and key of what may be a place on this machine."""


def is_after_training(key: str) -> bool:
    return any(f"{key}.".startswith(f"{after}.") for after in AFTER_TRAINING)


class Config(Section):
    """A run's whole configuration: sections of typed keys, as a TOML file has them; it is never changed.

    Args:
        name: Of the run; becomes a part of its folder's name.
        seed: Of all that is random but the split.
        data: Where the cases come from and how they reach the network (`DataConfig`).
        split: Who trains, validates and tests (`SplitConfig`).
        model: The network (`ModelConfig`).
        loss: The loss, or a sum of them (`LossConfig`).
        augment: Random changes of the training images (`AugmentConfig`).
        train: Epochs, optimiser, schedule, precision (`TrainConfig`).

    Raises:
        UserError: For an unknown key (with the nearest name) or a value out of range.

    Example:
        >>> config = tumorline.Config(name="mine", train={"epochs": 3})
        >>> config.train.epochs, config.loss.name
        (3, 'dice_ce')
    """

    if not TYPE_CHECKING:  # for whom the keywords are those below

        def __init__(self, /, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise UserError(explain(error, type(self))) from None

    name: str = Field(default="unet", pattern=RUN_NAME)
    """Of the run: its folder is runs/<time>-<name>."""
    seed: Seed = 0
    """Draws the first weights, the order of the images and the augmentation."""
    data: DataConfig = DataConfig()
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    augment: AugmentConfig = AugmentConfig()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def postprocesses_its_regions(self) -> Self:
        self.model.postprocessing.require_regions(self.data.regions or (REGION,))
        return self

    @model_validator(mode="after")
    def states_what_nobody_validates(self) -> Self:
        if self.split.validates:
            return self
        why = self.split.why_nobody_validates
        stated = {"model.threshold": self.model.threshold, "model.temperature": self.model.temperature}
        for key, value in stated.items():
            if value == "validation":
                raise ValueError(f"{why}, so that nothing is left to choose {key} on; give a number")
        if self.needs_validation:
            raise ValueError(f"{why}, so that nothing is validated; leave out {self.needs_validation[0]}")
        left = ("train",) if self.split.trains_on_all else ("train", "test")
        if parts := [source.part for source in self.data.sources if source.part not in ("", *left)]:
            raise ValueError(f"{why}, so that no source can be for {parts[0]}")
        return self

    @model_validator(mode="after")
    def has_a_teacher_for_unlabelled_images(self) -> Self:
        if not self.loss.teacher and (without := [source.path for source in self.data.sources if source.unlabelled]):
            raise ValueError(f"{without[0]} is unlabelled; say with loss.teacher whose answers are learnt there")
        return self

    @model_validator(mode="after")
    def has_slices_for_its_remedies(self) -> Self:
        if self.data.window and self.augment.remedies:
            raise ValueError(
                f"augment.{self.augment.remedies[0]} is for slices; leave it out where data.window is given"
            )
        if self.data.normalisation == "volume" and self.augment.remedies:
            raise ValueError(
                f"augment.{self.augment.remedies[0]} measures brightness over each slice; leave it out where "
                "data.normalisation is 'volume'"
            )
        return self

    @property
    def needs_validation(self) -> list[str]:
        """Keys that are asked for and mean nothing where nobody validates."""
        asked = {
            "model.postprocessing.choose": self.model.postprocessing.choose,
            "train.patience": self.train.patience,
            "train.schedule = 'plateau'": self.train.schedule == "plateau",
        }
        return [key for key, value in asked.items() if value]

    @property
    def dims(self) -> int:
        """Axes of what the network sees: 3 of patches of volumes, else 2."""
        return 3 if self.data.window else 2

    @property
    def network_size(self) -> tuple[int, ...]:
        """Sides of what the network sees at once."""
        return self.data.window or (self.data.image_size, self.data.image_size)

    @property
    def network_options(self) -> dict[str, Any]:
        """The options that the network is built with."""
        return {**self.model.options, "dims": 3} if self.data.window else self.model.options

    def to_toml(self) -> str:
        """Every key with its value, defaults included; keys without a value are left out."""
        return tomli_w.dumps(self.model_dump(exclude_none=True))

    def save(self, path: Path) -> None:
        write_text(path, self.to_toml())

    def without_paths(self, exclude_none: bool = False) -> TomlTable:
        """As a model file or a page shows it: no places on the machine, no names of cases."""
        of_sources = {"__all__": {"path", "corrections", "leave_out"}}
        kept_back: dict[str, Any] = {**dict.fromkeys((*PATHS, "leave_out"), True), "sources": of_sources}
        return with_bare_names(self.model_dump(mode="json", exclude={"data": kept_back}, exclude_none=exclude_none))


def same_training(first: Config, second: Config) -> bool:
    """Whether two configurations differ at most in what changes nothing in a training."""
    first_values, second_values = (config.model_dump(exclude={"model": {*DECIDED_LATER}}) for config in (first, second))
    return first_values == second_values


def with_bare_names(values: Mapping[str, object]) -> TomlTable:
    """A configuration in which what is read beside the data bears its name alone, without its place."""
    bare: TomlTable = copy.deepcopy({**values})
    for section, key in READ_BESIDE_DATA:
        if text := bare.get(section, {}).get(key):
            bare[section][key] = bare_name(text)
    if options := bare.get("model", {}).get("options"):
        bare["model"]["options"] = with_bare_weights(options)
    return bare


def with_bare_weights(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a network; a file of pretrained weights bears its name alone."""
    weights = options.get("weights")
    return {**options, "weights": bare_name(weights)} if isinstance(weights, str) else {**options}


def bare_name(path: str) -> str:
    """The name of a file, folder or model, without the place where it lies."""
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
