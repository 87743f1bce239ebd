"""Models, losses, variants, seeds and folds under one budget: independent cells, gone on with, one leaderboard."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from tumorline import cross_validation
from tumorline.benchmarking import leaderboard
from tumorline.benchmarking.cell import (
    CellJob,
    is_trained,
    last_error,
    prepare,
    refuse_another,
    share_training,
    training_key,
)
from tumorline.benchmarking.executors import Executor, local, on_ray
from tumorline.benchmarking.leaderboard import Entry
from tumorline.benchmarking.plan import (
    Arm,
    BenchmarkPlan,
    Cell,
    Choice,
    arms,
    budget_in_words,
    candidates,
    cells,
    every_cell,
    initialisation,
    longer_cells,
    of_first_seed,
    selected,
)
from tumorline.benchmarking.plan_file import read_plan
from tumorline.escaping import for_shell
from tumorline.file_names import HOURS_NAME, LEADERBOARD_NAME
from tumorline.files import write_json
from tumorline.groups import grouped
from tumorline.progress import Notify
from tumorline.report.benchmark import write_leaderboard
from tumorline.results.compared import Leaderboard, Unmeasured
from tumorline.run_folder import best_validation_dice, is_finished, save_config
from tumorline.user_folders import home_folder
from tumorline.work_ahead import count_cores

__all__ = ["NAMES", "Benchmark", "local", "on_ray", "read_plan"]

NAMES = ("cells", "leaderboard.*", HOURS_NAME)
"""All that a benchmark's folder holds, with or without a journal."""

STOPPED_WORD = "stopped"
"""How the last line of a training begins that was asked to stop."""


