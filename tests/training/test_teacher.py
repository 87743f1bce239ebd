"""A finished model's probabilities are learnt beside the masks, and alone where there are none."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from torch import nn

import tumorline
from tests.conftest import TINY, PairFolder
from tests.data.test_joined import free
from tumorline.config import Config, load_config
from tumorline.data.dataset import load_dataset
from tumorline.data.joined import load_data
from tumorline.data.splits.split import split_dataset
from tumorline.errors import UserError
from tumorline.inference.model import load
from tumorline.model_file import read_info
from tumorline.models.presence import PresenceGated
from tumorline.network_input.cache import open_cache
from tumorline.source_spec import with_data
from tumorline.training.feed import open_feed
from tumorline.training.loop import Loop
from tumorline.training.machine import open_machine
from tumorline.training.objective import Objective, Samples
from tumorline.training.task import Task
from tumorline.training.teacher import Teacher, imitation, open_teacher, refuse_another_view
from tumorline.training.weights import start


def taught(source: Path, teacher: Path, *more: str) -> Config:
    settings = [*TINY, f"data.cache='{source.parent / 'cache'}'", f"loss.teacher='{teacher}'", *more]
    return with_data(load_config(None, settings), [source])


def test_a_teacher_may_not_have_seen_whom_the_student_is_tested_on(
    tiny_source: Path, tiny_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=r"loss.teacher: '\w+' was trained or tuned on \d+ of the \d+ validation and"):
        tumorline.train(taught(tiny_source, tiny_run, "split.seed=3"), output=tmp_path / "run")
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").iterdir())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("data.image_size=48", r"'unet' sees at once \(32, 32\), this training \(48, 48\)"),
        ("data.normalisation=volume", "reads images as"),
    ],
)
def test_a_teacher_has_to_see_what_its_student_sees(
    tiny_source: Path, tiny_run: Path, tmp_path: Path, change: str, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        tumorline.train(taught(tiny_source, tiny_run, change), output=tmp_path / "run")


@pytest.mark.parametrize(
    ("its", "own", "said"),
    [
        (
            ("flair", ""),
            ("post_contrast", ""),
            r"'unet' sees the sequence flair, this training post_contrast; a teacher",
        ),
        (("", "whole_tumour"), ("", "tumour_core"), r"'unet' takes as tumour whole_tumour, this training tumour_core"),
        (("flair", "tumour"), ("", "tumour_core"), ""),
        (("flair", "whole_tumour"), ("flair", ""), ""),
    ],
)
def test_a_teacher_of_another_sequence_or_outline_is_refused_where_both_are_known(
    tiny_source: Path, tiny_run: Path, its: tuple[str, str], own: tuple[str, str], said: str
) -> None:
    info, dataset = read_info(tiny_run / "model.safetensors"), load_data(taught(tiny_source, tiny_run))
    data = info.data.model_copy(update=dict(zip(("channel", "label"), its, strict=True)))
    info = info.model_copy(update={"data": data})
    dataset = replace(dataset, source=replace(dataset.source, channel=own[0], label=own[1]))
    with pytest.raises(UserError, match=said) if said else nullcontext():
        refuse_another_view(info, dataset)


def test_its_answers_are_those_that_its_files_give(tiny_source: Path, tiny_run: Path) -> None:
    config = taught(tiny_source, tiny_run)
    dataset = load_data(config)
    model, case = load(tiny_run), dataset.cases[0]
    seen = torch.from_numpy(np.array(open_cache(dataset).images[:1], np.float32))
    with open_machine(config.train) as machine:
        mine = open_teacher(str(tiny_run), dataset, machine).probability(seen).numpy()[0]
    logits, _ = model.logits(dataset.read(case).image)
    theirs = 1 / (1 + np.exp(-logits / np.array(model.info.temperatures)[:, None, None]))
    assert np.abs(mine - theirs).max() < 2e-3


def test_imitation_is_cross_entropy_of_each_sample() -> None:
    logits, answers = torch.zeros(2, 1, 2, 2), torch.tensor([0.5, 1.0]).reshape(2, 1, 1, 1).expand(2, 1, 2, 2)
    assert imitation(logits, answers).tolist() == pytest.approx([np.log(2), np.log(2)])
    assert imitation(4 * torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 2)).item() == pytest.approx(np.log1p(np.exp(-4)))


def test_a_sample_without_masks_has_the_teachers_answers_alone(
    tiny_source: Path, tiny_run: Path, tmp_path: Path
) -> None:
    heads = free(tmp_path / "heads", images=6)
    config = with_data(taught(tiny_source, tiny_run), [tiny_source, f"{heads},unlabelled=true"])
    dataset = load_data(config)
    split = split_dataset(dataset, config.split)
    assert {split.parts[case.id] for case in dataset.cases if case.id.startswith("heads")} == {"train"}
    task = Task(config, dataset, split, tmp_path / "run")
    with open_machine(config.train) as machine:
        feed = open_feed(config, dataset, split, machine)
        loop = Loop(task, machine, feed, start(task, machine))
        numbers = feed.windows.rows.tolist()
        labelled = feed.labelled(numbers)
        assert labelled.tolist() == [not dataset.cases[number].id.startswith("heads") for number in numbers]
        image, target = feed.batch(numbers, 0)
        objective = loop.objective
        assert objective.teacher is not None
        answers = objective.teacher.probability(image)
        own = image.new_zeros(image.shape)
        alone, mixed = ~labelled, labelled
        expected = imitation(own[alone], answers[alone]).mean()
        found = objective.loss(own[alone], Samples(image[alone], target[alone], labelled[alone]))
        assert found.item() == pytest.approx(expected.item())
        half = objective.loss(own[mixed], Samples(image[mixed], target[mixed], labelled[mixed]))
        masks = objective.criterion(own[mixed], target[mixed])
        assert half.item() == pytest.approx(0.5 * (imitation(own[mixed], answers[mixed]).mean() + masks).item())


class TwoAnswers(nn.Module):
    """Masks and presence, each by a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.mask, self.presence = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(()))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.mask * image, self.presence * image.mean((2, 3))


