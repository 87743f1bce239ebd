"""Inference speed of several models, measured in turns on one machine, so that their ratio means something."""

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

import numpy as np

from tumorline.file_names import WEIGHTS_NAME
from tumorline.inference.model import Model, load

BATCH, ROUNDS = 8, 5


def images_per_second(runs: Mapping[str, Path]) -> dict[str, float]:
    """Images a second of each run's network in the runtime: its own input size, batches of 8, median of 5 turns.

    A run whose weights are not there has none.
    """
    models = {name: load(run) for name, run in runs.items() if (run / WEIGHTS_NAME).is_file()}
    for model in models.values():
        _seconds(model)
    turns = [{name: _seconds(model) for name, model in models.items()} for _ in range(ROUNDS)]
    return {name: round(BATCH / median(turn[name] for turn in turns), 1) for name in models}


def _seconds(model: Model) -> float:
    side = model.info.image_size
    images = np.random.default_rng(0).normal(size=(BATCH, model.info.architecture.channels, side, side))
    batch = images.astype(np.float32)
    began = time.perf_counter()
    model.runtime(batch)
    return time.perf_counter() - began
