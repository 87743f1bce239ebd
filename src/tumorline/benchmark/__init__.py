"""Models, losses, variants, seeds and folds under one budget: independent cells, gone on with, one leaderboard."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tumorline.benchmark.cell import Job, is_trained, prepare, share_training, training_key
from tumorline.benchmark.executors import Executor, local, on_ray
from tumorline.benchmark.plan import Arm, Cell, Choice, Plan, candidates, cells, read_plan, selected
from tumorline.files import read_csv
from tumorline.run_folder import HISTORY_NAME

__all__ = ["Benchmark", "Plan", "local", "on_ray", "read_plan"]

Notify = Callable[[str], None]


class Benchmark:
    """A plan in its folder: `cells/` with a run for each, `leaderboard.*` over all that are finished."""

    def __init__(self, plan: Plan, output: Path, notify: Notify, processes: int = 1) -> None:
        self.plan, self.output, self.notify = plan, output, notify
        self.threads = max(1, (os.cpu_count() or 1) // processes)

    def run(self, execute: Executor, only: Sequence[str] = ()) -> dict[str, Any]:
        """Carry out what is not finished and gather all that is; returns the content of `leaderboard.json`.

        A finished cell is never run again, and one that was stopped goes on from its last saved state.
        """
        chosen = selected(self.plan, only)
        try:
            if self.plan.choose:
                self.carry_out([cell for arm in chosen for cell in candidates(self.plan, arm)], execute, test=False)
            able = [arm for arm in chosen if self.choice(arm) is not None]
            self.carry_out([cell for arm in able for cell in self.cells(arm)], execute, test=True)
        finally:
            result = self.gather()
        return result

    def carry_out(self, wanted: Sequence[Cell], execute: Executor, test: bool) -> None:
        """Run the cells that are not done: first one for each training, then those that share one."""
        jobs = {cell: prepare(cell, self.output, test, self.threads) for cell in wanted}
        first: dict[str, Cell] = {}
        for cell in jobs:
            first.setdefault(training_key(cell.config), cell)
        sharing = [cell for cell in jobs if cell not in first.values()]
        self.execute([jobs[cell] for cell in first.values()], execute)
        for cell in sharing:
            share_training(jobs[cell], jobs[first[training_key(cell.config)]].folder)
        self.execute([jobs[cell] for cell in sharing], execute)

    def execute(self, jobs: Sequence[Job], execute: Executor) -> None:
        waiting = [job for job in jobs if not job.done]
        for number, (job, error) in enumerate(execute(waiting), start=1):
            self.notify(f"{number}/{len(waiting)} {job.name}: {error or ('finished' if job.test else 'trained')}")

    def cells(self, arm: Arm) -> list[Cell]:
        """An arm's cells with what validation has chosen for it; none as long as nothing is chosen."""
        choice = self.choice(arm)
        return [] if choice is None else cells(self.plan, arm, choice)

    def choice(self, arm: Arm) -> Choice | None:
        """What validation has chosen: the highest Dice by patient, the first of equals; None while one is missing."""
        trained = candidates(self.plan, arm)
        folders = [self.output / "cells" / cell.name for cell in trained]
        if self.plan.choose and not all(map(is_trained, folders)):
            return None
        best = max(range(len(trained)), key=lambda number: validation_dice(folders[number])) if self.plan.choose else 0
        return trained[best].choice

    def gather(self) -> dict[str, Any]:
        return {}


def validation_dice(folder: Path) -> float:
    """Best validation Dice by patient of a training."""
    return max(float(row["validation_dice"]) for row in read_csv(folder / HISTORY_NAME))
