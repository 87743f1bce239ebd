"""A run of MLflow for each run: on the server of MLFLOW_TRACKING_URI, else in `mlruns/` beside the run folder."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorline.callbacks import Begun, Callback, EpochRow
from tumorline.callbacks.figures import figures_of_epoch, figures_of_test, settings_of
from tumorline.errors import require_extra
from tumorline.files import write_text

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "tumorline"
ID_NAME = "mlflow_run.txt"
"""The id of MLflow's run, in the run folder, so that a run that goes on is one there too."""
STATUS = {"finished": "FINISHED", "trained": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
LONGEST_VALUE = 500
"""Characters of a parameter's value that every server takes."""
AT_ONCE = 100
"""Parameters in one call."""


class MLflow(Callback):
    """Parameters, a metric for each figure of an epoch, the figures of the test, and the state of the run."""

    def __init__(self) -> None:
        require_extra("mlflow", "the callback 'mlflow'", "mlflow")
        self.epoch = 0

    def on_begin(self, begun: Begun) -> None:
        self.client = _connect(begun.folder)
        path = begun.folder / ID_NAME
        if path.is_file():
            self.id = path.read_text(encoding="utf-8").strip()
            self.client.update_run(self.id, "RUNNING")
            logged = max(
                (int(metric.step) for metric in self.client.get_metric_history(self.id, "train_loss")), default=0
            )
        else:
            self.id, logged = _create(self.client, begun), 0
            write_text(path, self.id + "\n")
        for row in begun.history:
            if row["epoch"] > logged:
                self.on_epoch(row)

    def on_epoch(self, row: EpochRow) -> None:
        self.epoch = int(row["epoch"])
        self._log(figures_of_epoch(row))

    def on_test(self, summary: Mapping[str, Any]) -> None:
        self._log(figures_of_test(summary))

    def on_end(self, outcome: str) -> None:
        self.client.set_terminated(self.id, STATUS[outcome])

    def _log(self, figures: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = round(time.time() * 1000)
        self.client.log_batch(
            self.id, metrics=[Metric(name, value, now, self.epoch) for name, value in figures.items()]
        )


def _connect(folder: Path) -> "MlflowClient":
    """To the server that the user names; without one to files beside the run folder, which nobody is told of."""
    from mlflow import MlflowClient

    if server := os.environ.get("MLFLOW_TRACKING_URI"):
        return MlflowClient(server)
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    return MlflowClient((folder.resolve().parent / "mlruns").as_uri())


def _create(client: "MlflowClient", begun: Begun) -> str:
    from mlflow.entities import Param

    existing = client.get_experiment_by_name(EXPERIMENT)
    experiment = existing.experiment_id if existing else client.create_experiment(EXPERIMENT)
    run: str = client.create_run(experiment, run_name=begun.folder.name).info.run_id
    params = [Param(key, value[:LONGEST_VALUE]) for key, value in settings_of(begun.config).items()]
    for start in range(0, len(params), AT_ONCE):
        client.log_batch(run, params=params[start : start + AT_ONCE])
    return run
