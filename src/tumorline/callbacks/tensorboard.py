"""Curves for TensorBoard, in the run folder: `tensorboard --logdir runs`."""

from collections.abc import Mapping
from typing import Any

from tumorline.callbacks import Begun, Callback, EpochRow
from tumorline.callbacks.figures import figures_of_epoch, figures_of_test
from tumorline.errors import require_extra

FOLDER = "tensorboard"


class TensorBoard(Callback):
    """Writes event files to `tensorboard/` in the run folder; a run that goes on replaces what it had logged."""

    def __init__(self) -> None:
        require_extra("tensorboard", "the callback 'tensorboard'", "tensorboard")
        self.epoch = 0

    def on_begin(self, begun: Begun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(str(begun.folder / FOLDER), purge_step=0 if begun.history else None)
        self.writer.add_text("configuration", f"```\n{begun.config.to_toml()}\n```", 0)
        for row in begun.history:
            self.on_epoch(row)

    def on_epoch(self, row: EpochRow) -> None:
        self.epoch = int(row["epoch"])
        self._write(figures_of_epoch(row))

    def on_test(self, summary: Mapping[str, Any]) -> None:
        self._write(figures_of_test(summary))

    def on_end(self, outcome: str) -> None:
        self.writer.add_text("outcome", outcome, self.epoch)
        self.writer.close()

    def _write(self, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self.writer.add_scalar(name, value, self.epoch)
        self.writer.flush()
