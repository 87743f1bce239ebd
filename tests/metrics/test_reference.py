"""Against other people's implementations: DeepMind's surface-distance, and MONAI where it means the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from tumorline.arrays import MaskArray
from tumorline.metrics import overlap
from tumorline.metrics.case import score_case
from tumorline.metrics.surface import (
    SurfaceDistances,
    average_surface_distance,
    hausdorff,
    normalised_surface_dice,
    surface_distances,
)

STEPS = (0.4, 0.49, 0.5, 1.0, 2.0, 3.3)
KINDS = [(dims, anisotropic) for dims in (2, 3) for anisotropic in (False, True)]


@dataclass(frozen=True)
class Pair:
    truth: MaskArray
    predicted: MaskArray
    spacing: tuple[float, ...]

    @property
    def distances(self) -> SurfaceDistances:
        return surface_distances(self.truth, self.predicted, self.spacing)


def random_pairs(dims: int, anisotropic: bool, count: int = 50) -> Iterator[Pair]:
    """From noise, which has every kind of element, to smooth blobs of a few pieces; neither mask is empty."""
    random = np.random.default_rng([dims, anisotropic])
    while count:
        shape = random.integers(5, 30 if dims == 2 else 12, dims)
        smooth = random.choice([0, 0.8, 1.5, 3])
        noise = random.standard_normal((2, *shape))
        first, second = (ndimage.gaussian_filter(one, smooth) for one in noise)
        truth, predicted = first > first.mean(), first + second > 1.2 * first.std()
        if truth.any() and predicted.any():
            spacing = random.choice(STEPS, dims) if anisotropic else np.ones(dims)
            yield Pair(truth, predicted, tuple(map(float, spacing)))
            count -= 1


@pytest.fixture(scope="module")
def deepmind() -> ModuleType:
    reference: ModuleType = pytest.importorskip("surface_distance", reason="surface-distance is not installed")
    return reference


@pytest.fixture(scope="module")
def monai() -> ModuleType:
    pytest.importorskip("torch")
    from tumorline.models.torchvision_cure import cure_torchvision

    cure_torchvision()
    metrics: ModuleType = pytest.importorskip("monai.metrics")
    return metrics


@pytest.mark.parametrize(("dims", "anisotropic"), KINDS)
def test_distances_are_those_of_deepmind(deepmind: ModuleType, dims: int, anisotropic: bool) -> None:
    for pair in random_pairs(dims, anisotropic):
        theirs = deepmind.compute_surface_distances(pair.truth, pair.predicted, pair.spacing)
        ours = pair.distances
        for percentile in (100, 95, 50):
            expected = deepmind.compute_robust_hausdorff(theirs, percentile)
            assert hausdorff(ours, percentile) == pytest.approx(expected, abs=1e-6)
        for tolerance in (0.5, 1.0, 2.0):
            expected = deepmind.compute_surface_dice_at_tolerance(theirs, tolerance)
            assert normalised_surface_dice(ours, tolerance) == pytest.approx(expected, abs=1e-6)
        there, back = deepmind.compute_average_surface_distance(theirs)
        sizes = (theirs["surfel_areas_gt"].sum(), theirs["surfel_areas_pred"].sum())
        assert average_surface_distance(ours) == pytest.approx(np.average([there, back], weights=sizes), abs=1e-6)


def tensors(pair: Pair) -> tuple[Any, Any]:
    import torch

    predicted, truth = (torch.from_numpy(mask)[None, None].float() for mask in (pair.predicted, pair.truth))
    return predicted, truth


@pytest.mark.parametrize(("dims", "anisotropic"), KINDS)
def test_nsd_is_that_of_monai_on_sub_voxel_boundaries(monai: ModuleType, dims: int, anisotropic: bool) -> None:
    """The tolerance is none of the distances: MONAI's are in single precision and fall on either side of their own."""
    for pair in random_pairs(dims, anisotropic):
        options = {"include_background": True, "spacing": list(pair.spacing), "use_subvoxels": True}
        expected = monai.compute_surface_dice(*tensors(pair), [1.2345], **options).item()
        assert normalised_surface_dice(pair.distances, 1.2345) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dims", [2, 3])
