"""Killed at a hundred random moments, and on disks that fill: nothing half-written, and the same result afterwards.

Commands run in processes forked from one that has everything imported: a kill hits the work and not the imports.
Run it with `pytest tests/test_crash_campaign.py -m slow`; a seed for each case makes the moments the same every time.
"""

import functools
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("torch")

from safetensors.numpy import load_file

from tests.conftest import TINY, PairFolder
from tumorline.files import read_csv

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork") or sys.platform == "darwin", reason="forks a process with torch loaded"),
]

LONGEST = 600
"""Seconds after which a command counts as hung."""
KILLS = 5
"""How often one run is killed before it may come to its end."""
PRELOADED = [
    "torch",
    "onnx",
    "onnxscript",
    "openvino",
    "tumorline.api",
    "tumorline.export",
    "tumorline.run",
    "tumorline.cross_validation",
    "tumorline.training.loop",
]
CHANGING = {"seconds", "minutes", "images_per_second", "peak_memory_mb", "machine", "versions", "processes"}
"""Keys whose values are of the time and the machine; others begin with these words."""
BENCHMARK = """
name = "tiny"
[recipe.data]
image_size = 32
cache = "{cache}"
[recipe.model]
name = "unet"
options = {{ widths = [4, 8] }}
[recipe.train]
epochs = 4
batch_size = 4
precision = "float32"
[variants.one]
[variants.two]
"train.learning_rate" = 0.02
"""

server = multiprocessing.get_context("forkserver")
server.set_forkserver_preload(PRELOADED)


