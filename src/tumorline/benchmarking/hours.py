"""The hours of a benchmark before it is begun: each network's pace on this machine, by its cells and their lengths."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from tumorline import environment
from tumorline.benchmarking.plan import (
    Arm,
    BenchmarkPlan,
    Cell,
    candidates,
    cells,
    initialisation,
    longer_cells,
    of_first_seed,
)
from tumorline.config import DECIDED_LATER, PATHS, Config
from tumorline.data.joined import load_data
from tumorline.errors import UserError
from tumorline.evaluation.provenance import hash_dataset
from tumorline.file_names import HOURS_NAME
from tumorline.files import write_json
from tumorline.groups import grouped
from tumorline.own_files import read_own_json
from tumorline.progress import Notify
from tumorline.run import measure_pace
from tumorline.training.pace import Pace

CURE = "remove it, and it is measured anew"
BEFORE_S, AFTER_S, EACH_CASE_S = 20.0, 60.0, 0.12
"""What a cell takes beside its steps and validation: start and data; export, thresholds and report; and of each case
that is validated or tested at the end, at its native resolution. Reckoned from runs on two cores."""
OF_NO_PACE: Mapping[str, Any] = {
    "name": True,
    "seed": True,
    "split": {"fold", "seed"},
    "train": {"epochs", "epoch_images", "learning_rate", "schedule", "warmup", "weight_decay", "average_decay"},
    "model": {*DECIDED_LATER},
    "data": {*PATHS},
}
"""Keys that do not change how long a step takes, or stand for the data, whose hash is asked for."""


@dataclass(frozen=True)
class ArmHours:
    """An arm: how many trainings, how fast, how long; `reason` says why it has no pace."""

    name: str
    trainings: int
    images_per_second: float | None
    minutes: float | None
    """Of one training of the plan's length."""
    hours: float | None
    reason: str = ""

    def row(self) -> dict[str, object]:
        """For a printed table."""
        return {
            "arm": self.name,
            "trainings": self.trainings,
            "images/s": self.images_per_second and round(self.images_per_second, 1),
            "minutes each": self.minutes and round(self.minutes, 1),
            "hours": self.hours and round(self.hours, 2),
            **({"why not": self.reason} if self.reason else {}),
        }


def count_hours(plan: BenchmarkPlan, chosen: Sequence[Arm], output: Path, notify: Notify) -> list[ArmHours]:
    """Measure what was not measured on this kind of machine before, and count; paces are kept in `hours.json`.

    Which arms will be the best is not known yet: the slowest ones are taken for them, so that it takes no longer.
    """
    paces: dict[str, Pace | str] = {}
    data = hash_of_data(candidates(plan, chosen[0])[0].config)
    for arm in chosen:
        notify(f"measuring {arm.name}")
        paces[arm.name] = _pace_of(candidates(plan, arm)[0], data, output / HOURS_NAME)
    slowest_first = sorted(chosen, key=lambda arm: -_seconds(paces[arm.name], cells(plan, arm)[:1]))
    more: dict[str, list[Cell]] = {arm.name: [] for arm in chosen}
    for members in grouped(slowest_first, initialisation).values():
        for rank, arm in enumerate(members):
            planned = cells(plan, arm)
            repeated = planned if rank < plan.best or not plan.best else of_first_seed(plan, planned)
            more[arm.name] += [*repeated, *(longer_cells(plan, arm) if rank < plan.longer else [])]
    return [_arm_hours(plan, arm, more[arm.name], paces[arm.name]) for arm in chosen]


def _arm_hours(plan: BenchmarkPlan, arm: Arm, arm_cells: Sequence[Cell], pace: Pace | str) -> ArmHours:
    tried = candidates(plan, arm) if plan.choose else []
    if plan.choose_at == 1:
        tried = tried[1:]  # the one that is chosen is a cell already
    trainings = len(tried) + len(arm_cells)
    if isinstance(pace, str):
        return ArmHours(arm.name, trainings, None, None, None, pace)
    seconds = _seconds(pace, arm_cells) + sum(_training_seconds(pace, cell) for cell in tried)
    minutes = _seconds(pace, cells(plan, arm)[:1]) / 60
    return ArmHours(arm.name, trainings, pace.images_per_second, minutes, seconds / 3600)


def _seconds(pace: Pace | str, arm_cells: Iterable[Cell]) -> float:
    """Of whole cells, with their test; 0 without a pace."""
    if isinstance(pace, str):
        return 0.0
    after = AFTER_S + (pace.validated + pace.tested) * (EACH_CASE_S + pace.case_s)
    return sum(_training_seconds(pace, cell) + after for cell in arm_cells)


def _training_seconds(pace: Pace, cell: Cell) -> float:
    return BEFORE_S + cell.config.train.epochs * pace.epoch_s


def _pace_of(cell: Cell, data: str, kept: Path) -> Pace | str:
    """Kept or measured; of an arm that cannot be trained here the reason."""
    paces = read_own_json(kept, dict[str, dict[str, float]], CURE) if kept.is_file() else {}
    key = pace_key(cell.config, data)
    if key not in paces:
        try:
            paces[key] = asdict(measure_pace(cell.config))
        except UserError as error:
            return str(error)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, paces)
    return Pace(**paces[key])


def hash_of_data(config: Config) -> str:
    """Of what is trained, validated and tested on, by which the steps of an epoch and the cases are counted."""
    return hash_dataset(load_data(config))


def pace_key(config: Config, data: str) -> str:
    """What decides over the pace of a training: kind of machine, data, and all of the configuration that matters."""
    machine = environment.machine()
    images = config.train.epoch_images
    content = [
        environment.processor_kind(machine),
        machine["cores"],
        images,
        data,
        config.model_dump(exclude=dict(OF_NO_PACE)),
    ]
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]