def test_overlap_is_that_of_monai(monai: ModuleType, dims: int) -> None:
    for pair in (*random_pairs(dims, False), *random_pairs(dims, True)):
        counts = overlap.count_overlap(pair.truth, pair.predicted)
        assert overlap.dice(counts) == pytest.approx(monai.compute_dice(*tensors(pair)).item(), abs=1e-6)
        assert overlap.iou(counts) == pytest.approx(monai.compute_iou(*tensors(pair)).item(), abs=1e-6)


def nested_volumes(seed: int) -> Iterator[Pair]:
    """Three regions within one another, as those of BraTS are, at 1 mm and with slices of 2.5 mm."""
    random = np.random.default_rng(seed)
    truth, change = (ndimage.gaussian_filter(random.standard_normal((14, 20, 18)), 3) for _ in range(2))
    for share, spacing in ((60, (1.0, 1.0, 1.0)), (75, (2.5, 1.0, 1.0)), (90, (2.5, 0.9, 0.9))):
        predicted = truth + 0.5 * change
        yield Pair(truth > np.percentile(truth, share), predicted > np.percentile(predicted, share), spacing)


@pytest.mark.parametrize("seed", range(4))
def test_the_scores_of_volumes_are_those_of_deepmind_and_monai(
    deepmind: ModuleType, monai: ModuleType, seed: int
) -> None:
    for pair in nested_volumes(seed):
        scores = score_case(pair.truth, pair.predicted, pair.spacing)
        theirs = deepmind.compute_surface_distances(pair.truth, pair.predicted, pair.spacing)
        assert scores.hd95 == pytest.approx(deepmind.compute_robust_hausdorff(theirs, 95), abs=1e-6)
        assert scores.nsd == pytest.approx(deepmind.compute_surface_dice_at_tolerance(theirs, 2.0), abs=1e-6)
        assert scores.dice == pytest.approx(monai.compute_dice(*tensors(pair)).item(), abs=1e-6)
        assert scores.iou == pytest.approx(monai.compute_iou(*tensors(pair)).item(), abs=1e-6)
        confusion = monai.get_confusion_matrix(*tensors(pair))
        for name, figure in (("precision", scores.precision), ("recall", scores.recall)):
            assert figure == pytest.approx(monai.compute_confusion_matrix_metric(name, confusion).item(), abs=1e-6)
        assert scores.truth_ml == pytest.approx(pair.truth.sum() * np.prod(pair.spacing) / 1000)


def test_lesions_of_a_volume_have_the_distances_of_deepmind(deepmind: ModuleType) -> None:
    """Each of two lesions beside its own prediction, by the rule of BraTS 2023, which takes deepmind's distances."""
    truth, predicted, expected = np.zeros((3, 20, 20, 40), bool), np.zeros((20, 20, 40), bool), []
    for number, (left, moved) in enumerate(((2, 1), (25, 2)), start=1):
        truth[number, 5:9, 5:9, left : left + 5] = True
        guess = np.roll(truth[number], moved, axis=2)
        predicted |= guess
        distances = deepmind.compute_surface_distances(truth[number], guess, (2.0, 1.0, 1.0))
        expected.append(deepmind.compute_robust_hausdorff(distances, 95))
    scores = score_case(np.logical_or.reduce(truth), predicted, (2.0, 1.0, 1.0))
    assert scores.brats2023_lesion_hd95 == scores.lesion_hd95 == pytest.approx(np.mean(expected))
    assert scores.brats2023_lesion_dice == pytest.approx((4 / 5 + 3 / 5) / 2)


Counts = tuple[int, int, int, float, float]


