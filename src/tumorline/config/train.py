"""`[train]`: how the network is trained, and on what."""

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from tumorline.config.section import MANY, Section, split_at_commas
from tumorline.errors import did_you_mean

ONE_CYCLE_RISE = 0.3
"""Share of the steps over which the one-cycle schedule rises where `warmup` is not given."""

CYCLE_START, CYCLE_END = 1 / 25, 1e-4
"""Where one cycle begins and ends, as shares of its highest rate."""

LOGGERS = {"tensorboard": "TensorBoard", "mlflow": "MLflow"}
"""Callbacks that come with the package: names, each with its class."""


class TrainConfig(Section):
    """How the network is trained, and on what."""

    epochs: int = Field(default=16, ge=1, le=MANY)
    """Passes over the training images, or over `epoch_images` of them."""
    epoch_images: int = Field(default=0, ge=0, le=10**9)
    """Training images of one epoch, others in each; 0 or more than there are: all of them."""
    batch_size: int = Field(default=16, ge=1, le=MANY)
    """Over all processes together."""
    balance_patients: float = Field(default=0.0, ge=0, le=1)
    """How often a case is drawn: 0 every case alike, 1 every patient alike, whatever the number of slices."""
    optimiser: Literal["adamw", "adam"] = "adamw"
    """AdamW decays the weights apart from the gradient; of 'adam' the decay is part of it."""
    learning_rate: float = Field(default=2e-3, ge=1e-15, le=1e15)
    """The highest one; `schedule` says how it moves. `tumorline train --find-lr` suggests one."""
    backbone_rate: float = Field(default=1.0, ge=0, le=1e6)
    """Factor on the learning rate of the layers that may be pretrained."""
    layer_decay: float = Field(default=1.0, ge=1e-6, le=1)
    """Each layer of the backbone learns by this factor more slowly than the one after it (layer-wise decay)."""
    freeze_epochs: int = Field(default=0, ge=0, le=MANY)
    """For so many epochs the backbone is left as it was loaded, norms included; then it learns as well."""
    weight_decay: float = Field(default=1e-2, ge=0, le=1e6)
    """Of weights of two dimensions or more, not of biases and norms."""
    schedule: Literal["cosine", "constant", "one_cycle", "poly", "plateau"] = "cosine"
    """What follows the warm-up: to zero along half a cosine or as a power of what is left ('poly'), no change, or lower
    each time the validation Dice stops improving ('plateau'). 'one_cycle' rises from a 25th and falls to a 10 000th."""
    warmup: float = Field(default=0.05, ge=0, lt=1)
    """Share of all steps over which the learning rate rises from zero; with one_cycle its rising part, then 0.3 where
    nothing is given."""
    plateau_patience: int = Field(default=3, ge=1, le=MANY)
    """Epochs without a better validation Dice after which 'plateau' lowers the rate."""
    plateau_factor: float = Field(default=0.5, ge=1e-6, lt=1)
    """By which 'plateau' lowers it."""
    clip_norm: float = Field(default=1.0, ge=0, le=1e15)
    """Largest gradient norm; 0 switches clipping off."""
    average_decay: float = Field(default=0.99, ge=0, lt=1)
    """Decay per step of the moving average of weights, which is what is validated and kept; 0 switches it off."""
    patience: int = Field(default=0, ge=0, le=MANY)
    """Stop after so many epochs without a better validation Dice; 0 never stops early."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """'auto' takes bfloat16 autocast where the hardware computes in it (AMX, AVX512-BF16, Ampere and later)."""
    channels_last: bool = True
    """Keep images with their channels together in memory, which is faster on most machines; results stay."""
    compile: bool = False
    """Compile the network with torch.compile; slow to begin, faster afterwards on a GPU."""
    device: str = "auto"
    """'auto' takes a GPU of CUDA where there is one; else cpu, cuda, cuda:1."""
    deterministic: bool = False
    """Refuse operations that have no deterministic version (GPU; on CPU every run is repeatable)."""
    checkpoint_minutes: float = Field(default=5.0, ge=1e-3, le=MANY)
    """Save the resumable state at each epoch's end and at least this often within an epoch."""
    callbacks: tuple[str, ...] = ()
    """Who is told of each epoch: tensorboard, mlflow (extras of these names), or your own as package.module:Name."""

    @field_validator("callbacks", mode="before")
    @classmethod
    def splits_callbacks_at_commas(cls, value: Any) -> Any:
        return split_at_commas(value)

    @field_validator("callbacks")
    @classmethod
    def names_callbacks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for name in value:
            if name not in LOGGERS and not re.fullmatch(r"[\w.]+:\w+", name):
                raise ValueError(f"'{name}' is no package.module:Name and no logger; {did_you_mean(name, LOGGERS)}")
        return tuple(dict.fromkeys(value))

    @model_validator(mode="before")
    @classmethod
    def one_cycle_rises_longer(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("schedule") == "one_cycle":
            return {"warmup": ONE_CYCLE_RISE, **values}
        return values
