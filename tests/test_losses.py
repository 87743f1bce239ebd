import pytest
import torch

from tumorline.errors import UserError
from tumorline.losses import LOSSES, DiceLoss, build_loss

MASKS = {
    "empty": torch.zeros(2, 1, 8, 8),
    "full": torch.ones(2, 1, 8, 8),
    "tiny": torch.zeros(2, 1, 8, 8).index_put(
        (torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([3, 3]), torch.tensor([4, 4])), torch.tensor(1.0)
    ),
}
EVERY_LOSS = pytest.mark.parametrize("name", LOSSES)


@EVERY_LOSS
@pytest.mark.parametrize("kind", MASKS)
def test_the_perfect_prediction_is_the_minimum_and_gradients_are_finite(name: str, kind: str) -> None:
    target, loss = MASKS[kind], build_loss(name, {})
    perfect = loss(40 * (2 * target - 1), target)
    assert perfect.item() == pytest.approx(0, abs=1e-4)
    for seed in range(5):
        logits = torch.randn(target.shape, generator=torch.Generator().manual_seed(seed)).requires_grad_()
        value = loss(logits, target)
        value.backward()
        assert value > perfect
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()


@EVERY_LOSS
def test_the_mean_over_equal_shards_is_that_of_the_batch(name: str) -> None:
    logits = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    target = (torch.rand(4, 2, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.7).float()
    loss = build_loss(name, {})
    shards = (loss(logits[:2], target[:2]) + loss(logits[2:], target[2:])) / 2
    assert torch.allclose(shards, loss(logits, target))


@EVERY_LOSS
def test_autocast_computes_in_float32(name: str) -> None:
    logits = torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)).bfloat16()
    target = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5).float()
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


def test_dice_is_hand_checkable() -> None:
    logits = torch.tensor([[[[50.0, 50.0], [-50.0, -50.0]]]])
    target = torch.tensor([[[[1.0, 0.0], [0.0, 0.0]]]])
    assert DiceLoss(smoothing=0)(logits, target).item() == pytest.approx(1 - 2 * 1 / (2 + 1))


def test_dice_agrees_with_monai() -> None:
    from tumorline.models.torchvision_cure import cure_torchvision

    cure_torchvision()
    monai = pytest.importorskip("monai.losses")
    logits = torch.randn(3, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    target = (torch.rand(3, 2, 8, 8, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    theirs = monai.DiceLoss(sigmoid=True, smooth_nr=1.0, smooth_dr=1.0)(logits, target)
    assert torch.allclose(DiceLoss()(logits, target), theirs)


def test_unknown_names_are_answered() -> None:
    with pytest.raises(UserError, match="did you mean 'dice_ce'"):
        build_loss("dicece", {})
    with pytest.raises(UserError, match="unknown key 'smooth'; did you mean 'smoothing'"):
        build_loss("dice", {"smooth": 1})
