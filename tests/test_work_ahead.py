"""Work by threads: results in order, few under way, context kept, errors in their turn."""

import threading
import time
from contextvars import ContextVar

import pytest

from tumorline.work_ahead import map_ahead

asked: ContextVar[str] = ContextVar("asked", default="nobody")


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3 == 0))
        return number * number

    assert list(map_ahead(work, range(20), workers)) == [number * number for number in range(20)]


def test_few_items_are_begun_before_their_results_are_taken() -> None:
    begun: list[int] = []

    def work(number: int) -> int:
        begun.append(number)
        return number

    results = map_ahead(work, iter(range(1000)), 2)
    assert next(results) == 0
    time.sleep(0.05)
    assert len(begun) <= 4
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 4


def test_threads_work_at_a_time_and_know_their_callers_context() -> None:
    together = threading.Barrier(2, timeout=5)

    def work(_: int) -> str:
        together.wait()
        return asked.get()

    token = asked.set("me")
    try:
        assert list(map_ahead(work, range(4), 2)) == ["me"] * 4
    finally:
        asked.reset(token)


def test_an_error_is_raised_in_its_turn_and_ends_the_work() -> None:
    begun = []

    def work(number: int) -> int:
        begun.append(number)
        if number == 3:
            raise ValueError(number)
        return number

    results = map_ahead(work, range(1000), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert len(begun) < 10
