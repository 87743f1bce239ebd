"""What takes away by what sources are told apart, and tumours that are pasted and taken out."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import tumorline
from tests.conftest import TINY, PairFolder, Program
from tests.data.test_joined import free
from tumorline.augmentation import appearance, greys, halves, parts, transplant
from tumorline.augmentation import heads as outlines
from tumorline.config import AugmentConfig, Config, load_config
from tumorline.data.joined import load_data
from tumorline.data.splits.donors import donor_names, refuse_held_out
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.model_file import read_info
from tumorline.run.provenance import model_info
from tumorline.source_spec import with_data
from tumorline.training.feed import open_feed
from tumorline.training.machine import open_machine
from tumorline.training.task import Task

SIDE = 64
Change = Callable[..., tuple[Tensor, Tensor, object]]


def heads(count: int = 4) -> tuple[Tensor, Tensor]:
    """Bright skulls around grey brains, each with a bright tumour but the last; standardised."""
    rows, columns = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    radius = ((rows - 32.0) ** 2 + (columns - 30.0) ** 2).sqrt()
    noise = torch.randn((count, 1, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
    image = torch.where(radius < 22, 100.0, torch.where(radius < 26, 200.0, 0.0)) + 4 * noise * (radius < 26)
    target = torch.zeros_like(image)
    for number in range(count - 1):
        target[number, 0, 28 : 34 + number, 36:42] = 1
    return greys.standardise(image + 80 * target), target


def look(settings: AugmentConfig, seed: int = 0, numbers: tuple[int, ...] = (0, 1, 2, 3)) -> tuple[Tensor, Tensor]:
    image, target = heads()
    chosen = list(numbers)
    drawn = appearance.draw_appearance(settings, seed, 0, numbers)
    return appearance.change_appearance(image[chosen], target[chosen], drawn)


@pytest.mark.parametrize("name", ["skull_strip", "crop", "appearance"])
def test_each_depends_on_seed_epoch_and_sample_alone(name: str) -> None:
    settings = AugmentConfig.model_validate({name: 1.0})
    whole, whole_target = look(settings)
    part, part_target = look(settings, numbers=(3, 1))
    torch.testing.assert_close(part, whole[[3, 1]], rtol=1e-4, atol=1e-4)
    assert torch.equal(part_target, whole_target[[3, 1]])
    assert not torch.equal(look(settings, seed=1)[0], whole)
    image, target = heads()
    assert not torch.equal(whole, image)
    for kept, own in zip(whole_target, target, strict=True):
        assert kept.any() == own.any()
    torch.testing.assert_close(whole.mean((2, 3)), torch.zeros(4, 1), atol=1e-4, rtol=0)
    untouched, _ = look(AugmentConfig())
    assert torch.equal(untouched, image)


@pytest.mark.parametrize("name", ["skull_strip", "crop", "appearance"])
def test_a_channel_that_shows_nothing_stays_so(name: str) -> None:
    image, target = heads()
    image = torch.cat([image, torch.zeros_like(image)], 1)
    for epoch in range(4):
        drawn = appearance.draw_appearance(AugmentConfig.model_validate({name: 1.0}), 0, epoch, range(4))
        changed, _ = appearance.change_appearance(image, target, drawn)
        assert not changed[:, 1].any()


def test_stripping_takes_the_skull_and_leaves_the_tumour() -> None:
    image, target = heads()
    head = outlines.find_head(image)
    assert abs(int(head[0].sum()) - 2124) < 200
    stripped, same = look(AugmentConfig(skull_strip=1))
    assert torch.equal(same, target)
    edge = (slice(None), 0, 32, 55)
    darkest = stripped.amin((1, 2, 3))
    assert (stripped[edge] == darkest).any()
    assert (stripped[:3][target[:3] > 0] > stripped.mean()).all()


def test_a_crop_shows_the_whole_tumour() -> None:
    for seed in range(6):
        cropped, target = look(AugmentConfig(crop=1), seed)
        assert torch.isfinite(cropped).all()
        for mask in target[:3, 0]:
            assert 12 < mask.sum() < 250
            assert mask[1:-1, 1:-1].sum() == mask.sum()


def cut(seed: int = 0, numbers: tuple[int, ...] = (0, 1, 2, 3)) -> tuple[Tensor, Tensor, parts.Parts]:
    image, target = heads()
    chosen = list(numbers)
    drawn = parts.draw_parts(AugmentConfig(part=1), seed, 0, numbers)
    return *parts.show_parts(image[chosen], target[chosen], drawn), drawn


def test_a_part_shows_all_of_the_tumour_or_nothing_of_it() -> None:
    image, target = heads()
    hidden = shown = 0
    for seed in range(8):
        cropped, masks, drawn = cut(seed)
        for number in range(3):
            if torch.equal(cropped[number], image[number]):
                continue
            tumour = masks[number, 0] > 0
            if drawn.hide[number]:
                hidden += 1
                assert not tumour.any()
                continue
            shown += 1
            assert tumour.sum() >= 0.8 * target[number].sum()
            assert tumour[1:-1, 1:-1].sum() == tumour.sum()
            assert cropped[number, 0][tumour].mean() > cropped[number, 0][~tumour].mean()
        assert not masks[3].any()
    assert hidden > 5
    assert shown > 5


def test_a_sample_of_which_no_part_fits_stays_whole() -> None:
    image, target = heads()
    target = outlines.find_head(image)
    drawn = parts.draw_parts(AugmentConfig(part=1), 0, 0, range(4))
    same, masks = parts.show_parts(image, target, drawn)
    assert torch.equal(same, image)
    assert torch.equal(masks, target)


def test_pixels_within_boxes_by_hand() -> None:
    mask = torch.zeros(1, 1, 5, 6)
    mask[0, 0, 1:3, 2:5] = 1
    boxes = torch.tensor([[[0, 5, 0, 6], [2, 4, 3, 4], [0, 1, 0, 6]]])
    assert parts.count_within(mask, boxes).tolist() == [[6, 1, 0]]


def mirrored(seed: int = 0, numbers: tuple[int, ...] = (0, 1, 2, 3)) -> tuple[Tensor, Tensor, halves.Halves]:
    """The heads are round about column 30 and row 32; the tumours lie in columns 36 to 41."""
    image, target = heads()
    chosen = list(numbers)
    drawn = halves.draw_halves(AugmentConfig(mirror_half=1), seed, 0, numbers)
    return *halves.mirror_halves(image[chosen], target[chosen], drawn), drawn


@pytest.mark.parametrize("change", [cut, mirrored])
def test_parts_and_halves_depend_on_seed_epoch_and_sample_alone(change: Change) -> None:
    whole, whole_target, _ = change()
    part, part_target, _ = change(numbers=(3, 1))
    torch.testing.assert_close(part, whole[[3, 1]], rtol=1e-4, atol=1e-4)
    assert torch.equal(part_target, whole_target[[3, 1]])
    assert not torch.equal(change(seed=1)[0], whole)
    torch.testing.assert_close(whole.mean((2, 3)), torch.zeros(4, 1), atol=1e-4, rtol=0)


def test_where_nothing_is_asked_for_samples_stay() -> None:
    image, target = heads()
    settings = AugmentConfig()
    same = parts.show_parts(image, target, parts.draw_parts(settings, 0, 0, range(4)))
    also = halves.mirror_halves(image, target, halves.draw_halves(settings, 0, 0, range(4)))
    for found, masks in (same, also):
        assert torch.equal(found, image)
        assert torch.equal(masks, target)


def test_a_head_of_two_equal_halves_has_no_tumour_or_two() -> None:
    image, target = heads()
    hidden = doubled = 0
    for seed in range(8):
        made, masks, drawn = mirrored(seed)
        for number in range(3):
            assert not torch.equal(made[number], image[number])
            if drawn.hide[number]:
                hidden += 1
                assert not masks[number].any()
            else:
                doubled += 1
                assert masks[number].sum() == 2 * target[number].sum()
                tumour = masks[number] > 0
                assert made[number][tumour].mean() > made[number][~tumour].mean() + 1
        assert not masks[3].any()
    assert hidden > 5
    assert doubled > 5


def test_a_tumour_in_the_middle_and_a_head_seen_from_the_side_stay() -> None:
    image, target = heads(2)
    target[0] = 0
    target[0, 0, 28:36, 20:40] = 1
    target[0, 0, 20:44, 28:32] = 1
    image[1, 0, 6:32, 4:30] += 5  # a quarter that has no like
    target[1] = 0
    drawn = halves.draw_halves(AugmentConfig(mirror_half=1), 0, 0, range(2))
    same, masks = halves.mirror_halves(image, target, drawn)
    assert torch.equal(same, image)
    assert torch.equal(masks, target)


def test_the_middle_of_a_head_is_found() -> None:
    image, _ = heads(1)
    moved = torch.roll(image, (4, -4), (2, 3))
    line, alike = halves.find_middle(moved, torch.zeros_like(moved))
    assert alike.item() > 0.7
    assert abs(line.total.item() / 2 - (32 + 4 if line.axis.item() == 0 else 30 - 4)) <= 1


def test_jpeg_is_that_of_a_codec() -> None:
    random = np.random.default_rng(0)
    grey = np.kron(random.integers(40, 220, (12, 12)), np.ones((5, 5)))[:, :52].astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(grey).save(stream, "JPEG", quality=30)
    expected = np.asarray(Image.open(stream), float)
    found = greys.compress(torch.from_numpy(grey / 255.0)[None, None].float(), torch.tensor([30.0]))
    differences = np.abs(found[0, 0].numpy() * 255 - expected)[:56, :48]
    assert differences.mean() < 0.6  # a frequency between two steps may be rounded either way
    assert np.abs(expected - grey)[:56, :48].mean() > 5


def test_boxes_depths_and_dilation_by_hand() -> None:
    mask = torch.zeros(1, 1, 9, 9)
    mask[0, 0, 2:7, 3:8] = 1
    assert outlines.find_box(mask).tolist() == [[2, 6, 3, 7]]
    assert outlines.find_box(torch.zeros(1, 1, 4, 6)).tolist() == [[0, 3, 0, 5]]
    assert outlines.depth_in(mask, 4)[0, 0, 4].tolist() == [0, 0, 0, 1, 2, 3, 2, 1, 0]
    dot = torch.zeros(1, 1, 9, 9)
    dot[0, 0, 4, 4] = 1
    assert outlines.dilate(dot, 1).sum() == 5
    assert outlines.dilate(dot, 2).sum() == 21
    assert torch.equal(outlines.erode(outlines.dilate(dot, 2), 2), dot)


def test_a_tumour_is_pasted_into_the_head_of_another() -> None:
    image, target = heads()
    drawn = transplant.draw_transplants(AugmentConfig(paste=1), 0, 0, range(4), donors=3)
    donors = image[drawn.donor[[3]]], target[drawn.donor[[3]]]
    pasted, masks = transplant.paste_tumours(image, target, donors, drawn, [3])
    assert torch.equal(pasted[:3], image[:3])
    assert 10 < masks[3].sum() < 120
    assert (outlines.find_head(image)[3][masks[3] > 0] == 1).all()
    assert pasted[3][masks[3] > 0].mean() > 2 * pasted[3].std()
    far = outlines.dilate(masks[3:], 4)[0] == 0
    change = (pasted[3] - image[3])[far]
    assert change.std() < 0.05  # standardised anew, nothing else


def test_a_second_tumour_joins_the_one_that_is_there() -> None:
    image, target = heads()
    drawn = transplant.draw_transplants(AugmentConfig(paste=1, paste_into="all"), 0, 0, range(4), donors=3)
    donors = image[drawn.donor[[0]]], target[drawn.donor[[0]]]
    _, masks = transplant.paste_tumours(image, target, donors, drawn, [0])
    assert (masks[0] >= target[0]).all()
    assert masks[0].sum() >= target[0].sum()


def test_a_tumour_is_taken_out_and_other_places_are_filled() -> None:
    image, target = heads()
    drawn = transplant.draw_transplants(AugmentConfig(inpaint=1), 0, 0, range(4), donors=0)
    assert drawn.take_out.all()
    bare, empty = transplant.take_out_tumours(image, target, drawn)
    assert not empty.any()
    assert torch.equal(bare[3], image[3])
    brain = image[3][0, 28:34, 36:42]
    for number in range(3):
        place = bare[number][0, 28:34, 36:42]
        assert abs(place.mean() - brain.mean()) < 0.3
        assert place.std() < 2 * brain.std() + 0.1
    beside = transplant.Transplants(*(np.zeros(4, bool),) * 3, np.zeros(4, bool), np.ones(4, bool))
    filled, kept = transplant.take_out_tumours(image, target, beside)
    assert torch.equal(kept, target)
    assert not torch.equal(filled[0], image[0])
    assert torch.equal(filled[3], image[3])


def test_a_hole_is_filled_from_around() -> None:
    plane = torch.linspace(0, 1, 16).repeat(16, 1)[None, None]
    hole = torch.zeros_like(plane)
    hole[0, 0, 6:10, 6:10] = 1
    filled = transplant.inpaint(plane + 9 * hole, hole)
    assert torch.equal(filled[hole == 0], plane[hole == 0])
    assert (filled - plane)[hole > 0].abs().max() < 0.25


@pytest.fixture
def config(tmp_path: Path) -> Config:
    slices, without = PairFolder(tmp_path / "slices")(patients=8), free(tmp_path / "heads", images=8)
    settings = [*TINY, f"data.cache='{tmp_path / 'cache'}'", "augment.paste=1", "split.seed=1"]
    return with_data(load_config(None, settings), [slices, f"{without},tumour_free=true"])


def test_tumours_of_training_slices_are_pasted_into_training_slices(config: Config) -> None:
    dataset = load_data(config)
    split = split_dataset(dataset, config.split)
    with open_machine(config.train) as machine:
        feed = open_feed(config, dataset, split, machine)
        numbers = feed.windows.rows.tolist()
        _, target = feed.batch(numbers, epoch=0)
        plain = feed.store.batch(numbers)[1]  # type: ignore[attr-defined]
        again = feed.batch(numbers[::-1], epoch=0)[1].flip(0)
    assert torch.equal(again, target)
    assert (~plain.any((1, 2, 3))).sum() >= 3
    assert target.any((1, 2, 3)).sum() > plain.any((1, 2, 3)).sum()
    assert set(donor_names(config.augment, dataset, split)) == set(split.cases("train"))


def test_a_donor_of_a_held_out_patient_is_refused(config: Config, tmp_path: Path, program: Program) -> None:
    dataset = load_data(config)
    split = split_dataset(dataset, config.split)
    for part in ("validation", "test"):
        name = next(name for name in split.cases(part) if name.startswith("slices"))
        (tmp_path / "donors.csv").write_text(f"id\n{split.cases('train')[0]}\n{name}\n")
        settings = config.augment.model_copy(update={"donors": str(tmp_path / "donors.csv")})
        with pytest.raises(UserError, match=rf"the donor '{name}' is of a patient of the {part} part"):
            donor_names(settings, dataset, split)


def test_an_image_of_a_held_out_patient_that_was_left_out_is_no_donor(config: Config) -> None:
    dataset = load_data(config)
    split = split_dataset(dataset, config.split)
    tested = [name for name in split.cases("test") if name.startswith("slices")]
    parts = {**split.parts, tested[0]: "excluded"}
    with pytest.raises(UserError, match="held out"):
        refuse_held_out(dataset, replace(split, parts=parts), [tested[0]])


def test_donors_join_the_cases_that_a_model_knows(config: Config, tmp_path: Path) -> None:
    dataset = load_data(config)
    split = split_dataset(dataset, config.split)
    spare = next(name for name in split.cases("train") if name.startswith("slices"))
    patient = dataset.case(spare).patient
    group = [case.id for case in dataset.cases if case.patient == patient]
    (tmp_path / "donors.csv").write_text("\n".join(["id", *group]) + "\n")
    left_out = replace(split, parts={**split.parts, **dict.fromkeys(group, "excluded")})
    augment = config.augment.model_copy(update={"donors": str(tmp_path / "donors.csv")})
    task = Task(config.model_copy(update={"augment": augment}), dataset, left_out, tmp_path / "run")
    known = model_info(task).known_cases.contents["train"]
    assert all(dataset.facts[dataset.index[name]].image_hash in known for name in group)


def test_a_training_is_resumed_with_the_donors_that_it_had_wherever_they_are_listed(
    config: Config, tmp_path: Path
) -> None:
    dataset = load_data(config)
    split = split_dataset(dataset, config.split)
    first, second = [name for name in split.cases("train") if name.startswith("slices")][:2]

    def fingerprint(file: str, *names: str) -> str:
        (tmp_path / file).write_text("\n".join(["id", *names]) + "\n")
        augment = config.augment.model_copy(update={"donors": str(tmp_path / file)})
        return Task(config.model_copy(update={"augment": augment}), dataset, split, tmp_path / "run").fingerprint()

    before = fingerprint("donors.csv", first)
    assert fingerprint("elsewhere.csv", first) == before
    assert fingerprint("donors.csv", second) != before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["augment.paste=0.5", "data.window=[8,8,8]"], "augment.paste is for slices"),
        (
            ["augment.crop=0.5", "data.normalisation=volume"],
            "augment.crop measures brightness over each slice; leave it",
        ),
        (["augment.donors=x.csv"], "nothing is pasted"),
        (["augment.paste_into=all"], "augment.paste is 0, so that nothing is pasted"),
        (["augment.crop=1.5"], "less than or equal to 1"),
    ],
)
def test_wrong_settings_are_one_line(given: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        load_config(None, given)


def test_pasting_needs_slices_without_a_tumour(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slices = PairFolder(tmp_path / "slices")(patients=6)
    settings = [*TINY, "augment.paste=0.5", f"data.cache='{tmp_path}'"]
    options = [text for setting in settings for text in ("--set", setting)]
    monkeypatch.chdir(tmp_path)
    said = program("train", "--data", slices, *options, "--output", tmp_path / "run")
    assert said.status == 2
    assert "no training slice is without a tumour" in said.err
    everywhere = program("train", "--data", slices, *options, "--set", "augment.paste_into=all", "--no-test")
    assert everywhere.status == 0


@pytest.mark.slow
def test_all_remedies_train_together(program: Program, config: Config, tmp_path: Path) -> None:
    changed = config.model_copy(
        update={
            "augment": AugmentConfig(skull_strip=0.5, crop=0.5, appearance=0.5, paste=0.5, inpaint=0.5),
            "train": config.train.model_copy(update={"epochs": 1}),
        }
    )
    run = tumorline.train(changed, output=tmp_path / "run")
    assert read_info(run / "model.safetensors").config["augment"]["paste"] == 0.5