def test_a_batch_without_masks_reaches_presence_as_well_and_changes_nothing_of_it(tiny_source: Path) -> None:
    """Several processes wait for a gradient of every parameter."""
    config = load_config(None, [*TINY, f"data.source='{tiny_source}'"])
    network, image = PresenceGated(TwoAnswers(), 1, 1), torch.ones(2, 1, 4, 4)
    with open_machine(config.train) as machine:
        objective = Objective(config.loss, network, load_dataset(tiny_source, config.data), machine)
        objective.teacher = Teacher(nn.Identity(), torch.ones(1, 1, 1, 1))
        loss = objective.loss(network(image), Samples(image, image, torch.zeros(2, dtype=torch.bool)))
    loss.backward()
    mask, presence = (parameter.grad for parameter in network.parameters())
    assert mask is not None
    assert presence is not None
    assert presence.item() == 0
    assert loss.item() == pytest.approx(imitation(image, image.sigmoid()).mean().item())


def test_unlabelled_images_need_a_teacher_and_train_only(tiny_source: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is unlabelled; say with loss.teacher whose answers are learnt there"):
        with_data(load_config(None, TINY), [tiny_source, f"{tmp_path},unlabelled=true"])
    with pytest.raises(UserError, match="an unlabelled source trains only; it cannot be the test part"):
        with_data(load_config(None, TINY), [tiny_source, f"{tmp_path},unlabelled=true,part=test"])


def test_the_teachers_cases_and_terms_join_the_students(tiny_source: Path, tiny_run: Path, tmp_path: Path) -> None:
    own = PairFolder(tmp_path / "own")(patients=6, slices=1, first_seed=500)
    run = tumorline.train(taught(own, tiny_run), output=tmp_path / "run")
    info, teacher = read_info(run / "model.safetensors"), read_info(tiny_run / "model.safetensors")
    assert {*teacher.known_cases.contents["train"]} < {*info.known_cases.contents["train"]}
    assert f"taught by '{teacher.name}'" in info.licence
