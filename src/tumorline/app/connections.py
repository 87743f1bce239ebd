"""Connections on which nothing is asked are closed, so that they keep nobody out."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE_S = 15.0
"""For how long a request's headers may take to come."""


class HastyProtocol(H11Protocol):
    """As uvicorn's own, which waits for a request without end."""

    waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watching()
        super().connection_lost(exc)

    def _watch(self) -> None:
        """While a request is answered others look at the time."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_watching()
        elif self.waiting is None:
            self.waiting = self.loop.call_later(PATIENCE_S, self._close)

    def _stop_watching(self) -> None:
        if self.waiting:
            self.waiting.cancel()
        self.waiting = None

    def _close(self) -> None:
        self.waiting = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
