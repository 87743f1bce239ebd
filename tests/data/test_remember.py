"""What a decoding pass showed is kept, and forgotten as soon as a file or a setting changes."""

import os
import time
from pathlib import Path

import pytest

from tests.conftest import PairFolder
from tumorline.config import DataConfig
from tumorline.data import dataset as datasets
from tumorline.data.case import Case
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.remember import SETTLED_S, remember, stamps


@pytest.fixture
def settled(pair_folder: PairFolder) -> Path:
    """A source whose files are a minute old."""
    folder = pair_folder(patients=3)
    for file in folder.rglob("*.png"):
        age(file)
    return folder


def age(file: Path, seconds: float = 60) -> None:
    os.utime(file, (time.time() - seconds,) * 2)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The cases that were decoded, one after the other."""
    names: list[str] = []
    examine = datasets._examine

    def counted(case: Case, settings: DataConfig) -> datasets.Facts:
        names.append(case.id)
        return examine(case, settings)

    monkeypatch.setattr(datasets, "_examine", counted)
    return names


def load(folder: Path, **settings: float) -> Dataset:
    return load_dataset(folder, DataConfig(cache=str(folder.parent / "cache"), **settings))  # type: ignore[arg-type]


def test_an_unchanged_source_is_decoded_once(settled: Path, decoded: list[str]) -> None:
    first, second = load(settled), load(settled)
    assert len(decoded) == 6
    assert first.facts == second.facts
    assert first.near_pairs == second.near_pairs
    assert load(settled, image_size=64).facts == first.facts
    assert len(decoded) == 6


def test_a_changed_file_or_setting_is_decoded_again(settled: Path, decoded: list[str]) -> None:
    load(settled)
    age(settled / "masks/s000.png", seconds=30)
    load(settled)
    assert len(decoded) == 12
    load(settled, mask_threshold=100)
    assert len(decoded) == 18


def test_files_that_were_only_just_written_are_not_trusted(pair_folder: PairFolder, decoded: list[str]) -> None:
    folder = pair_folder(patients=3)
    load(folder)
    load(folder)
    assert len(decoded) == 12
    assert stamps([folder / "patients.csv"]) is None
    age(folder / "patients.csv", SETTLED_S + 1)
    assert stamps([folder / "patients.csv"]) is not None


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    assert [remember(tmp_path / "file", "x", "key", lambda: [1]) for _ in range(2)] == [[1], [1]]
    (tmp_path / "broken").mkdir()
    assert remember(tmp_path / "broken", "x", "key", lambda: [1]) == [1]
    (path,) = (tmp_path / "broken").iterdir()
    path.write_text("[1")
    assert remember(tmp_path / "broken", "x", "key", lambda: [2]) == [2]
