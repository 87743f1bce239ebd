"""What a folder of results knows of the study that it comes from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tumorline.config import Config
from tumorline.file_names import CONFIG_NAME, ENVIRONMENT_NAME, SUMMARY_NAME, WEIGHTS_NAME
from tumorline.groups import grouped
from tumorline.model_file import read_info
from tumorline.model_info import ModelInfo
from tumorline.results import Summary, read_summary
from tumorline.run_folder import read_config, read_environment, read_history, read_split

SplitRow = Mapping[str, str]


@dataclass(frozen=True)
class Study:
    """A run, its folds, or an evaluation, which knows its figures alone: what is not known is None or empty."""

    summary: Summary
    config: Config | None = None
    info: ModelInfo | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    split: Sequence[SplitRow] = ()
    history: Sequence[Mapping[str, str]] = ()

    @property
    def in_folds(self) -> bool:
        return bool(self.summary.folds)


def read_study(folder: Path) -> Study:
    """Raises UserError for a file of the folder that is not as Tumorline wrote it."""
    model_folder = folder if (folder / WEIGHTS_NAME).is_file() else _first_fold(folder)
    return Study(
        summary=read_summary(folder / SUMMARY_NAME),
        config=read_config(folder) if (folder / CONFIG_NAME).is_file() else None,
        info=read_info(model_folder / WEIGHTS_NAME) if (model_folder / WEIGHTS_NAME).is_file() else None,
        environment=read_environment(model_folder) if (model_folder / ENVIRONMENT_NAME).is_file() else {},
        split=read_split(folder),
        history=read_history(folder),
    )


def _first_fold(folder: Path) -> Path:
    folds = sorted(path.parent for path in folder.glob(f"fold-*/{WEIGHTS_NAME}"))
    return folds[0] if folds else folder


def count_parts(split: Sequence[SplitRow]) -> dict[str, tuple[int, int]]:
    """Patients and cases of each part; a case of an unknown patient counts as one."""
    parts = grouped(split, lambda row: row["part"])
    return {part: (len({row["patient"] or row["case"] for row in rows}), len(rows)) for part, rows in parts.items()}
