"""One BraTS case from the command to the files on disk: seconds, where they go, and the largest memory.

    python benchmarks/one_case.py CASE_FOLDER [MODEL ...] [--rounds 3]

For an untrained 3D U-Net (windows of 128 x 128 x 128 at 1 mm, overlap a half, channels 16 to 128, four channels in,
three regions out), and for each model file or run folder that is given. Each turn is `tumorline predict` as a process
of its own, told to write down how long it was in each of its steps; one turn before those that count compiles the
network, which the user's cache keeps. Start is Python, imports and the network; loading is reading and decoding;
preparing is normalising and resampling; masks are thresholds, components and figures. Writes
benchmarks/one_case.md (between its markers) and prints the table.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from hardening_speed import describe_machine
from refusals import said_in_one_line
from table import write_table

STEPS = ("start", "loading", "preparing", "network", "back to the voxels", "masks", "writing")
WIDTHS = [16, 32, 64, 128]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", type=lambda text: Path(text).resolve())
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=Path, help="what a turn's process is told: where its steps are written")
    given = parser.parse_args()
    if given.steps:
        predict_with_steps(given.case, given.models[0], given.steps)
        return
    rows = [["model", "seconds, median (range)", *STEPS, "loading + writing", "peak GiB"]]
    with tempfile.TemporaryDirectory() as place:
        os.environ["XDG_CACHE_HOME"] = f"{place}/cache"
        models = {"3D U-Net, untrained": untrained(Path(place)), **{path.name: path for path in given.models}}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in models}
        for turn in range(given.rounds + 1):
            for name, model in models.items():
                turned = measure(given.case, model, Path(place) / f"{turn}-{name}")
                print(turn, name, json.dumps(turned), flush=True)
                found[name] += [turned] if turn else []
    rows += [as_row(name, turns) for name, turns in found.items()]
    print(f"{describe_machine()}, {time.strftime('%Y-%m-%d')}", *map(" | ".join, rows), sep="\n")
    write_table(Path(__file__).with_name("one_case.md"), rows)


def as_row(name: str, turns: list[dict[str, float]]) -> list[str]:
    total = [turn["seconds"] for turn in turns]
    middle = {step: median(turn[step] for turn in turns) for step in STEPS}
    share = (middle["loading"] + middle["writing"]) / median(total)
    return [
        name,
        f"{median(total):.1f} ({min(total):.1f} to {max(total):.1f})",
        *(f"{seconds:.2f} s ({seconds / median(total):.0%})" for seconds in middle.values()),
        f"{share:.0%}",
        f"{max(turn['gib'] for turn in turns):.2f}",
    ]


def measure(case: Path, model: Path, output: Path) -> dict[str, float]:
    steps = output.with_suffix(".json")
    command = [sys.executable, __file__, str(case), str(model), "--steps", str(steps)]
    began = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=output.parent)
    assert child.wait() == 0, "predict failed"
    seconds = time.perf_counter() - began
    written: dict[str, float] = json.loads(steps.read_text())
    gib = written.pop("gib")
    return {"seconds": seconds, "start": seconds - sum(written.values()), **written, "gib": gib}


def predict_with_steps(case: Path, model: Path, steps: Path) -> None:
    """In the child: as the command does it, with clocks around the steps."""
    from tumorline import api
    from tumorline.inference import model as models
    from tumorline.inference import predictor

    spent = dict.fromkeys(STEPS[1:], 0.0)

    def clocked(step: str, work: Callable[..., Any], within: str = "") -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return work(*arguments, **named)
            finally:
                seconds = time.perf_counter() - began
                spent[step] += seconds
                if within:
                    spent[within] -= seconds

        return run

    for name, step in [("read_scan", "loading"), ("write_label_map", "writing"), ("write_three_planes", "writing")]:
        setattr(predictor, name, clocked(step, getattr(predictor, name)))
    own = models.Model
    for name, step, within in [
        ("answer", "back to the voxels", ""),
        ("see", "preparing", "back to the voxels"),
        ("_mean_over_turned", "network", "back to the voxels"),
        ("masks", "masks", ""),
    ]:
        setattr(own, name, clocked(step, getattr(own, name), within))
    over_batches = own._over_batches

    def answered(*arguments: Any, **named: Any) -> Any:
        began = time.perf_counter()
        for found in over_batches(*arguments, **named):
            seconds = time.perf_counter() - began
            spent["network"] += seconds
            spent["back to the voxels"] -= seconds
            yield found
            began = time.perf_counter()

    own._over_batches = answered  # type: ignore[method-assign]
    api.predict(case, model, output=steps.with_suffix(""))
    lines = Path("/proc/self/status").read_text().splitlines()
    peak_kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    steps.write_text(json.dumps({**spent, "gib": peak_kib / (1 << 20)}))


def untrained(place: Path) -> Path:
    import torch

    from tumorline import models
    from tumorline.export import export_onnx
    from tumorline.model_file import find_model, read_info, save_model
    from tumorline.model_info import Architecture, InputSpec, ModelMetrics

    torch.manual_seed(0)
    options = {"dims": 3, "widths": WIDTHS}
    channels = ["flair", "post_contrast", "t2", "pre_contrast"]
    regions = ["whole_tumour", "tumour_core", "enhancing_tumour"]
    network = models.build("unet", channels=4, regions=3, options=options)
    stated = {
        "name": "untrained-3d",
        "architecture": Architecture(name="unet", options=options, channels=4),
        "input": InputSpec(dims=3, channels=channels, normalisation="volume", window=(128, 128, 128)),
        "regions": regions,
        "threshold": 0.5,
        "temperature": 1.0,
        "constant_mask": "",
        "metrics": ModelMetrics(),
    }
    path = place / "untrained.safetensors"
    info = read_info(find_model(Path("builtin"))).model_copy(update=stated)
    save_model(path, {name: tensor.numpy() for name, tensor in network.state_dict().items()}, info)
    export_onnx(path, path.with_suffix(".onnx"))
    return path


if __name__ == "__main__":
    with said_in_one_line():
        main()
