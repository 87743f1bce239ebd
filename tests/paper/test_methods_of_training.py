"""What the methods say of a training: each key that changes the loss or the images changes the text, in true words."""

from pathlib import Path
from typing import Any

import pytest

from tumorline.config import AugmentConfig, Config, LossConfig, LossTerm
from tumorline.paper.augmentation_methods import describe_augmentation
from tumorline.paper.study import Study
from tumorline.paper.training_methods import describe_loss, describe_training
from tumorline.results import read_summary
from tumorline.training.optimiser import learning_rate

SUMMARY = read_summary(Path(__file__).parents[1] / "frozen" / "0.1.0" / "run" / "summary.json")
NONE = {field: 0 for field in AugmentConfig.model_fields if field not in ("paste_into", "donors")}
AWAY: dict[str, Any] = {
    **dict.fromkeys(AugmentConfig.model_fields, 0.11),
    **{"flips": "vertical", "paste_into": "all", "donors": "mine/donors.csv"},
}
LOSS_AWAY: dict[str, Any] = {
    **{"name": "bce", "options": {"smooth": 2}, "sum": [{"name": "dice"}, {"name": "bce"}]},
    **{"presence": 0.7, "teacher": "/home/someone/runs/teacher", "teacher_share": 0.7},
}
TERM_AWAY: dict[str, Any] = {"name": "bce", "options": {"smooth": 2}, "weight": [1, 0.5]}
ONE_CYCLE = (
    "rises linearly from 0.04 of that value over the first 30% of the steps and then falls to 0.0001 of that value"
)


def of_augmentation(**values: Any) -> str:
    return " ".join(describe_augmentation(AugmentConfig(**values)))


def of_loss(**values: Any) -> str:
    return " ".join(describe_loss(Config.model_validate({"loss": values, "model": {"options": {"presence": True}}})))


def of_schedule(**values: Any) -> str:
    return " ".join(describe_training(Study(SUMMARY, Config.model_validate({"train": values}))))


@pytest.mark.parametrize("field", AugmentConfig.model_fields)
def test_each_key_of_augment_is_in_the_methods(field: str) -> None:
    base = {"paste": 0.5} if field in ("paste_into", "donors") else {}
    assert of_augmentation(**base, **{field: AWAY[field]}) != of_augmentation(**base)


@pytest.mark.parametrize("field", LossConfig.model_fields)
def test_each_key_of_loss_is_in_the_methods(field: str) -> None:
    base = {"teacher": "teacher"} if field == "teacher_share" else {}
    assert of_loss(**base, **{field: LOSS_AWAY[field]}) != of_loss(**base)


@pytest.mark.parametrize("field", LossTerm.model_fields)
def test_each_key_of_a_term_is_in_the_methods(field: str) -> None:
    assert of_loss(sum=[{"name": "dice", field: TERM_AWAY[field]}]) != of_loss(sum=[{"name": "dice"}])


def test_remedies_alone_are_an_augmentation() -> None:
    assert of_augmentation(**NONE) == "Training images were not augmented."
    said = of_augmentation(**{**NONE, "paste": 0.5, "donors": "/home/someone/d.csv", "skull_strip": 0.005})
    assert "the tumour of one of the cases in 'd.csv' put into 50% of the slices without a tumour" in said
    assert "(in 0.5% of the slices)" in said


def test_factors_are_those_that_are_drawn() -> None:
    assert "scaling by factors from 0.8696 to 1.15" in of_augmentation()


def test_a_teacher_is_named_without_its_place() -> None:
    said = of_loss(teacher="/home/someone/runs/teacher", teacher_share=0.7)
    assert "30% of what was minimised; the other 70% are the cross-entropy with the probabilities of the model" in said
    assert "'teacher'" in said
    assert "someone" not in said


def test_presence_is_told_of_networks_that_tell_it() -> None:
    assert "whether there is a tumour at all" in of_loss(presence=0.2)
    assert "whether there is a tumour at all" not in " ".join(describe_loss(Config()))


def test_one_cycle_is_described_as_it_is() -> None:
    settings = Config.model_validate({"train": {"schedule": "one_cycle", "learning_rate": 1}}).train
    assert [learning_rate(settings, step, 1000) for step in (0, 300)] == [0.04, 1]
    assert learning_rate(settings, 999, 1000) == pytest.approx(1e-4, rel=0.1)
    assert ONE_CYCLE in of_schedule(schedule="one_cycle")
    assert "after 1 epoch without" in of_schedule(schedule="plateau", plateau_patience=1)
