"""A tiny training task."""

from pathlib import Path

import pytest
from tests.conftest import PairFolder

from tumorline.config import Config, load_config
from tumorline.data.dataset import load_dataset
from tumorline.data.split import split_dataset
from tumorline.training.loop import Task

TINY = [
    "data.image_size=32",
    "model.options.widths=[4, 8]",
    "train.epochs=3",
    "train.batch_size=4",
    "train.learning_rate=0.01",
    "train.precision=float32",
]


@pytest.fixture
def tiny_config(tmp_path: Path) -> Config:
    source = PairFolder(tmp_path / "source")(patients=10, slices=2)
    return load_config(None, [*TINY, f"data.source='{source}'", f"data.cache='{tmp_path / 'cache'}'"])


def make_task(config: Config, run: Path) -> Task:
    dataset = load_dataset(Path(config.data.source), config.data)
    return Task(config, dataset, split_dataset(dataset, config.split), run)
