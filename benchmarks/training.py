"""How much of a training step is the network, and how MONAI's usual pipeline compares, side by side in one run.

    OMP_NUM_THREADS=2 python benchmarks/training.py [--source FOLDER] [--rounds 6] [--steps 3]

For each network the variants take turns, a few steps each, over several rounds:

- fixed batch: forward, loss, backward, clipping, optimiser and moving average on one batch that stays in memory
- tumorline: the training loop's own step, with loading from the cache, augmentation and progress
- monai: CacheDataset with everything cached, dictionary transforms with the same set of changes and probabilities,
  DataLoader with 0 or 2 workers; the same network, loss, optimiser and moving average, in bfloat16 and in float32

Writes benchmarks/training.md (between its markers) and benchmarks/results/training.json.
"""

import argparse
import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from refusals import said_in_one_line
from table import write_table
from tumorline import environment
from tumorline.config import Config, load_config
from tumorline.data.dataset import Dataset, load_dataset
from tumorline.data.splits.split import split_dataset
from tumorline.models import count_parameters
from tumorline.models.torchvision_cure import cure_torchvision
from tumorline.network_input import fit
from tumorline.simulation import default_cohort
from tumorline.training.feed import open_feed
from tumorline.training.loop import Loop
from tumorline.training.machine import Machine, open_machine
from tumorline.training.progress import TrainingProgress
from tumorline.training.task import Task
from tumorline.training.weights import start
from tumorline.user_folders import default_folder

HERE = Path(__file__).parent
NETWORKS = {
    "U-Net, 7.8 M parameters, 256 px, default augmentation": (
        None,
        ["data.image_size=256", "model.options.widths=[32, 64, 128, 256, 512]"],
    ),
    "Lite0 U-Net, 192 px, configs/lite0.toml": (HERE.parent / "configs" / "lite0.toml", []),
    "Lite0 U-Net, 256 px, configs/builtin.toml": (
        HERE.parent / "configs" / "builtin.toml",
        ["model.options.presence=false"],  # one output, as the other loops expect it
    ),
}
Step = Callable[[], None]


class Variants:
    """The steps of one network, all on its own copy of the weights."""

    def __init__(self, task: Task, machine: Machine) -> None:
        self.task, self.machine = task, machine
        self.feed = open_feed(task.config, task.dataset, task.split, machine)

    def loop(self, precision: str = "auto") -> Loop:
        bfloat16 = self.machine.bfloat16 and precision == "auto"
        machine = Machine(self.machine.device, bfloat16)
        return Loop(self.task, machine, self.feed, start(self.task, machine))

    def fixed_batch(self) -> Step:
        loop = self.loop()
        image, target = loop.feed.batch(loop.batches.numbers(0, 0), 0)
        return lambda: learn(loop, image, target)

    def tumorline(self) -> Step:
        loop, progress = self.loop(), TrainingProgress(0, 1, visible=False)

        def step() -> None:
            loop.state.position.step %= loop.batches.steps
            loop.step(progress)

        loop.trainee.train()
        return step

    def monai(self, workers: int, precision: str) -> Step:
        loop = self.loop(precision)
        batches = monai_batches(self.task, workers)

        def step() -> None:
            batch = next(batches)
            learn(loop, batch["image"], (batch["mask"] >= 0.5).float())

        return step


def learn(loop: Loop, image: Tensor, target: Tensor) -> None:
    """The network's part of a step."""
    loop.trainee.train()
    if loop.settings.channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    with loop.machine.autocast():
        logits = loop.trainee(image)
    loop.update_weights(loop.objective.criterion(logits.float(), target), step=100)


def monai_batches(task: Task, workers: int) -> Iterator[dict[str, Tensor]]:
    """Endless batches of MONAI's dictionary pipeline; every case is cached before the random transforms."""
    cure_torchvision()
    from monai.data import CacheDataset, DataLoader

    dataset, size = task.dataset, task.config.data.image_size
    cases = [{"case": dataset.index[name]} for name in task.split.cases("train")]
    transforms = [lambda row: decode(dataset, row["case"], size), *monai_transforms(task.config)]
    cached = CacheDataset(cases, transforms, cache_rate=1.0, progress=False)
    loader = DataLoader(
        cached,
        batch_size=task.config.train.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )
    while True:
        yield from loader


def decode(dataset: Dataset, index: int, size: int) -> dict[str, Any]:
    """A case as the cache holds it, so that both pipelines start from the same pixels."""
    image, (mask, *_), _ = dataset.read(dataset.cases[index])
    square, placement = fit.to_network(image, size)
    return {
        "image": square.astype(np.float32),
        "mask": fit.mask_to_network(mask, placement).reshape(1, size, size).astype(np.float32),
    }