def carry_out(arguments: Sequence[str], folder: str) -> None:
    """In the child: the command from its arguments to its exit status, what it prints into files of the folder."""
    from tumorline.cli import main

    os.setsid()
    os.chdir(folder)
    for number, name in ((1, "out.txt"), (2, "err.txt")):
        os.dup2(os.open(Path(folder) / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["tumorline", *arguments]
    main()


@dataclass(frozen=True)
class Command:
    """A command with the folder of its results."""

    arguments: Sequence[str]
    output: Path

    @property
    def next_arguments(self) -> Sequence[str]:
        """The command itself goes on, but for a training that has its configuration."""
        if self.arguments[0] == "train" and (self.output / "config.toml").is_file():
            return ["train", "--resume", str(self.output)]
        return [*self.arguments, "--output", str(self.output)]

    def start(self) -> Any:
        folder = self.output.with_name(f"{self.output.name}-said")
        folder.mkdir(exist_ok=True)
        process = server.Process(target=carry_out, args=(list(self.next_arguments), str(folder)))
        process.start()
        return process

    def finish(self) -> tuple[int | None, str]:
        """Exit status and what was said on standard error."""
        process = self.start()
        process.join(LONGEST)
        said = (self.output.with_name(f"{self.output.name}-said") / "err.txt").read_text()
        return process.exitcode, said

    def kill_after(self, seconds: float, together: bool) -> bool:
        """Start, and kill after some seconds, with the processes that it started or alone; whether it still ran."""
        process = self.start()
        process.join(seconds)
        alive = process.exitcode is None
        if alive and together and process.pid and os.getpgid(process.pid) == process.pid:
            os.killpg(process.pid, signal.SIGKILL)
        elif alive:
            process.kill()
        process.join()
        return alive


def refuse_half_written(folder: Path) -> None:
    """Every visible file below a folder can be read to its end."""
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix in READERS:
            READERS[path.suffix](path)


def _read_png(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def _read_page(path: Path) -> None:
    assert path.read_text().rstrip().endswith("</html>"), path


def _read_table(path: Path) -> None:
    assert all(None not in row and None not in row.values() for row in read_csv(path)), path


READERS: dict[str, Callable[[Path], Any]] = {
    ".png": _read_png,
    ".html": _read_page,
    ".csv": _read_table,
    ".json": lambda path: json.loads(path.read_text()),
    ".toml": lambda path: tomllib.loads(path.read_text()),
    ".safetensors": load_file,
}


def result_of(folder: Path) -> dict[str, Any]:
    """All that must be the same: tables, figures, masks and weights, without times, speeds and places."""
    return {
        path.relative_to(folder).as_posix(): _content(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".png", ".csv", ".json", ".safetensors", ".toml") and path.name[0] != "."
        if path.name not in ("environment.json", "state.safetensors")
    }


def _content(path: Path) -> Any:
    if path.suffix == ".json":
        return _lasting(json.loads(path.read_text()))
    if path.suffix == ".csv":
        return [_lasting(row) for row in read_csv(path)]
    if path.suffix == ".safetensors":
        return {name: (str(value.dtype), value.tobytes()) for name, value in load_file(path).items()}
    return path.read_bytes()


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if not _changes(key)}
    if isinstance(value, list):
        return [_lasting(one) for one in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value


def _changes(key: str) -> bool:
    return any(word in key for word in CHANGING)


def test_what_changes_is_left_out_and_nothing_else() -> None:
    record = {"seconds": 1, "images_per_second": 2, "dice": [{"mean": 0.5}], "mask": "/a/b.png"}
    assert _lasting(record) == {"dice": [{"mean": 0.5}], "mask": "b.png"}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PairFolder(tmp_path_factory.mktemp("crash") / "source")(patients=12, slices=2)


@pytest.fixture(scope="module")
def unseen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return PairFolder(tmp_path_factory.mktemp("unseen") / "unseen")(patients=20, slices=3, first_seed=500)


def recipe(source: Path, *more: str) -> list[str]:
    settings = (*TINY, f"data.cache='{source.parent / 'cache'}'", *more)
    return ["--data", str(source), *(word for setting in settings for word in ("--set", setting))]


@pytest.fixture(scope="module")
def arguments(source: Path, unseen: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[str]]:
    """The commands of the campaign on tiny data."""
    place = tmp_path_factory.mktemp("plan")
    (place / "plan.toml").write_text(BENCHMARK.format(cache=source.parent / "cache"))
    training = Command(["train", *recipe(source)], place / "model")
    assert training.finish()[0] == 0
    return {
        "train": training.arguments,
        "evaluate": ["evaluate", str(training.output), "--data", str(unseen)],
        "predict": ["predict", str(unseen / "images"), "--model", str(training.output)],
        "folds": ["folds", *recipe(source, "split.folds=3", "train.epochs=3")],
        "benchmark": ["benchmark", str(place / "plan.toml"), "--data", str(source)],
    }


@dataclass(frozen=True)
class Whole:
    """What a command leaves that nobody interrupts, and what it takes in seconds and bytes on the disk."""

    seconds: float
    size: int
    result: Mapping[str, Any]


@pytest.fixture(scope="module")
def whole(arguments: Mapping[str, Sequence[str]], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Whole]:
    """Each command once from beginning to end, by its name."""

    @functools.cache
    def carried_out(name: str) -> Whole:
        command, begun = Command(arguments[name], tmp_path_factory.mktemp("whole") / "out"), time.monotonic()
        status, said = command.finish()
        assert status == 0, said
        size = sum(path.stat().st_blocks * 512 for path in command.output.rglob("*"))
        return Whole(time.monotonic() - begun, size, result_of(command.output))

    return carried_out


CAMPAIGN = [("train", number) for number in range(8)]
CAMPAIGN += [(name, number) for name in ("evaluate", "predict", "folds", "benchmark") for number in range(3)]


@pytest.mark.parametrize(("name", "number"), CAMPAIGN)
def test_killed_at_random_moments_it_goes_on_to_the_same_result(
    name: str, number: int, arguments: Mapping[str, Sequence[str]], whole: Callable[[str], Whole], tmp_path: Path
) -> None:
    expected, moments = whole(name), random.Random(f"{name} {number}")
    kills, command = 0, Command(arguments[name], tmp_path / "out")
    while kills < KILLS:
        longest = max(expected.seconds * (1 - kills / KILLS), 0.3)
        if command.kill_after(moments.uniform(0.02, longest), together=moments.random() < 0.5):
            kills += 1
        else:
            assert result_of(command.output) == expected.result
            command = Command(arguments[name], Path(tempfile.mkdtemp(dir=tmp_path)) / "out")
        refuse_half_written(command.output)
    status, said = command.finish()
    assert status == 0, said
    refuse_half_written(command.output)
    assert result_of(command.output) == expected.result


# ---------------------------------------------------------------- a disk that fills


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk in memory; `grow` changes its size."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("a disk of a chosen size can be mounted by root only")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def resize(disk: Path, kilobytes: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={kilobytes}k", str(disk)], check=True)


DISKS = [("predict", number) for number in range(7)] + [("evaluate", number) for number in range(7)]
DISKS += [("train", number) for number in range(6)]


@pytest.mark.parametrize(("name", "number"), DISKS)
def test_a_disk_that_fills_is_one_line_and_nothing_is_half_written(
    name: str,
    number: int,
    arguments: Mapping[str, Sequence[str]],
    whole: Callable[[str], Whole],
    tmp_path: Path,
    small_disk: Path,
) -> None:
    expected, command = whole(name), Command(arguments[name], small_disk / "out")
    resize(small_disk, 4 * random.Random(f"{name} {number}").randint(2, expected.size // 4096 - 2))
    said_elsewhere(command, tmp_path)
    status, said = command.finish()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert (status, "Traceback" in said, bool(errors)) == (2, False, True), said
    assert all("No space left" in line or "are free" in line for line in errors), said
    refuse_half_written(small_disk)
    resize(small_disk, 2**16)
    status, said = command.finish()
    assert status == 0, said
    assert result_of(command.output) == expected.result


def said_elsewhere(command: Command, place: Path) -> None:
    """What the command prints lies on a disk that has room."""
    (place / "said").mkdir()
    command.output.with_name(f"{command.output.name}-said").symlink_to(place / "said")
