import numpy as np
import pytest

from tumorline.arrays import MaskArray
from tumorline.metrics.case import CaseScores, score_case
from tumorline.metrics.lesion import LESION_RULES, Lesions, LesionScores, match_lesions, score_lesions

EMPTY = np.zeros((30, 40), bool)
UNIT = (1.0, 1.0)


def scored(lesions: Lesions, spacing: tuple[float, ...] = UNIT, farthest: float = 50) -> LesionScores:
    distances = [match.hd95(spacing) for match in lesions.matches]
    return score_lesions(lesions, distances, 1.0, LESION_RULES["tumorline"], farthest)


def squares(*places: tuple[int, int], side: int = 4) -> MaskArray:
    mask = EMPTY.copy()
    for top, left in places:
        mask[top : top + side, left : left + side] = True
    return mask


def test_each_lesion_is_found_or_missed_and_the_rest_is_invented() -> None:
    """Of three lesions one is found whole and one by half; one component lies where nothing is."""
    truth = squares((0, 0), (0, 20), (20, 0))
    predicted = squares((0, 0), (20, 30))
    predicted[0:4, 20:22] = True
    lesions = match_lesions(truth, predicted)
    assert (len(lesions.matches), lesions.detected, lesions.invented) == (3, 2, 1)
    assert sorted(match.dice for match in lesions.matches) == [0, pytest.approx(2 / 3), 1]
    assert scored(lesions).dice == pytest.approx((1 + 2 / 3 + 0 + 0) / 4)


def test_a_missed_and_an_invented_lesion_have_the_diagonal_as_hd95() -> None:
    lesions = match_lesions(squares((0, 0), (0, 20)), squares((0, 0), (20, 30)))
    assert scored(lesions).hd95 == pytest.approx((0 + 50 + 50) / 3)


def test_the_figures_of_a_slice_without_lesions_are_undefined_whatever_is_invented() -> None:
    for predicted, invented in ((EMPTY, 0), (squares((0, 0), (20, 20)), 2)):
        lesions = match_lesions(EMPTY, predicted)
        assert (lesions.matches, lesions.invented) == ((), invented)
        assert (scored(lesions).dice, scored(lesions).hd95) == (None, None)


def test_nothing_predicted_misses_every_lesion() -> None:
    lesions = match_lesions(squares((0, 0), (0, 20)), EMPTY)
    assert (len(lesions.matches), lesions.detected, lesions.invented) == (2, 0, 0)
    assert (scored(lesions).dice, scored(lesions).hd95) == (0, 50)


@pytest.mark.parametrize(("gap", "lesions"), [(1, 1), (6, 1), (7, 2)])
def test_lesions_whose_dilations_touch_are_one(gap: int, lesions: int) -> None:
    """Both grow by 3 pixels: a gap of 6 is filled, in one of 7 a column stays free."""
    assert len(match_lesions(squares((0, 0), (0, 4 + gap)), EMPTY).matches) == lesions


@pytest.mark.parametrize(("gap", "detected"), [(0, 1), (2, 1), (3, 0)])
def test_what_lies_within_three_pixels_belongs_to_a_lesion_with_dice_zero(gap: int, detected: int) -> None:
    lesions = match_lesions(squares((0, 0)), squares((0, 4 + gap)))
    assert (lesions.detected, lesions.invented) == (detected, 1 - detected)
    assert scored(lesions).dice == 0


def test_pieces_that_touch_at_a_corner_are_one_lesion_and_one_component() -> None:
    diagonal = squares((10, 10), (14, 14))
    lesions = match_lesions(diagonal, diagonal)
    assert (len(lesions.matches), lesions.detected, lesions.invented, scored(lesions).dice) == (1, 1, 0, 1)
    assert match_lesions(EMPTY, diagonal).invented == 1


def test_a_lesion_is_scored_against_all_that_belongs_to_it() -> None:
    """A lesion of 4 x 12 of which the two ends are found apart."""
    truth = squares((0, 0), (0, 4), (0, 8))
    lesions = match_lesions(truth, squares((0, 0), (0, 8)))
    assert (lesions.detected, lesions.invented) == (1, 0)
    assert scored(lesions).dice == pytest.approx(2 * 32 / (48 + 32))


def test_a_prediction_across_two_lesions_belongs_to_both() -> None:
    lesions = match_lesions(squares((0, 0), (0, 20)), squares(*((0, left) for left in range(0, 24, 4))))
    assert (lesions.detected, lesions.invented) == (2, 0)
    assert scored(lesions).dice == pytest.approx(2 * 16 / (16 + 96))


def test_the_distance_of_a_lesion_is_that_of_its_own_boundary() -> None:
    """One lesion exact, one two pixels beside; the spacing is 0.5 mm."""
    lesions = match_lesions(squares((0, 0), (20, 20)), squares((0, 0), (20, 22)))
    assert scored(lesions, (0.5, 0.5), 25).hd95 == pytest.approx((0 + 1) / 2)
    assert scored(lesions, (0.5, 0.5), 0.2).hd95 == pytest.approx((0 + 0.2) / 2)


def test_cutting_to_the_box_of_both_masks_changes_nothing() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        truth, predicted = (squares(*random.integers(0, 16, (3, 2)), side=3)[:24, :24] for _ in range(2))
        far, cut = (match_lesions(*pair) for pair in ((np.pad(truth, 9), np.pad(predicted, 9)), (truth, predicted)))
        assert (len(far.matches), far.detected, far.invented) == (len(cut.matches), cut.detected, cut.invented)
        assert scored(far).dice == scored(cut).dice


