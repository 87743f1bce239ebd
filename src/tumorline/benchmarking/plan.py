"""A benchmark's file becomes cells: models x losses x variants x seeds x folds, each the configuration of a run."""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

from pydantic import BaseModel, Field

from tumorline.config import RUN_NAME, Config, Section, parse_config, set_key
from tumorline.errors import UserError, did_you_mean
from tumorline.user_text import TomlTable
from tumorline.wording import numbered

Choice = tuple[tuple[str, object], ...]
"""Keys of the configuration with the values that validation is to choose between, or has chosen."""

LONGER = 2
"""Times as many epochs, to see whether an arm still rises."""

Values = Annotated[list[Any], Field(min_length=1)]


class BenchmarkPlan(BaseModel):
    """The content of a benchmark's file."""

    model_config = Section.model_config

    name: str = Field(pattern=RUN_NAME)
    """Of the benchmark: its folder is runs/<name>."""
    recipe: TomlTable = {}
    """Sections of a run's configuration that all cells share."""
    models: dict[str, TomlTable] = {}
    """Name -> section `model`."""
    losses: dict[str, TomlTable] = {}
    """Name -> section `loss`."""
    variants: dict[str, TomlTable] = {}
    """Name -> `section.key` -> value: whatever else is to be compared."""
    choose: dict[str, Values] = {}
    """`section.key` -> values, of which each arm takes the one with the best validation Dice of the first seed. Not
    with several folds, whose validation patients test in the others."""
    choose_at: float = Field(default=1.0, gt=0, le=1)
    """Share of the epochs at which `choose` is decided. Below 1 the candidates are shorter trainings of their own,
    whose schedules end, and what they choose is trained anew at full length."""
    vary: list[str] = []
    """Keys of the budget (`data.image_size`, `split.trained_share`, `train.epochs`, `train.epoch_images`,
    `train.batch_size`) in which variants may differ, because that is what is compared."""
    best: int = Field(default=0, ge=0)
    """So many arms of each initialisation, those with the best validation Dice of the first seed, get all seeds, the
    others the first one only; 0: all arms do."""
    longer: int = Field(default=0, ge=0)
    """So many arms of each initialisation, chosen alike, are trained at twice the epochs as well, with the first seed:
    whether they still rise."""
    seeds: list[int] = Field(default=[0], min_length=1)
    """Of each arm; it takes three to speak of recipes."""
    folds: list[int] = []
    """Which of `recipe.split.folds` are trained; empty means all of them."""
    reference: str = ""
    """The arm that the others are compared with; without it every arm is compared with every other."""


@dataclass(frozen=True, eq=False)
class Arm:
    """What is ranked: one model with one loss and one variant, over its seeds and folds."""

    name: str
    values: Mapping[str, object]
    """A run's configuration, apart from name, seed, fold and what is chosen on validation."""

    @property
    def slug(self) -> str:
        return re.sub(r"[^A-Za-z0-9]+", "-", self.name).strip("-")


@dataclass(frozen=True, eq=False)
class Cell:
    """One training: an independent process."""

    arm: Arm
    seed: int
    fold: int | None = None
    choice: Choice = ()
    length: float = 1.0
    """Times the epochs of the recipe."""

    @property
    def unit(self) -> str:
        """Folder of one seed of an arm: a run, or the folds of one."""
        chosen = [re.sub(r"[^A-Za-z0-9.-]+", "-", f"{key.split('.')[-1]}-{value}") for key, value in self.choice]
        length = [] if self.length == 1 else [f"length-{self.length:.3g}"]
        return "_".join([self.arm.slug, *chosen, *length, f"seed-{self.seed}"])

    @property
    def name(self) -> str:
        return self.unit if self.fold is None else f"{self.unit}/fold-{self.fold}"

    @property
    def config(self) -> Config:
        """The run's configuration. Raises UserError for what the program does not take."""
        values = copy.deepcopy(dict(self.arm.values))
        where = f"arm '{self.arm.name}'"
        for key, value in self.choice:
            set_key(values, key, value, where)
        if self.fold is not None:
            set_key(values, "split.fold", self.fold, where)
        config = parse_config({**values, "name": self.unit, "seed": self.seed}, where)
        if self.length == 1:
            return config
        set_key(values, "train.epochs", max(1, round(self.length * config.train.epochs)), where)
        return parse_config({**values, "name": self.unit, "seed": self.seed}, where)


