"""A benchmark's file: which cells it makes, and what is refused before anything is trained."""

from pathlib import Path

import pytest

from tests.conftest import refused_in_one_line
from tumorline.benchmarking.cell import training_key
from tumorline.benchmarking.plan import (
    arms,
    budget_in_words,
    candidates,
    cells,
    every_cell,
    longer_cells,
    selected,
)
from tumorline.benchmarking.plan_file import read_plan
from tumorline.errors import UserError

EXAMPLE = """
name = "example"
seeds = [0, 1]
[recipe.data]
image_size = 32
[recipe.split]
folds = 3
[models.small]
name = "unet"
options = { widths = [4, 8] }
[models.gated]
name = "attention_unet"
[losses."Dice + BCE"]
name = "dice_ce"
[losses.Dice]
name = "dice"
[variants.slow]
"train.learning_rate" = 1e-4
"""
CHOOSING = """
[choose]
"augment.gamma" = [0, 0.3]
"train.weight_decay" = [0.01, 0.02]
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "plan.toml"
    path.write_text(text)
    return path


def test_cells_are_the_product_of_models_losses_variants_seeds_and_folds(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, EXAMPLE), tmp_path / "set")
    found = arms(plan)
    assert [arm.name for arm in found] == [
        "small, Dice + BCE, slow",
        "small, Dice, slow",
        "gated, Dice + BCE, slow",
        "gated, Dice, slow",
    ]
    assert len({cell.name for cell in cells(plan, found[0])}) == 2 * 3
    cell = cells(plan, found[1], (("augment.gamma", 0),))[-1]
    assert cell.name == "small-Dice-slow_gamma-0_seed-1/fold-2"
    config = cell.config
    assert (config.model.options, config.loss.name) == ({"widths": [4, 8]}, "dice")
    assert (config.seed, config.split.fold, config.train.learning_rate, config.augment.gamma) == (1, 2, 1e-4, 0)
    assert config.data.source == str(tmp_path / "set")


def test_validation_chooses_between_all_combinations_with_the_first_seed_and_the_one_fold(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, f"folds = [1]{EXAMPLE}{CHOOSING}"), None)
    tried = candidates(plan, arms(plan)[0])
    assert [(cell.seed, cell.fold) for cell in tried] == [(0, 1)] * 4
    assert {(cell.config.augment.gamma, cell.config.train.weight_decay) for cell in tried} == {
        (0, 0.01),
        (0, 0.02),
        (0.3, 0.01),
        (0.3, 0.02),
    }


def test_cells_that_differ_in_what_is_decided_after_the_training_share_one(tmp_path: Path) -> None:
    variants = {"gate": 0.3, "temperature": 2.0, "threshold": 0.4, "storage": "'float16'"}
    text = "".join(f"[variants.{key}]\n'model.{key}' = {value}\n" for key, value in variants.items())
    plan = read_plan(written(tmp_path, f"name = 'x'\n[variants.plain]\n{text}"), None)
    assert len(arms(plan)) == 5
    assert len({training_key(cells(plan, arm)[0].config) for arm in arms(plan)}) == 1


def test_without_axes_there_is_one_arm_of_the_benchmarks_name(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, 'name = "one"'), None)
    (arm,) = arms(plan)
    assert (arm.name, len(cells(plan, arm)), len(candidates(plan, arm))) == ("one", 1, 1)


def test_arms_are_selected_by_name(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, EXAMPLE), None)
    assert [arm.name for arm in selected(plan, ["gated, Dice, slow"])] == ["gated, Dice, slow"]
    with pytest.raises(UserError, match="--only 'gated, Dice': no such arm; did you mean 'gated, Dice, slow'"):
        selected(plan, ["gated, Dice"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("seed = 1", r"plan.toml: unknown key 'seed'; did you mean 'seeds'"),
        ("seeds = []", r"seeds: .*at least 1 item"),
        ('reference = "smal"', r"reference is 'smal', which is no arm; known: x"),
        ("folds = [0]\n[recipe.split]\nfolds = 0", r"recipe.split.folds does not say how many"),
        (
            "[models.a]\nname = 'unet'\n[models.'a.']\nname = 'unet'",
            r"the arms a, a. differ in punctuation or case only",
        ),
        (
            "[variants.long]\n'train.epochs' = 99\n[variants.short]",
            r"arm 'short' changes train.epochs; all arms need one",
        ),
        (
            "[variants.a]\n'data.image_size' = 64\n[variants.b]",
            r"arm 'b' changes data.image_size; all arms need one budget, or vary = \[\"data.image_size\"\]",
        ),
        (
            "[variants.a]\n'data.axis' = 'coronal'\n[variants.b]",
            r"arm 'b' changes data.axis; all arms need one budget$",
        ),
        (
            "vary = ['data.imagesize']",
            r"vary: 'data.imagesize' cannot be what is compared; did you mean 'data.image_size'",
        ),
        (
            "[recipe.split]\nfolds = 3\n[choose]\n'augment.gamma' = [0.1, 0.2]",
            r"choose, and 3 folds: validation patients of one fold, who choose, test in the others; give one fold "
            r"\(folds = \[0\]\), or compare",
        ),
        ("choose_at = 0.5", r"choose_at is 0.5, but there is nothing to choose"),
        ("best = 2", r"best is 2, but all arms have the one seed that there is"),
        ("[variants.a]\n'train.learning_rat' = 1", r"arm 'a': unknown key 'train.learning_rat'; did you mean"),
        ("[variants.a]\n'seed' = 1", r"seed belongs to each cell; give the benchmark's own name and seeds"),
        ("[recipe]\nname = 'y'", r"name belongs to each cell"),
        ("[variants.a]\nmodel.threshold = 0.4", r"variant 'a': write \"model.threshold\" in quotes"),
        ("[variants.a]\nepochs = 4", r"variant 'a': 'epochs' names no key; expected \"section.key\" in quotes"),
        ("[choose]\n'train.learning_rate' = []", r"choose.train.learning_rate: .*at least 1 item"),
        ("[choose]\n'model.threshold' = [0.4, 0.5]", r"model.threshold is decided after the training"),
        ("[choose]\n'augment.gamma' = [0.1, 0.1]", r"two cells would be called 'x_gamma-0.1_seed-0'"),
        ("seeds = [0, 0]", r"two cells would be called 'x_seed-0'"),
        ("[variants.Dice]\n[variants.dice]\n'loss.name' = 'dice'", r"the arms Dice, dice differ in .* only"),
        ("[variants.'+']", r"the arm '\+' has no letter or digit of ASCII, which its folder's name needs"),
        ("[recipe.split]\nfolds = 'many'", r"split.folds: .* \(found 'many'\)"),
        ("[recipe]\nsplit = 'patient'", r"split: .*valid dictionary"),
        ("[recipe.split]\nby = 'slice'", r"the split leaks patients, and leaking figures are not ranked"),
        ("[recipe.split]\nleak = 0.1", r"the split leaks patients"),
    ],
)
def test_what_cannot_be_carried_out_is_refused_in_one_line(tmp_path: Path, change: str, message: str) -> None:
    with refused_in_one_line(message):
        read_plan(written(tmp_path, f'name = "x"\n{change}\n'), None)


def test_a_source_beside_the_caller_is_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    plan = read_plan(written(tmp_path, 'name = "x"\n[recipe.data]\nsource = "set"'), None)
    assert cells(plan, arms(plan)[0])[0].config.data.source == str(tmp_path.resolve() / "set")


LENGTHS = """
name = "x"
seeds = [0, 1, 2]
choose_at = 0.34
best = 1
longer = 1
vary = ["data.image_size"]
[recipe.train]
epochs = 9
[choose]
"train.learning_rate" = [0.1, 0.2]
[variants.small]
"data.image_size" = 32
[variants.large]
"data.image_size" = 64
"""


def test_a_choice_may_be_made_at_a_part_of_the_length_and_leaders_trained_at_more(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, LENGTHS), None)
    small, large = arms(plan)
    tried = candidates(plan, small)
    assert [(cell.name, cell.config.train.epochs) for cell in tried] == [
        ("small_learning-rate-0.1_length-0.34_seed-0", 3),
        ("small_learning-rate-0.2_length-0.34_seed-0", 3),
    ]
    (longer,) = longer_cells(plan, large, tried[1].choice)
    assert (longer.name, longer.config.train.epochs) == ("large_learning-rate-0.2_length-2_seed-0", 18)
    assert (longer.config.data.image_size, longer.config.train.learning_rate) == (64, 0.2)
    assert len(every_cell(plan)) == 2 * (2 + 2 * (3 + 1))
    assert "seeds 0, 1, 2 of the best 1 on validation" in budget_in_words(plan)
    assert "the arms differ in data.image_size" in budget_in_words(plan)


def test_the_example_of_the_documents_is_a_plan(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    example = next(block for block in page.split("```")[1::2] if block.startswith("toml\n") and "[losses." in block)
    plan = read_plan(written(tmp_path, example.removeprefix("toml\n")), tmp_path)
    assert (plan.best, plan.longer, plan.choose_at, plan.recipe["train"]) == (3, 1, 0.34, {"epochs": 12})


def test_a_budget_of_patches_names_the_sides_of_a_patch(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path, "name = 'x'\n[recipe.data]\nwindow = [32, 64, 96]"), None)
    assert "32 x 64 x 96, seed 0" in budget_in_words(plan)
