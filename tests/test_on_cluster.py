"""predict and evaluate by the machines of a Ray cluster: what one machine would find, whoever dies on the way."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import Context
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import tumorline
from tests.inference.test_predict_killed import pictures, require_whole, times_done
from tumorline import cluster as clusters
from tumorline.api import EvaluationOptions
from tumorline.cluster import Cluster, Surroundings
from tumorline.environment import versions
from tumorline.errors import UserError
from tumorline.evaluation.scoring import evaluate
from tumorline.evaluation.status import Request
from tumorline.files import read_csv
from tumorline.inference.model import load
from tumorline.inference.on_cluster import ModelSpec
from tumorline.output.journal import JOURNAL_NAME

GOLDEN = Path(__file__).parent / "golden" / "model.safetensors"
pytestmark = pytest.mark.filterwarnings("ignore::tumorline.errors.UserNotice")


@pytest.fixture
def carried_out_here(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A cluster whose tasks this process carries out; the sizes of the chunks that it was given."""
    sizes: list[int] = []

    def connect(address: str) -> list[int]:
        assert address == "here:1"
        return [1]

    def map_chunks(
        _cluster: Cluster,
        work: Callable[[Any, Sequence[Any]], list[Any]],
        shared: Any,
        chunks: Iterable[Sequence[Any]],
        _lost: Any,
    ) -> Iterator[Any]:
        for chunk in chunks:
            sizes.append(len(chunk))
            yield from Context().run(work, shared, chunk)  # as in another process

    ray = type(sys)("ray")
    ray.shutdown = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(clusters, "connect_ray", connect)
    for part in ("inference", "evaluation"):
        monkeypatch.setattr(f"tumorline.{part}.on_cluster.map_chunks", map_chunks)
        monkeypatch.setattr(f"tumorline.{part}.on_cluster.PICTURES", 4)
    return sizes


