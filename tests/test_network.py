"""Nobody is contacted, and nothing is written at home but the program's own cache, unless a command asks for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tumorline
from tests.conftest import TINY, PairFolder

GUARD = """
import os, sys

EVENTS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto"}

def refuse(event, arguments):
    if event not in EVENTS:
        return
    place = arguments[-1] if event in ("socket.connect", "socket.sendto") else arguments[0]
    if event.startswith("socket.get") or isinstance(place, tuple):
        with open(os.environ["NETWORK_LOG"], "a") as log:
            log.write(f"{event} {place}\\n")
        raise OSError("no network in this test")

sys.addaudithook(refuse)
"""
"""Read by every Python process of the test as it starts: sees each address that is asked for, and gives none."""


class Machine:
    """A home that holds nothing, and a network that is written down and refused."""

    def __init__(self, folder: Path) -> None:
        self.home, self.log, guard = folder / "home", folder / "network.txt", folder / "guard"
        for made in (self.home, guard):
            made.mkdir(parents=True)
        (guard / "sitecustomize.py").write_text(GUARD)
        hidden = {"CI", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "HF_HUB_DISABLE_TELEMETRY", "RAY_USAGE_STATS_ENABLED"}
        path = os.pathsep.join([str(guard), str(Path(tumorline.__file__).parents[1])])
        self.environment = {name: value for name, value in os.environ.items() if name not in hidden} | {
            "HOME": str(self.home),
            "NETWORK_LOG": str(self.log),
            "PYTHONPATH": path,
        }

    def run(self, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", code], cwd=folder, env=self.environment, capture_output=True, text=True, check=False
        )

    def contacted(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def written(self) -> set[str]:
        files = (path.relative_to(self.home) for path in self.home.rglob("*") if path.is_file())
        return {path.as_posix() for path in files if path.parts[:2] != (".cache", "tumorline")}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine")


CALL = """
import sys
from tumorline.cli import main
for line in {lines!r}:
    sys.argv = ["tumorline", *line]
    try:
        main()
    except SystemExit as end:
        assert not end.code, line
"""


def commands(*lines: list[str]) -> str:
    """Python that carries out commands one after another."""
    return CALL.format(lines=lines)


def test_the_guard_sees_who_is_contacted(machine: Machine, tmp_path: Path) -> None:
    machine.run("import socket; socket.create_connection(('192.0.2.1', 9))", tmp_path)
    machine.run("from urllib.request import urlopen; urlopen('http://nowhere.invalid')", tmp_path)
    assert "192.0.2.1" in machine.contacted()
    assert "nowhere.invalid" in machine.contacted()


def test_a_prediction_and_an_evaluation_with_its_report_contact_nobody(
    machine: Machine, pair_folder: PairFolder, tmp_path: Path
) -> None:
    data = str(pair_folder(patients=2, slices=1))
    predict = ["predict", f"{data}/images", "--output", "predicted"]
    done = machine.run(commands(predict, ["evaluate", "--data", data, "--output", "evaluated"]), tmp_path)
    assert done.returncode == 0, done.stderr
    assert machine.contacted() == ""
    assert machine.written() == set()


@pytest.mark.slow
def test_a_training_and_what_is_made_of_it_contact_nobody(
    machine: Machine, pair_folder: PairFolder, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    settings = [word for text in TINY for word in ("--set", text)]
    train = ["train", "--data", str(pair_folder(patients=20, slices=2)), "--output", "run", *settings]
    lines = [
        ["export", "run", "--output", "again.onnx"],
        ["evaluate", "run", "--output", "evaluated"],
        ["report", "run"],
    ]
    done = machine.run(commands(train, *lines), tmp_path)
    assert done.returncode == 0, done.stderr
    assert machine.contacted() == ""
    assert machine.written() == set()


def test_openvino_is_imported_in_one_place() -> None:
    root = Path(tumorline.__file__).parent
    importers = [path for path in root.rglob("*.py") if "import openvino" in path.read_text(encoding="utf-8")]
    assert [path.relative_to(root).as_posix() for path in importers] == ["runtime/openvino.py"]
