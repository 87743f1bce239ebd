"""A plan follows from the set, the machine and the time, and says why."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import tumorline
from tests.conftest import PairFolder, Program
from tests.training.test_volumes import volumes
from tumorline.config import SplitConfig, load_config
from tumorline.errors import UserError
from tumorline.planning import AtHand, Fingerprint, Plan, plan_training
from tumorline.planning.cost import cost_of_plan
from tumorline.planning.fingerprint import target_spacing

pytest.importorskip("torch")
__all__ = ["volumes"]

BRATS = Fingerprint(
    name="brats",
    cases=9,
    patients=9,
    channels=("flair", "post_contrast", "t2", "pre_contrast"),
    channel_count=4,
    regions=("whole_tumour", "tumour_core", "enhancing_tumour"),
    size=(155, 240, 240),
    spacing_mm=(1.0, 1.0, 1.0),
    head_mm=(137.0, 169.0, 139.0),
)
PICTURES = Fingerprint("cheng", 2468, 168, (), 1, (), (512, 512))
TWO_CORES = AtHand("processor with 2 cores", 2, 25 * 10**9, 280.0, 25.0)
GPU = AtHand("GPU", 16, 24 * 10**9, 20_000.0, 600.0)


def chosen(plan: Plan) -> dict[str, Any]:
    return {choice.key: choice.value for choice in plan.choices}


def test_the_plan_for_brats_on_two_cores_is_the_recipe_that_is_shipped() -> None:
    plan = plan_training(BRATS, TWO_CORES)
    recipe = load_config(Path("configs/brats_3d.toml"))
    assert chosen(plan)["data.voxel_mm"] == list(recipe.data.voxel_mm)
    assert chosen(plan)["data.window"] == list(recipe.data.window or ())
    assert chosen(plan)["model.options"] == recipe.model.options
    assert chosen(plan)["data.patches"] == recipe.data.patches
    assert plan.config.augment == recipe.augment.model_copy(update={"channel_dropout": 0.0})


def test_every_choice_has_a_reason_and_the_recipe_holds_it(tmp_path: Path) -> None:
    plan = plan_training(BRATS, TWO_CORES)
    keys = [choice.key for choice in plan.choices]
    assert len(keys) == len(set(keys))
    assert all(len(choice.why) > 15 for choice in plan.choices)
    (tmp_path / "plan.toml").write_text(plan.to_toml())
    read = load_config(tmp_path / "plan.toml")
    assert read.name == "brats"
    assert read.model_copy(update={"name": plan.config.name}) == plan.config
    said = (tmp_path / "plan.toml").read_text()
    assert said.count("# ") >= len(keys) + 2
    assert "# data.voxel_mm = [2.0, 2.0, 2.0]: the finest at which it sees 1800 heads" in said


@pytest.mark.parametrize(("minutes", "spacing"), [(5, 3.0), (25, 2.0), (120, 1.25), (1000, 1.0)])
def test_more_time_is_spent_on_finer_voxels(minutes: float, spacing: float) -> None:
    plan = chosen(plan_training(BRATS, replace(TWO_CORES, minutes=minutes)))
    assert plan["data.voxel_mm"] == [spacing] * 3


def test_too_little_time_is_said() -> None:
    plan = plan_training(BRATS, replace(TWO_CORES, minutes=0.5))
    assert chosen(plan)["data.voxel_mm"] == [4.0] * 3
    (why,) = [choice.why for choice in plan.choices if choice.key == "data.voxel_mm"]
    assert "which is short of 1800: give it more minutes" in why


def test_less_memory_cuts_the_longest_side_of_the_window_and_then_the_batch() -> None:
    plan = plan_training(BRATS, replace(TWO_CORES, memory=10**9))
    window = chosen(plan)["data.window"]
    assert window[1] < 88
    assert all(side % 8 == 0 for side in window)
    assert "% of the head's box" in next(choice.why for choice in plan.choices if choice.key == "data.window")
    assert chosen(plan_training(PICTURES, replace(TWO_CORES, memory=10**9)))["train.batch_size"] < 16


def reason(plan: Plan, key: str) -> str:
    (why,) = [choice.why for choice in plan.choices if choice.key == key]
    return why


@pytest.mark.parametrize("side", [31, 33, 62, 64, 127, 250, 511])
def test_the_window_of_any_head_comes_in_steps_that_the_depth_takes(side: int) -> None:
    odd = replace(BRATS, head_mm=(float(side), side + 2.0, side + 5.0))
    for plan in (plan_training(odd, replace(GPU, minutes=10**6)), plan_training(odd, TWO_CORES)):
        steps = 2 ** (len(chosen(plan)["model.options"]["widths"]) - 1)
        assert [side % steps for side in chosen(plan)["data.window"]] == [0, 0, 0]


def test_the_reasons_speak_of_the_batch_that_is_taken() -> None:
    tight = plan_training(BRATS, replace(GPU, memory=500_000_000))
    assert chosen(tight)["train.batch_size"] == 1
    assert reason(tight, "data.window").endswith("of 0.5 GB with a batch of 1")
    assert reason(tight, "train.batch_size") == "2 do not fit 0.5 GB, and 1 fills more than 60% of it"


@pytest.mark.parametrize("fingerprint", [BRATS, PICTURES])
def test_no_plan_is_made_that_the_training_would_refuse(fingerprint: Fingerprint) -> None:
    with pytest.raises(UserError, match=r"train\.batch_size 1: a batch takes about .* plan with more memory"):
        plan_training(fingerprint, replace(GPU, memory=50_000_000))


def test_of_a_slab_in_little_memory_no_side_of_the_window_is_too_short() -> None:
    slab = replace(BRATS, size=(5, 240, 240), head_mm=(5.0, 160.0, 140.0))
    assert chosen(plan_training(slab, replace(TWO_CORES, memory=10**7)))["data.window"] == [8, 16, 16]


@pytest.mark.parametrize(("spacing", "finest"), [((0.08, 0.08, 0.08), [0.1] * 3), ((25.0, 1.0, 1.0), [20.0, 1.0, 1.0])])
def test_voxels_of_unusual_size_are_planned_within_what_volumes_are_resampled_to(
    spacing: tuple[float, float, float], finest: list[float]
) -> None:
    small = replace(BRATS, spacing_mm=spacing, head_mm=tuple(100 * side for side in spacing))
    plan = plan_training(small, replace(GPU, minutes=10**6), axes=3)
    assert plan.config.data.voxel_mm == tuple(finest)
    assert ("; 0.1 mm is the finest" in reason(plan, "data.voxel_mm")) == (finest[0] == 0.1)


def test_a_minute_is_enough_for_few_epochs_alone() -> None:
    slow = plan_training(BRATS, replace(TWO_CORES, gflops=1.0, minutes=1.0))
    assert chosen(slow)["train.epochs"] < 16
    assert " in 1 minute over " in reason(slow, "data.patches")


@pytest.mark.parametrize(("patients", "split"), [(1, (0, 1.0, 0.0)), (2, (2, 0.7, 0.0)), (3, (3, 0.7, 0.0))])
def test_a_handful_of_patients_gets_a_split_that_a_training_takes(
    patients: int, split: tuple[int, float, float]
) -> None:
    chosen_split = plan_training(replace(BRATS, cases=patients, patients=patients), TWO_CORES).config.split
    assert (chosen_split.folds, chosen_split.train, chosen_split.validation) == split


def test_that_no_plan_has_more_patches_is_said() -> None:
    plan = plan_training(BRATS, replace(GPU, minutes=10**6))
    assert reason(plan, "data.patches").startswith("500000 patches, the most of any plan, in 1e+06 minutes over 16 ")


def test_a_gpu_gets_wider_networks_at_full_resolution() -> None:
    plan = chosen(plan_training(BRATS, GPU))
    assert plan["data.voxel_mm"] == [1.0, 1.0, 1.0]
    assert plan["model.options"]["widths"][0] == 32
    assert "train.channels_last" not in plan
    assert plan["data.patches"] * 6 * 16 <= 500_000


def test_slices_that_lie_far_apart_are_seen_as_slices_with_their_neighbours() -> None:
    thick = replace(BRATS, size=(24, 256, 256), spacing_mm=(6.0, 0.9, 0.9), head_mm=(140.0, 190.0, 150.0))
    plan = chosen(plan_training(thick, TWO_CORES))
    assert "data.window" not in plan
    assert (plan["data.context"], plan["data.normalisation"]) == (1, "volume")
    assert plan["data.image_size"] <= 256
    forced = chosen(plan_training(thick, TWO_CORES, axes=3))
    assert forced["data.voxel_mm"][0] == 6.0, "an axis that is coarse already is not made finer"
    assert forced["data.window"][0] <= 32
    assert "data.window" not in chosen(plan_training(BRATS, TWO_CORES, axes=2))


@pytest.mark.parametrize("minutes", [5, 25, 240])
def test_pictures_get_the_size_that_the_time_allows(minutes: float) -> None:
    plan = plan_training(PICTURES, replace(TWO_CORES, minutes=minutes))
    size = chosen(plan)["data.image_size"]
    assert size % 32 == 0
    assert size <= 512
    slower = plan_training(PICTURES, replace(TWO_CORES, minutes=minutes, gflops=140.0))
    assert chosen(slower)["data.image_size"] <= size
    assert plan.config.data.window is None
    assert "data.channels" not in chosen(plan)


def test_what_is_set_by_hand_stays_and_the_rest_follows_it() -> None:
    coarse = plan_training(BRATS, TWO_CORES, {"data": {"voxel_mm": [3.0, 3.0, 3.0]}})
    assert chosen(coarse)["data.voxel_mm"] == [3.0, 3.0, 3.0]
    assert next(choice.why for choice in coarse.choices if choice.key == "data.voxel_mm") == "set by hand"
    assert max(chosen(coarse)["data.window"]) <= 64
    assert chosen(coarse)["data.patches"] > 24
    narrow = {"model": {"name": "unet", "options": {"widths": [8, 16]}}, "train": {"epochs": 3}, "seed": 7}
    other = plan_training(BRATS, TWO_CORES, narrow)
    assert (other.config.model.options, other.config.train.epochs, other.config.seed) == ({"widths": [8, 16]}, 3, 7)
    assert min(other.config.data.voxel_mm) < 2
    small = plan_training(BRATS, TWO_CORES, {"data": {"window": [32, 32, 32]}})
    assert small.config.data.window == (32, 32, 32)
    slices = plan_training(BRATS, TWO_CORES, {"data": {"image_size": 96}})
    assert (slices.config.data.image_size, slices.config.data.window) == (96, None)


def minutes_of(plan: Plan) -> float:
    """What its steps take by its own reckoning."""
    settings = plan.config
    shown = settings.data.patches if settings.data.window else 1
    whole = round(plan.training_share * plan.fingerprint.cases) * shown
    images = settings.train.epochs * min(settings.train.epoch_images or whole, whole)
    return images * cost_of_plan(plan).seconds / 60


@pytest.mark.parametrize(
    ("fingerprint", "by_hand"),
    [
        (PICTURES, {}),
        (PICTURES, {"train": {"epochs": 200}}),
        (PICTURES, {"train": {"epoch_images": 0}}),
        (PICTURES, {"train": {"epoch_images": 64}}),
        (BRATS, {}),
        (BRATS, {"train": {"epochs": 100}}),
        (BRATS, {"data": {"patches": 500}}),
    ],
)
def test_a_training_takes_the_time_that_it_is_planned_for_whatever_is_set_by_hand(
    fingerprint: Fingerprint, by_hand: dict[str, Any]
) -> None:
    plan = plan_training(fingerprint, TWO_CORES, by_hand)
    assert minutes_of(plan) < TWO_CORES.minutes


def test_epochs_follow_their_length_where_that_is_set_by_hand() -> None:
    plan = plan_training(replace(PICTURES, cases=300), TWO_CORES, {"train": {"epoch_images": 64}})
    assert chosen(plan)["train.epochs"] == 40
    assert "train.epochs = 40: of about 64 images each" in "\n".join(plan.explain())


@pytest.mark.slow
@pytest.mark.parametrize("name", ["segresnet", "dyn_unet", "swin_unetr"])
def test_another_network_is_planned_by_its_own_cost(name: str) -> None:
    plan = plan_training(BRATS, TWO_CORES, {"model": {"name": name}})
    assert (plan.config.model.name, plan.config.model.options) == (name, {})
    assert plan.config.data.window


def test_an_axis_that_is_far_coarser_than_the_others_is_taken_as_fine_as_the_finest_cases_have_it() -> None:
    spacings = [(5.0, 0.5, 0.5)] * 9 + [(2.0, 0.5, 0.5)]
    assert list(target_spacing(spacings)) == pytest.approx([4.7, 0.5, 0.5])
    assert target_spacing([(1.0, 1.0, 1.0), (1.2, 0.9, 0.9), (1.1, 1.0, 1.0)]) == (1.1, 1.0, 1.0)


def test_the_command_says_why_and_writes_a_recipe_that_is_never_replaced(
    volumes: Path, tmp_path: Path, program: Program
) -> None:
    recipe = tmp_path / "recipe.toml"
    arguments = ("data", "plan", volumes, "--minutes", 1, "--gflops", 100, "--output", recipe, "--set", "seed=3")
    done = program(*arguments)
    assert done.status == 0, done.err
    assert "source: 10 cases of 10 patients, 4 channels, 3 regions" in done.out
    assert "data.voxel_mm" in done.out
    assert f"train it with: tumorline folds {recipe} --data {volumes}" in done.out
    config = load_config(recipe)
    assert config.seed == 3
    assert config.data.voxel_mm == (2.0, 1.0, 1.0)
    assert program(*arguments).err.endswith("exists already; choose another --output\n")
    listed = json.loads(program(*arguments[:-3], tmp_path / "other.toml", "--json").out)
    assert {"key", "value", "why"} == listed["choices"][0].keys()


def test_from_python_a_plan_is_a_configuration(volumes: Path) -> None:
    said: list[str] = []
    config = tumorline.plan(volumes, minutes=1, gflops=100, overrides=["train.epochs=1"], notify=said.append)
    assert (config.name, config.data.source, config.train.epochs) == ("source", str(volumes), 1)
    assert any(line.startswith("data.window = ") for line in said)


@pytest.mark.slow
def test_a_simulated_cohort_is_planned_and_its_recipe_trains(tmp_path: Path, program: Program) -> None:
    pytest.importorskip("nilearn")
    cohort = tumorline.simulate(tmp_path / "cohort", volumes=5, spacing_mm=6.0)
    recipe = tmp_path / "plan.toml"
    small = ("--set", "train.epochs=1", "--set", "data.patches=1", "--set", f"data.cache={tmp_path / 'cache'}")
    planned = program("data", "plan", cohort, "--minutes", 1, "--output", recipe, *small)
    assert planned.status == 0, planned.err
    config = load_config(recipe)
    assert config.data.voxel_mm == (6.0, 6.0, 6.0)
    assert len(config.data.channels) == 4
    trained = program("folds", recipe, "--data", cohort, "--fold", 0, "--output", tmp_path / "folds")
    assert trained.status == 0, trained.err
    assert (tmp_path / "folds" / "fold-0" / "report.html").exists()


@pytest.mark.slow
def test_the_real_scans_are_planned_as_their_recipe_has_it(real_data: Path, tmp_path: Path, program: Program) -> None:
    if not (real_data / "brats2021").is_dir():
        pytest.skip("no scans beside this checkout")
    path = tmp_path / "plan.toml"
    speed = ("--minutes", 25, "--gflops", 280, "--memory-gb", 24)
    done = program("data", "plan", real_data / "brats2021", *speed, "--output", path)
    assert done.status == 0, done.err
    recipe, planned = load_config(Path("configs/brats_3d.toml")), load_config(path)
    assert planned.data.window == recipe.data.window
    assert planned.model.options == recipe.model.options
    assert {*planned.data.channels} == {*recipe.data.channels}
    assert "the head is 1" in path.read_text()


def test_of_pictures_the_third_axis_is_refused(tiny_source: Path, program: Program, tmp_path: Path) -> None:
    done = program("data", "plan", tiny_source, "--axes", 3, "--output", tmp_path / "plan.toml")
    assert done.status == 2
    assert "no volumes with a spacing" in done.err
    assert not (tmp_path / "plan.toml").exists()


def test_the_real_cases_are_planned(real_data: Path, tmp_path: Path, program: Program) -> None:
    cheng = real_data / "cheng_png"
    if not cheng.is_dir():
        pytest.skip("no pictures beside this checkout")
    done = program("data", "plan", cheng, "--minutes", 10, "--output", tmp_path / "plan.toml")
    assert done.status == 0, done.err
    assert load_config(tmp_path / "plan.toml").data.image_size <= 512


def test_a_setting_that_is_none_is_refused_before_anything_is_read(program: Program) -> None:
    done = program("data", "plan", "nowhere", "--set", "data.windows=3")
    assert done.status == 2
    assert "unknown key 'data.windows'" in done.err
    with pytest.raises(UserError, match="whose cost cannot be told"):
        plan_training(BRATS, TWO_CORES, {"model": {"name": "json:loads"}})


def test_of_few_patients_nobody_validates_and_nothing_is_left_to_choose(tmp_path: Path, program: Program) -> None:
    source = PairFolder(tmp_path / "source")(patients=9)
    done = program("data", "plan", source, "--minutes", 1, "--output", tmp_path / "plan.toml")
    assert done.status == 0, done.err
    recipe = load_config(tmp_path / "plan.toml")
    assert (recipe.split.folds, recipe.split.validation) == (5, 0)
    assert (recipe.model.threshold, recipe.model.temperature) == (0.5, 1.0)
    by_hand = ("--set", "split.validation=0.2", "--output", tmp_path / "validated.toml")
    assert program("data", "plan", source, "--minutes", 1, *by_hand).status == 0
    validated = load_config(tmp_path / "validated.toml")
    assert (validated.split.validation, validated.model.threshold) == (0.2, "validation")


FEW = replace(PICTURES, cases=60, patients=12)


@pytest.mark.parametrize("split", [{"file": "mine.csv"}, {"train": 0.8}, {"folds": 3}])
def test_a_split_of_few_patients_that_is_set_by_hand_stays_as_it_is(split: dict[str, Any]) -> None:
    plan = plan_training(FEW, TWO_CORES, {"split": split})
    assert plan.config.split == SplitConfig(**split)
    assert plan.config.model.threshold == "validation"


def test_all_of_few_patients_may_train() -> None:
    by_hand = {"split": {"train": 1}, "model": {"threshold": 0.5, "temperature": 1.0}}
    assert plan_training(FEW, TWO_CORES, by_hand).config.split.trains_on_all


@pytest.mark.parametrize(
    ("by_hand", "key"),
    [
        ({"train": {"patience": 3}}, "train.patience"),
        ({"train": {"schedule": "plateau"}}, "train.schedule = 'plateau'"),
        ({"model": {"postprocessing": {"choose": True}}}, "model.postprocessing.choose"),
        ({"model": {"threshold": "validation"}}, "model.threshold"),
    ],
)
def test_of_few_patients_some_validate_where_what_is_set_by_hand_needs_them(by_hand: dict[str, Any], key: str) -> None:
    plan = plan_training(FEW, TWO_CORES, by_hand)
    assert (plan.config.split.folds, plan.config.split.validation) == (5, 0.2)
    nobody = plan_training(FEW, TWO_CORES, {"split": {"validation": 0}})
    assert (nobody.config.split.folds, nobody.config.split.validation, nobody.config.model.threshold) == (5, 0, 0.5)
    (why,) = [choice.why for choice in plan.choices if choice.key == "split.validation"]
    assert why == f"{key} is set by hand, and needs somebody who validates"


def test_shares_that_leave_nothing_are_one_line() -> None:
    with pytest.raises(UserError, match=r"^the plan: split\.train \+ split\.validation leave nothing for the test"):
        plan_training(PICTURES, TWO_CORES, {"split": {"validation": 0.35}})


def test_a_window_is_never_longer_than_a_network_may_see() -> None:
    fine = replace(BRATS, size=(180, 576, 576), spacing_mm=(1.0, 0.4, 0.4), head_mm=(175.0, 225.0, 180.0))
    vast = replace(GPU, memory=10**13, minutes=10.0**6)
    plan = plan_training(fine, vast)
    assert plan.config.data.voxel_mm == (1.0, 0.4, 0.4)
    assert plan.config.data.window == (176, 512, 464)
    assert "89% of the head's box" in next(choice.why for choice in plan.choices if choice.key == "data.window")


def test_a_training_in_bfloat16_keeps_half_as_much() -> None:
    plans = [plan_training(PICTURES, replace(TWO_CORES, bfloat16=fast)) for fast in (False, True)]
    whole, half = (cost_of_plan(replace(plans[0], hand=plan.hand)).kept for plan in plans)
    assert 1.7 * half < whole < 2.1 * half
