import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tests.conftest import refused_in_one_line
from tumorline.config import Config, load_config, parse_config
from tumorline.errors import UserError
from tumorline.paper.methods import settings_of

ROOT = Path(__file__).parents[1]
RECIPES = sorted((ROOT / "configs").glob("*.toml"))
MOVING_SUM = 'loss.sum=[{name="dice_ce", weight=[1.0, 0.5]}, {name="boundary", weight=[0, 0.5], options={}}]'


def test_a_file_and_overrides_make_a_configuration(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text('name = "mine"\n[train]\nepochs = 7\n')
    config = load_config(
        tmp_path / "c.toml", ["train.learning_rate=3e-4", "model.name=monai_unet", "augment.flips=false"]
    )
    assert (config.name, config.train.epochs, config.train.learning_rate) == ("mine", 7, 3e-4)
    assert (config.model.name, config.augment.flips) == ("monai_unet", False)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", r"unknown key 'train\.epoch'; did you mean 'train\.epochs'\?"),
        ("epochs=3", r"unknown key 'epochs'; did you mean 'train\.epochs'\?"),
        ("train.image_size=64", r"unknown key 'train\.image_size'; did you mean 'data\.image_size'\?"),
        ("trian.epochs=3", r"unknown key 'trian'; did you mean 'train'\?"),
        ("train.zzz=3", r"unknown key 'train\.zzz'; known: average_decay, backbone_rate, balance_patients"),
        ("train.epochs=0", r"train\.epochs: Input should be greater than or equal to 1 \(found 0\)"),
        ("train.epochs=many", r"train\.epochs: .*integer.*found 'many'"),
        ("split.train=0.95", "leave nothing for the test part"),
        ("data={window = [8, 8, 8], slice_step = 2}", r"data\.slice_step is for slices; leave it out where"),
        ("data={window = [8, 8, 8], tumour_free_share = 0.0}", r"data\.tumour_free_share is for slices"),
        ("data={window = [8, 8, 8], other_labels = 'left_out'}", r"data\.other_labels is for slices"),
        ("data={window = [8, 8, 8], sources = [{path = 'a', slice_step = 2}]}", r"sources\.0\.data\.slice_step is for"),
        ("data={window = [8, 8, 8], context = 1}", r"data\.context is for slices; leave it out where data\.window"),
        ("data.window=16", r"data\.window: expected a list such as \[1, 2\] \(found 16\)"),
        ("data.window=[8, 16]", r"--set: data\.window: expected more than 2 values \(found \[8, 16\]\)"),
        ("train.epochs", r"--set train\.epochs: expected section\.key=value"),
        (
            'loss.sum=[{name="dice", weigth=1}]',
            r"unknown key 'loss\.sum\.0\.weigth'; did you mean 'loss\.sum\.0\.weight'\?",
        ),
        ("loss.sum=[{weight=1}]", r"loss\.sum\.0\.name: Field required$"),
        ('loss.sum=[{name="dice", weight=-1}]', r"loss\.sum\.0\.weight: expected a number of 0 or more.*found -1"),
        (
            'loss.sum=[{name="dice", weight=[1, 2, 3]}]',
            r"expected .* two such numbers \[first, last\] \(found \[1, 2, 3\]\)",
        ),
        ('loss.sum=[{name="dice", weight=nan}]', "expected a number of 0 or more"),
        ('loss.sum=[{name="dice", weight=true}]', "expected a number of 0 or more"),
        ('loss.sum=[{name="dice", weight=[0, 1]}]', r"loss\.sum: all weights are 0 at the start of the training"),
        ('loss.sum=[{name="dice", weight=[1, 0]}]', r"loss\.sum: all weights are 0 at the end of the training"),
        ('loss={name="bce", sum=[{name="dice"}]}', r"loss\.sum stands in place of loss\.name and loss\.options; leave"),
        ("name.x=1", "unknown key|should be a valid string"),
    ],
)
def test_a_mistake_is_named_with_what_is_accepted(override: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(None, [override])


@pytest.mark.parametrize("own", ["split.folds=5", "split.file=parts.csv"])
def test_the_share_that_trains_says_nothing_beside_folds_or_a_file(own: str) -> None:
    assert load_config(None, [own, "split.validation=0.3"]).split.validation == 0.3


def test_a_mistake_is_laid_to_the_file_or_to_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[train]\nepochs = 7\n")
    with pytest.raises(UserError, match=r"^--set: unknown key 'train\.epoch'"):
        load_config(path, ["train.epoch=3"])
    path.write_text("[train]\nepoch = 7\n")
    with pytest.raises(UserError, match=r"c\.toml: unknown key 'train\.epoch'"):
        load_config(path, ["train.epochs=3"])


def test_a_broken_or_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[train\n")
    with pytest.raises(UserError, match=r"c\.toml: not a valid TOML file"):
        load_config(tmp_path / "c.toml")
    with pytest.raises(UserError, match=r"none\.toml: cannot read"):
        load_config(tmp_path / "none.toml")


def test_a_saved_configuration_reads_back_equal(tmp_path: Path) -> None:
    config = load_config(None, ["model.options.widths=[4, 8]", "data.spacing_mm=0.49", MOVING_SUM])
    config.save(tmp_path / "c.toml")
    assert load_config(tmp_path / "c.toml") == config


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_is_valid(path: Path) -> None:
    assert isinstance(load_config(path), Config)


def test_there_are_recipes() -> None:
    assert {path.stem for path in RECIPES} >= {"demo", "notebook", "lite0"}


def numbers(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, bool]]:
    """Every key of the configuration that is a number, and whether it is a whole one."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from numbers(field.annotation, f"{prefix}{name}.")
        elif {int, float} & {field.annotation, *get_args(field.annotation)}:
            yield prefix + name, field.annotation is int


NUMBERS = dict(numbers(Config))
MAY_BE_NEGATIVE = {"seed", "split.seed", "data.mask_threshold"}


def test_there_are_numbers() -> None:
    assert {"seed", "data.spacing_mm", "train.learning_rate", "augment.noise", "split.folds"} <= NUMBERS.keys()
    assert len(NUMBERS) > 30


@pytest.mark.parametrize("key", NUMBERS)
def test_a_number_that_is_no_setting_is_refused_by_name(key: str) -> None:
    values = ["inf", "-inf", "nan", "1e30", "-1e30", "1e300", "true", "10" + 30 * "0", "1" + 5000 * "0"]
    values += [] if key in MAY_BE_NEGATIVE else ["-1", "-1e-300"]
    for value in values:
        with refused_in_one_line() as caught:
            load_config(None, [f"{key}={value}"])
        assert f"{key}: " in str(caught.value), value
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "override",
    [
        "data.spacing_mm=1e-300",
        "train.learning_rate=1e-300",
        "train.checkpoint_minutes=1e-300",
        "model.threshold=1e-300",
        "train.epochs=1000000000000",
        "train.batch_size=1000000000000",
        "data.image_size=100000",
    ],
)
def test_a_setting_that_nobody_means_is_refused_by_name(override: str) -> None:
    with pytest.raises(UserError, match=override.partition("=")[0].replace(".", r"\.") + r".*found"):
        load_config(None, [override])


def test_a_negative_zero_is_a_zero() -> None:
    config = load_config(None, ["train.clip_norm=-0.0", "model.options.dropout=-0.0", "data.mask_threshold=-0.0"])
    assert "-0" not in config.to_toml()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("inf", "x is inf; expected a finite number"),
        ("nan", "x is nan; expected a finite number"),
        ("1e30", r"x is 1e\+30; expected a finite number of at most 1e\+06"),
        ("1e-300", "x is 1e-300; expected a finite number"),
        ("1000000000", r"x is 1e\+09; expected a whole number of at most 16384"),
        ("[8, [nan]]", "x is nan"),
        ("{a = {b = inf}}", r"x\.a\.b is inf"),
        ("2026-01-01", "x is .*date.*; expected a number, a text, true or false, a list or a table"),
        ("[" + "1," * 300 + "]", "x holds 300 values in level 1; expected at most 256"),
        ("[" * 20 + "]" * 20, "x holds 1 values in level 9"),
        ('"' + "a" * 5000 + '"', "x is a text of 5000 characters"),
    ],
)
@pytest.mark.parametrize("section", ["model", "loss"])
def test_options_that_are_no_settings_are_refused_by_name(section: str, value: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        load_config(None, [f"{section}.options.x={value}"])
    assert f"{section}.options: " in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("text", ["x = 1" + "0" * 5000, "x = " + "[" * 5000, "x = " + "{a=" * 5000])
def test_a_file_that_no_parser_takes_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "c.toml").write_text(text)
    with refused_in_one_line(r"c\.toml: "):
        load_config(tmp_path / "c.toml")


def test_channels_and_regions_are_lists_of_names() -> None:
    overrides = ["data.channels=flair,t2", 'data.regions=["whole_tumour","tumour_core"]']
    data = load_config(None, overrides).data
    assert (data.channels, data.regions) == (("flair", "t2"), ("whole_tumour", "tumour_core"))
    assert parse_config(tomllib.loads(Config(data=data).to_toml()), "x").data == data


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.channel=t2", "data.channels=t2,flair"], "data.channel and data.channels are both given"),
        (["data.label=tumour_core", "data.regions=tumour_core"], "data.label and data.regions are both given"),
        (["data.channels=t2,t2"], "data.channels: 't2' stands in it more than once"),
        (["data.regions=Whole Tumour"], "data.regions.0: String should match pattern"),
    ],
)
def test_channels_and_regions_that_cannot_be_meant(overrides: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        load_config(None, overrides)


PLACES = (
    "split.file='/home/me/parts.csv'",
    "model.start_from='runs/20240101-mine/'",
    r"loss.teacher='C:\Users\me\teacher.safetensors'",
    "augment={paste = 0.5, donors = '/home/me/donors.csv'}",
    "model.options={encoder = 'efficientnet_lite0', weights = '/home/me/lite0.pth'}",
)


def test_what_is_published_names_files_and_not_their_places() -> None:
    config = load_config(None, [*PLACES, "data.sources=[{path = '/home/me/set', name = 'mine'}]"])
    shown = config.without_paths()
    names = [shown["split"]["file"], shown["model"]["start_from"], shown["loss"]["teacher"], shown["augment"]["donors"]]
    assert names == ["parts.csv", "20240101-mine", "teacher.safetensors", "donors.csv"]
    assert shown["model"]["options"] == {"encoder": "efficientnet_lite0", "weights": "lite0.pth"}
    assert load_config(None, ["model.start_from=builtin"]).without_paths()["model"]["start_from"] == "builtin"
    rows = {row["setting"]: row["value"] for row in settings_of(config)}
    assert (rows["loss.teacher"], "split.file" in rows) == ("teacher.safetensors", False)
    assert "me/" not in str(rows)
    assert "'name': 'mine'" in rows["data.sources"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"naem": "a"}, "unknown key 'naem'; did you mean 'name'?"),
        ({"train": {"epoch": 3}}, "unknown key 'train.epoch'; did you mean 'train.epochs'?"),
        ({"seed": "x"}, "seed: "),
        ({"train": 3}, "train: "),
    ],
)
def test_a_configuration_of_a_script_is_refused_in_one_line(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as refused:
        Config(**given)
    assert str(refused.value).startswith(message)
    assert "\n" not in str(refused.value)
    with pytest.raises(UserError) as of_file:
        parse_config(given, "a.toml")
    assert str(of_file.value) == f"a.toml: {refused.value}"
