"""Reads a benchmark's file and refuses what could not be run, or compared, before anything is trained."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from tumorline.benchmarking.plan import BenchmarkPlan, arms, every_cell, folds
from tumorline.config import Config, explain, is_after_training, parse_config, read_toml, set_key
from tumorline.errors import UserError, did_you_mean
from tumorline.user_text import written_path

BUDGET = ("data", "split", "train.epochs", "train.epoch_images", "train.batch_size")
"""What must be equal in all cells: the cases, and how many images of them are seen."""

VARIABLE = ("data.image_size", "split.trained_share", "train.epochs", "train.epoch_images", "train.batch_size")
"""What of the budget a study may be about."""


def read_plan(path: Path, data: Path | None) -> BenchmarkPlan:
    """Read a benchmark's file; `data` takes the place of its source. Raises UserError for what it does not take."""
    values = read_toml(path)
    if data is not None:
        set_key(values, "recipe.data.source", str(data.resolve()), str(path))
    try:
        plan = BenchmarkPlan.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{path}: {explain(error, BenchmarkPlan)}") from None
    _check_keys(plan, str(path))
    config = parse_config(plan.recipe, f"{path}: recipe")
    _check_lengths(plan, str(path))
    if config.data.source:
        set_key(plan.recipe, "data.source", str(written_path(config.data.source).resolve()), str(path))
    for number, source in enumerate(config.data.sources):
        plan.recipe["data"]["sources"][number]["path"] = str(written_path(source.path).resolve())
    _check_names(plan, str(path))
    _check_budget(plan, str(path))
    return plan


def _check_keys(plan: BenchmarkPlan, where: str) -> None:
    """What may stand in the sections of the file."""
    for key in [*plan.recipe, *plan.choose, *(key for values in plan.variants.values() for key in values)]:
        if key.split(".")[0] in ("name", "seed"):
            raise UserError(f"{where}: {key} belongs to each cell; give the benchmark's own name and seeds")
    for key in plan.choose:
        if is_after_training(key):
            raise UserError(f"{where}: choose: {key} is decided after the training; make it a variant")
    for name, values in plan.variants.items():
        for key, value in values.items():
            if isinstance(value, dict) and value and "." not in key:
                raise UserError(f"{where}: variant '{name}': write \"{key}.{next(iter(value))}\" in quotes")
            if "." not in key:
                raise UserError(f"{where}: variant '{name}': '{key}' names no key; expected \"section.key\" in quotes")


def _check_lengths(plan: BenchmarkPlan, where: str) -> None:
    """What may differ between arms, and what is chosen when."""
    for key in plan.vary:
        if key not in VARIABLE:
            raise UserError(f"{where}: vary: '{key}' cannot be what is compared; {did_you_mean(key, VARIABLE)}")
    if plan.choose_at < 1 and not plan.choose:
        raise UserError(f"{where}: choose_at is {plan.choose_at:g}, but there is nothing to choose")
    if plan.choose and (number := len(folds(plan))) > 1:
        raise UserError(
            f"{where}: choose, and {number} folds: validation patients of one fold, who choose, test in the others; "
            f"give one fold (folds = [{folds(plan)[0]}]), or compare the values as variants"
        )
    if plan.best and len(plan.seeds) == 1:
        raise UserError(f"{where}: best is {plan.best}, but all arms have the one seed that there is")


def _check_names(plan: BenchmarkPlan, where: str) -> None:
    """Arms that the file speaks of are there, and every cell has a folder of its own."""
    all_arms = arms(plan)
    names = [arm.name for arm in all_arms]
    if plan.reference and plan.reference not in names:
        raise UserError(
            f"{where}: reference is '{plan.reference}', which is no arm; {did_you_mean(plan.reference, names)}"
        )
    for arm in all_arms:
        if not arm.slug:
            raise UserError(
                f"{where}: the arm '{arm.name}' has no letter or digit of ASCII, which its folder's name needs"
            )
    if len({arm.slug.casefold() for arm in all_arms}) < len(all_arms):
        raise UserError(
            f"{where}: the arms {', '.join(names)} differ in punctuation or case only; give them other names"
        )
    for name, number in Counter(cell.name.casefold() for cell in every_cell(plan)).items():
        if number > 1:
            raise UserError(f"{where}: two cells would be called '{name}'; seeds and values to choose from must differ")


def _check_budget(plan: BenchmarkPlan, where: str) -> None:
    """Every cell's configuration, that all have one budget, and that their figures may be ranked."""
    if plan.folds and not plan.recipe.get("split", {}).get("folds"):
        raise UserError(f"{where}: folds is {plan.folds}, but recipe.split.folds does not say how many there are")
    all_cells = every_cell(plan)
    first = all_cells[0]
    if first.config.split.by == "slice" or first.config.split.leak:
        raise UserError(f"{where}: the split leaks patients, and leaking figures are not ranked; see compare --study")
    needs = next((key for key in ("choose", "best", "longer") if getattr(plan, key)), "")
    if needs and not first.config.split.validates:
        why = first.config.split.why_nobody_validates
        raise UserError(f"{where}: {why}, so that nothing can choose between values; validate, or leave out {needs}")
    budgets: dict[float, dict[str, object]] = {}
    for cell in all_cells:
        budget = budgets.setdefault(cell.length, _budget(cell.config, plan.vary))
        if different := [key for key, value in _budget(cell.config, plan.vary).items() if value != budget[key]]:
            cure = f', or vary = ["{different[0]}"] where that is compared' if different[0] in VARIABLE else ""
            raise UserError(f"{where}: arm '{cell.arm.name}' changes {different[0]}; all arms need one budget{cure}")


def _budget(config: Config, vary: Sequence[str]) -> dict[str, object]:
    """By key, a section by its keys; what is compared and the fold are left out."""
    budget: dict[str, object] = {}
    for entry in BUDGET:
        section, _, name = entry.partition(".")
        values = config.model_dump()[section]
        budget |= {f"{section}.{key}": value for key, value in values.items() if name in ("", key)}
    return {key: value for key, value in budget.items() if key not in (*vary, "split.fold")}
