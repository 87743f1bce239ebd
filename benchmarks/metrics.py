"""How long all metrics of many slices take, against MONAI's Dice, HD95 and surface Dice on the same masks.

    OMP_NUM_THREADS=1 python benchmarks/metrics.py [--cases 500] [--rounds 5]

The masks are drawn from seed 0: 512 x 512 pixels, a tumour of 0.3 to 5 % of the image with an uneven outline, and a
prediction whose outline wanders off by a few pixels; some predictions have a second piece, are empty, or stand where
there is no tumour. The variants take turns over several rounds, in one process and in two:

- tumorline: `score_cases`, which is all figures of `CaseScores`
- monai: compute_dice, compute_hausdorff_distance with percentile 95, compute_surface_dice
- monai, sub-voxel: the same with `use_subvoxels=True`, which is the surface Dice that Tumorline reports

Processes are started, and have imported all they need, before the clock starts; each reads masks from the same mapped
file and has one thread. MONAI's tensors are made within the time, one case at a time. Writes benchmarks/metrics.md
(between its markers) and benchmarks/results/metrics.json.
"""

import argparse
import json
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from refusals import said_in_one_line
from table import write_table
from tumorline import environment
from tumorline.metrics.case import NSD_TOLERANCE, Pair, score_cases

HERE = Path(__file__).parent
SIZE, PROCESSES, PARTS = 512, (1, 2), 8
LEAST_SHARE, LARGEST_SHARE = 0.003, 0.05
Masks = npt.NDArray[np.bool_]
Figures = list[tuple[float | None, float | None]]


class Sketch:
    """Outlines around one centre: the radius over the angle is a sum of a few waves."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.radius = np.sqrt(np.exp(rng.uniform(np.log(LEAST_SHARE), np.log(LARGEST_SHARE))) / np.pi) * SIZE
        centre = rng.uniform(SIZE / 4, 3 * SIZE / 4, 2)
        rows, columns = np.arange(SIZE)[:, None] - centre[0], np.arange(SIZE) - centre[1]
        self.distance, self.angle = np.hypot(rows, columns), np.arctan2(rows, columns)

    def waves(self, amplitude: float) -> npt.NDArray[np.float64]:
        """Relative to the radius; slow waves are higher than fast ones."""
        around = np.linspace(-np.pi, np.pi, 721)
        sizes = amplitude / np.arange(2, 12) * self.rng.standard_normal(10)
        phases = self.rng.uniform(0, 2 * np.pi, 10)
        heights = sum(a * np.cos(k * around + p) for k, a, p in zip(range(2, 12), sizes, phases, strict=True))
        return np.asarray(np.interp(self.angle, around, heights))


def draw(rng: np.random.Generator) -> Masks:
    """Truth and prediction of one case, `(2, SIZE, SIZE)`."""
    sketch = Sketch(rng)
    outline = sketch.waves(0.3)
    truth = sketch.distance < sketch.radius * (1 + outline)
    predicted = sketch.distance < sketch.radius * (1 + outline + sketch.waves(0.12)) + rng.uniform(-2, 4)
    kind = rng.random()
    if kind < 0.15:
        row, column = rng.integers(0, SIZE - 12, 2)
        predicted[row : row + 12, column : column + 12] = True
    elif kind < 0.19:
        predicted[:] = False
    elif kind < 0.23:
        truth[:] = False
    return np.stack([truth, predicted])


def write_masks(path: Path, cases: int) -> None:
    masks = np.lib.format.open_memmap(path, "w+", bool, (cases, 2, SIZE, SIZE))
    for number in range(cases):
        masks[number] = draw(np.random.default_rng([0, number]))
    masks.flush()


def tumorline(masks: Masks) -> Figures:
    scores = score_cases(Pair(truth, predicted) for truth, predicted in masks)
    return [(score.dice, score.nsd) for score in scores]


def monai(masks: Masks, use_subvoxels: bool = False) -> Figures:
    return [_monai(truth, predicted, use_subvoxels) for truth, predicted in masks]


def monai_sub_voxel(masks: Masks) -> Figures:
    return monai(masks, use_subvoxels=True)


def _monai(truth: Masks, predicted: Masks, use_subvoxels: bool) -> tuple[float, float]:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    drawn, true = (torch.from_numpy(mask)[None, None].float() for mask in (predicted, truth))
    options: dict[str, Any] = {"include_background": True, "spacing": [1.0, 1.0]}
    dice = compute_dice(drawn, true)
    compute_hausdorff_distance(drawn, true, percentile=95, **options)
    nsd = compute_surface_dice(drawn, true, [NSD_TOLERANCE], use_subvoxels=use_subvoxels, **options)
    return dice.item(), nsd.item()


VARIANTS: dict[str, Callable[[Masks], Figures]] = {
    "tumorline": tumorline,
    "monai": monai,
    "monai, sub-voxel": monai_sub_voxel,
}
_masks: list[Masks] = []


def prepare(path: Path, everybody: Barrier) -> None:
    """In each process: import everything, map the masks, score a case with each variant, wait for the others."""
    import torch

    from tumorline.models.torchvision_cure import cure_torchvision

    torch.set_num_threads(1)
    cure_torchvision()
    warnings.simplefilter("ignore")
    _masks.append(np.load(path, mmap_mode="r"))
    for variant in VARIANTS.values():
        variant(np.array(_masks[0][:1]))
    everybody.wait()


def run(job: tuple[str, int, int]) -> Figures:
    variant, first, last = job
    return VARIANTS[variant](np.asarray(_masks[0][first:last]))


def pool(processes: int, path: Path) -> ProcessPoolExecutor:
    """All processes are ready when this returns."""
    context = get_context("spawn")
    started = ProcessPoolExecutor(processes, context, prepare, (path, context.Barrier(processes)))
    list(started.map(time.sleep, [0.1] * processes))
    return started


def jobs(variant: str, cases: int) -> Iterator[tuple[str, int, int]]:
    limits = np.linspace(0, cases, PARTS + 1).astype(int)
    return ((variant, int(first), int(last)) for first, last in pairwise(limits))


def measure(path: Path, cases: int, rounds: int) -> tuple[dict[str, list[float]], dict[str, Figures]]:
    """Seconds of each round by variant and processes; the figures of each variant."""
    seconds: dict[str, list[float]] = {}
    figures: dict[str, Figures] = {}
    pools = {processes: pool(processes, path) for processes in PROCESSES}
    for _ in range(rounds):
        for processes, workers in pools.items():
            for variant in VARIANTS:
                began = time.perf_counter()
                parts = list(workers.map(run, jobs(variant, cases)))
                seconds.setdefault(f"{variant}, {processes}", []).append(time.perf_counter() - began)
                figures[variant] = [pair for part in parts for pair in part]
    for workers in pools.values():
        workers.shutdown()
    return seconds, figures


def largest_difference(figures: dict[str, Figures]) -> dict[str, float]:
    """Between Tumorline and MONAI's sub-voxel variant, over the cases that both can score."""
    ours, theirs = (np.array(figures[name], float) for name in ("tumorline", "monai, sub-voxel"))  # (cases, 2)
    dice, nsd = np.nanmax(np.abs(ours - theirs), axis=0)
    return {"dice": dice, "nsd": nsd}


