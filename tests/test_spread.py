"""Some of many, evenly."""

import pytest

from tumorline.spread import spread_evenly


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (None, list("abcdefg")),
        (7, list("abcdefg")),
        (9, list("abcdefg")),
        (4, ["a", "c", "e", "g"]),
        (2, ["a", "g"]),
        (1, ["a"]),
        (0, []),
    ],
)
def test_from_the_first_to_the_last_at_even_steps(most: int | None, expected: list[str]) -> None:
    assert spread_evenly("abcdefg", most) == expected


def test_none_of_none() -> None:
    assert spread_evenly([], 3) == []
