"""`[loss]`: what the training makes small."""

from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from tumorline.config.section import MANY, Options, Section


class LossTerm(Section):
    """One loss of a sum."""

    name: str
    """A loss that `tumorline losses` lists."""
    options: Options = {}
    """Of the loss."""
    weight: float | tuple[float, float] = 1.0
    """A number, or [first, last]: on a straight line from the one to the other over the training."""

    @field_validator("weight", mode="before")
    @classmethod
    def is_one_or_two_numbers(cls, value: Any) -> Any:
        ends = list(value) if isinstance(value, (list, tuple)) else [value, value]
        if len(ends) != 2 or not all(type(end) in (int, float) and 0 <= end <= MANY for end in ends):
            raise ValueError("expected a number of 0 or more, or two such numbers [first, last]")
        return value

    @property
    def ends(self) -> tuple[float, float]:
        return self.weight if isinstance(self.weight, tuple) else (self.weight, self.weight)


class LossConfig(Section):
    """What the training makes small."""

    name: str = "dice_ce"
    """A loss that `tumorline losses` lists."""
    options: Options = {}
    """Of the loss."""
    sum: tuple[LossTerm, ...] = ()
    """Losses to add up, each with its weight, in place of `name` and `options`."""
    presence: float = Field(default=0.2, ge=0, le=MANY)
    """Weight of the cross entropy of presence, where the network has a head for it (`model.options.presence`)."""

    teacher: str = ""
    """A run folder, a listed model or a model file, ensembles too, whose probabilities are learnt beside the masks. It
    may not have been trained or tuned on a patient who validates or tests here; its cases join the known ones."""
    teacher_share: float = Field(default=0.5, gt=0, le=1)
    """Of the loss, what is the cross entropy with the teacher's probabilities; the rest is that of the masks. Samples
    of unlabelled sources (`data.sources.unlabelled`) have the teacher's alone."""

    @model_validator(mode="after")
    def is_one_loss_or_a_sum(self) -> Self:
        if self.sum and (self.name, self.options) != ("dice_ce", {}):
            raise ValueError("loss.sum stands in place of loss.name and loss.options; leave those out")
        for end, when in enumerate(("start", "end")):
            if self.sum and not any(term.ends[end] for term in self.sum):
                raise ValueError(f"loss.sum: all weights are 0 at the {when} of the training; one must be above 0")
        return self
