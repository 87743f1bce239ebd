"""Work on several items at a time by threads, with results in the items' order and bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def count_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_ahead(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """What `work` gives for each item, in their order; at most `workers` + 1 items are begun and not yet handed on.

    Context variables hold in the threads as where they were set. What is raised for an item is raised in its turn;
    then, and where nobody asks on, items that are under way are finished and no other is begun.
    """
    if workers < 1:
        yield from map(work, items)
        return
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(copy_context().run, work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
