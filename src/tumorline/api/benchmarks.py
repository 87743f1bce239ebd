"""`benchmark`: many trainings under one budget, ranked."""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from tumorline.api.keywords import spelled_out
from tumorline.api.places import checked_folder
from tumorline.config import parse_config
from tumorline.errors import UserError, require_extra
from tumorline.given_paths import as_path_or_none
from tumorline.output.folder import claim_output
from tumorline.progress import Notify, silent
from tumorline.recipe_files import find_recipe
from tumorline.results.compared import Leaderboard

if TYPE_CHECKING:
    from tumorline.benchmarking.hours import ArmHours
    from tumorline.benchmarking.plan import BenchmarkPlan


class BenchmarkKeywords(TypedDict, total=False):
    """What `benchmark` takes by name."""

    data: Path | str | None
    output: Path | str | None
    only: Sequence[str]
    processes: int
    ray: str
    notify: Notify


@dataclass(frozen=True)
class BenchmarkOptions:
    """How a benchmark is carried out; see `benchmark`."""

    data: Path | str | None = None
    output: Path | str | None = None
    only: Sequence[str] = ()
    processes: int = 1
    ray: str = ""
    notify: Notify = silent

    def command(self, plan: Path | str) -> str:
        """What carries the same out on the command line."""
        data = ["--data", "SOURCE"] if self.data else []
        output = ["--output", str(self.output)] if self.output else []
        return shlex.join(["tumorline", "benchmark", str(plan), *data, *output])


@spelled_out(BenchmarkKeywords, BenchmarkOptions)
def benchmark(plan: Path | str, **options: Unpack[BenchmarkKeywords]) -> dict[str, Any]:
    """Train models x losses x variants x seeds x folds under one budget, and rank them.

    The same call goes on where it was stopped: a finished cell is never run again.

    Args:
        plan: TOML file with `[recipe]`, `seeds` and the tables of what is compared; see `benchmarks/plans/`.
        data: A source in any supported layout; None takes the one of the plan.
        output: Folder for `cells/` and `leaderboard.json`, `.html` and `.md`; None takes `runs/<name>`.
        only: Names of the arms to train; empty means all.
        processes: Cells at a time, on this machine or, with `ray`, on each machine of the cluster.
        ray: Address of a Ray cluster whose machines share the folder.
        notify: Called with each line of progress.

    Returns:
        The content of `leaderboard.json`: `groups` of one initialisation each, with `rows` from the best down and
        `pairs` of differences; `unmeasured` with the reason and the command of each arm that is not finished.

    Raises:
        UserError: For a plan whose arms have not one budget, and for data or a configuration that cannot be used.

    Example:
        >>> _ = Path("plan.toml").write_text(PLAN)
        >>> board = tumorline.benchmark("plan.toml", data="scans", output="runs/board")
        >>> [row["name"] for row in board["groups"][0]["rows"]] != []
        True
    """
    return run_benchmark(plan, BenchmarkOptions(**options)).to_json()


def run_benchmark(plan: Path | str, how: BenchmarkOptions) -> Leaderboard:
    """As `benchmark`, with the result as it is typed."""
    if sys.platform == "win32":
        raise UserError("benchmark needs file locks that a process inherits, which Windows lacks; run it under WSL")
    from tumorline.benchmarking import Benchmark, local, on_ray

    read, folder = _open_plan(plan, how)
    executor = on_ray(how.ray, how.processes) if how.ray else local(how.processes)
    return Benchmark(read, folder, how.notify, how.command(plan), how.processes).run(executor, how.only)


def benchmark_hours(plan: Path | str, how: BenchmarkOptions) -> "list[ArmHours]":
    """What a benchmark will take on this machine, from a few steps of each arm; no cell is begun.

    The paces are kept in `hours.json` of its folder. Raises UserError for a plan whose arms have not one budget.
    """
    from tumorline.benchmarking.hours import count_hours
    from tumorline.benchmarking.plan import selected

    read, folder = _open_plan(plan, how)
    return count_hours(read, selected(read, how.only), folder, how.notify)


def _open_plan(plan: Path | str, how: BenchmarkOptions) -> "tuple[BenchmarkPlan, Path]":
    """The plan, and its folder, which is this command's from now on."""
    require_extra("torch", "benchmark", "train")
    from tumorline.benchmarking import NAMES, read_plan

    file = find_recipe(plan, "benchmark")
    read = read_plan(file, as_path_or_none(how.data, "data"))
    data = parse_config(read.recipe, str(file)).data
    folder = checked_folder(benchmark_folder(read.name, how.output), data).resolve()
    claim_output(folder, "benchmark", NAMES)
    return read, folder


def benchmark_folder(name: str, output: Path | str | None = None) -> Path:
    """Where a benchmark of this name is kept."""
    return as_path_or_none(output, "output") or Path("runs") / name
