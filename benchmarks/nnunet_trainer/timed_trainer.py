"""nnU-Net's own trainer with a schedule that ends when its time is over (benchmarks/nnunet.py).

nnU-Net finds it by the environment variable nnUNet_extTrainer. Plans, augmentation, batch, loss, optimiser and the
shape of the schedule are nnU-Net's; what differs is that the share of the schedule that is done is the share of the
seconds that are spent, that an epoch is short, and that the validation at the end, which nothing here asks for, is left
out.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

TIMES_NAME = "times.json"
POWER = 0.9
"""Of nnU-Net's polynomial schedule."""


class TimeIsOver(Exception):
    """All seconds are spent."""


class TimedTrainer(nnUNetTrainer):  # type: ignore[misc]
    """TIMED_SECONDS in all, of which TIMED_SPENT are spent already; TIMED_BEGAN is when this process was started."""

    def __init__(
        self,
        plans: dict[str, Any],
        configuration: str,
        fold: int,
        dataset_json: dict[str, Any],
        device: torch.device = torch.device("cuda"),  # noqa: B008  nnU-Net asks for this very signature
    ) -> None:
        super().__init__(plans, configuration, fold, dataset_json, device)
        self.num_epochs = 10**6
        self.num_iterations_per_epoch = int(os.environ["TIMED_ITERATIONS"])
        self.num_val_iterations_per_epoch = 1
        self.save_every = 1
        self.seconds = float(os.environ["TIMED_SECONDS"])
        self.spent = float(os.environ["TIMED_SPENT"])
        self.began = float(os.environ["TIMED_BEGAN"])
        self.times = self.kept_times()

    def kept_times(self) -> dict[str, Any]:
        """Iterations that are done, and the seconds of the last ones, of all processes that trained this."""
        file = Path(self.output_folder) / TIMES_NAME
        times: dict[str, Any] = {"iterations": 0, "step_seconds": []}
        return times | json.loads(file.read_text()) if file.is_file() else times

    def elapsed(self) -> float:
        return self.spent + time.time() - self.began

    def run_training(self) -> None:
        try:
            super().run_training()
        except TimeIsOver:
            self.on_train_end()

    def train_step(self, batch: dict[str, Any]) -> dict[str, Any]:
        share = self.elapsed() / self.seconds
        if share >= 1:
            raise TimeIsOver
        for group in self.optimizer.param_groups:
            group["lr"] = self.initial_lr * (1 - share) ** POWER
        began = time.perf_counter()
        result: dict[str, Any] = super().train_step(batch)
        self.times["iterations"] += 1
        self.times["step_seconds"].append(time.perf_counter() - began)
        return result

    def save_checkpoint(self, filename: str) -> None:
        """What is saved says how much time it took, so that what is lost by a stop is not charged."""
        super().save_checkpoint(filename)
        times = {**self.times, "spent": self.elapsed(), "batch_size": self.configuration_manager.batch_size}
        times["patch"] = [int(side) for side in self.configuration_manager.patch_size]
        (Path(self.output_folder) / TIMES_NAME).write_text(json.dumps(times))

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Left out: the cases that are tested are predicted by a command of their own."""
