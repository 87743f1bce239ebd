"""A cell that was begun on another machine of the cluster, whose home is another, goes on."""

from pathlib import Path

import pytest

from tumorline.begun import is_begun
from tumorline.benchmarking.cell import CellJob
from tumorline.config import load_config


@pytest.fixture
def job(tmp_path: Path) -> CellJob:
    job = CellJob("cell", tmp_path / "cell", True, 0)
    load_config(None, ["data.source='mine'"]).save(job.recipe)
    return job


def test_what_is_as_planned_is_trusted_and_nothing_else(job: CellJob) -> None:
    assert "--trust-paths" not in job.command
    load_config(job.recipe).save(job.folder / "config.toml")
    assert job.command[-2:] == [str(job.folder), "--trust-paths"]
    load_config(None, ["data.source='private'"]).save(job.folder / "config.toml")
    assert "--resume" in job.command
    assert "--trust-paths" not in job.command
    assert not is_begun((job.folder / "config.toml").read_text())
