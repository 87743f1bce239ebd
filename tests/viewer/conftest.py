"""A browser for the tests: Debian's chromium, driven by playwright; they are skipped where either is absent."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
FLAGS = [
    f"--{flag}"
    for flag in (
        "headless",
        "no-sandbox",
        "disable-gpu",
        "disable-quic",
        "no-first-run",
        "disable-background-networking",
        "disable-component-update",
        "disable-sync",
    )
]


@pytest.fixture(scope="session")
def browser() -> "Iterator[Browser]":
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"no {CHROMIUM}")
    with playwright.sync_playwright() as play:
        started = play.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield started
        started.close()


class Opened:
    """A page, and what went wrong in it."""

    def __init__(self, page: "Page") -> None:
        self.page, self.problems = page, list[str]()
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        page.on("request", self._asked)

    def _asked(self, request: Any) -> None:
        if request.url.split(":")[0] not in ("file", "data", "blob"):
            self.problems.append(f"asked {request.url}")

    def go(self, path: Path, after: str = "") -> "Page":
        self.page.goto(f"file://{path}{after}")
        return self.page


@pytest.fixture
def opened(browser: "Browser") -> Iterator[Opened]:
    """An empty page of 1280 x 1000; at the end it must have had no error, and must have asked nobody."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    found = Opened(context.new_page())
    yield found
    context.close()
    assert found.problems == []
