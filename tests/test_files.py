import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.conftest import refused_in_one_line
from tumorline.errors import UserError, WriteError
from tumorline.files import (
    alone_in,
    append_line,
    atomic_path,
    read_csv,
    remove_unfinished,
    require_writable,
    work_beside,
    write_csv,
    write_json,
    write_text,
)
from tumorline.write.images import write_mask


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_file_has_the_permissions_that_the_umask_leaves(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a.csv", "a")
        write_mask(tmp_path / "mask.png", np.ones((2, 2), bool))
        with atomic_path(tmp_path / "weights") as temporary:
            save_file({"a": np.ones(2)}, temporary)
    finally:
        os.umask(before)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
        ("a.csv", "mask.png", "weights"), 0o666 & ~umask
    )


def test_a_csv_reads_back_and_none_is_an_empty_cell(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ("a", "b"), [{"a": 1, "b": None}, {"a": "x,y", "c": 3}])
    assert read_csv(tmp_path / "t.csv") == [{"a": "1", "b": ""}, {"a": "x,y", "b": ""}]


def test_nan_does_not_get_into_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert not list(tmp_path.iterdir())


def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".state.safetensors.x1.part").touch()
    (tmp_path / "kept.csv").touch()
    remove_unfinished(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["kept.csv"]


@pytest.mark.parametrize("length", [230, 251])
def test_a_name_that_fits_on_the_disk_is_written(length: int, tmp_path: Path) -> None:
    write_text(tmp_path / ("n" * length + ".txt"), "x")
    write_text(tmp_path / ("脑" * 80 + ".txt"), "x")
    assert len(list(tmp_path.iterdir())) == 2


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def write_weights(path: Path) -> None:
    with atomic_path(path) as temporary:
        save_file({"a": np.zeros(5000)}, temporary)


WRITERS: dict[str, Callable[[Path], None]] = {
    "text": lambda path: write_text(path, "x" * 5000),
    "json": lambda path: write_json(path, ["x"] * 5000),
    "table": lambda path: write_csv(path, ["a"], [{"a": "x" * 5000}]),
    "line": lambda path: append_line(path, {"a": "x" * 5000}),
    "weights": write_weights,
    "mask": lambda path: write_mask(path, np.random.default_rng(0).random((200, 200)) < 0.5),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_is_larger_than_allowed_is_one_line_and_not_there(name: str, tmp_path: Path) -> None:
    with (
        files_limited_to(100),
        pytest.raises(WriteError, match=r"x: cannot be written \(File too large\); it is larger"),
    ):
        WRITERS[name](tmp_path / "x")
    assert [path for path in tmp_path.iterdir() if path.read_bytes()] == []


def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x"
    append_line(path, {"a": 1})
    with files_limited_to(20), pytest.raises(WriteError):
        append_line(path, {"a": "x" * 99})
    assert path.read_text() == '{"a": 1}\n'
    path.write_text('{"a": 1}\n{"b')
    append_line(path, {"c": 2})
    assert path.read_text() == '{"a": 1}\n{"b\n{"c": 2}\n'


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("file/x", "a file is where a folder should be"),
        ("folder", "a file is where a folder should be"),
        ("n" * 260, r"File name too long\); shorten the name"),
        ("n" * 260 + "/x", r"File name too long\); shorten the name"),
    ],
)
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "line"])
def test_a_place_where_nothing_can_be_is_one_line(path: str, message: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder/inside").mkdir(parents=True)
    with refused_in_one_line(message, error=WriteError):
        WRITERS[name](tmp_path / path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(WriteError, match=r"No space left on device.*make room"):
        write_text(tmp_path / "x", "y")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_takes_nothing_is_known_beforehand(tmp_path: Path) -> None:
    require_writable(tmp_path / "new/folder")
    assert not list((tmp_path / "new/folder").iterdir())
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="a file is where a folder should be"):
        require_writable(tmp_path / "file")
    with pytest.raises(WriteError, match="cannot be written"):
        require_writable(Path("/proc/nothing"))


def test_a_name_that_is_not_utf_8_is_refused_where_the_file_is_text(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a name that is not UTF-8 cannot be written here .*m\\udcfc.*rename"):
        write_text(tmp_path / "config.toml", "source = 'm\udcfcller'")


def test_one_process_waits_for_another_where_it_may(tmp_path: Path) -> None:
    done, held = list[str](), Event()

    def hold() -> None:
        with alone_in(tmp_path):
            held.set()
            time.sleep(0.2)
            done.append("first")

    other = Thread(target=hold)
    other.start()
    held.wait()
    with pytest.raises(UserError, match="another process is at work there"), alone_in(tmp_path):
        pass
    with alone_in(tmp_path, wait_s=30):
        done.append("second")
    other.join()
    assert done == ["first", "second"]
    assert not list(tmp_path.iterdir())


KILLED_AT_WORK = """
import os, signal, sys
from pathlib import Path
from tumorline.files import work_beside
with work_beside(Path(sys.argv[1])) as work:
    (work / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_process_left_beside_its_target_is_removed_by_the_next(tmp_path: Path) -> None:
    for name in ("cohort", "another"):
        subprocess.run([sys.executable, "-c", KILLED_AT_WORK, tmp_path / name], check=False)
    left = {path.name.split(".")[1] for path in tmp_path.iterdir()}
    assert left == {"cohort", "another"}
    with work_beside(tmp_path / "cohort") as at_work, work_beside(tmp_path / "cohort") as second:
        assert at_work.is_dir()
        assert second.is_dir()
        assert len(list(tmp_path.glob(".cohort.*"))) == 2
    assert [path.name.split(".")[1] for path in tmp_path.iterdir()] == ["another"]
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_the_user_is_not_taken_for_ones_own(tmp_path: Path) -> None:
    with work_beside(tmp_path / "cohort") as work:
        held = work.parent.name
    (tmp_path / held).mkdir()
    with work_beside(tmp_path / "cohort"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [held]
