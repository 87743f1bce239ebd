"""How fast slices become masks: files to files, the network alone in several libraries, and the loops people write.

    python benchmarks/inference.py DATA/images [--model builtin] [--count 600] [--rounds 3] [--seconds 4] [--long 6000]
        [--int8 DATA]

One run, in turns, which go the other way round every second time, so that the ratios mean something on a machine that
does other things beside. Measured are

- what the processor can do: products of two matrices of 2048 x 2048 by torch, in float32 and bfloat16
- the network alone at its own input size: eager torch in float32 (batch 8, contiguous and channels last), torch in
  bfloat16 channels last, OpenVINO in float32, bfloat16 and int8 with one and with several requests under way, ONNX
  Runtime; int8 where `export` has written its file beside the model's, or with --int8, which rounds by the training
  images of a set for the sake of the speed alone, also what `export` would refuse
- files to files: `tumorline predict` with and without overlays in these, each a process of its own from its start to
  its end, with the largest memory it had; MONAI's transforms, DataLoader and SlidingWindowInferer, and the loop of the
  tutorials of segmentation_models_pytorch (DataLoader of PIL images, eager network, sigmoid, PNG), both
  from the first file on, with the same weights in float32; with --long so many files as well, masks only in bfloat16

Writes benchmarks/inference.md (between the markers of the instructions that the processor has, with int8 others) and
prints the table.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from hardening_speed import describe_machine
from refusals import said_in_one_line
from table import write_table
from tumorline.arrays import Float32Array
from tumorline.assessment import open_wanted
from tumorline.environment import machine
from tumorline.errors import UserError
from tumorline.evaluation.status import case_status
from tumorline.inference.model import load
from tumorline.model_file import find_model
from tumorline.runtime import Runtime
from tumorline.work_ahead import count_cores, map_ahead

BATCH, SIDE = 8, 2048
WITH_PEAK = """
import os, subprocess, sys
child = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, used = os.wait4(child.pid, 0)
print(round(used.ru_maxrss / 1024))
sys.exit(status != 0)
"""
"""A small process in between: the system counts what the one that starts another holds as the other's peak."""
Rate = Callable[[float], float]
"""Seconds that it may take to what it did a second."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--count", type=int, default=600, help="slices of files to files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=3, help="of files to files")
    parser.add_argument(
        "--long", type=int, default=0, help="files of one more turn, for its memory; repeated if need be"
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="of a turn of the network alone")
    parser.add_argument("--loops", type=int, default=100, help="slices of MONAI's and smp's loops")
    parser.add_argument("--int8", metavar="DATA", help="measure int8, rounded by training images of this set")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        model = rounded_copy(given.model, given.int8, Path(place)) if given.int8 else given.model
        measure_all(given, model)


def rounded_copy(model: str, data: str, folder: Path) -> str:
    """The model file with its ONNX file and a rounded network beside it, of which nobody says that it is any good."""
    from tumorline.quantise import write_unproven

    path = find_model(Path(model))
    for suffix in (".safetensors", ".onnx"):
        shutil.copy(path.with_suffix(suffix), folder / f"model{suffix}")
    copied = load(folder / "model.safetensors")
    dataset = open_wanted(copied, data, ())
    write_unproven(copied, dataset, case_status(copied.info, dataset), folder / "model.int8.onnx")
    return str(copied.path)


def measure_all(given: argparse.Namespace, model: str) -> None:
    paths = sorted(given.images.iterdir())[: given.count]
    began = time.perf_counter()
    rows = [["what", "by", "rate, median (range)", "times eager float32", "peak MiB"]]
    rows += [[name, *cells, "-", "-"] for name, cells in measure(peaks(), given.rounds, given.seconds, "GFLOP/s")]
    alone = measure_raw(networks(model), given.rounds, given.seconds)
    eager = median(alone["torch float32, batch 8"])
    rows += [
        ["network alone", name, spread(rates, "images/s"), f"{median(rates) / eager:.2f}", "-"]
        for name, rates in alone.items()
    ]
    every = sorted(given.images.iterdir())
    found = files_to_files(model, paths, paths[: given.loops], given.turns)
    found += predict_many(model, [every[number % len(every)] for number in range(given.long)])
    for name, rates, count, mib in found:
        times = f"{median(rates) / eager:.2f}"
        rows.append([f"files to files, {count}", name, spread(rates, "images/s"), times, mib])
    minutes = (time.perf_counter() - began) / 60
    print(f"{describe_machine()}, {time.strftime('%Y-%m-%d')}, {minutes:.0f} min", *map(" | ".join, rows), sep="\n")
    marker = machine()["instructions"] + (" with int8" if given.int8 else "")
    write_table(Path(__file__).with_name("inference.md"), rows, marker)


def spread(rates: list[float], unit: str) -> str:
    return f"{median(rates):.1f} ({min(rates):.1f} to {max(rates):.1f}) {unit}"


def measure_raw(rates: dict[str, Rate], rounds: int, seconds: float) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in rates}
    for turn in range(rounds):
        for name in sorted(rates, reverse=turn % 2 == 1):
            found[name].append(rates[name](seconds))
            print(turn, name, round(found[name][-1], 1), flush=True)
    return {name: found[name] for name in rates}


def measure(rates: dict[str, Rate], rounds: int, seconds: float, unit: str) -> list[tuple[str, list[str]]]:
    return [
        ("peak of the machine", [name, spread(own, unit)]) for name, own in measure_raw(rates, rounds, seconds).items()
    ]


def repeated(work: Callable[[], object], each: float) -> Rate:
    """A rate of something that does `each` at a time."""

    def rate(seconds: float) -> float:
        work()
        began, times = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            work()
            times += 1
        return times * each / (time.perf_counter() - began)

    return rate


def one_by_one(run: Runtime, images: Float32Array, requests: int) -> None:
    """Each image four times, so many requests at a time."""
    single = [images[[number]] for number in range(len(images))] * 4
    for _ in map_ahead(run, single, requests + 1):
        pass


def peaks() -> dict[str, Rate]:
    import torch

    def product(kind: torch.dtype) -> Rate:
        first, second = (torch.randn(SIDE, SIDE).to(kind) for _ in range(2))
        return repeated(lambda: first @ second, 2 * SIDE**3 / 1e9)

    return {"float32": product(torch.float32), "bfloat16": product(torch.bfloat16)}


def networks(model: str) -> dict[str, Rate]:
    import torch

    from tumorline.network_file import load_network

    info = load_network(find_model(Path(model)))[1]
    torch.set_num_threads(count_cores())
    shape = (BATCH, info.architecture.channels, *info.network_size)
    images = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    batch = torch.from_numpy(images)
    last = batch.to(memory_format=torch.channels_last)

    def eager(image: torch.Tensor, kind: torch.dtype | None, layout: torch.memory_format) -> Rate:
        own = load_network(find_model(Path(model)))[0]
        own.to(memory_format=layout)  # type: ignore[call-overload]

        def work() -> None:
            with torch.inference_mode(), torch.autocast("cpu", kind, enabled=kind is not None):
                own(image)

        return repeated(work, BATCH)

    found = {
        "torch float32, batch 8": eager(batch, None, torch.contiguous_format),
        "torch float32, batch 8, channels last": eager(last, None, torch.channels_last),
        "torch bfloat16, batch 8, channels last": eager(last, torch.bfloat16, torch.channels_last),
    }
    for runtime, precision, requests in [
        ("openvino", "float32", 1),
        ("openvino", "float32", count_cores()),
        ("openvino", "bfloat16", 1),
        ("openvino", "bfloat16", count_cores()),
        ("openvino", "int8", 1),
        ("openvino", "int8", count_cores()),
        ("onnxruntime", "float32", 1),
    ]:
        try:
            run = load(model, precision=precision, runtime=runtime, requests=requests).runtime
        except UserError as error:
            print(error)
            continue
        work = partial(run, images) if requests == 1 else partial(one_by_one, run, images, requests)
        done = BATCH if requests == 1 else 4 * BATCH
        many = "one request" if requests == 1 else f"{requests} requests of one image"
        found[f"{runtime} {precision}, {many}"] = repeated(work, done)
    return found


Found = list[tuple[str, list[float], int, str]]
"""Name, images a second, images and MiB of each."""
MASKS_ONLY = ["--no-overlay", "--precision", "bfloat16"]


def files_to_files(model: str, paths: list[Path], few: list[Path], turns: int) -> Found:
    settings = [MASKS_ONLY, ["--no-overlay", "--precision", "float32"], ["--no-overlay", "--precision", "int8"]]
    settings += [["--precision", "bfloat16"], ["--precision", "float32"]]
    able = [more for more in settings if predict_files(model, few[:2], more)]  # what is compiled is kept from here on
    measured: dict[str, list[tuple[float, int]]] = {" ".join(more): [] for more in able}
    for turn in range(turns):
        for more in able[:: 1 if turn % 2 == 0 else -1]:
            measured[" ".join(more)] += filter(None, [predict_files(model, paths, more)])
            print(turn, *more, measured[" ".join(more)][-1], flush=True)
    found = [
        (f"tumorline predict {name}", [rate for rate, _ in own], len(paths), str(max(mib for _, mib in own)))
        for name, own in measured.items()
    ]
    for name, loop in (("MONAI's usual loop, float32", monai_loop), ("smp's usual loop, float32", smp_loop)):
        with tempfile.TemporaryDirectory() as place:
            began = time.perf_counter()
            loop(model, few, Path(place) / "masks")
            found.append((name, [len(few) / (time.perf_counter() - began)], len(few), "-"))
    return found


def predict_many(model: str, paths: list[Path]) -> Found:
    measured = predict_files(model, paths, MASKS_ONLY) if paths else None
    return (
        [(f"tumorline predict {' '.join(MASKS_ONLY)}", [measured[0]], len(paths), str(measured[1]))] if measured else []
    )


def predict_files(model: str, paths: list[Path], more: list[str]) -> tuple[float, int] | None:
    """Images a second and peak MiB of a process of its own; None where it fails."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "images"
        folder.mkdir()
        for number, path in enumerate(paths):
            (folder / f"{number:05d}{path.suffix}").symlink_to(path.resolve())
        command = [sys.executable, "-m", "tumorline", "predict", str(folder), "--model", model, *more]
        whole = [sys.executable, "-c", WITH_PEAK, *command, "--output", f"{place}/out"]
        began = time.perf_counter()
        child = subprocess.run(whole, capture_output=True, text=True)
        seconds = time.perf_counter() - began
    return None if child.returncode else (len(paths) / seconds, int(child.stdout))


