"""`benchmark`: many trainings under one budget, ranked."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tumorline.api.places import checked_folder
from tumorline.compared_results import Leaderboard
from tumorline.config import parse_config
from tumorline.errors import UserError, require_extra
from tumorline.output_folder import claim_output
from tumorline.progress import Notify, silent
from tumorline.recipe_files import find_recipe


def benchmark(
    plan: Path | str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
    only: Sequence[str] = (),
    processes: int = 1,
    ray: str = "",
    notify: Notify = silent,
) -> dict[str, Any]:
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
    return run_benchmark(
        plan, data=data, output=output, only=only, processes=processes, ray=ray, notify=notify
    ).to_json()


def run_benchmark(
    plan: Path | str,
    *,
    data: Path | str | None = None,
    output: Path | str | None = None,
    only: Sequence[str] = (),
    processes: int = 1,
    ray: str = "",
    notify: Notify = silent,
) -> Leaderboard:
    """As `benchmark`, with the result as it is typed."""
    if sys.platform == "win32":
        raise UserError("benchmark needs file locks that a process inherits, which Windows lacks; run it under WSL")
    from tumorline.benchmarking import NAMES, Benchmark, local, on_ray, read_plan

    require_extra("torch", "benchmark", "train")
    file = find_recipe(plan, "benchmark")
    read = read_plan(file, Path(data) if data else None)
    folder = checked_folder(benchmark_folder(read.name, output), parse_config(read.recipe, str(file)).data).resolve()
    claim_output(folder, "benchmark", NAMES)
    executor = on_ray(ray, processes) if ray else local(processes)
    options = [*(["--data", "SOURCE"] if data else []), *(["--output", str(output)] if output else [])]
    command = shlex.join(["tumorline", "benchmark", str(plan), *options])
    return Benchmark(read, folder, notify, command, processes).run(executor, only)


def benchmark_folder(name: str, output: Path | str | None = None) -> Path:
    """Where a benchmark of this name is kept."""
    return Path(output) if output else Path("runs") / name
