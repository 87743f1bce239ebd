from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tumorline.data.sample import Sample
from tumorline.errors import UserError
from tumorline.evaluation.predictions import write_prediction
from tumorline.geometry.grid import Grid, grid_of
from tumorline.metrics.case import score_case
from tumorline.report.cases import Drawing, Picture, Scored, choose, close_up, draw, outline

ANY = score_case(np.ones((2, 2), bool), np.ones((2, 2), bool), None)


def one_case(name: str, truth_px: int, **dice: float | None) -> Scored:
    scores = {region: replace(ANY, dice=value, truth_px=truth_px) for region, value in dice.items()}
    return Scored(name, "", "", scores)


def scored(*dice: float) -> list[Scored]:
    """Cases 0, 1, ... with these Dice; the later, the larger the tumour."""
    return [one_case(str(number), number, tumour=value) for number, value in enumerate(dice)]


def names(cases: list[Scored], count: int) -> dict[str, list[str]]:
    return {group: [case.case for case in members] for group, members in choose(cases, count).items()}


def test_best_median_and_worst_are_chosen_by_dice() -> None:
    cases = [*scored(0.9, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8), one_case("undefined", 0, tumour=None)]
    assert names(cases, 3) == {"Best": ["0", "8", "7"], "Median": ["6", "5", "4"], "Worst": ["1", "2", "3"]}


def test_of_several_regions_the_mean_over_those_that_a_case_has_decides() -> None:
    cases = [one_case("a", 1, whole=0.9, core=0.3), one_case("b", 1, whole=0.7, core=None)]
    assert names(cases, 1) == {"Best": ["b"], "Worst": ["a"]}
    assert cases[0].dice == pytest.approx(0.6)


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


def drawing(folder: Path, sample: Sample, *regions: str) -> Drawing:
    return Drawing(lambda case: sample, regions, folder, regions)


def test_a_case_whose_prediction_is_gone_has_no_picture(tmp_path: Path) -> None:
    sample = Sample(np.zeros((1, 4, 4), np.float32), np.ones((1, 4, 4), bool), Grid((4, 4)))
    assert draw(scored(0.5)[0], drawing(tmp_path, sample, "tumour")) is None


def test_a_case_whose_image_is_gone_or_of_another_size_has_no_picture(tmp_path: Path) -> None:
    sample = Sample(np.zeros((1, 4, 4), np.float32), np.ones((1, 4, 4), bool), Grid((4, 4)))
    write_prediction(tmp_path, "0", ["tumour"], np.ones((1, 5, 4), bool), Grid((5, 4)))
    assert draw(scored(0.5)[0], drawing(tmp_path, sample, "tumour")) is None

    def gone(case: str) -> Sample:
        raise UserError("gone")

    assert draw(scored(0.5)[0], Drawing(gone, ["tumour"], tmp_path, ["tumour"])) is None


def two_regions_of_a_volume(folder: Path) -> tuple[Picture, Sample]:
    """Slices of 6 mm and pixels of 1 mm; the larger lesion lies in slice 1, rows 2 to 5, columns 3 to 8."""
    truth, predicted = np.zeros((2, 4, 12, 10), bool), np.zeros((2, 4, 12, 10), bool)
    truth[0, 1, 2:6, 3:9] = truth[0, 3, 10, 1] = True
    truth[1, 1, 3:5, 4:6] = True
    predicted[0, 1, 2:7, 3:9] = True
    affine = np.array([[0, 0, -1, 0], [0, -1, 0, 0], [6, 0, 0, 0], [0, 0, 0, 1.0]])
    grid = grid_of((4, 12, 10), affine)
    write_prediction(folder, "scan", ["whole", "core"], predicted, grid)
    sample = Sample(np.random.default_rng(0).random((2, 4, 12, 10), np.float32), truth, grid)
    scores = {
        name: score_case(truth[number], predicted[number], grid.spacing_mm)
        for number, name in enumerate(("whole", "core"))
    }
    picture = draw(Scored("scan", "", "", scores), drawing(folder, sample, "whole", "core"))
    assert picture
    return picture, sample


def test_a_volume_is_cut_three_times_through_its_largest_lesion(tmp_path: Path) -> None:
    picture, _ = two_regions_of_a_volume(tmp_path)
    shapes = {plane.name: (plane.height, plane.width) for plane in picture.planes}
    assert shapes == {"axial": (12, 10), "coronal": (4, 10), "sagittal": (4, 12)}
    axial, coronal, sagittal = picture.planes
    assert [contour.region for contour in axial.contours] == ["whole", "core"]
    assert axial.contours[0].truth.count("M") == 1, "the small lesion lies in another slice"
    assert axial.contours[1].predicted == "", "nothing was predicted"
    assert extent(coronal.contours[0].truth) == (3, 9, 2, 3), "slice 1 of 4 from below"
    assert extent(sagittal.contours[0].predicted) == (2, 7, 2, 3)


def test_the_planes_of_a_volume_are_shown_as_wide_and_tall_as_they_are(tmp_path: Path) -> None:
    picture, _ = two_regions_of_a_volume(tmp_path)
    assert [round(plane.aspect, 3) for plane in picture.planes] == [0.833, round(10 / 24, 3), 0.5]


@pytest.mark.parametrize(("spacing_mm", "aspect"), [(None, 1.25), ((0.5, 2.0), 5.0)])
def test_a_picture_is_shown_as_wide_and_tall_as_its_pixels_are(
    tmp_path: Path, spacing_mm: tuple[float, ...] | None, aspect: float
) -> None:
    truth, grid = np.eye(8, 10, dtype=bool)[None], Grid((8, 10), spacing_mm)
    write_prediction(tmp_path, "a", ["tumour"], truth, grid)
    sample = Sample(np.zeros((1, 8, 10), np.float32), truth, grid)
    picture = draw(Scored("a", "", "", {"tumour": ANY}), drawing(tmp_path, sample, "tumour"))
    assert picture
    assert [plane.aspect for plane in picture.planes] == [aspect]


def extent(path: str) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of an outline."""
    points = [tuple(map(float, pair.split(","))) for pair in path[1:-1].split()]
    xs, ys = zip(*points, strict=True)
    return min(xs), max(xs), min(ys), max(ys)


def test_an_empty_plane_has_no_close_up() -> None:
    assert close_up(np.zeros((3, 4), bool)) == "none"


def test_regions_are_found_by_name_where_truth_and_prediction_have_another_order(tmp_path: Path) -> None:
    truth = np.zeros((2, 6, 6), bool)
    truth[0, 1, 1] = truth[1, 4, 4] = True
    grid = Grid((6, 6))
    write_prediction(tmp_path, "0", ["core", "whole"], truth[::-1], grid)
    sample = Sample(np.zeros((1, 6, 6), np.float32), truth, grid)
    case = one_case("0", 1, core=0.5)
    picture = draw(case, Drawing(lambda name: sample, ["whole", "core"], tmp_path, ["core", "whole"]))
    assert picture
    (contour,) = picture.planes[0].contours
    assert extent(contour.truth) == extent(contour.predicted) == (4, 5, 4, 5)
