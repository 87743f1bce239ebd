"""A tune file: a recipe, and the space of settings that is searched around it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import Field, ValidationError, model_validator

from tumorline.config import MANY, Config, Section, apply_override, is_after_training, parse_config, read_toml, set_key
from tumorline.errors import UserError, did_you_mean
from tumorline.recipe_files import find_recipe, recipe_names
from tumorline.run.preparing import check_model
from tumorline.user_text import TomlTable, written_path

NOT_TUNED = ("name", "seed", "split", "data")
"""They decide what the figure is measured on, or by what luck; two values of them cannot be compared."""
TUNED_ALL_THE_SAME = ("data.image_size",)

Params = Mapping[str, object]
"""Values of a trial by `section.key`."""


class Range(Section):
    """Numbers to try, ends included; whole ones where both ends are."""

    low: int | float
    high: int | float
    log: bool = False
    """Even by orders of magnitude."""
    step: int | float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def is_a_range(self) -> Self:
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("with log, low must be above 0 and there is no step")
        return self


Domain = Range | list[Any]
"""What to try of one setting."""


class TuneConfig(Section):
    """The `[tune]` section."""

    trials: int = Field(default=20, ge=1, le=MANY)
    """All together; a larger number goes on with the same search."""
    seed: int = Field(default=0, ge=0)
    """Draws the trials at random."""
    startup: int = Field(default=5, ge=1, le=MANY)
    """Trials at random before any is proposed or given up."""
    grace_epochs: int = Field(default=2, ge=0, le=MANY)
    """Epochs after which no trial is given up; from the next one on it may be."""
    space: dict[str, Domain] = Field(min_length=1)
    """What to vary, by `section.key`: a range of numbers or a list of values."""


class TuningPlan(Section):
    """A tune file with its recipe filled in."""

    recipe: TomlTable
    tune: TuneConfig

    def to_toml(self) -> str:
        """A tune file that says the same without a second file."""
        return tomli_w.dumps(self.recipe | {"tune": self.tune.model_dump(exclude_none=True)})

    @property
    def caveat(self) -> str:
        """Whom its settings must not be tested on, where there are folds; else empty."""
        split = self.config({}).split
        if not split.folds:
            return ""
        return (
            f"split.folds is {split.folds}: these settings are chosen on validation patients of fold {split.fold}, who "
            f"test in other folds; test them in fold {split.fold} alone (tumorline train), not in all (tumorline folds)"
        )

    def config(self, params: Params) -> Config:
        """The configuration of a trial."""
        values = json.loads(json.dumps(self.recipe))
        for key, value in params.items():
            set_key(values, key, value, key)
        return parse_config(values, ", ".join(f"{key} = {value!r}" for key, value in params.items()))


def read_plan(path: Path, data: str | None, overrides: Iterable[str] = (), trials: int | None = None) -> TuningPlan:
    """Read a tune file: `recipe` (a file beside it, or a name), sections that change it, and `[tune]`.

    `data` and `overrides` change the recipe, `trials` the number of trials. Raises UserError for unknown keys and for
    values that no run would take.
    """
    values = read_toml(path)
    base = read_toml(_base(str(values.pop("recipe")), path.parent)) if "recipe" in values else {}
    tune = values.pop("tune", None)
    if not isinstance(tune, dict):
        raise UserError(f"{path}: no [tune] section; a search needs [tune.space], what to vary")
    recipe = _merged(base, values)
    for override in overrides:
        apply_override(recipe, override)
    if data is not None:
        set_key(recipe, "data.source", data, str(path))
    if trials is not None:
        tune = tune | {"trials": trials}
    try:
        settings = TuneConfig.model_validate(tune | {"space": _flat(tune.get("space", {}))})
    except ValidationError as error:
        raise UserError(f"{path}: {_explained(error)}") from None
    plan = TuningPlan(recipe=recipe, tune=settings)
    _check_space(plan, path)
    return plan


def _base(recipe: str, folder: Path) -> Path:
    """The recipe that a file beside it changes, by path or by name."""
    path = written_path(recipe, folder)
    return path if path.exists() or recipe not in recipe_names() else find_recipe(recipe)


def check_choices(plan: TuningPlan) -> None:
    """Raise UserError for a network or loss among the choices that cannot be built beside the rest of the recipe."""
    check_model(plan.config({}))
    for key, domain in plan.tune.space.items():
        if key.startswith(("model.", "loss.")) and isinstance(domain, list):
            for value in domain:
                check_model(plan.config({key: value}))


def _merged(base: TomlTable, changes: TomlTable) -> TomlTable:
    """Tables are merged, everything else is replaced."""
    both = {
        key for key in base.keys() & changes.keys() if isinstance(base[key], dict) and isinstance(changes[key], dict)
    }
    return {**base, **changes, **{key: _merged(base[key], changes[key]) for key in both}}


def _flat(space: Any, prefix: str = "") -> Any:
    """Dotted keys, whether the file has them in quotes or as nested tables."""
    if not isinstance(space, dict):
        return space
    flat: TomlTable = {}
    for key, value in space.items():
        nested = isinstance(value, dict) and not value.keys() & Range.model_fields.keys()
        flat |= _flat(value, f"{prefix}{key}.") if nested else {prefix + key: value}
    return flat


def _explained(error: ValidationError) -> str:
    """The first thing that is wrong with a `[tune]` section."""
    first = error.errors()[0]
    path = [str(part) for part in (*first["loc"][:2], *first["loc"][3:])]  # without which of the two it was read as
    path = path[:-1] if path[-1] in ("int", "float") else path
    key = ".".join(["tune", *path])
    if first["type"] == "extra_forbidden":
        section = TuneConfig if len(path) == 1 else Range
        return f"unknown key '{key}'; {did_you_mean(path[-1], section.model_fields, key.removesuffix(path[-1]))}"
    message = first["msg"].removeprefix("Value error, ")
    hint = "; expected a range such as { low = 0.001, high = 0.1, log = true } or a list of values"
    return f"{key}: {message} (found {first['input']!r}){hint if path[0] == 'space' else ''}"


def _check_values(values: Sequence[object], where: str) -> None:
    if len(values) < 2:
        raise UserError(f"{where} has {len(values)} values; expected 2 or more")
    for value in values:
        try:
            json.dumps(value)
        except TypeError:
            raise UserError(f"{where} holds {value!r}, which is no number, text, list or table") from None


def _check_space(plan: TuningPlan, path: Path) -> None:
    """Raise UserError where a recipe or one value of the space is none that a run would take."""
    with_name = f"{path}: tune.space"
    split = parse_config(plan.recipe, str(path)).split
    if not split.validates:
        raise UserError(f"{path}: {split.why_nobody_validates}, so that nothing says which trial is best; validate")
    for key, domain in plan.tune.space.items():
        if key.split(".")[0] in NOT_TUNED and key not in TUNED_ALL_THE_SAME:
            raise UserError(
                f"{with_name}: '{key}' cannot be tuned; figures of different {', '.join(NOT_TUNED[1:])} cannot be "
                f"compared (of these only {', '.join(TUNED_ALL_THE_SAME)} can)"
            )
        if is_after_training(key):
            raise UserError(f"{with_name}: '{key}' cannot be tuned; it is decided after the training")
        if isinstance(domain, list):
            _check_values(domain, f"{with_name}: '{key}'")
        for value in domain if isinstance(domain, list) else (domain.low, domain.high):
            try:
                plan.config({key: value})
            except UserError as error:
                raise UserError(f"{with_name}: {error}") from None
