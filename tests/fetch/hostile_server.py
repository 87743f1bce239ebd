"""A server on 127.0.0.1 that serves what a test gives it, and misbehaves as told."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

Answer = Callable[[BaseHTTPRequestHandler], None]


class Seen(NamedTuple):
    path: str
    headers: dict[str, str]


class Server:
    """Path -> answer, and the requests that have come in."""

    def __init__(self) -> None:
        self.routes: dict[str, Answer] = {}
        self.seen: list[Seen] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                server.seen.append(Seen(self.path, headers))
                server.routes.get(self.path, status(404))(self)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}"

    def ranges(self, path: str) -> list[str | None]:
        """The Range header of each request for a path."""
        return [seen.headers.get("range") for seen in self.seen if seen.path == path]


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.http.shutdown()
        server.http.server_close()


@dataclass
class File:
    """A file with an ETag that serves ranges. The other fields are its vices.

    `breaks` are the bytes after which the connection is cut, one for each of the first requests; `announced` replaces
    the true length; `slow` waits so many seconds before each further kilobyte.
    """

    content: bytes
    etag: str = '"one"'
    breaks: list[int] = field(default_factory=list)
    announced: int | None = None
    silent: bool = False
    chunked: bool = False
    ignores_range: bool = False
    ignores_if_range: bool = False
    slow: float = 0.0
    headers: dict[str, str] = field(default_factory=dict)

    def __call__(self, request: BaseHTTPRequestHandler) -> None:
        start = self._start(request)
        body = self.content[start:]
        if start:
            request.send_response(206)
            request.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        else:
            request.send_response(200)
        if self.chunked:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            request.send_header("Transfer-Encoding", "chunked")
        elif not self.silent:
            request.send_header("Content-Length", str(len(body) if self.announced is None else self.announced))
        for name, value in {"ETag": self.etag, **self.headers}.items():
            request.send_header(name, value)
        request.end_headers()
        self._send(request, body[: self.breaks.pop(0)] if self.breaks else body)

    def _start(self, request: BaseHTTPRequestHandler) -> int:
        wanted, condition = request.headers.get("Range"), request.headers.get("If-Range")
        if not wanted or self.ignores_range or (condition != self.etag and not self.ignores_if_range):
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))

    def _send(self, request: BaseHTTPRequestHandler, body: bytes) -> None:
        size = 1024 if self.slow else max(len(body), 1)
        try:
            for start in range(0, len(body), size):
                request.wfile.write(body[start : start + size])
                time.sleep(self.slow)
        except OSError:
            return


def status(code: int, **headers: str) -> Answer:
    """A bare status with headers (an underscore stands for a hyphen)."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def hanging(seconds: float) -> Answer:
    """An answer that does not come."""
    return lambda request: time.sleep(seconds)
