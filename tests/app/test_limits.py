"""What a request may cost: bytes, files, time, and its place among others."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.testclient import TestClient

from tests.app.conftest import opened, png
from tests.strange_models import RUN
from tumorline.app.limits import Limits, Refusal
from tumorline.app.request_folder import open_request_folder, remove_folder
from tumorline.app.server import while_connected
from tumorline.app.state import AppSettings
from tumorline.app.waiting import WaitingRoom
from tumorline.app.worker_process import WorkerProcess

SMALL = Limits(megabytes=1, files=3, seconds=5, waiting=2)


@pytest.fixture
def small() -> Iterator[TestClient]:
    with opened(AppSettings(limits=SMALL)) as made:
        yield made


def test_a_body_that_states_its_size_is_refused_before_it_is_read(small: TestClient) -> None:
    read: list[int] = []

    def body() -> Iterator[bytes]:
        for number in range(3):
            read.append(number)
            yield bytes(1 << 20)

    headers = {"content-type": "multipart/form-data; boundary=x", "content-length": str(3 << 20)}
    answer = small.post("/predict", content=b"".join(body()), headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "more than 1 MB; see 'tumorline app --max-megabytes'")
    assert answer.headers["connection"] == "close"


def test_a_body_that_states_no_size_is_refused_where_it_is_too_large(small: TestClient) -> None:
    def body() -> Iterator[bytes]:
        yield b"--x\r\nContent-Disposition: form-data; name=file; filename=a.png\r\n\r\n"
        for _ in range(3):
            yield bytes(1 << 20)

    answer = small.post("/predict", content=body(), headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code == 413


def test_more_files_than_allowed_are_refused(small: TestClient) -> None:
    answer = small.post("/predict", files=[("file", (f"{number}.png", b"x")) for number in range(4)])
    assert (answer.status_code, "more than 3 files" in answer.json()["error"]) == (413, True)


def held_worker(started: threading.Event, go_on: threading.Event) -> Callable[..., Any]:
    """In place of `WorkerProcess.carry_out`: one that waits to be told to go on."""

    async def carry_out(_self: WorkerProcess, _task: Any, notify: Callable[[dict[str, int]], None]) -> dict[str, Any]:
        notify({"done": 0, "of": 7})
        started.set()
        while not go_on.is_set():
            await asyncio.sleep(0.005)
        return {"status": 422, "error": "as planned"}

    return carry_out


def test_of_twenty_requests_at_once_those_without_a_place_are_told_to_come_again(
    small: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    started, go_on = threading.Event(), threading.Event()
    monkeypatch.setattr(WorkerProcess, "carry_out", held_worker(started, go_on))
    answers: list[Any] = []

    def post(ticket: str) -> None:
        answers.append(small.post("/predict", params={"ticket": ticket}, files={"file": ("a.png", png())}))

    threads = [threading.Thread(target=post, args=(f"ticket-{number:02d}",)) for number in range(20)]
    threads[0].start()
    assert started.wait(5)
    for thread in threads[1:]:
        thread.start()
    while len(answers) < 17:
        threading.Event().wait(0.01)
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.headers["retry-after"] for answer in answers} == {"5"}
    told = small.get("/progress/ticket-00").json()
    assert (told["state"], told["ahead"], told["of"]) == ("predicting", 0, 7)
    assert small.get("/health").json()["predicting"] is True
    assert small.post("/predict?ticket=ticket-00", files={"file": ("a.png", png())}).status_code == 409
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert sorted(answer.status_code for answer in answers) == [422] * 3 + [503] * 17
    assert small.get("/health").json() | {"limits": 0, "version": 0} == {
        "status": "ok",
        "predicting": False,
        "waiting": 0,
        "limits": 0,
        "version": 0,
    }


def test_places_are_given_in_the_order_of_asking() -> None:
    async def ask() -> list[int]:
        room = WaitingRoom(2)
        with room.place("a") as first, room.place("b") as second, room.place("c") as third:
            first.state, second.state, third.state = "predicting", "waiting", "waiting"
            with pytest.raises(Refusal, match="busy"), room.place("d"):
                pass
            return [room.ahead_of(place) for place in (first, second, third)]

    assert asyncio.run(ask()) == [0, 1, 2]


def test_a_client_that_goes_away_ends_what_is_done_for_it() -> None:
    ended: list[bool] = []

    async def work() -> dict[str, Any]:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(True)
        return {}

    async def receive() -> dict[str, str]:
        await asyncio.sleep(0.01)
        return {"type": "http.disconnect"}

    async def go() -> None:
        with pytest.raises(Refusal, match="went away"):
            await while_connected(Request({"type": "http"}, receive), work())

    asyncio.run(go())
    assert ended == [True]


def test_nothing_is_left_of_a_request_while_somebody_still_writes_into_its_folder(tmp_path: Path) -> None:
    async def go() -> None:
        async with open_request_folder(tmp_path) as folder:
            writing = threading.Thread(target=write_for_a_while, args=(folder,))
            writing.start()
        assert not folder.exists()
        writing.join()

    def write_for_a_while(folder: Path) -> None:
        for number in range(2000):
            try:
                (folder / f"deep-{number}").mkdir()
            except FileNotFoundError:  # by this the worker notices
                return

    asyncio.run(go())
    assert list(tmp_path.iterdir()) == []


def task_of(folder: Path) -> dict[str, Any]:
    """A picture to predict, as the server hands it on."""
    source = folder / "in" / "upload-0000.png"
    source.parent.mkdir(parents=True)
    source.write_bytes(png())
    return {"folder": str(folder), "uploads": [("a.png", str(source), "")], "model": str(RUN), "name": ""}


def test_a_task_that_is_given_up_while_the_process_starts_leaves_the_next_one_its_turn(tmp_path: Path) -> None:
    async def go() -> dict[str, Any]:
        worker = WorkerProcess(tmp_path, Limits(seconds=60))
        given_up = asyncio.create_task(worker.carry_out(task_of(tmp_path / "first"), lambda _: None))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.gather(given_up, return_exceptions=True)
        outcome = await worker.carry_out(task_of(tmp_path / "second"), lambda _: None)
        await worker.end()
        return outcome

    assert asyncio.run(go())["status"] == 200


def test_a_task_that_nobody_waits_for_leaves_the_process_to_the_next_one(tmp_path: Path) -> None:
    """The process is not started anew; it notices by the folder of the request."""

    async def go() -> tuple[int, int, dict[str, Any]]:
        worker = WorkerProcess(tmp_path, Limits(seconds=60))
        first, second = (task_of(tmp_path / name) for name in ("first", "second"))
        told = asyncio.Event()
        task = asyncio.create_task(worker.carry_out(first, lambda _: told.set()))
        await told.wait()
        assert worker.process
        before = worker.process.pid
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await remove_folder(tmp_path / "first")
        outcome = await worker.carry_out(second, lambda _: None)
        after = worker.process.pid
        await worker.end()
        return before, after, outcome

    before, after, outcome = asyncio.run(go())
    assert outcome["status"] == 200, outcome
    assert before == after
