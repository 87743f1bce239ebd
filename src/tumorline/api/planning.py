"""`plan`: a configuration for a source and this machine."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.config import Config
from tumorline.errors import UserError
from tumorline.files import write_text
from tumorline.progress import Notify, Progress, silent

if TYPE_CHECKING:
    from tumorline.planning import Plan


def plan(
    source: Path | str,
    *,
    minutes: float = 60.0,
    memory_gb: float | None = None,
    gflops: float | None = None,
    axes: int | None = None,
    overrides: Iterable[str] = (),
    notify: Notify = silent,
) -> Config:
    """Plan a training for a source and this machine.

    Args:
        source: A source in any supported layout.
        minutes: Of training.
        memory_gb: Memory in GB; None takes that of this machine.
        gflops: Speed of training in GFLOP/s; None assumes what was measured for a core, or for a GPU.
        axes: 2 for slices, 3 for patches of volumes; None chooses.
        overrides: 'section.key=value' texts, which stay as they are.
        notify: Called with each choice and its reason.

    Returns:
        A `Config` that `train` and `cross_validate` take.

    Raises:
        UserError: For a source or a setting that cannot be used, and for a network whose cost cannot be told.

    Example:
        >>> config = tumorline.plan("scans", minutes=5, memory_gb=4, gflops=50)
        >>> config.data.window is None, config.train.epochs > 0
        (True, True)
    """
    from tumorline.planning import find_at_hand, plan_source

    found = plan_source(Path(source), find_at_hand(minutes, memory_gb, gflops), overrides, axes)
    for line in found.explain():
        notify(line)
    return found.config.model_copy(
        update={
            "name": found.name,
            "data": found.config.data.model_copy(update={"source": str(Path(source).resolve())}),
        }
    )


def write_plan(
    source: Path | str,
    *,
    minutes: float = 60.0,
    memory_gb: float | None = None,
    gflops: float | None = None,
    axes: int | None = None,
    overrides: Iterable[str] = (),
    output: Path | str | None = None,
    progress: Progress | None = None,
) -> "tuple[Path, Plan]":
    """Plan a training for a source and this machine, and write its recipe; returns the file and the plan.

    The plan is for `minutes` of training, and for the memory and the speed of this machine unless others are stated.
    What `overrides` set stays as it is. The recipe goes to `output`, else to `plan-<source>.toml`, replacing nothing.
    """
    from tumorline.planning import find_at_hand, plan_source

    hand = find_at_hand(minutes, memory_gb, gflops)
    found = plan_source(Path(source), hand, overrides, axes, progress)
    path = Path(output) if output else Path(f"plan-{found.name}.toml")
    if path.exists():
        raise UserError(f"{path}: exists already; choose another --output")
    write_text(path, found.to_toml())
    return path, found
