"""A server in a process of its own, and what the unkind send: it refuses or queues, stays small, and goes on."""

import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import numpy as np
import pytest
from PIL import Image

from tests.app.conftest import png
from tests.test_network import Machine
from tumorline.app.connections import PATIENCE_S

pytestmark = pytest.mark.slow

MOST_KB = 1.5 * (1 << 20)
FORM = "multipart/form-data; boundary=x"
PART = 'Content-Disposition: form-data; name="file"; filename="{}"\r\n\r\n'


class Running(NamedTuple):
    process: subprocess.Popen[str]
    address: str
    machine: Machine
    peaks: list[int]
    """Resident memory of the server and of the process that predicts, together, in kB."""

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def post(self, *files: tuple[str, bytes], **query: str) -> httpx2.Response:
        return httpx2.post(
            f"{self.address}/predict", params=query, files=[("file", file) for file in files], timeout=300
        )


def resident_kb(process: int) -> int:
    """Of a process and its children."""
    total = 0
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for one in (process, *map(int, children)):
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    except (OSError, IndexError):
        return total
    return total


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    machine = Machine(tmp_path_factory.mktemp("app") / "machine")
    temporary = tmp_path_factory.mktemp("temporary")
    process = subprocess.Popen(
        [sys.executable, "-m", "tumorline", "app", "--port", "0"],
        env=machine.environment | {"TMPDIR": str(temporary), "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    address = process.stderr.readline().split()[3].rstrip("/")
    threading.Thread(target=process.stderr.read, daemon=True).start()
    peaks = [0]

    def watch() -> None:
        while process.poll() is None:
            peaks[0] = max(peaks[0], resident_kb(process.pid))
            time.sleep(0.02)

    threading.Thread(target=watch, daemon=True).start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            httpx2.get(f"{address}/health")
            break
        except httpx2.TransportError:
            time.sleep(0.1)
    yield Running(process, address, machine, peaks)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert list(temporary.iterdir()) == []
    assert machine.contacted() == ""
    print(f"at most {peaks[0] / 1024:.0f} MB were resident")
    assert peaks[0] < MOST_KB


def still_answers(running: Running) -> None:
    answer = running.post(("a.png", png(1, 64)))
    assert answer.status_code == 200, answer.text
    assert running.peaks[0] < MOST_KB
    health = httpx2.get(f"{running.address}/health").json()
    assert (health["predicting"], health["waiting"]) == (False, 0)


def status_of(answer: bytes) -> int:
    return int(answer.split()[1])


def send_until_answered(port: int, head: str, first: bytes, chunk: bytes, times: int) -> tuple[bytes, int]:
    """The answer, and how many bytes were sent until it came."""
    sent = 0
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(
            f"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM}\r\n{head}\r\n\r\n".encode()
        )
        connection.sendall(first)
        connection.setblocking(False)
        answer = b""
        for _ in range(times):
            view = memoryview(chunk)
            while view and not answer:
                try:
                    done = connection.send(view)
                    sent, view = sent + done, view[done:]
                except BlockingIOError:
                    time.sleep(0.001)
                except (ConnectionResetError, BrokenPipeError):
                    view = view[:0]
                with suppress(BlockingIOError):
                    answer = connection.recv(65536)
            if answer:
                break
    return answer, sent


def test_a_body_of_two_gigabytes_that_says_so_is_refused_at_once(running: Running) -> None:
    answer, sent = send_until_answered(running.port, f"Content-Length: {2 << 30}", b"", bytes(1 << 20), 2048)
    assert status_of(answer) == 413
    assert sent < 16 << 20
    still_answers(running)


def test_a_body_of_two_gigabytes_in_pieces_is_refused_where_it_is_too_large(running: Running) -> None:
    def chunked(content: bytes) -> bytes:
        return f"{len(content):x}\r\n".encode() + content + b"\r\n"

    start = chunked(f"--x\r\n{PART.format('a.png')}".encode())
    answer, sent = send_until_answered(running.port, "Transfer-Encoding: chunked", start, chunked(bytes(1 << 20)), 2048)
    assert status_of(answer) == 413
    assert 500 << 20 < sent < 560 << 20
    still_answers(running)


def test_a_thousand_files_are_taken_and_one_more_is_refused(running: Running) -> None:
    broken = [(f"d/{number}.png", b"no picture") for number in range(1000)]
    assert running.post(*broken).status_code == 422
    answer = running.post(*broken, ("more.png", b""))
    assert (answer.status_code, "more than 1000 files" in answer.json()["error"]) == (413, True)
    still_answers(running)


def chunk_of(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def stated_png(side: int) -> bytes:
    """A picture that states a size and holds little."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    parts = [chunk_of(b"IHDR", header), chunk_of(b"IDAT", zlib.compress(bytes(1 << 20))), chunk_of(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_a_bomb_is_refused_by_what_its_header_states(running: Running) -> None:
    answer = running.post(("bomb.png", stated_png(60_000)))
    assert (answer.status_code, "at most 100,000,000 pixels" in answer.json()["error"]) == (422, True)
    still_answers(running)


def test_a_picture_as_large_as_is_allowed_is_predicted_or_refused_for_its_memory(running: Running) -> None:
    buffer = io.BytesIO()
    pixels = np.zeros((10_000, 10_000), np.uint8)
    pixels[4000:6000, 4000:6000] = 200
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=1)
    answer = running.post(("large.png", buffer.getvalue()))
    assert answer.status_code in (200, 413, 422)
    print(answer.status_code, answer.text[:200])
    if answer.status_code != 200:
        assert "memory" in answer.json()["error"]
    still_answers(running)


@pytest.mark.parametrize(
    "name", ["../../x.png", "/tmp/tumorline-was-here.png", "a%00.png", "a\0b.png", "..%2f..%2fx.png", "\r\n"]
)
def test_a_path_in_a_name_leads_nowhere(running: Running, name: str) -> None:
    body = f"--x\r\n{PART.format(name)}no picture\r\n--x--\r\n".encode()
    answer = httpx2.post(f"{running.address}/predict", content=body, headers={"content-type": FORM})
    assert answer.status_code in (400, 422)
    assert not Path("/tmp/tumorline-was-here.png").exists()
    assert not list(Path(tempfile.gettempdir()).glob("x.png"))
    still_answers(running)


def test_of_twenty_requests_at_once_each_is_answered_or_told_to_come_again(running: Running) -> None:
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda seed: running.post((f"{seed}.png", png(seed, 512))), range(20)))
    statuses = [answer.status_code for answer in answers]
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 9
    still_answers(running)


def test_a_client_that_goes_away_frees_its_place(running: Running) -> None:
    form = b"".join(
        f"--x\r\n{PART.format(f'{number}.png')}".encode() + png(number, 512) + b"\r\n" for number in range(200)
    )
    form += b"--x--\r\n"
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        head = f"POST /predict?ticket=going-away HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM}\r\n"
        connection.sendall(f"{head}Content-Length: {len(form)}\r\n\r\n".encode() + form)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and told(running)["state"] != "predicting":
            time.sleep(0.02)
    while time.monotonic() < deadline and told(running)["state"] != "gone":
        time.sleep(0.02)
    assert told(running)["state"] == "gone"
    still_answers(running)


def told(running: Running) -> dict[str, Any]:
    answer = httpx2.get(f"{running.address}/progress/going-away")
    return answer.json() if answer.status_code == 200 else {"state": "gone"}


def test_what_is_no_request_does_no_harm(running: Running) -> None:
    for bytes_sent in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"A" * 200_000,
        b"POST /predict HTTP/1.1\r\n",
    ):
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(bytes_sent)
    assert httpx2.put(f"{running.address}/models").status_code == 405
    still_answers(running)


def test_connections_that_ask_nothing_are_closed(running: Running) -> None:
    with ExitStack() as held:
        idle = [held.enter_context(socket.create_connection(("127.0.0.1", running.port))) for _ in range(100)]
        idle[0].sendall(b"GET /health HTTP/1.1\r\n")
        for connection in idle:
            connection.settimeout(PATIENCE_S + 10)
            assert connection.recv(1) == b""
    still_answers(running)


def test_an_interface_that_keeps_its_word(running: Running) -> None:
    """Schemathesis asks what the OpenAPI document allows, and much that it does not.

    One check is left out: a schema cannot say that an option is for some of the models, or that one file has one mask.
    """
    pytest.importorskip("schemathesis")
    seconds = os.environ.get("SCHEMATHESIS_SECONDS", "20")
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{running.address}/openapi.json"]
    options = ["--max-time", seconds, "--request-timeout", "120", "--seed", "1", "--no-color"]
    options += ["--exclude-checks", "positive_data_acceptance"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    print(done.stdout)
    assert done.returncode == 0, json.dumps(done.stdout[-6000:])
    still_answers(running)
