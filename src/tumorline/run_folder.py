"""The names of a run folder's files, and the configuration that it keeps."""

import time
from collections.abc import Iterable
from pathlib import Path

from tumorline.config import Config, load_config
from tumorline.errors import UserError

CONFIG_NAME = "config.toml"
SPLIT_NAME = "split.csv"
HISTORY_NAME = "history.csv"
ENVIRONMENT_NAME = "environment.json"
TEST_USES_NAME = "test_uses.jsonl"
STATE_NAME = "state.safetensors"
LOG_NAME = "log.txt"


def read_config(run: Path, overrides: Iterable[str] = ()) -> Config:
    """The configuration that a run was started with."""
    path = run / CONFIG_NAME
    if not path.is_file():
        raise UserError(f"{run}: not a run folder (no {CONFIG_NAME}); runs are made by 'tumorline train'")
    return load_config(path, overrides)


def new_run_folder(name: str) -> Path:
    """`runs/<time>-<name>`, a path that is not taken yet."""
    stem = Path("runs") / f"{time.strftime('%Y%m%d-%H%M%S')}-{name}"
    candidates = (stem.with_name(f"{stem.name}-{number}") for number in range(2, 1000))
    return next(path for path in (stem, *candidates) if not path.exists())