def test_voxels_are_connected_over_corners_too() -> None:
    truth = np.zeros((12, 12, 12), bool)
    truth[2, 2, 2] = truth[3, 3, 3] = truth[10, 10, 10] = True
    lesions = match_lesions(truth, truth)
    assert (len(lesions.matches), lesions.detected, scored(lesions, (1.0, 1.0, 1.0)).dice) == (2, 2, 1)


# ---------------------------------------------------------------- by the rule of BraTS 2023


SPACE = (30, 40, 50)
NOTHING = np.zeros(SPACE, bool)


def block(*places: tuple[int, int, int], shape: tuple[int, int, int] = (3, 4, 5)) -> MaskArray:
    """Blocks of 60 voxels unless told otherwise."""
    mask = NOTHING.copy()
    for place in places:
        mask[tuple(slice(start, start + side) for start, side in zip(place, shape, strict=True))] = True
    return mask


def brats(truth: MaskArray, predicted: MaskArray, spacing: tuple[float, float, float] = (1, 1, 1)) -> LesionScores:
    scores = score_case(truth, predicted, spacing)
    names = ("lesions_truth", "lesions_detected", "lesions_invented", "lesion_dice", "lesion_hd95")
    return LesionScores(*(getattr(scores, f"brats2023_{name}") for name in names))


def test_a_miss_and_an_invented_lesion_cost_374_mm_by_the_rule_of_brats() -> None:
    found = brats(block((0, 0, 0), (20, 20, 20)), block((0, 0, 0), (20, 0, 40)))
    assert found == LesionScores(2, 1, 1, 1 / 3, (0 + 374 + 374) / 3)


@pytest.mark.parametrize(("depth", "left"), [(2, 0), (3, 1)])
def test_lesions_up_to_50_voxels_are_left_out(depth: int, left: int) -> None:
    """5 x 5 x 2 voxels are 50, and missed without cost; 75 are not."""
    small = block((20, 20, 20), shape=(depth, 5, 5))
    found = brats(block((0, 0, 0)) | small, block((0, 0, 0)))
    assert (found.truth, found.detected, found.invented) == (1 + left, 1, 0)
    assert (found.dice, found.hd95) == (1 / (1 + left), 374 * left / (1 + left))


def test_volume_decides_and_not_the_number_of_voxels() -> None:
    """60 voxels of half a mm3 are 30 mm3."""
    assert brats(block((0, 0, 0)), NOTHING, (0.5, 1, 1)) == LesionScores(0, 0, 0, 1, 0)


def test_what_finds_a_small_lesion_is_neither_right_nor_wrong() -> None:
    """It belongs to a lesion, so that it is no invented one, and the lesion is left out."""
    small = block((20, 20, 20), shape=(2, 5, 5))
    assert brats(block((0, 0, 0)) | small, block((0, 0, 0)) | small) == LesionScores(1, 1, 0, 1, 0)


def test_small_invented_lesions_count_whatever_their_size() -> None:
    """BraTS leaves out small true lesions only."""
    found = brats(block((0, 0, 0)), block((0, 0, 0)) | block((20, 20, 20), shape=(1, 1, 1)))
    assert found == LesionScores(1, 1, 1, 0.5, 187)


def test_a_case_without_lesions_is_perfect_or_wrong_altogether_by_the_rule_of_brats() -> None:
    assert brats(NOTHING, NOTHING) == LesionScores(0, 0, 0, 1, 0)
    assert brats(NOTHING, block((0, 0, 0), (20, 20, 20))) == LesionScores(0, 0, 2, 0, 374)


@pytest.mark.parametrize(("gap", "lesions"), [(6, 1), (7, 2)])
def test_true_lesions_whose_dilations_touch_are_one_in_a_volume(gap: int, lesions: int) -> None:
    """Two of 30 voxels each: taken together they are large enough to count."""
    pair = block((0, 0, 0), (0, 0, 5 + gap), shape=(2, 3, 5))
    assert brats(pair, NOTHING) == LesionScores(2 - lesions, 0, 0, *((0, 374) if lesions == 1 else (1, 0)))


@pytest.mark.parametrize(("offset", "detected"), [((3, 3, 0), 1), ((2, 2, 2), 1), ((3, 3, 3), 0)])
def test_a_volume_grows_over_faces_and_edges_of_its_voxels(offset: tuple[int, int, int], detected: int) -> None:
    """In three steps a voxel reaches three along two axes at once, but along all three only two."""
    truth, predicted = block((10, 10, 10)), NOTHING.copy()
    predicted[tuple(np.add((12, 13, 14), offset))] = True
    found = brats(truth, predicted)
    assert (found.detected, found.invented) == (detected, 1 - detected)


def test_both_rules_stand_beside_each_other() -> None:
    """One lesion of 60 voxels found, one of 8 missed, none invented, in a volume with a diagonal of 70.7 mm."""
    scores = score_case(block((0, 0, 0)) | block((20, 20, 20), shape=(2, 2, 2)), block((0, 0, 0)), (1, 1, 1))
    assert (scores.lesions_truth, scores.lesion_dice, scores.brats2023_lesion_dice) == (2, 0.5, 1)
    assert scores.lesion_hd95 == pytest.approx(5000**0.5 / 2)
    assert scores.brats2023_lesion_hd95 == 0


def test_pictures_and_volumes_of_unknown_spacing_have_no_figures_of_brats() -> None:
    def known(scores: CaseScores) -> bool:
        return any(value is not None for name, value in vars(scores).items() if name.startswith("brats2023"))

    assert not known(score_case(squares((0, 0)), squares((0, 0)), (1.0, 1.0)))
    assert not known(score_case(block((0, 0, 0)), block((0, 0, 0)), None))
    assert known(score_case(block((0, 0, 0)), block((0, 0, 0)), (1, 1, 1)))