def brats_lesions(deepmind: ModuleType, truth: MaskArray, predicted: MaskArray, spacing: tuple[float, ...]) -> Counts:
    """The procedure of BraTS 2023 lesion by lesion, over whole volumes: kept, detected, false lesions, Dice, HD95."""
    cube, grown = np.ones((3, 3, 3)), ndimage.generate_binary_structure(3, 2)
    pieces, count = ndimage.label(predicted, cube)
    zones, lesions = ndimage.label(ndimage.binary_dilation(truth, grown, iterations=3), cube)
    used: set[int] = set()
    scores = []
    for lesion in (truth & (zones == number) for number in range(1, lesions + 1)):
        hit = set(np.unique(pieces[ndimage.binary_dilation(lesion, grown, iterations=3)])) - {0}
        used |= hit
        found, hd95 = np.isin(pieces, list(hit)), 374.0
        if hit:
            distances = deepmind.compute_surface_distances(lesion, found, spacing)
            hd95 = deepmind.compute_robust_hausdorff(distances, 95)
        dice = 2 * (found & lesion).sum() / (found.sum() + lesion.sum())
        scores.append((lesion.sum() * np.prod(spacing), bool(hit), dice, hd95))
    kept, false = [score for score in scores if score[0] > 50], count - len(used)
    if not kept and not false:
        return 0, 0, 0, 1.0, 0.0
    mean = (sum(score[2] for score in kept), sum(score[3] for score in kept) + 374 * false)
    dice, hd95 = (value / (len(kept) + false) for value in mean)
    return len(kept), sum(score[1] for score in kept), false, float(dice), float(hd95)


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 0.9, 0.9)])
def test_lesions_are_those_of_the_procedure_of_brats(deepmind: ModuleType, spacing: tuple[float, ...]) -> None:
    random = np.random.default_rng(1)
    for share in (0.97, 0.99, 0.995, 1.0) * 6:
        first, second = (ndimage.gaussian_filter(random.standard_normal((26, 36, 32)), 1.5) for _ in range(2))
        mixed = first + random.choice([0.2, 0.6, 1]) * second
        truth, predicted = first > np.quantile(first, share), mixed > np.quantile(mixed, random.choice([0.98, 0.99, 1]))
        scores = score_case(truth, predicted, spacing)
        names = ("lesions_truth", "lesions_detected", "lesions_invented", "lesion_dice", "lesion_hd95")
        ours = [getattr(scores, f"brats2023_{name}") for name in names]
        assert ours == pytest.approx(brats_lesions(deepmind, truth, predicted, spacing))


def monai_hausdorff(monai: ModuleType, pair: Pair, percentile: float | None) -> float:
    options = {"include_background": True, "spacing": list(pair.spacing), "percentile": percentile}
    return float(monai.compute_hausdorff_distance(*tensors(pair), **options).item())


def square(top: int, left: int, side: int) -> MaskArray:
    mask = np.zeros((30, 30), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def test_monais_hd95_counts_pixels_where_ours_measures_length(monai: ModuleType) -> None:
    """A square of 20 with a spike of 4: MONAI's boundary is the 75 + 4 pixel centres at its edge.

    The 95th percentile of 75 zeros, 1, 2, 3 and 4 lies a tenth of the way from the last zero to the 1, because MONAI
    interpolates. Of our 86 px of boundary more than a twentieth lies along the spike's two long sides: HD95 is 2.
    """
    truth, spiked = square(2, 2, 20), square(2, 2, 20)
    spiked[12, 22:26] = True
    pair = Pair(truth, spiked, (1.0, 1.0))
    assert monai_hausdorff(monai, pair, 95) == pytest.approx(0.1, abs=1e-5)
    assert hausdorff(pair.distances, 95) == 2


def test_monais_distances_are_between_pixel_centres_inside_the_mask(monai: ModuleType) -> None:
    """A square of 11 with a hole of one pixel: 5 px lie between hole and outside, 4 between the centres at their edges.

    So does not only the percentile differ but the plain Hausdorff distance as well.
    """
    whole, holed = square(5, 5, 11), square(5, 5, 11)
    holed[10, 10] = False
    pair = Pair(whole, holed, (1.0, 1.0))
    assert monai_hausdorff(monai, pair, None) == 4
    assert hausdorff(pair.distances) == 5


def test_monais_hd95_is_not_a_number_to_average_where_a_tumour_is_missed(monai: ModuleType) -> None:
    """Infinite or undefined: means that leave such values out improve with each miss. Ours is the image's diagonal."""
    missed = Pair(square(5, 5, 11), np.zeros((30, 30), bool), (1.0, 1.0))
    assert not np.isfinite(monai_hausdorff(monai, missed, 95))
