"""Choices with their reasons, which together are a recipe."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import tomli_w

from tumorline.config import Config, parse_config, set_key
from tumorline.planning.fingerprint import Fingerprint
from tumorline.planning.machine import AtHand
from tumorline.user_text import TomlTable
from tumorline.wording import numbered


@dataclass(frozen=True)
class Choice:
    key: str
    value: Any
    why: str


@dataclass
class Plan:
    """Choices for a set and a machine, in their order."""

    fingerprint: Fingerprint
    hand: AtHand
    by_hand: Mapping[str, Any]
    choices: list[Choice] = field(default_factory=list)

    def take(self, key: str, value: Any, why: str) -> Any:
        """Choose a value; what was set by hand stands. Returns what is taken."""
        stated = value_at(self.by_hand, key)
        chosen = Choice(key, value, why) if stated is None else Choice(key, stated, "set by hand")
        self.choices.append(chosen)
        return chosen.value

    @property
    def training_share(self) -> float:
        """About how much of the set trains, by what is chosen of the split so far."""
        split = self.config.split
        return 1 - 1 / split.folds - split.validation if split.folds else split.train

    @property
    def recipe(self) -> TomlTable:
        """What was chosen, and what else was set by hand, as the sections of a recipe."""
        values: TomlTable = json.loads(json.dumps(self.by_hand))
        for choice in self.choices:
            set_key(values, choice.key, choice.value, "plan")
        return values

    @property
    def config(self) -> Config:
        return parse_config(self.recipe, "the plan")

    def explain(self) -> Iterator[str]:
        """The set, the machine, and each choice with its reason."""
        yield describe_fingerprint(self.fingerprint)
        yield f"at hand: {self.hand.describe()}"
        for choice in self.choices:
            yield f"{choice.key} = {json.dumps(choice.value)}: {choice.why}"

    def to_toml(self) -> str:
        comments = "".join(f"# {line}\n" for line in self.explain())
        return f"{comments}{tomli_w.dumps({'name': self.name, **self.recipe})}"

    @property
    def name(self) -> str:
        """Of the runs that are made from it: the set's, in letters that a folder may have."""
        return re.sub(r"[^A-Za-z0-9._-]+", "-", self.fingerprint.name).strip("._-") or "planned"


def value_at(values: Mapping[str, Any], key: str) -> Any:
    """What stands at `section.key`; None where nothing does."""
    section, _, name = key.partition(".")
    return values.get(section, {}).get(name)


def joined_sides(sides: tuple[float, ...]) -> str:
    return " x ".join(f"{side:g}" for side in sides)


def describe_fingerprint(fingerprint: Fingerprint) -> str:
    size = f"{joined_sides(fingerprint.size)} {'voxels' if fingerprint.volumes else 'px'}"
    spacing = f" of {joined_sides(fingerprint.spacing_mm)} mm" if fingerprint.spacing_mm else ""
    head = f"; the head is {joined_sides(fingerprint.head_mm)} mm" if fingerprint.head_mm else ""
    counted = ", ".join(
        (
            f"{numbered(fingerprint.cases, 'case')} of {numbered(fingerprint.patients, 'patient')}",
            numbered(fingerprint.channel_count, "channel"),
            numbered(fingerprint.region_count, "region"),
        )
    )
    return f"{fingerprint.name}: {counted}, {size}{spacing}{head} (medians)"