def monai_loop(model: str, paths: list[Path], output: Path) -> None:
    import torch
    from monai.data import DataLoader, Dataset
    from monai.inferers import SlidingWindowInferer
    from monai.transforms import Compose, EnsureChannelFirst, LoadImage, NormalizeIntensity, Resize, SaveImage

    from tumorline.network_file import load_network

    network, info = load_network(find_model(Path(model)))
    side = info.image_size
    grey = [LoadImage(image_only=True, reader="PILReader", converter=lambda image: image.convert("L"))]
    steps = Compose([*grey, EnsureChannelFirst(), Resize((side, side)), NormalizeIntensity()])
    inferer = SlidingWindowInferer((side, side), sw_batch_size=BATCH)
    save = SaveImage(output, output_ext=".png", scale=255, separate_folder=False, print_log=False)
    with torch.inference_mode():
        for batch in DataLoader(Dataset([str(path) for path in paths], steps), batch_size=BATCH):
            logits = torch.as_tensor(inferer(batch, network))
            for mask in torch.sigmoid(logits) >= info.thresholds[0]:
                save(mask.to(torch.uint8))


def smp_loop(model: str, paths: list[Path], output: Path) -> None:
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    from tumorline.network_file import load_network

    network, info = load_network(find_model(Path(model)))
    side = info.image_size
    output.mkdir()

    class Slices(Dataset[tuple[torch.Tensor, int]]):
        def __len__(self) -> int:
            return len(paths)

        def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
            image = np.asarray(Image.open(paths[number]).convert("L").resize((side, side)), np.float32)
            return torch.from_numpy((image - image.mean()) / (image.std() + 1e-6))[None], number

    with torch.inference_mode():
        for batch, numbers in DataLoader(Slices(), batch_size=BATCH):
            masks = torch.sigmoid(network(batch)) >= info.thresholds[0]
            for mask, number in zip(masks, numbers.tolist(), strict=True):
                Image.fromarray(mask[0].numpy().astype(np.uint8) * 255).save(output / f"{paths[number].stem}.png")


if __name__ == "__main__":
    with said_in_one_line():
        main()
