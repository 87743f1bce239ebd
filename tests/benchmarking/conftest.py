"""A tiny benchmark, and ways to carry out its cells."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tumorline.benchmarking import Benchmark
from tumorline.benchmarking.cell import CellJob, last_error
from tumorline.benchmarking.plan_file import read_plan
from tumorline.cli import app

PLAN = """
name = "tiny"
reference = "base"
[choose]
"train.learning_rate" = [1e-6, 0.02]
[recipe.data]
image_size = 32
cache = "{cache}"
[recipe.model]
name = "unet"
options = {{ widths = [4, 8] }}
[recipe.train]
epochs = 3
batch_size = 4
precision = "float32"
[variants.base]
[variants.fixed]
"model.threshold" = 0.5
[variants.foreign]
"model.name" = "fcn"
"model.options" = {{ weights = "coco" }}
"""


def write_plan(folder: Path, source: Path, text: str = PLAN) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "plan.toml"
    path.write_text(text.format(cache=source.parent / "cache"))
    return path


def open_benchmark(plan: Path, source: Path, notices: list[str] | None = None) -> Benchmark:
    said = notices if notices is not None else []
    return Benchmark(read_plan(plan, source), plan.parent / "out", said.append, "tumorline benchmark plan.toml")


def in_this_process(jobs: Sequence[CellJob]) -> Iterator[tuple[CellJob, str]]:
    """As `local` does it, without the seconds that a process takes to start."""
    from typer.testing import CliRunner

    from tumorline.errors import UserError

    for job in jobs:
        job.folder.parent.mkdir(parents=True, exist_ok=True)
        result = CliRunner().invoke(app, job.command[3:])
        if isinstance(result.exception, UserError):
            job.log.write_text(f"error: {result.exception}\n")
        elif result.exception:
            raise result.exception
        yield job, last_error(job.folder)


@pytest.fixture(autouse=True)
def no_weights_at_hand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr("tumorline.models.pretrained.reachable", lambda url: False)
