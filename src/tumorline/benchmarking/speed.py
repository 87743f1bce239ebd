"""Inference speed of several models, measured in turns on one machine, so that their ratio means something."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from tumorline.file_names import WEIGHTS_NAME
from tumorline.inference.model import Model, load

BATCH, ROUNDS = 8, 5


def images_per_second(runs: Mapping[str, Path]) -> dict[str, float]:
    """Images or patches a second of each run's network in the runtime, at its own input size, median of 5 turns.

    Images come in batches of 8, patches one by one. A run whose weights are not there has none.
    """
    models = {name: load(run) for name, run in runs.items() if (run / WEIGHTS_NAME).is_file()}
    for model in models.values():
        _seconds(model)
    turns = [{name: _seconds(model) for name, model in models.items()} for _ in range(ROUNDS)]
    return {name: round(_batch(model) / median(turn[name] for turn in turns), 1) for name, model in models.items()}


def _batch(model: Model) -> int:
    return BATCH if len(model.info.network_size) == 2 else 1


def _seconds(model: Model) -> float:
    shape = (_batch(model), model.info.architecture.channels, *model.info.network_size)
    batch = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    began = perf_counter()
    model.runtime(batch)
    return perf_counter() - began