def rows(seconds: dict[str, list[float]], cases: int) -> list[list[str]]:
    lines = []
    for processes in PROCESSES:
        base = seconds[f"tumorline, {processes}"]
        for variant in VARIANTS:
            values = seconds[f"{variant}, {processes}"]
            each = [1000 * value / cases for value in values]
            ratio = statistics.median(a / b for a, b in zip(values, base, strict=True))
            times = f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
            lines.append([str(processes), variant, f"{statistics.median(values):.2f}", times, f"{ratio:.1f}"])
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "masks.npy"
        write_masks(path, asked.cases)
        shares = np.load(path, mmap_mode="r")[:, 0].mean((1, 2))
        seconds, figures = measure(path, asked.cases, asked.rounds)
    result = {
        "machine": environment.machine(),
        "versions": environment.versions(),
        "seconds": round(time.monotonic() - began),
        "cases": asked.cases,
        "rounds": asked.rounds,
        "size_of_tumours": {"median": float(np.median(shares)), "largest": float(shares.max())},
        "largest_difference": largest_difference(figures),
        "seconds_by_round": seconds,
    }
    (HERE / "results" / "metrics.json").write_text(json.dumps(result, indent=2) + "\n")
    head = ["processes", "variant", "seconds, median", "ms per slice, median (range of rounds)", "time over tumorline"]
    write_table(HERE / "metrics.md", [head, *rows(seconds, asked.cases)])
    print(json.dumps(result["largest_difference"]), *rows(seconds, asked.cases), sep="\n")


if __name__ == "__main__":
    with said_in_one_line():
        main()
