"""A Ray cluster: its machines carry out what one machine would, with results in order and bounded memory."""

import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from tumorline.errors import UserError, require_extra

RETRIES = 3
"""Work whose Ray worker dies is begun again so often, on another machine where there is one."""
PATIENCE_S = 5
"""How long a cluster may take to answer; Ray itself would wait for minutes."""
AHEAD = 2
"""Chunks that are begun and not yet handed on, for each that the cluster can work on at a time."""

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")
Lost = Callable[[T, str], R]
"""What stands for an item that its workers did not survive, with the reason in words; or raises."""
OWN_SETTINGS = "TUMORLINE_"
"""How variables of the environment begin that hold on all machines as they do here."""


@dataclass(frozen=True)
class Cluster:
    """One that was connected to."""

    cores: int
    """Of each task."""
    slots: int
    """Tasks that it carries out at a time."""


def connect_ray(address: str) -> list[int]:
    """Connect to the cluster at `address` (HOST:PORT; 'local' starts one here); the cores of each of its machines.

    Raises UserError where it cannot be reached, or Ray is not installed.
    """
    if not isinstance(address, str):
        raise UserError(f"ray is {address!r:.40}; expected 'HOST:PORT' or 'local'")
    require_extra("ray", "--ray", "ray")
    import ray

    try:
        if ":" in address:
            host, _, port = address.removeprefix("ray://").rpartition(":")
            socket.create_connection((host, int(port)), PATIENCE_S).close()
        ray.init(address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise UserError(f"--ray {address}: no cluster there ({str(error).splitlines()[0]})") from None
    return [cores for node in ray.nodes() if node["Alive"] and (cores := int(node["Resources"].get("CPU", 0)))]


@contextmanager
def open_cluster(address: str) -> Iterator[Cluster]:
    """A cluster whose tasks take the cores of its smallest machine each. Raises UserError as `connect_ray` does."""
    cores = connect_ray(address)
    import ray

    try:
        if not cores:
            raise UserError(f"--ray {address}: none of its machines has a processor to spare")
        each = min(cores)
        yield Cluster(each, sum(own // each for own in cores))
    finally:
        ray.shutdown()


def map_chunks(
    cluster: Cluster,
    work: Callable[[S, Sequence[T]], list[R]],
    shared: S,
    chunks: Iterable[Sequence[T]],
    lost: Lost[T, R],
) -> Iterator[R]:
    """What `work(shared, chunk)` gives for the items of each chunk, one by one in their order.

    A chunk whose worker dies is done again elsewhere, and where all of its workers died item by item, so that one item
    does not take others with it. Raises UserError where a machine of the cluster raises one.
    """
    import ray

    remote: Any = ray.remote(num_cpus=cluster.cores, max_retries=RETRIES)(_carry_out)
    held, surroundings = ray.put(shared), Surroundings.here()

    def begin(chunk: Sequence[T]) -> Any:
        return remote.remote(surroundings, work, held, chunk)

    waiting = deque[tuple[Sequence[T], Any]]()
    try:
        for chunk in chunks:
            waiting.append((chunk, begin(chunk)))
            if len(waiting) > AHEAD * cluster.slots:
                yield from _results(begin, *waiting.popleft(), lost)
        while waiting:
            yield from _results(begin, *waiting.popleft(), lost)
    finally:
        for _, begun in waiting:
            ray.cancel(begun, force=True)


@dataclass(frozen=True)
class Surroundings:
    """What of this process holds for work elsewhere as well: the folder that paths are relative to, and settings."""

    folder: str
    settings: Mapping[str, str]

    @classmethod
    def here(cls) -> "Surroundings":
        return cls(os.getcwd(), {name: value for name, value in os.environ.items() if name.startswith(OWN_SETTINGS)})

    def enter(self) -> None:
        os.environ.update(self.settings)
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise UserError(f"{self.folder}: {error.strerror}; all machines need the same folders") from None


def _carry_out(
    surroundings: Surroundings, work: Callable[[S, Sequence[T]], list[R]], shared: S, chunk: Sequence[T]
) -> list[R]:
    """In a worker of the cluster."""
    surroundings.enter()
    return work(shared, chunk)


def _results(begin: Callable[[Sequence[T]], Any], chunk: Sequence[T], begun: Any, lost: Lost[T, R]) -> Iterator[R]:
    import ray

    try:
        found: list[R] = ray.get(begun)
        yield from found
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise UserError(f"on a machine of the cluster: {error.cause}") from None
        raise
    except ray.exceptions.RayError as error:
        if len(chunk) == 1:
            yield lost(chunk[0], f"its worker died {RETRIES + 1} times ({type(error).__name__})")
            return
        for item in chunk:
            yield from _results(begin, [item], begin([item]), lost)
