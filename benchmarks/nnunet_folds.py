"""What is set beside what by nnunet.py: the sides, the folds, and where each keeps its files."""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REGIONS = {"whole_tumour": (1, 2, 3), "tumour_core": (2, 3), "enhancing_tumour": (3,)}
"""Labels of nnU-Net's side, which wants them to follow one another: 1 oedema, 2 core without 3, 3 enhancing."""
FOLDS = 5


@dataclass(frozen=True)
class Side:
    """Who trains, in how many axes, in which precision."""

    tool: str
    axes: int
    precision: str
    masks: tuple[str, ...]
    """Ways to predict, by the name of their folder."""

    @property
    def configuration(self) -> str:
        return {2: "2d", 3: "3d_fullres"}[self.axes]

    @property
    def recipe(self) -> str:
        return {2: "brats_2d", 3: "brats_3d"}[self.axes]


SIDES = {
    "nnunet_3d": Side("nnunet", 3, "float32", ("plain", "mirrored")),
    "tumorline_3d_float32": Side("tumorline", 3, "float32", ("plain", "mirrored")),
    "nnunet_2d": Side("nnunet", 2, "float32", ("plain", "mirrored")),
    "tumorline_2d_float32": Side("tumorline", 2, "float32", ("plain", "mirrored")),
    "tumorline_3d_bfloat16": Side("tumorline", 3, "bfloat16", ("plain",)),
    "tumorline_2d_bfloat16": Side("tumorline", 2, "bfloat16", ("plain",)),
    "monai_3d": Side("monai", 3, "float32", ("plain",)),
}
"""In the order of what they tell. nnU-Net computes in float32 on every processor: its autocast is for GPUs alone."""


@dataclass(frozen=True)
class Fold:
    """One side on one fold: where its data lie and what it leaves."""

    given: argparse.Namespace
    name: str
    number: int

    @property
    def side(self) -> Side:
        return SIDES[self.name]

    @property
    def dataset(self) -> Path:
        return dataset_folder(self.given.output, self.side.axes, self.number)

    @property
    def folder(self) -> Path:
        return Path(self.given.output, self.name, f"fold-{self.number}")

    @property
    def weights(self) -> Path:
        """What is there once it is trained."""
        if self.side.tool == "nnunet":
            return self.nnunet_results / "checkpoint_final.pth"
        return self.folder / ("weights.pt" if self.side.tool == "monai" else "report.html")

    @property
    def nnunet_results(self) -> Path:
        trained = f"TimedTrainer__nnUNetPlans__{self.side.configuration}"
        return Path(self.given.output, "results", self.dataset.name, trained, "fold_all")

    @property
    def is_finished(self) -> bool:
        """Trained and predicted, here or on another machine from which its notes were kept."""
        return all(map(self.note, ("training", *self.side.masks)))

    def note(self, name: str) -> dict[str, Any]:
        file = self.file_of(name)
        return json.loads(file.read_text()) if file.is_file() else {}

    def keep(self, name: str, content: dict[str, Any]) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.file_of(name).write_text(json.dumps(content, indent=1))

    def file_of(self, name: str) -> Path:
        return self.folder.with_name(f"{self.folder.name}.{name}.json")


def dataset_folder(output: Path, axes: int, fold: int) -> Path:
    return output / "raw" / f"Dataset{100 * axes + fold}_BraTS{axes}d"
