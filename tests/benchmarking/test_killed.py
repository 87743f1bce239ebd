"""A benchmark that is stopped or killed goes on where it was, on this machine and on a cluster."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tests.benchmarking.conftest import open_benchmark, write_plan
from tumorline.benchmarking import on_ray
from tumorline.errors import UserError
from tumorline.files import read_csv
from tumorline.results.compared import Leaderboard

EPOCHS = 12
LONG = """
name = "long"
[recipe.data]
image_size = 64
cache = "{cache}"
[recipe.model]
name = "unet"
options = {{ widths = [8, 16] }}
[recipe.train]
epochs = 12
batch_size = 4
[variants.first]
[variants.second]
"train.learning_rate" = 1e-3
"""

linux_only = pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc")


def history(folder: Path, name: str) -> list[dict[str, str]]:
    path = folder / "out/cells" / f"{name}_seed-0" / "history.csv"
    return read_csv(path) if path.is_file() else []


def wait_until(reached: Callable[[], bool], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "took too long"
        time.sleep(0.05)


def start(plan: Path, source: Path, processes: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tumorline", "benchmark", str(plan), "--data", str(source)]
    options = ["--output", str(plan.parent / "out"), "--processes", str(processes)]
    return subprocess.Popen([*command, *options], start_new_session=True)


def cell_processes(folder: Path) -> list[int]:
    """Of all trainings below a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"train" in words and any(word.startswith(os.fsencode(folder)) for word in words):
            found.append(int(path.parent.name))
    return found


@pytest.mark.slow
@linux_only
def test_stopped_then_killed_it_loses_no_more_than_since_the_last_checkpoint(tmp_path: Path, tiny_source: Path) -> None:
    plan = write_plan(tmp_path, tiny_source, LONG)

    stopped = start(plan, tiny_source, processes=2)
    wait_until(lambda: min(len(history(tmp_path, name)) for name in ("first", "second")) >= 2)
    stopped.terminate()
    assert stopped.wait(300) == 130
    assert cell_processes(tmp_path) == []
    saved = {name: history(tmp_path, name) for name in ("first", "second")}

    killed = start(plan, tiny_source, processes=1)
    wait_until(lambda: len(history(tmp_path, "first")) > len(saved["first"]))
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    reached = {name: history(tmp_path, name) for name in ("first", "second")}
    assert len(reached["first"]) < EPOCHS

    assert start(plan, tiny_source, processes=2).wait(900) == 0
    for name in ("first", "second"):
        rows = history(tmp_path, name)
        assert len(rows) == EPOCHS
        assert rows[: len(reached[name])] == reached[name], "what was saved is not trained again"
        assert reached[name][: len(saved[name])] == saved[name]
    assert (tmp_path / "out/leaderboard.html").is_file()


def parent(process: int) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid")))


@pytest.mark.slow
@linux_only
def test_on_ray_a_cell_goes_on_after_the_death_of_its_worker(
    tmp_path: Path, tiny_source: Path, cluster: object
) -> None:
    plan = write_plan(tmp_path, tiny_source, LONG)
    execute = on_ray(cluster.address, processes=1)  # type: ignore[attr-defined]
    results: list[Leaderboard] = []
    run = threading.Thread(target=lambda: results.append(open_benchmark(plan, tiny_source).run(execute)))
    run.start()
    wait_until(lambda: min(len(history(tmp_path, name)) for name in ("first", "second")) >= 2)

    victim = cell_processes(tmp_path)[0]
    worker = parent(victim)
    (node,) = [
        node
        for node in cluster.worker_nodes  # type: ignore[attr-defined]
        if node.all_processes["raylet"][0].process.pid == parent(worker)
    ]
    reached = {name: history(tmp_path, name) for name in ("first", "second")}
    cluster.remove_node(node, allow_graceful=False)  # type: ignore[attr-defined]
    for process in (worker, victim):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)

    run.join(600)
    assert len(results) == 1
    assert results[0].unmeasured == []
    for name in ("first", "second"):
        rows = history(tmp_path, name)
        assert len(rows) == EPOCHS
        assert rows[: len(reached[name])] == reached[name]


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "localhost:port"])
def test_an_address_without_a_cluster_is_answered_in_one_line(address: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UserError, match=rf"--ray {address}: no cluster there \("):
        on_ray(address, 1)
