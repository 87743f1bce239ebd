"""Where the cells run: processes on this machine, or tasks of a Ray cluster whose machines share the folder."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from threading import Lock
from typing import Any

from tumorline.benchmarking import cell
from tumorline.benchmarking.cell import CellJob
from tumorline.cluster import RETRIES, connect_ray
from tumorline.errors import Interrupted

Executor = Callable[[Sequence[CellJob]], Iterator[tuple[CellJob, str]]]
"""Carries out jobs and yields each with its error, or nothing, as it ends."""


class Launcher:
    """Starts processes, and on `stop` asks them to save and end; none is started after that."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []
        self.stopped = False
        self.lock = Lock()

    def __call__(self, command: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        with self.lock:
            if self.stopped:
                raise Interrupted("stopped")
            process = subprocess.Popen(command, **options)
            self.processes.append(process)
            return process

    def stop(self) -> None:
        with self.lock:
            self.stopped = True
            for process in self.processes:
                process.terminate()


def local(processes: int) -> Executor:
    """So many cells at a time on this machine. What is interrupted saves its state first."""

    def execute(jobs: Sequence[CellJob]) -> Iterator[tuple[CellJob, str]]:
        launcher, pool = Launcher(), ThreadPoolExecutor(processes)
        try:
            futures = {pool.submit(cell.run, job, launcher): job for job in jobs}
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            launcher.stop()
            pool.shutdown(wait=True, cancel_futures=True)

    return execute


def on_ray(address: str, processes: int) -> Executor:
    """As tasks of the Ray cluster at `address` (HOST:PORT; 'local' starts one here), `processes` to a machine.

    All machines need the output folder and the data at the same paths. A cell whose worker dies is begun again on
    another and goes on from its last saved state. Raises UserError where the cluster cannot be reached.
    """
    each = max(1, max(connect_ray(address), default=1) // processes)
    import ray

    task = ray.remote(num_cpus=each, max_retries=RETRIES)(cell.run)

    def execute(jobs: Sequence[CellJob]) -> Iterator[tuple[CellJob, str]]:
        waiting = {task.remote(replace(job, threads=each)): job for job in jobs}
        while waiting:
            ended, _ = ray.wait(list(waiting), num_returns=1)
            job = waiting.pop(ended[0])
            try:
                yield job, ray.get(ended[0])
            except ray.exceptions.RayTaskError as error:
                yield job, f"its task failed ({error.cause!r})"
            except ray.exceptions.RayError as error:
                yield job, f"its worker died {RETRIES + 1} times ({type(error).__name__})"

    return execute
