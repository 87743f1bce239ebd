from pathlib import Path

import numpy as np
import pytest

from tumorline.report.cases import choose, close_up, draw, outline


def scored(*dice: float) -> list[dict[str, str]]:
    """Cases 0, 1, ... with these Dice; the later, the larger the tumour."""
    return [{"case": str(number), "dice": str(value), "truth_px": str(number)} for number, value in enumerate(dice)]


def names(rows: list[dict[str, str]], count: int) -> dict[str, list[str]]:
    return {group: [row["case"] for row in members] for group, members in choose(rows, count).items()}


def test_best_median_and_worst_are_chosen_by_dice() -> None:
    rows = [*scored(0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), {"case": "undefined", "dice": ""}]
    assert names(rows, 3) == {"Best": ["0", "8", "7"], "Median": ["6", "5", "4"], "Worst": ["1", "2", "3"]}


def test_missed_tumours_stand_apart_the_largest_first() -> None:
    assert names(scored(0, 0.5, 0, 0.7, 0), 2) == {"Best": ["3"], "Worst": ["1"], "Missed": ["4", "2"]}


@pytest.mark.parametrize("cases", range(8))
def test_a_case_is_shown_once(cases: int) -> None:
    shown = [name for group in names(scored(*np.linspace(0.1, 0.9, cases)), 4).values() for name in group]
    assert len(shown) == len(set(shown))
    assert bool(shown) == bool(cases)


def test_an_outline_runs_around_the_pixel() -> None:
    mask = np.zeros((4, 4), bool)
    mask[1, 2] = True
    points = [tuple(map(float, pair.split(","))) for pair in outline(mask)[1:-1].split()]
    xs, ys = zip(*points, strict=True)
    assert (min(xs), max(xs), min(ys), max(ys)) == (2.0, 3.0, 1.0, 2.0)


def test_an_empty_mask_has_no_outline() -> None:
    assert outline(np.zeros((4, 4), bool)) == ""


@pytest.mark.parametrize(
    ("rows", "columns", "transform"),
    [
        (slice(45, 55), slice(90, 110), "scale(4.00) translate(-75.0px, -37.5px)"),
        (slice(0, 25), slice(0, 10), "scale(2.00) translate(-0.0px, -0.0px)"),
        (slice(0, 100), slice(0, 200), "scale(1.00) translate(-0.0px, -0.0px)"),
        (slice(90, 100), slice(190, 200), "scale(4.00) translate(-150.0px, -75.0px)"),
    ],
    ids=["in the middle", "larger", "everywhere", "in the corner"],
)
def test_a_close_up_stays_within_the_image(rows: slice, columns: slice, transform: str) -> None:
    mask = np.zeros((100, 200), bool)
    mask[rows, columns] = True
    assert close_up(mask) == transform


def test_a_case_whose_prediction_is_gone_has_no_picture(tmp_path: Path) -> None:
    image, truth = np.zeros((4, 4), np.float32), np.ones((4, 4), bool)
    assert draw(scored(0.5)[0], tmp_path, lambda case: (image, truth)) is None
