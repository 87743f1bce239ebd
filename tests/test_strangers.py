"""A model file or run folder from a stranger imports nothing, and writes nothing outside the output folder."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Program
from tests.strange_models import FROZEN, Change, write_pair

CODE = "from pathlib import Path\nPath('imported').touch()\ndef Net(channels, regions): ..."


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a victim, who holds a module of the name that the strangers use."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    monkeypatch.syspath_prepend(str(tmp_path / "home"))
    (tmp_path / "home" / "strange_nets.py").write_text(CODE)
    return tmp_path / "home"


def of_a_module(values: dict[str, Any]) -> None:
    values["architecture"]["name"] = "strange_nets:Net"


def named_outside(values: dict[str, Any]) -> None:
    values["name"] = "../../outside"


def run_folder(change: Change | None = None, old: str = "", new: str = "") -> Path:
    """A run folder of a stranger."""
    run = Path(shutil.copytree(FROZEN / "run", "run"))
    write_pair(run, change)
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(text.replace(old, new).replace('"source"', f'"{FROZEN / "source"}"'))
    return run


def untouched(place: Path) -> bool:
    outside = {path.name for path in place.parent.iterdir()} - {"home"}
    return not (place / "imported").exists() and "strange_nets" not in sys.modules and not outside


TRUST = "--trust-paths"
"""Even where the user trusts the paths that the stranger names; without it see `tests/test_begun.py`."""
COMMANDS: dict[str, list[Path | str]] = {
    "predict": ["predict", FROZEN / "source" / "images", "--model", "run", "--output", "out"],
    "evaluate": ["evaluate", "run", "--output", "out", TRUST],
    "matrix": ["evaluate", "run", FROZEN / "run", "--data", FROZEN / "source", "--output", "out"],
    "export": ["export", "run", "--output", "out.onnx"],
    "ensemble": ["ensemble", "run", "run", "--output", "out.safetensors"],
    "resume": ["train", "--resume", "run", TRUST],
    "resume without test": ["train", "--resume", "run", "--no-test", TRUST],
    "report": ["report", "run", TRUST],
    "compare": ["compare", "run", FROZEN / "evaluation", "--output", "out", TRUST],
    "start": ["train", "--data", FROZEN / "source", "--set", "model.start_from=run", "--output", "out"],
}
LEARNS_THE_NAME = ("export", "ensemble", "resume", "resume without test")


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_imports_what_a_stranger_names(program: Program, place: Path, command: str) -> None:
    pytest.importorskip("torch")
    run_folder(of_a_module, 'name = "unet"', 'name = "strange_nets:Net"')
    outcome = program(*COMMANDS[command])
    assert untouched(place)
    assert "Traceback" not in outcome.err
    if command in LEARNS_THE_NAME:
        assert outcome.status == 2
        assert "say --trust-module strange_nets" in outcome.err


@pytest.mark.parametrize("command", ["predict", "evaluate", "matrix", "export", "ensemble", "start"])
def test_no_command_writes_where_a_model_is_called(program: Program, place: Path, command: str) -> None:
    pytest.importorskip("torch")
    run_folder(named_outside)
    outcome = program(*COMMANDS[command])
    assert (outcome.status, untouched(place)) == (2, True)
    assert "its metadata is not understood by this version (name:" in outcome.err
    assert outcome.err.count("error: ") == 1


@pytest.mark.parametrize("command", ["resume", "report", "evaluate"])
@pytest.mark.parametrize("link", ["log.txt", "test_uses.jsonl", "predictions"])
def test_nothing_is_written_through_a_link(program: Program, place: Path, command: str, link: str) -> None:
    pytest.importorskip("torch")
    run = run_folder()
    victim = place / "victim"
    if link == "predictions":
        victim.mkdir()
        shutil.rmtree(run / link)
    else:
        victim.write_text("mine")
        (run / link).unlink(missing_ok=True)
    (run / link).symlink_to(victim)
    outcome = program(*COMMANDS[command])
    assert (outcome.status, "a symbolic link out of its folder" in outcome.err) == (2, True)
    assert [*victim.iterdir()] == [] if victim.is_dir() else victim.read_text() == "mine"


@pytest.mark.parametrize("command", ["export", "ensemble"])
@pytest.mark.parametrize(
    "options", [{"widths": [2, 8]}, {"widths": []}, {"width": 3}, {"widths": "many"}, {"widths": [16_384] * 16}]
)
def test_options_that_do_not_fit_the_weights_are_one_line(
    program: Program, place: Path, command: str, options: dict[str, Any]
) -> None:
    pytest.importorskip("torch")
    run_folder(lambda values: values["architecture"].update(options=options))
    outcome = program(*COMMANDS[command])
    assert (outcome.status, outcome.err.count("\n")) == (2, 1), outcome.err


def test_no_cache_is_written_where_a_run_folder_says(program: Program, place: Path) -> None:
    (place / "private").mkdir()
    run_folder(None, 'cache = "cache"', f'cache = "{place / "private"}"')
    outcome = program(*COMMANDS["evaluate"])
    assert outcome.status == 0, outcome.err
    assert not [*(place / "private").iterdir()]


def test_a_model_that_does_not_say_what_it_has_seen_is_no_start(program: Program, place: Path) -> None:
    pytest.importorskip("torch")
    run_folder(lambda values: values.update(schema_version=3))
    outcome = program(*COMMANDS["start"])
    assert (outcome.status, "schema_version is 3; this version reads up to 2" in outcome.err) == (2, True)
    start: list[Path | str] = ["train", "--data", FROZEN / "source", "--output", "out", "--set"]
    outcome = program(*start, "model.start_from=run/best.safetensors")
    assert (outcome.status, "do not say what cases they have seen" in outcome.err) == (2, True)
