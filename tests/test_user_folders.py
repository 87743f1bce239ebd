"""A cache for every user: without a home, with one that cannot be written, and among others in /tmp."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import tumorline
from tests.conftest import PairFolder, Program
from tumorline import user_folders
from tumorline.errors import UserError
from tumorline.user_folders import default_folder, home_folder

NOT_ROOT = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for temporary files of this test alone, and no cache folder that the environment names."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    user_folders._temporary_folder.cache_clear()
    return folder


def use_home(monkeypatch: pytest.MonkeyPatch, home: Path | str | None) -> None:
    """Of a user that the system does not know."""
    monkeypatch.delenv("HOME", raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("pwd.getpwuid", lambda number: {}[number])


def test_a_home_holds_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_home(monkeypatch, tmp_path)
    assert default_folder() == tmp_path / ".cache" / "tumorline"
    assert home_folder() == tmp_path


def test_without_a_home_it_is_a_private_temporary_folder(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_home(monkeypatch, None)
    folder = default_folder()
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700
    assert home_folder() is None
    user_folders._temporary_folder.cache_clear()
    assert default_folder() == folder


@pytest.mark.parametrize("home", ["", "relative", "/dev/null", "/proc/none"])
def test_a_home_that_is_none_is_passed_over(temporary: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    use_home(monkeypatch, home)
    assert default_folder().parent == temporary


@NOT_ROOT
def test_a_home_that_cannot_be_written_is_passed_over(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").mkdir(mode=0o500)
    use_home(monkeypatch, tmp_path / "home")
    assert default_folder().parent == temporary


@pytest.mark.parametrize("kind", ["link", "dangling link", "open to all", "a file"])
def test_what_others_put_there_first_is_not_used(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    use_home(monkeypatch, None)
    taken = temporary / f"tumorline-{os.getuid()}"
    if kind == "open to all":
        taken.mkdir()
        taken.chmod(0o777)
    elif kind == "a file":
        taken.touch()
    else:
        taken.symlink_to(tmp_path if kind == "link" else tmp_path / "nowhere")
    folder = default_folder()
    assert folder != taken
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o777 == 0o700


def test_no_place_at_all_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    use_home(monkeypatch, None)
    monkeypatch.setattr(tempfile, "tempdir", "/proc/none")
    with pytest.raises(UserError, match=r"set data\.cache or TMPDIR"):
        default_folder()


def test_data_are_checked_without_a_home(
    program: Program, pair_folder: PairFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_home(monkeypatch, None)
    assert program("data", "check", pair_folder(patients=2, slices=1)).status == 0


UNKNOWN_USER = ("unshare", "--user", "--map-user=54321", "--map-group=54321")
"""Before a command: its user has a number without a name."""


@pytest.mark.slow
def test_an_unknown_user_without_a_home_trains(pair_folder: PairFolder, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    if not shutil.which("unshare") or subprocess.run([*UNKNOWN_USER, "true"], check=False).returncode:
        pytest.skip("this machine makes no user name spaces")
    data = pair_folder(patients=10, slices=1)
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "XDG_CACHE_HOME", "USER")}
    environment |= {"PYTHONPATH": str(Path(tumorline.__file__).parents[1]), "TMPDIR": str(tmp_path)}
    settings = ("data.image_size=32", "model.options.widths=[4, 8]", "train.epochs=1", "split.validation=0.2")
    command = [sys.executable, "-m", "tumorline", "train", "--data", str(data), "--output", "run"]
    command += [word for text in settings for word in ("--set", text)]
    predict = [*command[:3], "predict", str(data / "images"), "--output", "predicted"]
    for line in (command, predict):
        done = subprocess.run([*UNKNOWN_USER, *line], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()
    assert (tmp_path / "tumorline-54321").is_dir()