class Benchmark:
    """A plan in its folder: `cells/` with a run for each, `leaderboard.*` over all that are finished."""

    def __init__(self, plan: BenchmarkPlan, output: Path, notify: Notify, command: str, processes: int = 1) -> None:
        """`command` is what carries it out, for the arms that could not be measured here."""
        self.plan, self.output, self.notify, self.command = plan, output, notify, command
        self.processes = processes
        self.threads = max(1, count_cores() // processes)

    def run(self, execute: Executor, only: Sequence[str] = ()) -> Leaderboard:
        """Carry out what is not finished and gather all that is; returns the content of `leaderboard.json`.

        A finished cell is never run again, and one that was stopped goes on from its last saved state. Raises UserError
        where a cell that is there has another configuration, asked for or not: all are ranked.
        """
        chosen = selected(self.plan, only)
        for cell in every_cell(self.plan):
            refuse_another(cell, self.folder(cell))
        try:
            if self.plan.choose:
                self.carry_out([cell for arm in chosen for cell in candidates(self.plan, arm)], execute, test=False)
            able = [arm for arm in chosen if self.choice(arm) is not None]
            for stage in (self.cells, self.cells, self.longer_cells):  # which arms are the best shows after the first
                self.carry_out([cell for arm in able for cell in stage(arm)], execute, test=True)
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

    def execute(self, jobs: Sequence[CellJob], execute: Executor) -> None:
        waiting = [job for job in jobs if not job.done]
        for number, (job, error) in enumerate(execute(waiting), start=1):
            self.notify(f"{number}/{len(waiting)} {job.name}: {error or ('finished' if job.test else 'trained')}")

    def cells(self, arm: Arm) -> list[Cell]:
        """An arm's cells with what validation has chosen for it, as far as that is known; none without a choice."""
        has_all_seeds = not self.plan.best or arm.name in self.leaders(self.plan.best)
        return self.chosen_cells(arm) if has_all_seeds else of_first_seed(self.plan, self.chosen_cells(arm))

    def chosen_cells(self, arm: Arm) -> list[Cell]:
        """As `cells`, of all seeds."""
        choice = self.choice(arm)
        return [] if choice is None else cells(self.plan, arm, choice)

    def longer_cells(self, arm: Arm) -> list[Cell]:
        """Those of a leader at more epochs."""
        choice = self.choice(arm)
        is_wanted = choice is not None and arm.name in self.leaders(self.plan.longer)
        return longer_cells(self.plan, arm, choice or ()) if is_wanted else []

    def leaders(self, number: int) -> set[str]:
        """Names of so many arms of each initialisation, the best on validation; of none that still waits for an arm."""
        names: set[str] = set()
        for members in grouped(arms(self.plan), initialisation).values():
            dice = {arm.name: value for arm in members if (value := self.validation_dice(arm)) is not None}
            if all(arm.name in dice or self.has_failed(arm) for arm in members):
                names |= set(sorted(dice, key=lambda name: -dice[name])[:number])
        return names

    def validation_dice(self, arm: Arm) -> float | None:
        """Of the first seed, the mean over folds; None where a fold is not trained."""
        folders = [self.folder(cell) for cell in of_first_seed(self.plan, self.chosen_cells(arm))]
        trained = folders if all(map(is_trained, folders)) else []
        by_fold = [dice for folder in trained if (dice := best_validation_dice(folder)) is not None]
        return mean(by_fold) if by_fold else None

    def has_failed(self, arm: Arm) -> bool:
        """Whether it ended with an error, which is not to say that it was stopped."""
        begun = [*candidates(self.plan, arm), *cells(self.plan, arm, self.choice(arm) or ())]
        errors = [last_error(self.folder(cell)) for cell in begun if not is_trained(self.folder(cell))]
        return any(error and not error.startswith(STOPPED_WORD) for error in errors)

    def choice(self, arm: Arm) -> Choice | None:
        """What validation has chosen: the highest Dice by patient, the first of equals; None while one is missing."""
        trained = candidates(self.plan, arm)
        if self.plan.choose and not all(is_trained(self.folder(cell)) for cell in trained):
            return None
        if not self.plan.choose:
            return trained[0].choice
        return max(trained, key=lambda cell: best_validation_dice(self.folder(cell)) or 0.0).choice

    def gather(self) -> Leaderboard:
        """Rank the arms of which every cell is finished, and say of the others why they are not."""
        all_arms = arms(self.plan)
        entries = [entry for arm in all_arms if (entry := self.entry(arm))]
        measured = {entry.name for entry in entries}
        known = {arm: [*self.cells(arm), *self.longer_cells(arm)] for arm in all_arms}
        result = Leaderboard(
            schema_version=leaderboard.SCHEMA_VERSION,
            name=self.plan.name,
            cells=sum(len(arm_cells) or self.count_undecided(arm) for arm, arm_cells in known.items()),
            finished=sum(is_finished(self.folder(cell)) for arm_cells in known.values() for cell in arm_cells),
            budget=budget_in_words(self.plan),
            processes=self.processes,
            reference=self.plan.reference,
            ranked_by=leaderboard.ranked_by(entries),
            warnings=leaderboard.shared_warnings(entries),
            groups=leaderboard.rank(entries, self.plan.reference),
            unmeasured=[self.unmeasured(arm) for arm in all_arms if arm.name not in measured],
        )
        write_json(self.output / LEADERBOARD_NAME, result.to_json())
        write_leaderboard(result, self.output)
        return result

    def count_undecided(self, arm: Arm) -> int:
        """How many cells an arm will have at least for which validation has not chosen yet."""
        planned = cells(self.plan, arm)
        return len(of_first_seed(self.plan, planned) if self.plan.best else planned)

    def entry(self, arm: Arm) -> Entry | None:
        """A finished arm, its folds put together; None while a cell is missing.

        One of the best is there with its first seed until all of its seeds are.
        """
        wanted = self.cells(arm)
        first = of_first_seed(self.plan, wanted) if self.plan.best else []
        finished = self.if_finished(wanted) or self.if_finished(first)
        if not finished:
            return None
        longer = self.if_finished(self.longer_cells(arm))
        return Entry(
            name=arm.name,
            choice=finished[0].choice,
            seeds=self.put_together(finished),
            runs=[self.folder(cell) for cell in finished],
            longer=next(iter(self.put_together(longer).values())) if longer else None,
        )

    def if_finished(self, some: Sequence[Cell]) -> Sequence[Cell]:
        """These cells where all of them are, else none."""
        return some if all(is_finished(self.folder(cell)) for cell in some) else []

    def put_together(self, own: Sequence[Cell]) -> dict[int, Path]:
        """The folder of each seed: a run, or the folds of one with a table over all."""
        seeds = {cell.seed: self.output / "cells" / cell.unit for cell in own}
        if own[0].fold is not None:
            for cell in own:
                save_config(cell.config, seeds[cell.seed])
            for folder in seeds.values():
                cross_validation.gather(folder, [fold for cell in own if (fold := cell.fold) is not None])
        return seeds

    def unmeasured(self, arm: Arm) -> Unmeasured:
        begun = [*candidates(self.plan, arm), *self.cells(arm)]
        errors = [error for cell in begun if (error := last_error(self.folder(cell)))]
        reason = _without_home((errors or ["not finished"])[0])
        return Unmeasured(name=arm.name, reason=reason, command=f"{self.command} --only {for_shell(arm.name)}")

    def folder(self, cell: Cell) -> Path:
        return self.output / "cells" / cell.name


def _without_home(text: str) -> str:
    """A leaderboard is passed on; where its maker's home lies is nobody's business."""
    home = str(home_folder() or "/")
    return text if home == "/" else text.replace(home, "~")
