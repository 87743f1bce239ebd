"""A model that tells how far it is with a case, and remembers what it saw of it and answered."""

from dataclasses import dataclass, field, fields
from math import prod
from pathlib import Path

import numpy as np

from tumorline.arrays import Float32Array, ImageArray, MaskArray
from tumorline.geometry.grid import Grid
from tumorline.inference.model import TTA, Answer, Model
from tumorline.network_input.spaced import SpacedInput
from tumorline.network_input.windows import NetworkInput
from tumorline.progress import Progress


@dataclass
class Witness:
    """Of the case at hand."""

    watch: Progress
    """Told how many windows of how many the network has seen."""
    seen: int = 0
    of: int = 0
    image: ImageArray | None = None
    masks: MaskArray | None = None
    grid: Grid | None = None

    def begin(self, image: ImageArray, grid: Grid | None) -> None:
        self.seen, self.of = 0, 0
        self.image, self.masks, self.grid = image, None, grid

    def forget(self) -> None:
        self.image = self.masks = self.grid = None

    def count(self, windows: int) -> None:
        self.seen += windows
        self.watch(self.seen, max(self.seen, self.of))


@dataclass(frozen=True)
class WatchedModel(Model):
    """As the model that it is made of."""

    witness: Witness = field(default_factory=lambda: Witness(lambda _done, _of: None))

    def answer(self, image: ImageArray, name: Path | str = "image", grid: Grid | None = None) -> Answer:
        self.witness.begin(image, grid)
        return super().answer(image, name, grid)

    def see(
        self, image: ImageArray, name: Path | str = "image", grid: Grid | None = None
    ) -> NetworkInput | SpacedInput:
        seen = super().see(image, name, grid)
        self.witness.of = count_windows(seen) * len(TTA[self.tta])
        return seen

    def masks(self, probability: Float32Array, grid: Grid | None = None) -> MaskArray:
        masks = super().masks(probability, grid)
        self.witness.masks = np.asarray(masks)
        return masks

    def _run(self, squares: Float32Array, name: Path | str) -> Float32Array:
        logits = super()._run(squares, name)
        self.witness.count(len(squares))
        return logits


def watch_model(model: Model, watch: Progress) -> WatchedModel:
    model_fields = {part.name: getattr(model, part.name) for part in fields(Model)}
    return WatchedModel(**model_fields, witness=Witness(watch))


def count_windows(seen: NetworkInput | SpacedInput) -> int:
    """How many windows a network is to answer."""
    if isinstance(seen, SpacedInput):
        return prod(len(starts) for starts in seen.tiling.starts)
    return len(seen.shown)
