from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tumorline.arrays import Float64Array
from tumorline.augmentation.transforms import Parameters, apply, draw
from tumorline.config import AugmentConfig

SIZE = (32, 32)
GEOMETRY_ONLY = AugmentConfig(geometry_probability=1, intensity_probability=0, elastic=0.05)
NOTHING = AugmentConfig(quarter_turns=0, flips=False, geometry_probability=0, intensity_probability=0)


def one(**changes: object) -> AugmentConfig:
    return NOTHING.model_copy(update=changes)


def pictures(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.avg_pool2d(torch.randn(count, 1, 36, 36, generator=generator), 5, stride=1)
    image = (image - image.mean()) / image.std()
    return image, (image > 1).float()


def drawn(settings: AugmentConfig, numbers: list[int], epoch: int = 0) -> Parameters:
    return draw(settings, seed=0, epoch=epoch, numbers=numbers, extent=SIZE)


def test_nothing_chosen_gives_the_exact_input() -> None:
    image, target = pictures(3)
    changed, moved = apply(image, target, drawn(NOTHING, [0, 1, 2]))
    assert torch.equal(changed, image)
    assert torch.equal(moved, target)


def test_a_quarter_turn_or_flip_is_one_of_the_eight_exact_ones() -> None:
    image, target = pictures(16)
    changed, moved = apply(image, target, drawn(one(quarter_turns=1, flips=True), list(range(16))))
    seen = set()
    for sample in range(16):
        wanted = [
            torch.rot90(picture, turns, (1, 2))
            for picture in (image[sample], image[sample].flip(2))
            for turns in range(4)
        ]
        errors = [float((changed[sample] - picture).abs().max()) for picture in wanted]
        assert min(errors) < 1e-4
        seen.add(int(np.argmin(errors)))
        assert torch.equal(moved[sample] > 0, changed[sample] > 1)
    assert len(seen) >= 5


def test_image_and_mask_move_together_and_the_mask_stays_binary() -> None:
    _, target = pictures(12)
    changed, moved = apply(target.clone(), target, drawn(GEOMETRY_ONLY, list(range(12))))
    assert moved.unique().tolist() == [0.0, 1.0]
    assert torch.equal(moved, (changed >= 0.5).float())
    assert not torch.equal(moved, target)


def test_intensity_leaves_the_mask_and_changes_the_image() -> None:
    image, target = pictures(8)
    settings = one(intensity_probability=1.0, noise=0.5, blur=2.0, low_resolution=0.3)
    changed, moved = apply(image, target, drawn(settings, list(range(8))))
    assert torch.equal(moved, target)
    assert ((changed - image).abs().amax((1, 2, 3)) > 0.01).all()


def test_a_sample_without_intensity_changes_is_left_exactly_alone() -> None:
    image, target = pictures(40)
    parameters = drawn(one(intensity_probability=0.2), list(range(40)))
    kept = (parameters.gamma == 1) & (parameters.contrast == 1) & (parameters.noise == 0)
    kept &= (parameters.blur == 0) & (parameters.resolution == 1)
    changed, _ = apply(image, target, parameters)
    assert 0 < kept.sum() < 40
    assert torch.equal(changed[kept], image[kept])


def test_a_sample_is_changed_alike_in_every_batch() -> None:
    image, target = pictures(4)
    settings = AugmentConfig(geometry_probability=1, intensity_probability=1, blur=3.0)
    together, moved = apply(image, target, drawn(settings, [5, 6, 7, 8]))
    for place, sample in enumerate([5, 6, 7, 8]):
        own = slice(place, place + 1)
        alone, moved_alone = apply(image[own], target[own], drawn(settings, [sample]))
        assert torch.allclose(together[own], alone, atol=1e-5)
        assert torch.equal(moved[own], moved_alone)


def test_epochs_and_samples_are_drawn_differently() -> None:
    first, again, later = (drawn(GEOMETRY_ONLY, [1, 2], epoch).matrix for epoch in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, later)
    assert not np.array_equal(first[0], first[1])


@pytest.mark.parametrize(
    ("name", "part"),
    [("rotation_degrees", "linear"), ("scale", "linear"), ("shift", "shift"), ("elastic", "bend"), ("gamma", "gamma")],
)
def test_switching_one_transform_off_leaves_the_others_as_they_were(name: str, part: str) -> None:
    def parts(**changes: float) -> dict[str, Any]:
        settings = AugmentConfig(geometry_probability=1, intensity_probability=1, elastic=0.05)
        found = drawn(settings.model_copy(update=changes), [1, 2, 3])
        linear, shift = found.matrix[:, :, :2], found.matrix[:, :, 2]
        of_greys = {"gamma": found.gamma, "contrast": found.contrast, "noise": found.noise, "seed": found.noise_seed}
        return {"linear": linear, "shift": shift, "bend": found.displacement, **of_greys}

    full, without = parts(), parts(**{name: 0.0})
    assert [one for one in full if not np.array_equal(full[one], without[one])] == [part]


def turns(extent: tuple[int, ...], count: int) -> Float64Array:
    """Rotations by up to 40 degrees in pixels, `(count, n, n)`."""
    settings = one(geometry_probability=1, rotation_degrees=40, scale=0)
    sides = np.diag(extent[::-1]).astype(float)
    found = draw(settings, 0, 0, list(range(count)), extent).matrix[:, :, :-1]
    return np.asarray(sides @ found @ np.linalg.inv(sides))


@pytest.mark.parametrize("extent", [(16, 24), (8, 16, 24)])
def test_a_turn_keeps_lengths_whatever_the_sides(extent: tuple[int, ...]) -> None:
    rotations = turns(extent, 5)
    assert np.allclose(rotations @ rotations.swapaxes(1, 2), np.eye(len(extent)), atol=1e-5)
    assert np.allclose(np.linalg.det(rotations), 1, atol=1e-5)


def test_turns_go_as_far_as_they_are_said_and_no_further() -> None:
    rotations = turns((16, 24), 200)
    degrees = np.degrees(np.arctan2(rotations[:, 1, 0], rotations[:, 1, 1]))
    assert (degrees.min(), degrees.max()) == (pytest.approx(-40, abs=2), pytest.approx(40, abs=2))
    assert np.abs(degrees).max() <= 40


def test_scale_shift_and_bends_go_as_far_as_they_are_said_and_no_further() -> None:
    """Coordinates run over 2 along a side, so that a tenth of it is 0.2."""
    settings = one(geometry_probability=1, rotation_degrees=0, scale=0.25, shift=0.1, elastic=0.05)
    found = draw(settings, 0, 0, list(range(200)), (16, 24))
    matrix, bends = found.matrix, found.displacement
    assert (bends.min(), bends.max()) == (pytest.approx(-0.1, rel=0.02), pytest.approx(0.1, rel=0.02))
    zooms, shifts = matrix[:, 0, 0], matrix[:, :, 2]
    assert np.array_equal(zooms, matrix[:, 1, 1])
    assert (zooms.min(), zooms.max()) == (pytest.approx(1 / 1.25, rel=0.02), pytest.approx(1.25, rel=0.02))
    assert (shifts.min(), shifts.max()) == (pytest.approx(-0.2, rel=0.05), pytest.approx(0.2, rel=0.05))
    assert 1 / 1.2501 < zooms.min() < zooms.max() < 1.2501
    assert max(np.abs(shifts).max() / 2, np.abs(bends).max()) < 0.10001


def test_beyond_the_picture_is_its_lowest_value_and_no_tumour() -> None:
    image = torch.arange(24.0).reshape(1, 1, 4, 6) - 30
    parameters = drawn(NOTHING, [0])
    parameters.matrix[0, 0, 2] = 2 * 2 / 6  # two of six columns
    changed, moved = apply(image, torch.ones_like(image), parameters)
    assert torch.allclose(changed[..., :4], image[..., 2:], atol=1e-4)
    assert torch.allclose(changed[..., 4:], torch.tensor(-30.0), atol=1e-4)
    assert moved[0, 0, 0].tolist() == [1, 1, 1, 1, 0, 0]


def detail(picture: Tensor) -> float:
    return float((picture[..., 1:] - picture[..., :-1]).abs().mean())


def test_blur_lowers_and_noise_raises_the_detail() -> None:
    image, target = pictures(6)
    only = one(intensity_probability=1, gamma=0, contrast=0, noise=0, blur=0, low_resolution=0)
    blurred, _ = apply(image, target, drawn(only.model_copy(update={"blur": 3.0}), list(range(6))))
    noisy, _ = apply(image, target, drawn(only.model_copy(update={"noise": 0.5}), list(range(6))))
    assert detail(blurred) < detail(image) < detail(noisy)


def test_gamma_keeps_mean_and_deviation_and_contrast_the_mean_alone() -> None:
    image, target = pictures(6)
    image = 3 * image + 7
    only = one(intensity_probability=1, gamma=0, contrast=0, noise=0, blur=0, low_resolution=0)
    bent, _ = apply(image, target, drawn(only.model_copy(update={"gamma": 0.5}), list(range(6))))
    assert torch.allclose(bent.mean((1, 2, 3)), image.mean((1, 2, 3)), atol=1e-4)
    assert torch.allclose(bent.std((1, 2, 3)), image.std((1, 2, 3)), atol=1e-3)
    assert ((bent - image).abs().amax((1, 2, 3)) > 0.01).all()
    parameters = drawn(only.model_copy(update={"contrast": 0.4}), list(range(6)))
    spread, _ = apply(image, target, parameters)
    assert torch.allclose(spread.mean((1, 2, 3)), image.mean((1, 2, 3)), atol=1e-4)
    stretched = torch.from_numpy(parameters.contrast) * image.std((1, 2, 3))
    assert torch.allclose(spread.std((1, 2, 3)), stretched, atol=1e-3)
    assert ((parameters.contrast > 0.6) & (parameters.contrast < 1.4)).all()


@pytest.mark.parametrize("space", [(25, 31), (21, 25, 31)])
def test_a_blur_is_as_wide_along_each_axis_as_it_is_said_of_each_sample(space: tuple[int, ...]) -> None:
    points = torch.zeros(3, 1, *space)
    middle = torch.tensor(np.ravel_multi_index([side // 2 for side in space], space))
    points.flatten(1)[:, middle] = 1
    parameters = draw(NOTHING, 0, 0, [0, 1, 2], space)
    parameters.blur[:] = 1, 0, 2
    blurred, _ = apply(points, torch.zeros_like(points), parameters)
    assert torch.equal(blurred[1], points[1])
    for axis, side in enumerate(space):
        others = tuple(2 + other for other in range(len(space)) if other != axis)
        variances = (blurred.sum(others)[:, 0] * (torch.arange(side) - side // 2) ** 2).sum(1)
        assert variances.tolist() == pytest.approx([1, 0, 4], rel=0.06)


def test_noise_is_measured_in_deviations_of_the_image() -> None:
    image, target = pictures(6)
    image = 20 * image
    only = one(intensity_probability=1, gamma=0, contrast=0, noise=0.5, blur=0, low_resolution=0)
    parameters = drawn(only, list(range(6)))
    noisy, _ = apply(image, target, parameters)
    found = (noisy - image).std((1, 2, 3)) / image.std((1, 2, 3))
    assert found.numpy() == pytest.approx(parameters.noise, rel=0.1)
    assert parameters.noise.max() <= 0.5


@pytest.mark.parametrize(("axis", "kept", "mirrored"), [("horizontal", 1, 0), ("vertical", 0, 1)])
def test_flips_along_one_axis_leave_the_other(axis: str, kept: int, mirrored: int) -> None:
    matrix = draw(one(flips=axis), 0, 0, list(range(40)), SIZE).matrix
    assert (matrix[:, kept, kept] == 1).all()
    assert 10 < (matrix[:, mirrored, mirrored] == -1).sum() < 30


def test_about_the_chosen_share_is_turned() -> None:
    parameters = draw(one(quarter_turns=0.4), 0, 0, list(range(400)), (16, 16))
    straight = (np.abs(parameters.matrix[:, 0, 0]) == 1).mean()
    assert straight == pytest.approx(1 - 0.4 / 2, abs=0.05)


def test_a_wide_image_is_not_turned_by_a_quarter() -> None:
    parameters = draw(one(quarter_turns=1), 0, 0, list(range(8)), (16, 32))
    assert np.array_equal(parameters.matrix, np.tile(np.eye(2, 3, dtype=np.float32), (8, 1, 1)))


# ---------------------------------------------------------------- volumes

EXTENT = (8, 16, 16)


def volumes(count: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    image = torch.nn.functional.avg_pool3d(torch.randn(count, 2, 12, 20, 20, generator=generator), 5, stride=1)
    image = (image - image.mean()) / image.std()
    return image, (image[:, :1] > 1).float()


def changed_volumes(settings: AugmentConfig, count: int) -> tuple[Tensor, Tensor]:
    return apply(*volumes(count), draw(settings, 0, 0, list(range(count)), EXTENT))


def test_nothing_chosen_gives_the_exact_volume() -> None:
    image, target = volumes(2)
    changed, moved = changed_volumes(NOTHING, 2)
    assert torch.equal(changed, image)
    assert torch.equal(moved, target)


def test_quarter_turns_and_flips_of_a_volume_are_those_of_its_slices() -> None:
    image, _ = volumes(12)
    changed, _ = changed_volumes(one(quarter_turns=1, flips=True), 12)
    seen = set()
    for sample in range(12):
        eight = [
            torch.rot90(volume, turns, (2, 3))
            for volume in (image[sample], image[sample].flip(3))
            for turns in range(4)
        ]
        errors = [float((changed[sample] - volume).abs().max()) for volume in eight]
        assert min(errors) < 1e-4
        seen.add(int(np.argmin(errors)))
    assert len(seen) >= 5


def test_a_volume_and_its_mask_move_together_through_all_three_axes() -> None:
    _, target = volumes(6)
    parameters = draw(one(geometry_probability=1, rotation_degrees=30, elastic=0.05), 0, 0, list(range(6)), EXTENT)
    changed, moved = apply(target.clone(), target, parameters)
    assert torch.equal(moved, (changed >= 0.5).float())
    assert not torch.equal(moved, target)
    assert np.abs(parameters.matrix[:, 2, :2]).min() > 0  # slices are tilted


def test_intensities_of_volumes_change_within_bounds() -> None:
    image, target = volumes(8)
    settings = one(intensity_probability=1, blur=1.0, low_resolution=0.5, noise=0.1, gamma=0.3, contrast=0.2)
    changed, moved = apply(image, target, draw(settings, 0, 0, list(range(8)), EXTENT))
    assert torch.equal(moved, target)
    for before, after in zip(image, changed, strict=True):
        assert not torch.equal(before, after)
        assert np.corrcoef(before.flatten(), after.flatten())[0, 1] > 0.7


def with_channels(count: int, channels: int) -> tuple[Tensor, Tensor]:
    """Images whose channels are all different and nowhere 0, without a target."""
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, channels, 4, 4, generator=generator) + 1, torch.zeros(count, 1, 4, 4)


def test_a_channel_that_shows_nothing_stays_as_it_is() -> None:
    settings = AugmentConfig(geometry_probability=1, intensity_probability=1, blur=3.0, noise=1.0)
    image, target = with_channels(20, 3)
    image[:, 1] = 0
    changed, _ = apply(image, target, drawn(settings, list(range(20))))
    assert not changed[:, 1].any()
    assert (changed[:, ::2].std((2, 3)) > 0).all()


def test_channels_are_left_out_as_often_as_asked_and_never_all() -> None:
    image, target = with_channels(400, 3)
    changed, same = apply(image, target, drawn(one(channel_dropout=0.5), list(range(400))))
    absent = (changed == 0).all((2, 3))
    assert torch.equal(changed[~absent], image[~absent])
    assert torch.equal(same, target)
    assert not absent.all(1).any()
    assert float(absent.float().mean()) == pytest.approx(0.5 - 1 / 24, abs=0.05)  # of three lost one comes back
    assert len({tuple(row) for row in absent.tolist()}) == 7


@pytest.mark.parametrize("slices", [1, 2])
def test_a_channel_that_shows_something_stays_where_others_are_absent_already(slices: int) -> None:
    image, target = with_channels(200, 3 * slices)
    image.reshape(200, slices, 3, *image.shape[2:])[:100, :, 1:] = 0
    image[0] = 0
    changed, _ = apply(image, target, drawn(one(channel_dropout=0.5), list(range(200))), slices=slices)
    assert (changed[1:].std((2, 3)) > 0).any(1).all()
    assert torch.equal(changed[1:100], image[1:100]), "the only one stays"
    assert not torch.equal(changed[100:], image[100:])


def test_leaving_channels_out_changes_nothing_else_of_a_sample() -> None:
    image, target = with_channels(6, 2)
    some = {"intensity_probability": 1.0, "noise": 0.5}
    whole, _ = apply(image, target, drawn(one(**some), list(range(6))))
    changed, _ = apply(image, target, drawn(one(**some, channel_dropout=0.4), list(range(6))))
    absent = (changed == 0).all((2, 3))
    assert absent.any()
    assert torch.equal(changed[~absent], whole[~absent])


def test_a_sample_lacks_the_same_channels_in_every_batch_and_others_in_another_epoch() -> None:
    image, target = with_channels(12, 4)
    settings = one(channel_dropout=0.4)
    changed, _ = apply(image, target, drawn(settings, list(range(12))))
    alone, _ = apply(image[5:7], target[5:7], drawn(settings, [5, 6]))
    assert torch.equal(alone, changed[5:7])
    assert not torch.equal(apply(image, target, drawn(settings, list(range(12)), epoch=1))[0], changed)


def test_all_slices_of_a_sequence_are_left_out_together() -> None:
    image, target = with_channels(20, 3 * 2)
    changed, _ = apply(image, target, drawn(one(channel_dropout=0.5), list(range(20))), slices=3)
    absent = (changed == 0).all((2, 3)).reshape(20, 3, 2)
    assert torch.equal(absent, absent[:, :1].expand(-1, 3, -1))
    assert absent[:, 0].any(0).all()
    assert not absent[:, 0].all(1).any()
