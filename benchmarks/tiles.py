"""Tiles of Tumorline and of MONAI's SlidingWindowInferer, on the same input by the same network, in turns.

    python benchmarks/tiles.py [--rounds 3] [--space 240 240 155] [--windows 128 96]

Each turn is a process of its own, so that its peak of memory is its own: that of the process at its end less what it
held, libraries and input included, before the first window. Both blend by Gaussian weights at an overlap of a half, one
window at a time. Two networks: one convolution of a voxel, which leaves little but the blending, and a 3D U-Net
(channels 8, 16, 32) by OpenVINO in float32. Checked is that both give the same logits. Writes
benchmarks/tiles.md (between its markers) and prints the table.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np

from hardening_speed import describe_machine
from refusals import said_in_one_line
from table import write_table

SIDES = ("tumorline", "monai")
NETWORKS = ("one convolution", "3D U-Net")
CHANNELS, REGIONS = 4, 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--space", type=int, nargs=3, default=[240, 240, 155])
    parser.add_argument("--windows", type=int, nargs="+", default=[128, 96], help="their sides")
    parser.add_argument("--one", nargs=4, metavar=("SIDE", "WINDOW", "ONNX", "SAMPLE"), help="what a turn is told")
    given = parser.parse_args()
    if given.one:
        side, window, onnx, sample = given.one
        print(json.dumps(measure(side, onnx, sample, tuple(given.space), (int(window),) * 3)))
        return
    rows = [["network", "window", "by", "seconds, median (range)", "peak MiB beyond libraries and input", "apart"]]
    with tempfile.TemporaryDirectory() as place:
        for network, window in product(NETWORKS, given.windows):
            onnx = save_network(network, Path(place) / f"{len(network)}-{window}.onnx", (window,) * 3)
            found: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
            for turn in range(given.rounds):
                for side in sorted(SIDES, reverse=turn % 2 == 1):
                    told = ["--one", side, str(window), str(onnx), str(Path(place) / f"{side}.npy")]
                    command = [sys.executable, __file__, *told, "--space", *map(str, given.space)]
                    found[side].append(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))
                    print(network, window, turn, side, found[side][-1], flush=True)
            samples = [np.load(Path(place) / f"{side}.npy") for side in SIDES]
            apart = float(np.abs(samples[0] - samples[1]).max())
            rows += [[network, f"{window}^3", side, *as_cells(found[side]), f"{apart:.1e}"] for side in SIDES]
    print(f"{describe_machine()}, {time.strftime('%Y-%m-%d')}", *map(" | ".join, rows), sep="\n")
    write_table(Path(__file__).with_name("tiles.md"), rows)


def as_cells(turns: list[dict[str, float]]) -> list[str]:
    seconds = [turn["seconds"] for turn in turns]
    spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
    return [spread, f"{statistics.median(turn['mib'] for turn in turns):.0f}"]


def save_network(name: str, path: Path, window: tuple[int, ...]) -> Path:
    import torch

    from tumorline import models

    torch.manual_seed(0)
    options = {"dims": 3, "widths": [8, 16, 32]}
    network = (
        torch.nn.Conv3d(CHANNELS, REGIONS, 1)
        if name == NETWORKS[0]
        else models.build("unet", channels=CHANNELS, regions=REGIONS, options=options)
    )
    image = torch.zeros(1, CHANNELS, *window)
    torch.onnx.export(network.eval(), (image,), str(path), dynamo=True, external_data=False, verbose=False)
    return path


def measure(side: str, onnx: str, sample: str, space: tuple[int, ...], window: tuple[int, ...]) -> dict[str, float]:
    """Seconds and MiB of one answer; every 7th voxel of it goes to `sample`."""
    import torch
    from monai.inferers import SlidingWindowInferer

    from tumorline.geometry.tiles import Tiling, answer_tiles
    from tumorline.runtime import open_runtime

    run = open_runtime(Path(onnx)).run
    image = np.random.default_rng(0).normal(size=(CHANNELS, *space)).astype(np.float32)
    run(np.ascontiguousarray(image[None, :, : window[0], : window[1], : window[2]]))  # what the network itself holds
    inferer = SlidingWindowInferer(window, sw_batch_size=1, overlap=0.5, mode="gaussian")
    before, began = begin_peak(), time.perf_counter()
    if side == "monai":
        with torch.inference_mode():
            answer = inferer(torch.from_numpy(image[None]), lambda batch: torch.from_numpy(run(batch.numpy())))
        logits = answer[0].numpy()
    else:
        logits = answer_tiles(run, image, Tiling(space, window, 0.5))
    seconds, used = time.perf_counter() - began, peak_mib() - before
    np.save(sample, logits[:, ::7, ::7, ::7])
    return {"seconds": seconds, "mib": used}


def begin_peak() -> float:
    """MiB that the process holds now, from where on its peak is counted."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak_mib()


def peak_mib() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


if __name__ == "__main__":
    with said_in_one_line():
        main()
