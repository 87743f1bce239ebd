"""One request is predicted at a time; a few more wait, in their order, and the others are told to come again."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tumorline.app.limits import Refusal

TICKET = "^[A-Za-z0-9_-]{8,64}$"


@dataclass
class Place:
    """Where a request stands, for whoever asks with its ticket."""

    ticket: str = ""
    state: str = "receiving"
    """'receiving', 'waiting', 'predicting' or 'answering'."""
    done: int = 0
    of: int = 0
    """Cases."""
    windows: int = 0
    windows_of: int = 0
    """Windows of the case at hand that the network has seen, of how many; 0 where that is not known."""


@dataclass
class WaitingRoom:
    """Places for the request that is predicted and for those that wait."""

    size: int
    places: list[Place] = field(default_factory=list)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the request that is predicted; asyncio hands it on in the order of asking."""

    @contextmanager
    def place(self, ticket: str) -> Iterator[Place]:
        """Raises Refusal where all places are taken, and for a ticket that is in use."""
        if ticket and self.find_place(ticket):
            raise Refusal(409, "a request with this ticket is on its way; choose another ticket")
        if len(self.places) > self.size:
            raise Refusal(503, f"busy: {len(self.places)} requests are here already; try again in a few seconds")
        place = Place(ticket)
        self.places.append(place)
        try:
            yield place
        finally:
            self.places.remove(place)

    def find_place(self, ticket: str) -> Place | None:
        return next((place for place in self.places if place.ticket == ticket), None)

    def ahead_of(self, place: Place) -> int:
        """Requests that are predicted before this one."""
        if place.state in ("predicting", "answering"):
            return 0
        before = self.places[: self.places.index(place)]
        return sum(other.state in ("waiting", "predicting") for other in before)

    @property
    def predicting(self) -> bool:
        return self.turn.locked()

    @property
    def waiting(self) -> int:
        return sum(place.state in ("receiving", "waiting") for place in self.places)
