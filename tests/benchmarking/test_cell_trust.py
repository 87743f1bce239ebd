"""A cell that was begun on another machine, whose home is another, or with another cell's training, goes on."""

import errno
from pathlib import Path

import pytest

from tumorline.begun import is_begun
from tumorline.benchmarking.cell import TRAINED, CellJob, share_training
from tumorline.config import load_config
from tumorline.errors import WriteError
from tumorline.file_names import STATE_NAME


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


def test_a_shared_training_is_begun_whole_or_not_at_all(
    job: CellJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in TRAINED:
        (other / name).write_text(name)

    def flush_unless_full(path: Path) -> None:
        if path.name.startswith(".config.toml"):
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tumorline.files.flush", flush_unless_full)
        with pytest.raises(WriteError, match="make room"):
            share_training(job, other)
    assert not (job.folder / "config.toml").exists()
    (other / STATE_NAME).rename(tmp_path / STATE_NAME)
    share_training(job, other)
    assert not (job.folder / "config.toml").exists(), "without its state there is nothing to share"
    (tmp_path / STATE_NAME).rename(other / STATE_NAME)
    share_training(job, other)
    assert (job.folder / "config.toml").read_bytes() == job.recipe.read_bytes()