def arms(plan: BenchmarkPlan) -> list[Arm]:
    """The product of models, losses and variants; an axis that is not given has one nameless member."""
    axes = [
        {name: {"model": section} for name, section in plan.models.items()} or {"": {}},
        {name: {"loss": section} for name, section in plan.losses.items()} or {"": {}},
        plan.variants or {"": {}},
    ]
    return [
        Arm(", ".join(filter(None, names)) or plan.name, _values(plan.recipe, members))
        for names, members in _product(axes)
    ]


def cells(plan: BenchmarkPlan, arm: Arm, choice: Choice = ()) -> list[Cell]:
    """All trainings of an arm: its seeds, and of each the folds."""
    return [Cell(arm, seed, fold, choice) for seed in plan.seeds for fold in folds(plan)]


def of_first_seed(plan: BenchmarkPlan, some: Iterable[Cell]) -> list[Cell]:
    return [cell for cell in some if cell.seed == plan.seeds[0]]


def longer_cells(plan: BenchmarkPlan, arm: Arm, choice: Choice = ()) -> list[Cell]:
    """The first seed again at more epochs."""
    return [Cell(arm, plan.seeds[0], fold, choice, LONGER) for fold in folds(plan)]


def candidates(plan: BenchmarkPlan, arm: Arm) -> list[Cell]:
    """What validation chooses between: each combination of the values, with the first seed and the one fold."""
    return [Cell(arm, plan.seeds[0], folds(plan)[0], choice, plan.choose_at) for choice in _choices(plan)]


def every_cell(plan: BenchmarkPlan) -> list[Cell]:
    """Those of all arms, with all that validation may choose, at all lengths."""
    all_cells: list[Cell] = []
    for arm in arms(plan):
        all_cells += candidates(plan, arm) if plan.choose_at < 1 else []
        for choice in _choices(plan):
            all_cells += cells(plan, arm, choice)
            all_cells += longer_cells(plan, arm, choice) if plan.longer else []
    return all_cells


def folds(plan: BenchmarkPlan) -> Sequence[int | None]:
    number = parse_config({"split": plan.recipe.get("split", {})}, "recipe").split.folds
    return plan.folds or list(range(number)) or [None]


def selected(plan: BenchmarkPlan, only: Sequence[str]) -> list[Arm]:
    """The arms that are named, or all."""
    all_arms = arms(plan)
    names = [arm.name for arm in all_arms]
    for name in only:
        if name not in names:
            raise UserError(f"--only '{name}': no such arm; {did_you_mean(name, names)}")
    return [arm for arm in all_arms if not only or arm.name in only]


def initialisation(arm: Arm) -> str:
    """What its weights are before the training, as far as the file says: arms of one are ranked together."""
    from tumorline import models  # not before it is asked for: it takes torch a second

    model = parse_config(arm.values, f"arm '{arm.name}'").model
    return model.start_from or models.initialisation(model.name, model.options)


def budget_in_words(plan: BenchmarkPlan) -> str:
    config = parse_config(plan.recipe, "recipe")
    settings = config.train
    images = numbered(settings.epoch_images, "image") if settings.epoch_images else "all training images"
    phrases = [
        f"{numbered(settings.epochs, 'epoch')} of {images} in batches of {settings.batch_size}",
        " x ".join(map(str, config.network_size)),
        f"seed{'s' if len(plan.seeds) > 1 else ''} " + ", ".join(map(str, plan.seeds)),
    ]
    if plan.best and len(plan.seeds) > 1:
        phrases[-1] += f" of the best {plan.best} on validation, the first of the others"
    return ", ".join(phrases) + (f"; the arms differ in {' and '.join(plan.vary)}" if plan.vary else "")


def _choices(plan: BenchmarkPlan) -> list[Choice]:
    return [tuple(zip(plan.choose, values, strict=True)) for values in product(*plan.choose.values())]


def _product(axes: Sequence[Mapping[str, TomlTable]]) -> Iterator[tuple[Sequence[str], Sequence[TomlTable]]]:
    for members in product(*(axis.items() for axis in axes)):
        yield [name for name, _ in members], [values for _, values in members]


def _values(recipe: TomlTable, members: Sequence[TomlTable]) -> TomlTable:
    """The recipe with a model and a loss in the place of its own, and the keys of a variant."""
    model, loss, variant = members
    values = copy.deepcopy(recipe | model | loss)
    for key, value in variant.items():
        set_key(values, key, copy.deepcopy(value), f"variants.{key}")
    return values
