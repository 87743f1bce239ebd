"""A tiny training task."""

from pathlib import Path

import pytest

from tests.conftest import TINY, PairFolder
from tumorline.config import Config, load_config
from tumorline.data.dataset import load_dataset
from tumorline.data.splits.split import split_dataset
from tumorline.training.task import Task


@pytest.fixture
def tiny_config(tmp_path: Path) -> Config:
    source = PairFolder(tmp_path / "source")(patients=10, slices=2)
    return load_config(None, [*TINY, "train.epochs=3", f"data.source='{source}'", f"data.cache='{tmp_path / 'cache'}'"])


def make_task(config: Config, run: Path) -> Task:
    dataset = load_dataset(Path(config.data.source), config.data)
    return Task(config, dataset, split_dataset(dataset, config.split), run)
