"""`plan`: a configuration for a source and this machine."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, Unpack

from tumorline.api.keywords import spelled_out
from tumorline.config import Config
from tumorline.errors import UserError
from tumorline.files import write_text
from tumorline.given_paths import as_path, as_path_or_none, as_texts
from tumorline.progress import Notify, Progress, silent

if TYPE_CHECKING:
    from tumorline.planning import Plan


class PlanKeywords(TypedDict, total=False):
    """What `plan` takes by name beside `notify`."""

    minutes: float
    memory_gb: float | None
    gflops: float | None
    axes: int | None
    overrides: Iterable[str]


@dataclass(frozen=True)
class PlanOptions:
    """What a training is planned for, and what of it is settled; see `plan`."""

    minutes: float = 60.0
    memory_gb: float | None = None
    gflops: float | None = None
    axes: int | None = None
    overrides: Iterable[str] = ()

    def __post_init__(self) -> None:
        for name in ("minutes", "memory_gb", "gflops"):
            if (value := getattr(self, name)) is not None and not (isinstance(value, int | float) and 0 < value < inf):
                raise UserError(f"{name} is {value!r}; expected a number above 0")
        if self.axes not in (None, 2, 3):
            raise UserError(f"axes is {self.axes!r}; expected 2 or 3")

    def plan(self, source: Path, progress: Progress | None = None) -> "Plan":
        from tumorline.planning import find_at_hand, plan_source

        hand = find_at_hand(self.minutes, self.memory_gb, self.gflops)
        return plan_source(source, hand, as_texts(self.overrides, "overrides"), self.axes, progress)


@spelled_out(PlanKeywords, PlanOptions)
def plan(source: Path | str, *, notify: Notify = silent, **options: Unpack[PlanKeywords]) -> Config:
    """Plan a training for a source and this machine.

    Args:
        source: A source in any supported layout.
        notify: Called with each choice and its reason.
        minutes: Of training.
        memory_gb: Memory in GB; None takes that of this machine.
        gflops: Speed of training in GFLOP/s; None assumes what was measured for a core, or for a GPU.
        axes: 2 for slices, 3 for patches of volumes; None chooses.
        overrides: 'section.key=value' texts, which stay as they are.

    Returns:
        A `Config` that `train` and `cross_validate` take.

    Raises:
        UserError: For a source or a setting that cannot be used, and for a network whose cost cannot be told.

    Example:
        >>> config = tumorline.plan("scans", minutes=5, memory_gb=4, gflops=50)
        >>> config.data.window is None, config.train.epochs > 0
        (True, True)
    """
    path = as_path(source, "source")
    planned = PlanOptions(**options).plan(path)
    for line in planned.explain():
        notify(line)
    return planned.config.model_copy(
        update={
            "name": planned.name,
            "data": planned.config.data.model_copy(update={"source": str(path.resolve())}),
        }
    )


def write_plan(
    source: Path | str, how: PlanOptions, output: Path | str | None = None, progress: Progress | None = None
) -> "tuple[Path, Plan]":
    """As `plan`, with the recipe in a file: `output`, else `plan-<source>.toml`, replacing nothing."""
    planned = how.plan(as_path(source, "source"), progress)
    path = as_path_or_none(output, "output") or Path(f"plan-{planned.name}.toml")
    if path.exists():
        raise UserError(f"{path}: exists already; choose another --output")
    write_text(path, planned.to_toml())
    return path, planned
