"""One cell as a process of its own: `tumorline train` in its run folder, begun or gone on with."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tumorline.begun import note_begun
from tumorline.benchmarking.plan import Cell
from tumorline.config import DECIDED_LATER, PATHS, Config, load_config
from tumorline.errors import UserError
from tumorline.file_names import (
    BEST_WEIGHTS_NAME,
    CONFIG_NAME,
    ENVIRONMENT_NAME,
    HISTORY_NAME,
    SPLIT_NAME,
    STATE_NAME,
)
from tumorline.files import write_bytes
from tumorline.run_folder import is_finished, read_config
from tumorline.trust import modules_in

TRAINED = (ENVIRONMENT_NAME, HISTORY_NAME, SPLIT_NAME, STATE_NAME, BEST_WEIGHTS_NAME)
"""What a training leaves, the environment last, before anything is tested."""
STOPPED = (130, -signal.SIGINT, -signal.SIGTERM, -signal.SIGHUP)
"""Exit statuses of a training that was asked to stop, the others where it had hardly begun."""

Launch = Callable[..., subprocess.Popen[bytes]]


@dataclass(frozen=True)
class CellJob:
    """A cell's process: its folder, and what it is to run there. Simple enough to be sent to another machine."""

    name: str
    folder: Path
    test: bool
    threads: int
    """Processor threads that it may use; 0 leaves that to the libraries."""
    trusted: tuple[str, ...] = ()
    """Modules from which the benchmark's file takes networks."""

    @property
    def log(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.log")

    @property
    def command(self) -> list[str]:
        resumed = ["--resume", str(self.folder), *(["--trust-paths"] if self.is_as_planned else [])]
        trust = [f"--trust-module={module}" for module in self.trusted]
        begun = [str(self.recipe), "--output", str(self.folder)]
        chosen = resumed if (self.folder / CONFIG_NAME).is_file() else begun
        return [sys.executable, "-m", "tumorline", "train", *chosen, *trust, *([] if self.test else ["--no-test"])]

    @property
    def is_as_planned(self) -> bool:
        """Whether what was begun is the benchmark's own, on whichever machine: those of a cluster share no home."""
        begun = self.folder / CONFIG_NAME
        return begun.is_file() and load_config(begun) == load_config(self.recipe)

    @property
    def recipe(self) -> Path:
        return self.folder.with_name(f"{self.folder.name}.toml")

    @property
    def done(self) -> bool:
        return is_finished(self.folder) if self.test else is_trained(self.folder)


def refuse_another(cell: Cell, folder: Path) -> None:
    """Raise UserError where the folder holds a cell of another configuration."""
    if (folder / CONFIG_NAME).is_file() and _recipe(read_config(folder)) != _recipe(cell.config):
        raise UserError(f"{folder}: holds a cell of another configuration; choose another --output")


def prepare(cell: Cell, output: Path, test: bool, threads: int) -> CellJob:
    """Write the cell's configuration beside its folder."""
    trusted = tuple(sorted(modules_in(cell.config.model.name)))
    job = CellJob(cell.name, output / "cells" / cell.name, test, threads, trusted)
    cell.config.save(job.recipe)
    note_begun(cell.config.to_toml())
    return job


def run(job: CellJob, launch: Launch = subprocess.Popen) -> str:
    """Carry out a cell to its end; returns the error in one line, or nothing.

    The training inherits a lock from its first moment on, so that one that outlived its benchmark is waited for and not
    doubled.
    """
    job.folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(job.folder.with_name(f"{job.folder.name}.lock")) as lock:
        if job.done:
            return ""
        with job.log.open("wb") as log:
            process = launch(job.command, stdout=log, stderr=log, env=_environment(job.threads), pass_fds=[lock])
            code = process.wait()
        return "" if job.done else _error(job, code)


def is_trained(folder: Path) -> bool:
    return (folder / ENVIRONMENT_NAME).is_file()


def training_key(config: Config) -> str:
    """What decides over the trained weights; cells that agree in it need one training only."""
    return config.model_dump_json(exclude={"name": True, "model": {*DECIDED_LATER}})


def share_training(job: CellJob, other: Path) -> None:
    """Begin a cell with the finished training of another one, so that only its operating point and test are left.

    Where not all of that is there any more, such as a state that was removed, the cell is trained.
    """
    if (job.folder / CONFIG_NAME).is_file() or not all((other / name).is_file() for name in TRAINED):
        return
    for name in (*TRAINED[1:], TRAINED[0]):
        write_bytes(job.folder / name, (other / name).read_bytes())
    write_bytes(job.folder / CONFIG_NAME, job.recipe.read_bytes())


def _recipe(config: Config) -> dict[str, object]:
    return config.model_dump(exclude={"data": {*PATHS}})


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def _environment(threads: int) -> Mapping[str, str]:
    return {**os.environ, **({"OMP_NUM_THREADS": str(threads)} if threads else {})}


def last_error(folder: Path) -> str:
    """What a cell last said was wrong; empty where it said nothing."""
    log = folder.with_name(f"{folder.name}.log")
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return next((line.removeprefix("error: ") for line in reversed(lines) if line.startswith("error: ")), "")


def _error(job: CellJob, code: int) -> str:
    """Why a cell ended; where the training could not say it itself, its log does from now on."""
    if code in STOPPED:
        return "stopped"
    if code == 2 and (said := last_error(job.folder)):
        return said
    error = f"ended with status {code}; see {job.log}"
    with job.log.open("a", encoding="utf-8") as log:
        log.write(f"\nerror: {error}\n")
    return error
