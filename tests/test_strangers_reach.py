"""What a stranger's run folder names: nobody is contacted for it, and no image but the run's own is shown."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import Program
from tests.strange_models import FROZEN, write_pair
from tests.test_strangers import COMMANDS, TRUST

SECRET = "canary-7261"
"""Stands in the victim's own files and nowhere else."""
REMOTE = (
    "//host.invalid/share/x.csv",
    r"\\host.invalid\share\x.csv",
    r"\\?\UNC\host.invalid\x",
    "https://host.invalid/x",
)
USES_ITS_DATA = ("evaluate", "resume", "resume without test")
PAGES: dict[str, list[Path | str]] = {
    "evaluate": ["evaluate", "run", "--output", "out", TRUST],
    "report": ["report", "run", TRUST],
}


def slow(value: str) -> Any:
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The addresses that anybody is asked for, of which none is given; in a folder with a stranger's run."""
    addresses: list[Any] = []

    def refuse(*arguments: Any, **_more: Any) -> Any:
        addresses.append(arguments)
        raise OSError("no network in this test")

    for name in ("getaddrinfo", "create_connection", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    for name in ("TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FROZEN / "run", "run")
    write_pair(Path("run"))
    configure("source", str(FROZEN / "source"))
    return addresses


def configure(key: str, value: str) -> None:
    """Give a key of the run folder's configuration another text."""
    path = Path("run/config.toml")
    lines = path.read_text().splitlines()
    assert sum(line.startswith(f"{key} = ") for line in lines) == 1
    path.write_text("\n".join(f"{key} = '{value}'" if line.startswith(f"{key} = ") else line for line in lines))


def options(text: str, network: str = "") -> None:
    path = Path("run/config.toml")
    text = path.read_text().replace("widths = [\n    2,\n    4,\n]", text)
    path.write_text(text.replace('name = "unet"', f'name = "{network or "unet"}"'))


def pictures(page: Path) -> int:
    return page.read_text().count("data:image/png")


@pytest.mark.parametrize("command", ["evaluate", *map(slow, [name for name in COMMANDS if name != "evaluate"])])
@pytest.mark.parametrize("key", ["source", "file", "start_from", "cache"])
def test_nobody_is_contacted_whom_a_run_folder_names(
    program: Program, asked: list[Any], key: str, command: str
) -> None:
    pytest.importorskip("torch")
    for place in REMOTE:
        configure(key, place)
        outcome = program(*COMMANDS[command])
        assert "Traceback" not in outcome.err
        if command in USES_ITS_DATA and key != "cache":
            assert (outcome.status, outcome.err.count("\n")) == (2, 1), outcome.err
            assert f"'{place}' is a place in a network" in outcome.err
    assert asked == []


@pytest.mark.parametrize("command", ["resume", slow("resume without test")])
@pytest.mark.parametrize(
    ("network", "text"),
    [
        ("fcn", 'weights = "coco"'),
        ("swin_unet", 'weights = "imagenet"'),
        ("encoder_unet", 'encoder = "resnet18"'),
        ("smp", 'encoder = "tu-resnet18"'),
        ("encoder_unet", 'weights = "https://host.invalid/x.pth"'),
        ("encoder_unet", "weights = '\\\\host.invalid\\x.pth'"),
    ],
)
def test_no_weights_are_downloaded_for_a_run_folder(
    program: Program, asked: list[Any], command: str, network: str, text: str
) -> None:
    pytest.importorskip("torch")
    options(text, network)
    outcome = program(*COMMANDS[command])
    assert (outcome.status, outcome.err.count("\n")) == (2, 1), outcome.err
    assert "is not downloaded" in outcome.err or "is a place in a network" in outcome.err
    assert asked == []


@pytest.mark.parametrize("place", REMOTE)
def test_nobody_is_contacted_whom_the_table_of_a_run_folder_names(
    program: Program, asked: list[Any], place: str
) -> None:
    Path("run/table.csv").write_text(f"id,patient,image,mask\na,p,{place},{place}\n")
    configure("source", "run/table.csv")
    outcome = program(*PAGES["evaluate"])
    assert (outcome.status, "is a place in a network" in outcome.err) == (2, True)
    assert program(*PAGES["report"]).status == 0
    assert asked == []


def private_copy(change: Callable[[Path], None]) -> Path:
    """Images of the victim, under the names of those that the run has seen."""
    folder = Path(shutil.copytree(FROZEN / "source", "private"))
    for path in (folder / "images").iterdir():
        change(path)
    return folder


def to_another(path: Path) -> None:
    with Image.open(path) as image:
        Image.fromarray(255 - np.asarray(image)).save(path)


@pytest.mark.parametrize("command", PAGES)
def test_the_images_of_a_run_are_shown_and_no_others(program: Program, asked: list[Any], command: str) -> None:
    page = {"evaluate": Path("out/report.html"), "report": Path("run/report.html")}[command]
    assert program(*PAGES[command]).status == 0
    assert pictures(page)
    shutil.rmtree("out", ignore_errors=True)
    configure("source", str(private_copy(to_another)))
    outcome = program(*PAGES[command])
    assert outcome.status == 0, outcome.err
    assert not pictures(page)


def test_no_image_is_shown_in_a_comparison_that_a_run_does_not_know(program: Program, asked: list[Any]) -> None:
    compare = ["compare", "run", str(FROZEN / "evaluation"), TRUST, "--output"]
    assert program(*compare, "before").status == 0
    configure("source", str(private_copy(to_another)))
    assert program(*compare, "after").status == 0
    assert pictures(Path("before/compare.html"))
    assert not pictures(Path("after/compare.html"))


@pytest.mark.parametrize("command", ["evaluate", "resume", *map(slow, sorted({*COMMANDS} - {"evaluate", "resume"}))])
@pytest.mark.parametrize("key", ["source", "file", "start_from", slow("cache"), slow("weights")])
def test_nothing_of_a_private_file_is_in_any_result(program: Program, asked: list[Any], key: str, command: str) -> None:
    pytest.importorskip("torch")
    for name in ("private.csv", "private.pth", "private.toml"):
        Path(name).write_text(f"{SECRET},id\n{SECRET},{SECRET}\n")
        if key == "weights":
            options(f"weights = '{Path(name).absolute()}'", "encoder_unet")
        else:
            configure(key, str(Path(name).absolute()))
        assert "Traceback" not in program(*COMMANDS[command]).err
    written = [path for path in Path().rglob("*") if path.is_file() and not path.name.startswith("private.")]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


TOMLS = {
    "folds": "[split]\nfolds = 2",
    "tune": "[tune]\ntrials = 1\n[tune.space]\n'train.learning_rate' = [1e-3, 1e-2]",
    "benchmark": "name = 'tiny'\n[recipe.model.options]\nwidths = [2, 4]",
}


@pytest.mark.parametrize("command", TOMLS)
@pytest.mark.parametrize("link", ["cells", "cells/tiny_seed-0.log", "cells/tiny_seed-0.lock", "fold-0", "trial-001"])
def test_nothing_is_written_through_a_link_in_a_folder_that_is_gone_on_with(
    program: Program, asked: list[Any], command: str, link: str
) -> None:
    pytest.importorskip("torch")
    if command == "tune":
        pytest.importorskip("optuna")
    Path("x.toml").write_text(TOMLS[command])
    journal = {"schema_version": 1, "command": command, "identity": {}}
    Path("theirs").mkdir()
    Path("theirs/.tumorline.jsonl").write_text(json.dumps(journal) + "\n")
    victim = Path("victim" if Path(link).suffix else "empty").absolute()
    if Path(link).suffix:
        victim.write_text(SECRET)
        Path("theirs/cells").mkdir()
    else:
        victim.mkdir()
    Path("theirs", link).symlink_to(victim)
    outcome = program(command, "x.toml", "--data", FROZEN / "source", "--output", "theirs")
    assert (outcome.status, "a symbolic link out of its folder" in outcome.err) == (2, True), outcome.err
    assert not [*victim.iterdir()] if victim.is_dir() else victim.read_text() == SECRET
