"""Model metadata, configurations and tables of people, damaged or hostile: what is read of them, or one line."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, strategies
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import save_file

from tests.fuzz.budget import fuzzed
from tests.fuzz.damage import ODD_TEXTS, change_csv, change_json, cut, damage, garble, splice
from tumorline import benchmarking, tuning
from tumorline.config import DataConfig, SplitConfig, load_config
from tumorline.data.dataset import load_dataset
from tumorline.data.source import open_source
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.model_file import METADATA_KEY, read_content, read_info

FROZEN = Path(__file__).parents[1] / "frozen" / "0.1.0"


def accept(ask: Callable[[], object]) -> None:
    """What cannot be used is the user's error; anything else that is raised fails the test."""
    with suppress(UserError):
        ask()


@fuzzed(examples=40)
@given(data=strategies.data())
def test_model_metadata(data: strategies.DataObject) -> None:
    with TemporaryDirectory() as place:
        path, text = Path(place) / "model.safetensors", Path(place) / "metadata.json"
        with safe_open(FROZEN / "run" / "model.safetensors", "numpy") as file:
            text.write_text(file.metadata()[METADATA_KEY], encoding="utf-8")
        data.draw(strategies.sampled_from((change_json, change_json, cut, garble, splice)))(data, text)
        metadata = {METADATA_KEY: text.read_text(encoding="utf-8", errors="replace")}
        save_file({"weight": np.zeros(1, np.float32)}, path, metadata=metadata)
        accept(lambda: read_info(path))


@fuzzed(examples=30)
@given(data=strategies.data())
def test_model_files(data: strategies.DataObject) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "model.safetensors"
        shutil.copyfile(FROZEN / "run" / "model.safetensors", path)
        damage(data, path)
        accept(lambda: read_content(path))


KEYS = (
    "seed",
    "name",
    "data",
    "data.source",
    "train.epochs",
    "model.options",
    "model.options.widths",
    "loss.sum",
    "a.b",
)
VALUES = (*ODD_TEXTS, "1", "[1, 2]", "{}", "{a = 1}", "[[[", "'", '"', "1979-05-27", "1e400", "9" * 5000, "[" * 2000)


def read_recipe(path: Path, overrides: list[str]) -> None:
    load_config(path, overrides).to_toml()


@fuzzed(examples=40)
@given(data=strategies.data())
def test_configurations(data: strategies.DataObject) -> None:
    with TemporaryDirectory() as place:
        path = Path(place) / "config.toml"
        shutil.copyfile(FROZEN / "run" / "config.toml", path)
        if data.draw(strategies.booleans()):
            damage(data, path)
        key, value = data.draw(strategies.tuples(strategies.sampled_from(KEYS), strategies.sampled_from(VALUES)))
        accept(lambda: read_recipe(path, [f"{key}={value}"]))


ROOT = Path(__file__).parents[2]
PLANS: dict[str, tuple[Path, Callable[[Path], object]]] = {
    "tune": (ROOT / "configs" / "tune" / "lite0.toml", lambda path: tuning.read_plan(path, None, ())),
    "benchmark": (ROOT / "benchmarks" / "plans" / "boundary.toml", lambda path: benchmarking.read_plan(path, None)),
}


@pytest.mark.parametrize("kind", PLANS)
@fuzzed(examples=20)
@given(data=strategies.data())
def test_plans(kind: str, data: strategies.DataObject) -> None:
    original, read_plan = PLANS[kind]
    with TemporaryDirectory() as place:
        path = Path(place) / original.name
        shutil.copyfile(original, path)
        damage(data, path)
        accept(lambda: read_plan(path))


PEOPLE = "id,patient,class_name\n" + "".join(f"s{number},P{number // 2},a\n" for number in range(6))


def write_pairs(folder: Path) -> None:
    """Six tiny pictures of three patients, each with its mask."""
    for number in range(6):
        for kind in ("images", "masks"):
            (folder / kind).mkdir(exist_ok=True)
            pixels = np.zeros((16, 16), np.uint8)
            pixels[2 + number : 8 + number, 3:9] = 255
            Image.fromarray(pixels).save(folder / kind / f"s{number}.png")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder)
    return folder


def damage_table(data: strategies.DataObject, path: Path) -> None:
    """A table that a person, a spreadsheet or a disk changed."""
    for _ in range(data.draw(strategies.integers(1, 3))):
        way = data.draw(strategies.sampled_from((change_csv, change_csv, change_csv, garble, splice, cut)))
        try:
            way(data, path)
        except (ValueError, IndexError):
            return


@fuzzed(examples=40)
@given(data=strategies.data())
def test_tables_of_patients(pairs: Path, data: strategies.DataObject) -> None:
    table = pairs / "patients.csv"
    table.write_text(PEOPLE, encoding="utf-8")
    damage_table(data, table)
    accept(lambda: open_source(pairs, DataConfig()))


@fuzzed(examples=30)
@given(data=strategies.data())
def test_tables_of_images(pairs: Path, data: strategies.DataObject) -> None:
    table = pairs / "cases.csv"
    rows = "".join(f"images/s{number}.png,masks/s{number}.png,P{number}\n" for number in range(6))
    table.write_text(f"image,mask,patient\n{rows}", encoding="utf-8")
    damage_table(data, table)
    accept(lambda: open_source(table, DataConfig()))


@fuzzed(examples=30)
@given(data=strategies.data())
def test_split_files(pairs: Path, data: strategies.DataObject) -> None:
    (pairs / "patients.csv").write_text(PEOPLE, encoding="utf-8")
    dataset = load_dataset(pairs, DataConfig(cache=str(pairs / "cache")))
    table = pairs.parent / f"{pairs.name}-split.csv"
    table.write_text("patient,split\nP0,train\nP1,validation\nP2,test\n", encoding="utf-8")
    damage_table(data, table)
    accept(lambda: split_dataset(dataset, SplitConfig(file=str(table))))
