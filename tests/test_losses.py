import inspect
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tumorline.config import LossConfig, load_config
from tumorline.errors import UserError
from tumorline.losses import LOSSES, build, build_loss
from tumorline.losses.boundary import boundary_map
from tumorline.losses.overlap import DiceLoss
from tumorline.losses.pixel import CrossEntropyLoss

TINY = torch.zeros(2, 1, 8, 8)
TINY[:, 0, 3, 4] = 1
TINY_VOLUME = torch.zeros(2, 2, 3, 4, 5)
TINY_VOLUME[:, :, 1, 2, 2:4] = 1
MASKS = {
    "empty": torch.zeros(2, 1, 8, 8),
    "full": torch.ones(2, 1, 8, 8),
    "tiny": TINY,
    "tiny_volume": TINY_VOLUME,
}
EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)
BLIND_WITHOUT_A_BOUNDARY = {"boundary", "bounded_surface"}


def random_logits(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def random_mask(*shape: int, share: float = 0.3) -> Tensor:
    return (torch.rand(shape, generator=torch.Generator().manual_seed(1)) < share).float()


def monai_losses() -> Any:
    from tumorline.models.torchvision_cure import cure_torchvision

    cure_torchvision()
    return pytest.importorskip("monai.losses")


@EVERY_LOSS
@pytest.mark.parametrize("kind", MASKS)
def test_the_perfect_prediction_is_the_minimum_and_gradients_are_finite(name: str, kind: str) -> None:
    target, loss = MASKS[kind], build_loss(name, {})
    perfect = loss(40 * (2 * target - 1), target)
    if name != "boundary":
        assert perfect.item() == pytest.approx(0, abs=1e-4)
    for seed in range(5):
        logits = random_logits(*target.shape, seed=seed).requires_grad_()
        value = loss(logits, target)
        value.backward()
        assert logits.grad is not None
        if name in BLIND_WITHOUT_A_BOUNDARY and kind in ("empty", "full"):
            assert value.item() == perfect.item() == 0
            assert not logits.grad.any()
        else:
            assert value > perfect
            assert logits.grad.any()
        assert torch.isfinite(logits.grad).all()


@EVERY_LOSS
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("sign", [1, -1])
def test_certain_predictions_have_finite_gradients(name: str, kind: str, sign: int) -> None:
    target = MASKS[kind]
    logits = (sign * 200 * (2 * target - 1)).requires_grad_()
    value = build_loss(name, {})(logits, target)
    value.backward()
    assert torch.isfinite(value)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@EVERY_LOSS
@pytest.mark.parametrize("space", [(8, 8), (3, 6, 4)])
def test_the_mean_over_equal_shards_is_that_of_the_batch(name: str, space: tuple[int, ...]) -> None:
    logits, target = random_logits(4, 2, *space), random_mask(4, 2, *space)
    target[0, 0] = 0
    loss = build_loss(name, {})
    shards = (loss(logits[:2], target[:2]) + loss(logits[2:], target[2:])) / 2
    assert torch.allclose(shards, loss(logits, target))
    regions = (loss(logits[:, :1], target[:, :1]) + loss(logits[:, 1:], target[:, 1:])) / 2
    assert torch.allclose(regions, loss(logits, target))


@EVERY_LOSS
def test_autocast_computes_in_float32(name: str) -> None:
    logits, target = random_logits(2, 1, 8, 8).bfloat16(), random_mask(2, 1, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        value = build_loss(name, {})(logits, target)
    assert value.dtype == torch.float32
    assert torch.equal(value, build_loss(name, {})(logits.float(), target))


@EVERY_LOSS
def test_targets_that_are_not_numbers_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="targets must be in"):
        build_loss(name, {})(torch.zeros(1, 1, 4, 4), torch.full((1, 1, 4, 4), torch.nan))


@EVERY_LOSS
def test_masks_left_at_255_cannot_reach_a_loss(name: str) -> None:
    with pytest.raises(ValueError, match=r"targets must be in \[0, 1\]; found 0 to 255"):
        build_loss(name, {})(torch.zeros(1, 1, 4, 4), 255 * torch.eye(4)[None, None])


@EVERY_LOSS
def test_every_loss_says_what_it_is_and_what_empty_and_full_targets_give(name: str) -> None:
    text = (inspect.getdoc(LOSSES[name]) or "").lower()
    assert "empty" in text
    assert "full" in text
    assert text.splitlines()[0].endswith((".", ";"))


def test_dice_is_hand_checkable() -> None:
    logits = torch.tensor([[[[50.0, 50.0], [-50.0, -50.0]]]])
    target = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert DiceLoss(smoothing=0)(logits, target).item() == pytest.approx(1 - 2 * 1 / (2 + 1))


@pytest.mark.parametrize(
    ("name", "options", "theirs", "their_options"),
    [
        ("dice", {}, "DiceLoss", {"sigmoid": True, "smooth_nr": 1.0, "smooth_dr": 1.0}),
        ("focal", {"gamma": 1.5}, "FocalLoss", {"gamma": 1.5, "alpha": 0.25}),
        (
            "tversky",
            {},
            "TverskyLoss",
            {"sigmoid": True, "alpha": 0.7, "beta": 0.3, "smooth_nr": 1.0, "smooth_dr": 1.0},
        ),
    ],
)
def test_losses_agree_with_monai(
    name: str, options: dict[str, float], theirs: str, their_options: dict[str, Any]
) -> None:
    logits, target = random_logits(3, 2, 8, 8), random_mask(3, 2, 8, 8)
    expected = getattr(monai_losses(), theirs)(**their_options)(logits, target)
    assert torch.allclose(build_loss(name, options)(logits, target), expected)


@pytest.mark.parametrize("space", [(8, 9), (4, 6, 5)])
def test_hausdorff_agrees_with_monai(space: tuple[int, ...]) -> None:
    logits, target = random_logits(3, 2, *space), random_mask(3, 2, *space, share=0.1)
    target[0, 0], target[1, 0] = 0, 1
    theirs = monai_losses().HausdorffDTLoss(alpha=1.5, include_background=True, sigmoid=True)(logits, target)
    ours = build_loss("hausdorff_dt", {"alpha": 1.5})(logits, target)
    assert torch.allclose(ours * sum(side**2 for side in space) ** (1.5 / 2), theirs)


def test_generalised_dice_agrees_with_monai_on_tumour_and_background() -> None:
    logits, target = random_logits(4, 1, 8, 8), random_mask(4, 1, 8, 8)
    target[0], target[1] = 0, 1
    probability = logits.sigmoid()
    theirs = monai_losses().GeneralizedDiceLoss(smooth_nr=0, smooth_dr=0)(
        torch.cat([1 - probability, probability], 1), torch.cat([1 - target, target], 1)
    )
    assert torch.allclose(build_loss("generalised_dice", {})(logits, target), theirs)


def test_generalised_dice_of_an_empty_target_is_the_mean_probability() -> None:
    logits = random_logits(2, 1, 8, 8)
    loss = build_loss("generalised_dice", {})
    assert torch.allclose(loss(logits, torch.zeros_like(logits)), logits.sigmoid().mean())
    assert torch.allclose(loss(logits, torch.ones_like(logits)), 1 - logits.sigmoid().mean())


def test_tversky_weighs_false_positives_by_alpha_and_false_negatives_by_beta() -> None:
    target = torch.tensor([[[[1.0, 1.0, 0.0, 0.0]]]])
    too_much, too_little = (
        torch.tensor([[[[50.0, 50.0, 50.0, -50.0]]]]),
        torch.tensor([[[[50.0, -50.0, -50.0, -50.0]]]]),
    )
    loss = build_loss("tversky", {"smoothing": 0})
    assert loss(too_much, target).item() == pytest.approx(1 - 2 / (2 + 0.7))
    assert loss(too_little, target).item() == pytest.approx(1 - 1 / (1 + 0.3))
    focal = build_loss("focal_tversky", {"smoothing": 0, "gamma": 2})
    assert focal(too_much, target).item() == pytest.approx((1 - 2 / (2 + 0.7)) ** 0.5, abs=2e-3)


def test_tversky_with_halves_is_dice() -> None:
    logits, target = random_logits(3, 2, 8, 8), random_mask(3, 2, 8, 8)
    halves = build_loss("tversky", {"alpha": 0.5, "beta": 0.5, "smoothing": 0.5})
    assert torch.allclose(halves(logits, target), DiceLoss()(logits, target))


def test_top_k_takes_the_hardest_pixels() -> None:
    logits, target = torch.tensor([[[[3.0, 1.0], [-2.0, 0.0]]]]), torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    hardest = build_loss("dice_topk", {"share": 0.5})(logits, target) - DiceLoss()(logits, target)
    expected = (torch.tensor(1.0).exp().log1p() + torch.tensor(0.0).exp().log1p()) / 2
    assert torch.allclose(hardest, expected)
    everything = build_loss("dice_topk", {"share": 1})(logits, target)
    assert torch.allclose(everything, build_loss("dice_ce", {})(logits, target))


def test_dice_and_cross_entropy_have_each_its_own_weight() -> None:
    logits, target = random_logits(2, 1, 6, 8), random_mask(2, 1, 6, 8)
    together = build_loss("dice_ce", {"dice_weight": 0.25, "ce_weight": 2, "smoothing": 0.5})(logits, target)
    apart = 0.25 * DiceLoss(0.5)(logits, target) + 2 * CrossEntropyLoss()(logits, target)
    assert torch.allclose(together, apart)


def test_lovasz_is_the_greatest_of_the_chains_of_mistakes() -> None:
    """The extension of a submodular function, by brute force: Jaccard's loss summed along every order of the pixels."""

    def jaccard_loss(mistakes: tuple[int, ...], truth: set[int]) -> float:
        return len(mistakes) / len(truth | set(mistakes)) if mistakes else 0.0

    def along(order: tuple[int, ...], errors: list[float], truth: set[int]) -> float:
        steps = [jaccard_loss(order[: n + 1], truth) - jaccard_loss(order[:n], truth) for n in range(len(order))]
        return sum(errors[pixel] * step for pixel, step in zip(order, steps, strict=True))

    logits = random_logits(1, 1, 5)
    for pixels in itertools.product([0.0, 1.0], repeat=5):
        target = torch.tensor([[pixels]])
        errors, truth = (logits.sigmoid() - target).abs()[0, 0].tolist(), {n for n in range(5) if pixels[n]}
        expected = max(along(order, errors, truth) for order in itertools.permutations(range(5)))
        assert build_loss("lovasz", {})(logits, target).item() == pytest.approx(expected, abs=1e-6)


def test_the_boundary_map_is_the_authors() -> None:
    target = torch.zeros(1, 2, 5, 5)
    target[0, 0, 1:4, 1:4] = 1
    target[0, 1, 2, 2] = 1
    root, far = 2**0.5, 5**0.5
    assert torch.allclose(
        boundary_map(target)[0, 0],
        torch.tensor(
            [[root, 1, 1, 1, root], [1, 0, 0, 0, 1], [1, 0, -1, 0, 1], [1, 0, 0, 0, 1], [root, 1, 1, 1, root]]
        ),
    )
    assert torch.allclose(
        boundary_map(target)[0, 1],
        torch.tensor(
            [
                [2 * root, far, 2, far, 2 * root],
                [far, root, 1, root, far],
                [2, 1, 0, 1, 2],
                [far, root, 1, root, far],
                [2 * root, far, 2, far, 2 * root],
            ]
        ),
    )


def test_boundary_is_hand_checkable() -> None:
    """Map 1, 0, -1, 0, 1, 2 of a row of six; diagonal sqrt(1 + 36)."""
    target = torch.tensor([[[[0.0, 1, 1, 1, 0, 0]]]])
    probability = torch.tensor([0.1, 0.2, 0.9, 0.4, 0.5, 0.25])
    expected = (0.1 - 0.9 + 0.5 + 2 * 0.25) / 6 / 37**0.5
    assert build_loss("boundary", {})(probability.logit().expand(1, 1, 1, 6), target).item() == pytest.approx(expected)


@pytest.mark.parametrize("name", ["boundary", "hausdorff_dt", "bounded_surface"])
def test_losses_of_distance_mean_the_same_at_another_image_size(name: str) -> None:
    small = torch.zeros(1, 1, 16, 16)
    small[..., 4:8, 4:10] = 1
    wrong = small.roll(3, -1)
    values = []
    for factor in (4, 8):
        target, logits = (torch.kron(mask, torch.ones(factor, factor)) for mask in (small, 8 * (2 * wrong - 1)))
        values.append(build_loss(name, {})(logits, target).item())
    assert values[0] == pytest.approx(values[1], rel=0.2)


def test_bounded_surface_is_hand_checkable() -> None:
    """Map 1, 0, -1, 0, 1, 2 of a row of six; squares 1, 0, 1, 0, 1, 4."""
    target = torch.tensor([[[[0.0, 1, 1, 1, 0, 0]]]])
    probability = torch.tensor([0.1, 0.2, 0.9, 0.4, 0.5, 0.25])
    kept = (1 - 0.1) ** 2 + 0.9**2 + (1 - 0.5) ** 2 + 4 * (1 - 0.25) ** 2
    value = build_loss("bounded_surface", {})(probability.logit().expand(1, 1, 1, 6), target)
    assert value.item() == pytest.approx(1 - kept / 7)
    opposite = build_loss("bounded_surface", {})(-50 * (2 * target - 1), target)
    assert opposite.item() == pytest.approx(1)


def test_unknown_names_are_answered() -> None:
    with pytest.raises(UserError, match="did you mean 'dice_ce'"):
        build_loss("dicece", {})
    with pytest.raises(UserError, match="unknown key 'smooth'; did you mean 'smoothing'"):
        build_loss("dice", {"smooth": 1})
    with pytest.raises(UserError, match=r"loss\.options of 'bce': unknown key 'smooth'; it has none"):
        build_loss("bce", {"smooth": 1})
    with pytest.raises(UserError, match="unknown key 'args'"):
        build_loss("bce", {"args": 1})


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("focal_tversky", "gamma", 0),
        ("focal", "alpha", 2),
        ("dice_topk", "share", 0),
        ("dice_topk", "share", 10),
        ("dice", "smoothing", -1),
        ("dice", "smoothing", float("nan")),
        ("dice", "smoothing", True),
    ],
)
def test_options_out_of_range_are_named(name: str, option: str, value: float) -> None:
    with pytest.raises(UserError, match=rf"loss\.options of '{name}': {option} is .*expected a number"):
        build_loss(name, {option: value})


