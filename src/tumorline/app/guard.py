"""Who is heard: the Host, where a request comes from, and the token; and what a browser may do with the answers."""

import asyncio
import json
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tumorline.app.door import Door
from tumorline.app.page import read_page

COOKIE = "tumorline_token"
OPEN_PATHS = ("/health",)
"""Answered without the token, so that a container can be looked after."""
SECRET_PATHS = "/pages/"
"""Run pages stand in a sandbox that is another origin; their addresses hold a secret instead."""
LINGER_S, LINGER_BYTES = 2.0, 64 << 20
"""For how long, and how much, a body is still read that nobody wants."""
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'"
)
ASK_FOR_TOKEN = (
    "this app wants its token: open the address that was printed when it started, or send the header "
    "'Authorization: Bearer TOKEN'"
)


class Guard:
    """Around the app: refuses before anything of a request's body is read."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self.app, self.door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self.door)
        if refusal := self._refusal(scope):
            is_page = refusal[0] == 401 and "text/html" in Headers(scope=scope).get("accept", "")
            await send_refusal(exchange.send, *refusal, page=read_page("token.html") if is_page else b"")
        else:
            await self.app(scope, exchange.receive, exchange.send)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers, path = Headers(scope=scope), scope["path"]
        if not self.door.knows_host(headers.get("host", "")):
            return 421, "the Host of this request is not one of this app; see 'tumorline app --allow-host'"
        if path.startswith(SECRET_PATHS):
            return None
        if is_cross_origin(scope["method"], headers):
            return 403, "a request from a page of another origin is not answered"
        if self.door.token and path not in OPEN_PATHS and not self._has_token(scope, headers):
            return 401, ASK_FOR_TOKEN
        return None

    def _has_token(self, scope: Scope, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.door.accepts(token.strip()):
            return True
        if self.door.accepts(cookie_parser(headers.get("cookie", "")).get(COOKIE, "")):
            return True
        return scope["path"] == "/" and b"token=" in scope["query_string"]  # the page itself looks at it


class _Exchange:
    """A request and its answer. Where the answer comes before the end of a body, the rest of the body is let go."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, door: Door) -> None:
        headers = Headers(scope=scope)
        self.has_more = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self._receive, self._send, self.door = receive, send, door

    async def receive(self) -> Message:
        message = await self._receive()
        self.has_more = self.has_more and message["type"] == "http.request" and bool(message.get("more_body"))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            _add_headers(headers, self.door)
            if self.has_more:
                headers["Connection"] = "close"
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if is_last and self.has_more:
            await self._send({**message, "more_body": True})
            await self._let_go()
            message = {"type": "http.response.body", "body": b""}
        await self._send(message)

    async def _let_go(self) -> None:
        """A client that is still sending reads the answer first where the connection does not break under it."""
        received = 0
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while self.has_more and received < LINGER_BYTES:
                    received += len((await self.receive()).get("body", b""))


def is_cross_origin(method: str, headers: Headers) -> bool:
    """Whether a browser says that another origin's page asks; following a link to the page is none of that."""
    origin = headers.get("origin")
    if origin is not None and _place(origin) != headers.get("host", "").lower():
        return True
    site = headers.get("sec-fetch-site", "none")
    follows_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
    return site not in ("same-origin", "none") and not follows_link


def _place(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _add_headers(headers: MutableHeaders, door: Door) -> None:
    frames = " ".join(["'self'", *door.frames]) if door.frames else "'none'"
    headers.setdefault("Content-Security-Policy", f"{PAGE_POLICY}; frame-ancestors {frames}")
    headers.setdefault("Cache-Control", "no-store")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"


async def send_refusal(send: Send, status: int, message: str, page: bytes = b"") -> None:
    """One line of JSON, or a page."""
    body = page or json.dumps({"error": message}).encode()
    media_type = b"text/html; charset=utf-8" if page else b"application/json"
    headers = [(b"content-type", media_type), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