def monai_transforms(config: Config) -> list[Any]:
    """The dictionary transforms with the same changes and probabilities as the configuration."""
    from monai import transforms as t
    from monai.transforms import MapTransform

    s, both, side = config.augment, ["image", "mask"], config.data.image_size
    affine: dict[str, Any] = {
        "prob": s.geometry_probability,
        "rotate_range": [math.radians(s.rotation_degrees)],
        "scale_range": [(-s.scale, s.scale)] * 2,
        "padding_mode": "zeros",
        "mode": ["bilinear", "nearest"],
    }
    shift = [(-s.shift * side, s.shift * side)] * 2
    if s.elastic:
        bend: dict[str, Any] = {"spacing": (side / 6, side / 6), "magnitude_range": (0, s.elastic * side)}
        geometry: MapTransform = t.Rand2DElasticd(both, translate_range=shift, **bend, **affine)
    else:
        geometry = t.RandAffined(both, translate_range=shift, **affine)
    axes = {"horizontal": [1], "vertical": [0], True: [0, 1], False: []}[s.flips]
    wanted = [
        *(t.RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in axes),
        t.RandRotate90d(both, prob=0.75 * s.quarter_turns, max_k=3),
        geometry,
        t.RandSimulateLowResolutiond(
            "image",
            prob=s.intensity_probability,
            zoom_range=(s.low_resolution or 1, 1),
            downsample_mode="area",
            upsample_mode="bilinear",
        ),
        t.RandGaussianSmoothd("image", prob=s.intensity_probability, sigma_x=(0.1, s.blur), sigma_y=(0.1, s.blur)),
        t.RandAdjustContrastd("image", prob=s.intensity_probability, gamma=(1 / (1 + s.gamma), 1 + s.gamma)),
        t.RandScaleIntensityd("image", prob=s.intensity_probability, factors=s.contrast),
        t.RandGaussianNoised("image", prob=s.intensity_probability, std=s.noise),
    ]
    off = {
        t.RandSimulateLowResolutiond: s.low_resolution in (0, 1),
        t.RandGaussianSmoothd: s.blur == 0,
        t.RandGaussianNoised: s.noise == 0,
    }
    return [transform for transform in wanted if not off.get(type(transform), False)]


def measure(variants: dict[str, Step], rounds: int, steps: int) -> dict[str, list[float]]:
    """Seconds per step of each variant, one figure a round, in turn; the first round warms up and is left out."""
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, step in variants.items():
            began = time.perf_counter()
            for _ in range(steps):
                step()
            if number:
                seconds[name].append((time.perf_counter() - began) / steps)
    return seconds


def make_task(recipe: Path | None, overrides: list[str], source: Path, run: Path) -> Task:
    config = load_config(recipe, [*overrides, f"data.source='{source}'", "train.checkpoint_minutes=1000"])
    dataset = load_dataset(source, config.data)
    return Task(config, dataset, split_dataset(dataset, config.split), run)


def measure_network(task: Task, rounds: int, steps: int) -> dict[str, Any]:
    with open_machine(task.config.train) as machine:
        make = Variants(task, machine)
        variants = {
            "fixed batch": make.fixed_batch(),
            "tumorline": make.tumorline(),
            "monai, bfloat16, 0 workers": make.monai(0, "auto"),
            "monai, bfloat16, 2 workers": make.monai(2, "auto"),
            "monai, float32, 0 workers": make.monai(0, "float32"),
            "monai, float32, 2 workers": make.monai(2, "float32"),
        }
        seconds = measure(variants, rounds, steps)
        parameters = count_parameters(make.loop().state.network)
    return {"batch": task.config.train.batch_size, "parameters": parameters, "seconds_per_step": seconds}


def rows(name: str, result: dict[str, Any]) -> list[list[str]]:
    """A line per variant: images a second, and its time over that of the fixed batch and of tumorline."""
    seconds = result["seconds_per_step"]
    lines = []
    for variant, values in seconds.items():
        rate = result["batch"] / statistics.median(values)
        low, high = result["batch"] / max(values), result["batch"] / min(values)
        ratios = [
            statistics.median(a / b for a, b in zip(values, seconds[base], strict=True))
            for base in ("fixed batch", "tumorline")
        ]
        lines.append([name, variant, f"{rate:.1f} ({low:.1f} to {high:.1f})", *(f"{ratio:.2f}" for ratio in ratios)])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=3)
    asked = parser.parse_args()
    began = time.monotonic()
    source = asked.source or default_cohort(default_folder())
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, (recipe, overrides) in NETWORKS.items():
            task = make_task(recipe, overrides, source.resolve(), Path(folder))
            results[name] = measure_network(task, asked.rounds, asked.steps)
            print(*rows(name, results[name]), sep="\n", flush=True)
    write(results, asked, time.monotonic() - began)


def write(results: dict[str, Any], asked: argparse.Namespace, seconds: float) -> None:
    made = {
        "machine": environment.machine(),
        "versions": environment.versions() | {"torch threads": str(torch.get_num_threads())},
        "seconds": round(seconds),
        "source": asked.source.name if asked.source else "simulated cohort",
        "rounds": asked.rounds,
        "steps": asked.steps,
    }
    (HERE / "results" / "training.json").write_text(json.dumps({**made, "networks": results}, indent=2) + "\n")
    head = ["network", "variant", "images/s, median (range of rounds)", "time over fixed batch", "time over tumorline"]
    write_table(
        HERE / "training.md", [head, *(line for name, result in results.items() for line in rows(name, result))]
    )


if __name__ == "__main__":
    with said_in_one_line():
        main()
