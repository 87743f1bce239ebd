"""Requests that are made again where that may help, and errors that say what to do."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import httpx2

from tumorline.errors import UserError

T = TypeVar("T")
PROXIES = "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"
REDIRECTS = 8
LONGEST_WAIT_S = 60.0
MOST_BYTES = 8 * 2**30
AGAIN = {408, 425, 429, 500, 502, 503, 504}

ADVICE = {
    401: "the credentials were not accepted",
    403: "access is refused: credentials are wrong, or the set's terms have to be accepted on its page first",
    404: "there is no such file",
    429: "too many requests",
}


class Fault(Exception):
    """Something that may be gone at the next attempt."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server (in seconds, between two pieces), and how often to try."""

    timeout_s: float = 30.0
    tries: int = 4
    pause_s: float = 1.0


PATIENCE = Patience()


class Web:
    """An HTTP client that is patient, and that never leaves https once it has begun there."""

    def __init__(self, base_url: str, patience: Patience, transport: httpx2.BaseTransport | None = None) -> None:
        self.base_url = base_url.rstrip("/")
        self.patience = patience
        try:
            self.client = httpx2.Client(
                timeout=patience.timeout_s,
                follow_redirects=True,
                max_redirects=REDIRECTS,
                headers={"User-Agent": "tumorline", "Accept-Encoding": "identity"},
                event_hooks={"request": [self._refuse_downgrade]},
                transport=transport,
            )
        except (ValueError, ImportError, httpx2.InvalidURL):
            raise UserError(
                f"{PROXIES}: not the address of an http:// or https:// proxy; correct or unset it"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def _refuse_downgrade(self, request: httpx2.Request) -> None:
        if self.base_url.startswith("https:") and request.url.scheme != "https":
            raise UserError(f"{shown_url(request.url)}: the server leads away from https; refused, nothing was fetched")

    def read(self, url: str, most: int = 2**20) -> bytes:
        """A short answer as a whole. Raises UserError."""

        def attempt() -> bytes:
            content = b""
            with self.stream(url, {}) as response:
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > most:
                        raise UserError(
                            f"{url}: the answer is longer than {most} bytes; expected a short list of files"
                        )
            return content

        return self.retrying(attempt)

    def retrying(self, attempt: Callable[[], T]) -> T:
        """Try again after a fault, with growing pauses. Raises UserError with the last fault."""
        for number in range(1, self.patience.tries + 1):
            try:
                return attempt()
            except Fault as fault:
                if number == self.patience.tries:
                    raise UserError(f"{fault}; gave up after {number} attempts; run the command again later") from None
                time.sleep(max(fault.wait_s, self.patience.pause_s * 2 ** (number - 1)))
        raise AssertionError("tries is at least 1")

    @contextmanager
    def stream(self, url: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """A response of status 200, 206 or 416. Raises Fault or UserError for everything else."""
        try:
            with self.client.stream("GET", url, headers=headers) as response:
                expect_content(response)
                yield response
        except httpx2.TooManyRedirects:
            raise UserError(
                f"{shown_url(url)}: the server redirects in a circle (more than {REDIRECTS} times)"
            ) from None
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise UserError(f"{shown_url(url)}: the server leads to no usable address ({one_line_of(error)})") from None
        except httpx2.TransportError as error:
            raise Fault(f"{shown_url(url)}: {one_line_of(error)}") from None


def expect_content(response: httpx2.Response) -> None:
    status, address = response.status_code, shown_url(response.url)
    if status in (200, 206, 416):
        return
    if "x-amzn-waf-action" in response.headers:
        raise UserError(
            f"{address}: the server answers programs with a browser check (status {status}); try again later"
        )
    reason = f"{address}: status {status}, {ADVICE.get(status, httpx2.codes.get_reason_phrase(status) or 'unknown')}"
    if status in AGAIN:
        wait = header_number(response.headers.get("retry-after", "")) or 0
        raise Fault(reason, min(float(wait), LONGEST_WAIT_S))
    raise UserError(reason)


def header_number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def shown_url(url: httpx2.URL | str) -> str:
    """An address in ASCII without its query, which may be a signature, and without a user."""
    try:
        address = httpx2.URL(url)
    except httpx2.InvalidURL:
        return one_line_of(url)
    path = address.raw_path.partition(b"?")[0]
    return f"{address.scheme}://{(address.netloc + path).decode('ascii', 'replace')}"[:200]


def one_line_of(text: object) -> str:
    """What others wrote, as one short line of ASCII."""
    return ascii(" ".join(str(text).split())[:200])[1:-1] or type(text).__name__
