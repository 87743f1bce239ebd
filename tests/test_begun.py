"""A run folder that this user did not begin opens none of the files that its configuration names, unless told so."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tumorline
from tests.conftest import TINY, PairFolder, Program
from tests.strange_models import FROZEN, write_pair
from tests.test_strangers import COMMANDS, TRUST
from tests.test_strangers_reach import configure, options, pictures
from tumorline import begun, user_folders
from tumorline.config import load_config

NAMED = ("source", "file", "start_from", "cache", "weights")
opened: set[str] = set()
"""What is opened or listed while somebody watches."""


def note_opened(event: str, arguments: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir") and isinstance(arguments[0], str | bytes | os.PathLike):
        opened.add(os.path.realpath(os.fsdecode(arguments[0])))


@pytest.fixture(scope="module", autouse=True)
def watch() -> None:
    sys.addaudithook(note_opened)


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stranger's run, in a working folder, with the images that it tells of."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(FROZEN / "source", "private")
    run = Path(shutil.copytree(FROZEN / "run", "run"))
    write_pair(run)
    configure("source", "")
    opened.clear()
    return run


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for temporary files of this test alone."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    user_folders._temporary_folder.cache_clear()
    yield tmp_path / "temporary"
    user_folders._temporary_folder.cache_clear()


def name_private(key: str) -> Path:
    """Let the stranger's configuration name a file or folder of this user."""
    if key in ("source", "cache"):
        configure(key, "private")
        return Path("private").resolve()
    place = Path("private/mine.pth").resolve()
    place.write_bytes(b"mine")
    if key == "weights":
        options("weights = 'private/mine.pth'", "encoder_unet")
    else:
        configure(key, "private/mine.pth")
    return place


def without_trust(command: str) -> list[Path | str]:
    return [word for word in COMMANDS[command] if word != TRUST]


def below(folder: Path) -> list[str]:
    return [path for path in opened if path == str(folder) or path.startswith(f"{folder}{os.sep}")]


@pytest.mark.parametrize("key", NAMED)
@pytest.mark.parametrize("command", ["evaluate", "resume", "resume without test", "report", "compare"])
def test_nothing_that_a_stranger_names_is_opened(program: Program, strange: Path, command: str, key: str) -> None:
    pytest.importorskip("torch")
    place = name_private(key)
    if key == "cache" and command != "report":
        configure("source", "nowhere")
    opened.clear()
    outcome = program(*without_trust(command))
    assert not below(place)
    assert "Traceback" not in outcome.err
    if command in ("report", "compare"):
        assert outcome.status == 0, outcome.err
    elif key != "cache":
        assert (outcome.status, outcome.err.count("\n")) == (2, 1), outcome.err
        assert "was not begun by you on this machine" in outcome.err
        assert "--trust-paths" in outcome.err
        assert "private" in outcome.err


@pytest.mark.parametrize("command", ["report", "compare"])
def test_a_page_of_a_strangers_run_says_why_it_has_no_images(program: Program, strange: Path, command: str) -> None:
    configure("source", "private")
    page = Path({"report": "run/report.html", "compare": "out/compare.html"}[command])
    outcome = program(*without_trust(command))
    assert (outcome.status, outcome.err.count("\n")) == (0, 1)
    assert "--trust-paths" in outcome.err
    assert not pictures(page)
    outcome = program(*COMMANDS[command])
    assert (outcome.status, outcome.err) == (0, "")
    assert pictures(page)


def test_evaluate_takes_the_path_where_the_user_says_so(program: Program, strange: Path) -> None:
    configure("source", "private")
    assert program("evaluate", "run", "--output", "out", "--trust-paths").status == 0
    assert program("evaluate", "run", "--output", "again", "--data", "private").status == 0
    assert program("evaluate", "run", "--output", "set", "--set", "data.source=private").status == 2
    assert program("evaluate", "run", "--output", "set", "--set", f"data.source={FROZEN / 'source'}").status == 0


def test_a_strangers_list_of_donors_is_not_opened(program: Program, strange: Path) -> None:
    config = Path("run/config.toml")
    config.write_text(config.read_text().replace("[augment]", "[augment]\npaste = 0.1\ndonors = 'private/donors.csv'"))
    outcome = program("evaluate", "run", "--output", "out")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "names augment.donors = 'private/donors.csv', but this run was not begun by you" in outcome.err


def test_python_is_asked_alike(strange: Path) -> None:
    configure("source", "private")
    with pytest.raises(tumorline.UserError, match="was not begun by you on this machine"):
        tumorline.evaluate("run", output="out")
    assert tumorline.evaluate("run", output="out", trust_paths=True)["cases"] == 4


def train(pair_folder: PairFolder, *more: str) -> Path:
    source = pair_folder(patients=8, slices=1)
    return tumorline.train(data=source, overrides=[*TINY, "train.epochs=1", *more], output="mine", test=False)


@pytest.mark.slow
def test_a_run_that_was_begun_here_goes_on(
    program: Program, pair_folder: PairFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    Path("elsewhere").mkdir()
    moved = train(pair_folder).rename("elsewhere/moved")
    assert program("train", "--resume", moved).status == 0
    assert program("evaluate", moved, "--output", "out").status == 0
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "another user"))
    outcome = program("evaluate", moved, "--output", "again")
    assert (outcome.status, "was not begun by you on this machine" in outcome.err) == (2, True)
    monkeypatch.setenv("RANK", "1")
    assert program("train", "--resume", moved).status == 0


def test_a_configuration_is_begun_word_for_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    first, second = (load_config(None, [f"data.source='{name}'"]).to_toml() for name in ("a", "b"))
    assert not begun.is_begun(first)
    begun.note_begun(first)
    begun.note_begun(first)
    assert (begun.is_begun(first), begun.is_begun(second)) == (True, False)
    assert len(next(begun.records()).read_text().splitlines()) == 1


def test_without_a_home_a_temporary_folder_of_this_user_remembers(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null/none")
    begun.note_begun("one")
    assert begun.is_begun("one")
    (record,) = temporary.rglob("*.txt")
    assert not record.parent.stat().st_mode & 0o077
    assert not record.stat().st_mode & 0o077


def test_a_home_that_cannot_be_written_any_more_still_remembers(
    tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    begun.note_begun("one")

    def refuse_the_home(path: Path, line: str) -> None:
        if temporary not in path.parents:
            raise PermissionError(13, "Permission denied")
        path.write_text(line)

    monkeypatch.setattr(begun, "_append_private", refuse_the_home)
    begun.note_begun("two")
    assert (begun.is_begun("one"), begun.is_begun("two"), begun.is_begun("three")) == (True, True, False)


def test_no_training_fails_because_nothing_can_be_remembered(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "/dev/null/none")
    temporary.rmdir()
    begun.note_begun("one")
    assert not begun.is_begun("one")
