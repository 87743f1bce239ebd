from pathlib import Path

import pytest

from tumorline.config import Config, load_config
from tumorline.errors import UserError

ROOT = Path(__file__).parents[1]
RECIPES = [*sorted((ROOT / "configs").glob("*.toml")), ROOT / "src" / "tumorline" / "demo.toml"]
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
        ("train.epoch=3", r"unknown key 'train\.epoch'; did you mean 'epochs'\?"),
        ("trian.epochs=3", r"unknown key 'trian'; did you mean 'train'\?"),
        ("train.zzz=3", r"unknown key 'train\.zzz'; known: average_decay, backbone_rate, balance_patients"),
        ("train.epochs=0", r"train\.epochs: Input should be greater than or equal to 1 \(found 0\)"),
        ("train.epochs=many", r"train\.epochs: .*integer.*found 'many'"),
        ("split.train=0.95", "leave nothing for the test part"),
        ("train.epochs", r"--set train\.epochs: expected section\.key=value"),
        ('loss.sum=[{name="dice", weigth=1}]', r"unknown key 'loss\.sum\.0\.weigth'; did you mean 'weight'\?"),
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