def loss_config(*overrides: str) -> LossConfig:
    return load_config(None, overrides).loss


def test_a_single_loss_is_itself() -> None:
    logits, target = random_logits(2, 1, 8, 8), random_mask(2, 1, 8, 8)
    loss = build(loss_config("loss.name=tversky", "loss.options.alpha=0.6"))
    for loss.progress in (0.0, 0.37, 1.0):
        assert torch.equal(loss(logits, target), build_loss("tversky", {"alpha": 0.6})(logits, target))


def test_the_weights_of_a_sum_move_over_the_training() -> None:
    logits, target = random_logits(2, 1, 8, 8), random_mask(2, 1, 8, 8)
    terms = '{name="dice_ce", weight=[1.0, 0.5]}, {name="boundary", weight=[0.0, 0.5]}, {name="bce", weight=2}'
    loss = build(loss_config(f"loss.sum=[{terms}]"))
    parts = [build_loss(name, {})(logits, target).item() for name in ("dice_ce", "boundary", "bce")]
    for progress, weights in ((1.0, (0.5, 0.5, 2)), (0.0, (1, 0, 2)), (0.5, (0.75, 0.25, 2)), (0.2, (0.9, 0.1, 2))):
        loss.progress = progress
        assert loss(logits, target).item() == pytest.approx(float(np.dot(weights, parts)))


def test_a_term_of_weight_0_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    loss = build(loss_config('loss.sum=[{name="dice"}, {name="bce", weight=[0, 1]}]'))

    def fail(*_: object) -> Tensor:
        raise AssertionError("computed")

    monkeypatch.setattr(CrossEntropyLoss, "forward", fail)
    loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))
    loss.progress = 0.1
    with pytest.raises(AssertionError, match="computed"):
        loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4))


def test_mistakes_in_a_sum_are_named_with_their_place() -> None:
    with pytest.raises(UserError, match=r"^loss\.sum\.1\.name is 'dise'; did you mean 'dice'\?$"):
        build(loss_config('loss.sum=[{name="bce"}, {name="dise"}]'))
    with pytest.raises(UserError, match=r"^loss\.sum\.0\.options of 'dice': unknown key 'smooth'; did you mean"):
        build(loss_config('loss.sum=[{name="dice", options={smooth=1}}]'))
