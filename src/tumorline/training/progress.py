"""What the person sees while it trains: a bar with images per second and time left, a line per epoch."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tumorline.callbacks import EpochRow
from tumorline.escaping import one_line
from tumorline.progress import LINE_SECONDS
from tumorline.run_folder import region_column, source_columns


class TrainingProgress:
    """Progress on standard error; silent in all processes but the first."""

    def __init__(self, steps_done: int, steps_total: int, visible: bool) -> None:
        self.console = Console(stderr=True, quiet=not visible)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not (visible and self.console.is_terminal) or self.console.is_dumb_terminal,
        )
        self.said = time.monotonic()
        self.task = self.bar.add_task("training", total=steps_total, completed=steps_done, note="")

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def step(self, images_per_second: float) -> None:
        self.bar.update(self.task, advance=1, note=f"{images_per_second:.1f} images/s")
        if not self.console.is_terminal and time.monotonic() - self.said >= LINE_SECONDS:
            self.said = time.monotonic()
            task = self.bar.tasks[self.task]
            self.console.print(
                f"step {task.completed:.0f}/{task.total:.0f}  {images_per_second:.1f} images/s", highlight=False
            )

    def advance(self) -> None:
        self.bar.update(self.task, advance=1)

    def epoch(self, row: EpochRow, epochs: int) -> str:
        """Print one finished epoch; returns the line."""
        validated = row["validation_dice"] is not None
        best = "  best" if row["best"] and validated else ""
        self.bar.update(self.task, description=f"epoch {min(row['epoch'] + 1, epochs)}/{epochs}")
        self.said = time.monotonic()
        line = (
            f"epoch {row['epoch']:>3}/{epochs}  loss {row['train_loss']:.4f}  "
            f"{_validation(row) if validated else ''}"
            f"{row['seconds']:.0f} s  {row['images_per_second']:.1f} images/s{best}"
        )
        self.console.print(one_line(line), highlight=False, markup=False, soft_wrap=True)
        return line


def _by_region(row: EpochRow) -> str:
    """The regions' own figures in brackets; empty where there is one region."""
    prefix = region_column("")
    figures = {key.removeprefix(prefix): value for key, value in row.items() if key.startswith(prefix)}
    text = ", ".join(f"{name} {'none' if value is None else format(value, '.3f')}" for name, value in figures.items())
    return f"({text})  " if text else ""


def _by_source(row: EpochRow) -> str:
    """What each of several sources has reached, in brackets; empty where there is one."""
    dice, _ = source_columns("")
    names = [key.removeprefix(dice) for key in row if key.startswith(dice)]
    texts = [f"{name} {_figures(*(row[column] for column in source_columns(name)))}" for name in names]
    return f"({'; '.join(texts)})  " if texts else ""


def _figures(dice: float | None, false_positives: float | None) -> str:
    figures = [] if dice is None else [f"{dice:.3f}"]
    figures += [] if false_positives is None else [f"{false_positives:.0%} false positives"]
    return ", ".join(figures) or "none"


def _validation(row: EpochRow) -> str:
    loss_and_dice = f"validation loss {row['validation_loss']:.4f}  Dice by patient {row['validation_dice']:.4f}  "
    return f"{loss_and_dice}{_by_region(row)}{_by_source(row)}"
