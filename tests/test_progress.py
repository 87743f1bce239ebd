"""How long the rest of some work takes, as it is said each minute."""

import pytest

from tumorline import progress


def test_work_of_one_piece_is_not_taken_for_the_beginning_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 140.0, 150.0, 152.0, 222.0])
    monkeypatch.setattr("tumorline.progress.time.monotonic", lambda: next(clock))
    said: list[str] = []
    show = progress.minutely("evaluating", said.append)
    for done, total in [(1, 1), (1, 100), (2, 100), (36, 100)]:
        show(done, total)
    assert said == ["evaluating 2/100, about 2 minutes left", "evaluating 36/100, about 2 minutes left"]


def test_the_rest_of_the_next_work_is_reckoned_from_its_own_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 70.0, 150.0, 155.0, 200.0, 220.0])
    monkeypatch.setattr("tumorline.progress.time.monotonic", lambda: next(clock))
    said: list[str] = []
    show = progress.minutely("evaluating", said.append)
    show(35, 140)
    show(140, 140)
    show(1, 100)
    show(10, 100)
    show(14, 100)
    assert said == ["evaluating 35/140, about 4 minutes left", "evaluating 10/100, about 7 minutes left"]