def found_in(folder: Path) -> dict[str, str]:
    """Hashes of results by their paths, but for what says when it was made; the folder's own name is left out."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in (JOURNAL_NAME, "summary.json")]
    contents = {path: path.read_bytes().replace(os.fsencode(folder), b"OUT") for path in paths}
    return {path.relative_to(folder).as_posix(): sha256(content).hexdigest() for path, content in contents.items()}


def test_a_cluster_predicts_what_one_machine_does(tmp_path: Path, carried_out_here: list[int]) -> None:
    images = pictures(tmp_path / "in", 10)
    (images / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    tumorline.predict(images, GOLDEN, tmp_path / "one")
    rows = tumorline.predict(images, GOLDEN, tmp_path / "many", ray="here:1")
    assert carried_out_here == [4, 4, 3]
    assert found_in(tmp_path / "many") == found_in(tmp_path / "one")
    assert [Path(row["input"]).name for row in rows if row["error"]] == ["torn.png"]


def test_a_cluster_goes_on_with_what_was_interrupted(tmp_path: Path, carried_out_here: list[int]) -> None:
    images = pictures(tmp_path / "in", 10)

    def stop(done: int, _all: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(BaseException, match="the same command goes on"):
        tumorline.predict(images, GOLDEN, tmp_path / "many", ray="here:1", progress=stop)
    carried_out_here.clear()
    tumorline.predict(images, GOLDEN, tmp_path / "many", ray="here:1")
    assert sum(carried_out_here) == 4
    assert set(times_done(tmp_path / "many").values()) == {1}
    tumorline.predict(images, GOLDEN, tmp_path / "one")
    assert found_in(tmp_path / "many") == found_in(tmp_path / "one")


def test_a_cluster_evaluates_what_one_machine_does(
    tmp_path: Path, tiny_source: Path, carried_out_here: list[int]
) -> None:
    model, dataset = load(GOLDEN, requests=2), tumorline.load_dataset(tiny_source, tumorline.load_config(None).data)
    one = evaluate(model, Request(dataset, tmp_path / "one"))
    seen: list[tuple[int, int]] = []
    wanted = Request(dataset, tmp_path / "many", cluster=Cluster(1, 1))
    many = evaluate(model, wanted, lambda *at: seen.append(at))
    assert len(carried_out_here) > 1
    assert seen[-1] == (one.cases, one.cases)
    assert {**many.to_json(), "created": ""} == {**one.to_json(), "created": ""}
    assert found_in(tmp_path / "many") == found_in(tmp_path / "one")


def test_stress_is_scored_on_one_machine() -> None:
    with pytest.raises(UserError, match=r"--ray: stress and subsets are scored on one machine"):
        EvaluationOptions(ray="here:1", stress=True)


def test_a_machine_with_another_model_or_version_is_refused(tmp_path: Path) -> None:
    spec = ModelSpec(str(GOLDEN), "none", "float32", "openvino", "of another", versions()["tumorline"], 1)
    with pytest.raises(UserError, match="another model than that of this name here"):
        spec.open()
    with pytest.raises(UserError, match="install the same on all"):
        ModelSpec(str(GOLDEN), "none", "float32", "openvino", "", "0.0.1", 1).open()
    with pytest.raises(UserError, match="all machines need the same folders"):
        Surroundings(str(tmp_path / "nowhere"), {}).enter()


def die_of_three(mark: Path, numbers: Sequence[int]) -> list[int]:
    """Squares; a 3 ends the process, and a 5 the first time only."""
    for number in numbers:
        again = mark / str(number)
        if number == 3 or (number == 5 and not again.exists()):
            again.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return [number**2 for number in numbers]


@pytest.mark.slow
def test_an_item_that_kills_its_workers_is_named_and_takes_no_other_with_it(tmp_path: Path, cluster: Any) -> None:
    with clusters.open_cluster(cluster.address) as connected:
        assert (connected.cores, connected.slots) == (1, 2)
        chunks = [[0, 1, 2], [3, 4], [5, 6]]
        found = [
            *clusters.map_chunks(connected, die_of_three, tmp_path, chunks, lambda number, why: (number, why))  # type: ignore[misc]
        ]
    assert found == [0, 1, 4, (3, "its worker died 4 times (WorkerCrashedError)"), 16, 25, 36]


def end_a_node(cluster: Any) -> None:
    """As a machine that loses its power does."""
    node = cluster.worker_nodes.copy().pop()
    cluster.remove_node(node, allow_graceful=False)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["predict", "evaluate"])
def test_on_ray_a_machine_may_die(tmp_path: Path, tiny_source: Path, cluster: Any, command: str) -> None:
    images = pictures(tmp_path / "in", 400)
    died = threading.Event()

    def kill_one(done: int, _all: int) -> None:
        if done >= (40 if command == "predict" else 1) and not died.is_set():
            died.set()
            end_a_node(cluster)

    if command == "predict":
        tumorline.predict(images, GOLDEN, tmp_path / "one", overlay=False)
        tumorline.predict(images, GOLDEN, tmp_path / "many", overlay=False, ray=cluster.address, progress=kill_one)
        assert found_in(tmp_path / "many") == found_in(tmp_path / "one")
    else:
        one = tumorline.evaluate(GOLDEN, tiny_source, output=tmp_path / "one")
        many = tumorline.evaluate(GOLDEN, tiny_source, output=tmp_path / "many", ray=cluster.address, progress=kill_one)
        assert {**many, "created": ""} == {**one, "created": ""}
    assert died.is_set()


@pytest.mark.slow
def test_on_ray_a_batch_that_was_killed_goes_on(tmp_path: Path, cluster: Any) -> None:
    images, output = pictures(tmp_path / "in", 200), tmp_path / "many"
    whole = ["predict", str(images), "--model", str(GOLDEN), "--output", str(output), "--ray", cluster.address]
    child = subprocess.Popen([sys.executable, "-m", "tumorline", *whole])
    ends = time.monotonic() + 120
    while child.poll() is None and len(list(output.glob("*_mask.png"))) < 40 and time.monotonic() < ends:
        time.sleep(0.01)
    assert child.poll() is None
    child.kill()
    child.wait()
    require_whole(output)
    before = times_done(output)
    assert subprocess.run([sys.executable, "-m", "tumorline", *whole]).returncode == 0
    done = times_done(output)
    assert set(done.values()) == {1}
    assert len(done) == 200 > len(before) > 30
    assert len(read_csv(output / "predictions.csv")) == 200
    assert json.loads((output / "predictions.json").read_text())["predictions"][0]["error"] is None
