"""nnU-Net and MONAI's SegResNet beside Tumorline: same cases, same folds, the same minutes of the same processor.

    python benchmarks/nnunet.py environment --python ../nnunet           # nnU-Net in an environment of its own
    python benchmarks/nnunet.py all --data ../shared/data/brats2021 --output runs/nnunet --python ../nnunet
    python benchmarks/nnunet.py hours                                    # what `all` takes, before it is started

`all` is `prepare`, `train`, `predict` and `table`, each of which goes on where it was stopped and does nothing twice;
`--side` and `--fold` choose. A fold is a folder in nnU-Net's layout that every side reads: imagesTr holds what may be
trained on, imagesTs what is tested, so that no side can see the latter. In three axes all get the cases at 2 mm, in two
as they are. The minutes count from the start of the command: preprocessing and reading are in them. All sides run with
a malloc that keeps its memory (MALLOC), without which nnU-Net takes three times as long in 2D.

All sides train on all cases of imagesTr and keep their last weights, as nnU-Net does; nothing is chosen on any case.
Writes the tables between the markers of benchmarks/nnunet.md and keeps the rows in benchmarks/results/nnunet/.
"""

import argparse
import csv
import json
import math
import os
import shutil
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from statistics import fmean, median
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from volumes import BEGIN, END, shown, table

nib: Any = nibabel
"""Its types do not tell images with voxels from others."""

HERE = Path(__file__).parent
NNUNET, TORCHVISION = "nnunetv2==2.8.1", "torchvision==0.28.0"
"""torchvision has to be the release that belongs to the torch of the environment."""
CHANNELS = {"FLAIR": "flair", "T1w": "t1", "T1gd": "t1ce", "T2w": "t2"}
"""As dataset.json calls them, and as BraTS 2021 names its files."""
REGIONS = {"whole_tumour": (1, 2, 3), "tumour_core": (2, 3), "enhancing_tumour": (3,)}
"""Labels of nnU-Net's side, which wants them to follow one another: 1 oedema, 2 core without 3, 3 enhancing."""
FROM_BRATS = {1: 2, 2: 1, 4: 3}
FOLDS = 5
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 36), "MALLOC_TOP_PAD_": str(1 << 26)}
ITERATIONS = 10
"""Of what is an epoch of nnU-Net's here: after each its state is saved, and one validation batch is looked at."""
LOOK_EVERY_S = 2.0
"""How often the memory of a command and of all its children is looked at."""
RATE_EPOCHS = 2
"""Of a trial of Tumorline's own, from which follows how many fit into the minutes: the second one counts."""
ALLOWANCE = 0.97
"""Of the minutes are planned for: an epoch may take longer than the one that was timed."""
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Side:
    """Who trains, in how many axes, in which precision."""

    tool: str
    axes: int
    precision: str
    masks: tuple[str, ...]
    """Ways to predict, by the name of their folder."""

    @property
    def configuration(self) -> str:
        return {2: "2d", 3: "3d_fullres"}[self.axes]

    @property
    def recipe(self) -> str:
        return {2: "brats_2d", 3: "brats_3d"}[self.axes]


SIDES = {
    "nnunet_3d": Side("nnunet", 3, "float32", ("plain", "mirrored")),
    "tumorline_3d_float32": Side("tumorline", 3, "float32", ("plain", "mirrored")),
    "nnunet_2d": Side("nnunet", 2, "float32", ("plain", "mirrored")),
    "tumorline_2d_float32": Side("tumorline", 2, "float32", ("plain", "mirrored")),
    "tumorline_3d_bfloat16": Side("tumorline", 3, "bfloat16", ("plain",)),
    "tumorline_2d_bfloat16": Side("tumorline", 2, "bfloat16", ("plain",)),
    "monai_3d": Side("monai", 3, "float32", ("plain",)),
}
"""In the order of what they tell. nnU-Net computes in float32 on every processor: its autocast is for GPUs alone."""


@dataclass(frozen=True)
class Fold:
    """One side on one fold: where its data lie and what it leaves."""

    given: argparse.Namespace
    name: str
    number: int

    @property
    def side(self) -> Side:
        return SIDES[self.name]

    @property
    def dataset(self) -> Path:
        return dataset_folder(self.given.output, self.side.axes, self.number)

    @property
    def folder(self) -> Path:
        return Path(self.given.output, self.name, f"fold-{self.number}")

    @property
    def weights(self) -> Path:
        """What is there once it is trained."""
        if self.side.tool == "nnunet":
            return self.nnunet_results / "checkpoint_final.pth"
        return self.folder / ("weights.pt" if self.side.tool == "monai" else "report.html")

    @property
    def nnunet_results(self) -> Path:
        trained = f"TimedTrainer__nnUNetPlans__{self.side.configuration}"
        return Path(self.given.output, "results", self.dataset.name, trained, "fold_all")

    def note(self, name: str) -> dict[str, Any]:
        file = self.folder.with_name(f"{self.folder.name}.{name}.json")
        return json.loads(file.read_text()) if file.is_file() else {}

    def keep(self, name: str, content: dict[str, Any]) -> None:
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.folder.with_name(f"{self.folder.name}.{name}.json").write_text(json.dumps(content, indent=1))


def dataset_folder(output: Path, axes: int, fold: int) -> Path:
    return output / "raw" / f"Dataset{100 * axes + fold}_BraTS{axes}d"


# ---------------------------------------------------------------------------------------------------- environment


def make_environment(given: argparse.Namespace) -> None:
    """nnU-Net with the release of torch that Tumorline runs with, so that both are measured on one."""
    torch = version("torch").partition("+")[0]
    if not (given.python / "bin" / "python").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(given.python)], check=True)
    pip = [str(given.python / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, f"torch=={torch}", TORCHVISION, NNUNET], check=True)
    run_nnunet(given, "nnUNetv2_train", "--help", quiet=True)
    print(f"{given.python}: {NNUNET} with torch {torch}")


# -------------------------------------------------------------------------------------------------------- prepare


def prepare(given: argparse.Namespace) -> None:
    """The folders of all folds that are asked for."""
    for axes in sorted({SIDES[name].axes for name in given.side}):
        for fold in given.fold:
            target = dataset_folder(given.output, axes, fold)
            if not (target / "dataset.json").is_file():
                write_dataset(given.data, target, parts_of_fold(given.data, fold), halved=axes == 3)
                print("prepared", target.name, flush=True)


def parts_of_fold(data: Path, fold: int) -> dict[str, str]:
    """Case -> "Tr" or "Ts", as Tumorline's own folds have them."""
    command = [sys.executable, "-m", "tumorline", "data", "split", str(data), "--json"]
    changes = ["--set", f"split.folds={FOLDS}", "--set", f"split.fold={fold}"]
    said = subprocess.run([*command, *changes], check=True, capture_output=True, text=True).stdout
    return {row["case"]: "Ts" if row["part"] == "test" else "Tr" for row in json.loads(said)["cases"]}


def write_dataset(data: Path, target: Path, parts: dict[str, str], halved: bool) -> None:
    """The table of names comes last: a folder with it is whole."""
    for case, part in parts.items():
        for channel, word in enumerate(CHANNELS.values()):
            image = nib.load(data / case / f"{case}_{word}.nii.gz")
            values = np.asarray(image.dataobj, np.float32)
            voxels = np.rint(halve(values) if halved else values).astype(np.int16)
            save_volume(target / f"images{part}" / f"{case}_{channel:04d}.nii.gz", voxels, image, halved)
        truth = nib.load(data / case / f"{case}_seg.nii.gz")
        labels = relabelled(np.asarray(truth.dataobj))
        save_volume(
            target / f"labels{part}" / f"{case}.nii.gz", halve_labels(labels) if halved else labels, truth, halved
        )
    content = {
        "channel_names": {str(channel): name for channel, name in enumerate(CHANNELS)},
        "labels": {"background": 0, **{name: list(values) for name, values in REGIONS.items()}},
        "regions_class_order": [1, 2, 3],
        "numTraining": sum(part == "Tr" for part in parts.values()),
        "file_ending": ".nii.gz",
    }
    (target / "dataset.json").write_text(json.dumps(content, indent=1))


def relabelled(labels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    found = np.zeros(labels.shape, np.uint8)
    for brats, own in FROM_BRATS.items():
        found[labels == brats] = own
    return found


def halve(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of each block of 2 x 2 x 2 voxels; an odd end is repeated."""
    even = np.pad(values, [(0, side % 2) for side in values.shape], mode="edge")
    first, second, third = (side // 2 for side in even.shape)
    blocks = even.reshape(first, 2, second, 2, third, 2)
    return np.asarray(blocks.mean((1, 3, 5)), np.float32)


def halve_labels(labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A block is in a region where half of it is; regions lie within one another."""
    found = np.zeros([(side + 1) // 2 for side in labels.shape], np.uint8)
    for value, members in zip((1, 2, 3), REGIONS.values(), strict=True):
        found[halve(np.isin(labels, members).astype(np.float32)) >= 0.5] = value
    return found


def save_volume(path: Path, values: npt.NDArray[Any], like: Any, halved: bool) -> None:
    affine = np.array(like.affine)
    if halved:
        affine[:3, 3] += affine[:3, :3] @ np.full(3, 0.5)
        affine[:3, :3] *= 2
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, affine), path)


# ----------------------------------------------------------------------------------------------- running commands


def environment(given: argparse.Namespace) -> dict[str, str]:
    own = {name: str(given.output / name) for name in ("raw", "preprocessed", "results")}
    return {
        **os.environ,
        **MALLOC,
        **{f"nnUNet_{name}": path for name, path in own.items()},
        "nnUNet_extTrainer": str(HERE / "nnunet_trainer"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE.parent / "src"), os.environ.get("PYTHONPATH", "")])),
    }


def run_nnunet(
    given: argparse.Namespace, *command: str, quiet: bool = False, variables: Mapping[str, str] | None = None
) -> dict[str, float]:
    python = given.python / "bin" / "python"
    own = environment(given) | dict(variables or {})
    del own["PYTHONPATH"]
    return run_timed([str(python), str(HERE / "nnunet_launch.py"), *command], own, quiet)


def run_here(given: argparse.Namespace, *command: str) -> dict[str, float]:
    return run_timed([sys.executable, *command], environment(given), quiet=False)


def run_timed(command: Sequence[str], variables: dict[str, str], quiet: bool) -> dict[str, float]:
    """Seconds and peak memory (with all children) of a command. Raises CalledProcessError."""
    print("$", *command[1:], flush=True)
    began = time.time()
    process = subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL if quiet else None)
    with watching(process.pid) as most:
        code = process.wait()
    if code:
        raise subprocess.CalledProcessError(code, list(command))
    return {"seconds": round(time.time() - began, 1), "peak_mb": round(most[0])}


@contextmanager
def watching(pid: int) -> Iterator[list[float]]:
    """The most memory in MB that a process and its children have had together; shared pages count once."""
    most, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_EVERY_S):
            most[0] = max(most[0], sum(map(resident_mb, family(pid))))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        ended.set()
        thread.join()


def family(pid: int) -> list[int]:
    try:
        children = [
            int(word) for file in Path(f"/proc/{pid}/task").glob("*/children") for word in file.read_text().split()
        ]
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(child))]


def resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    except OSError:
        return 0.0


# ---------------------------------------------------------------------------------------------------------- train


def train(fold: Fold) -> None:
    if fold.weights.is_file() and fold.note("training").get("ended"):
        return
    how = {"nnunet": train_nnunet, "tumorline": train_tumorline, "monai": train_monai}
    print(f"== {fold.name}, fold {fold.number}: training", flush=True)
    how[fold.side.tool](fold)


def train_nnunet(fold: Fold) -> None:
    """Plans and preprocessing by nnU-Net itself, then its trainer for the seconds that are left."""
    given, identifier = fold.given, fold.dataset.name[7:10]
    planned = fold.note("preprocessing")
    if not planned:
        workers = str(os.cpu_count())
        command = ["nnUNetv2_plan_and_preprocess", "-d", identifier, "-c", fold.side.configuration]
        planned = run_nnunet(given, *command, "-np", workers, "-npfp", workers, "--verify_dataset_integrity")
        fold.keep("preprocessing", planned)
    times = read_times(fold.nnunet_results)
    goes_on = ["--c"] if (fold.nnunet_results / "checkpoint_latest.pth").is_file() else []
    command = ["nnUNetv2_train", identifier, fold.side.configuration, "all", "-tr", "TimedTrainer", "-device", "cpu"]
    timing = {
        "TIMED_SECONDS": str(60 * given.minutes),
        "TIMED_SPENT": str(times.get("spent", planned["seconds"])),
        "TIMED_BEGAN": str(time.time()),
        "TIMED_ITERATIONS": str(ITERATIONS),
    }
    used = run_nnunet(given, *command, *goes_on, variables=timing)
    keep_training(fold, read_times(fold.nnunet_results), max(used["peak_mb"], planned["peak_mb"]))


def train_monai(fold: Fold) -> None:
    arguments = [str(HERE / "monai_segresnet.py"), "train", str(fold.dataset), str(fold.folder)]
    more = ["--seconds", str(60 * fold.given.minutes), "--began", str(time.time()), "--precision", fold.side.precision]
    used = run_here(fold.given, *arguments, *more)
    keep_training(fold, read_times(fold.folder), used["peak_mb"])


def read_times(folder: Path) -> dict[str, Any]:
    file = folder / "times.json"
    return json.loads(file.read_text()) if file.is_file() else {}


def keep_training(fold: Fold, times: dict[str, Any], peak_mb: float) -> None:
    steps = times["step_seconds"]
    fold.keep(
        "training",
        {
            "ended": True,
            "minutes": round(times["spent"] / 60, 2),
            "iterations": times["iterations"],
            "iteration_s": round(median(steps), 3),
            "images": times["iterations"] * times["batch_size"],
            "batch": f"{times['batch_size']} x {' x '.join(map(str, times['patch']))}",
            "peak_mb": peak_mb,
            "machine": machine(),
        },
    )


def train_tumorline(fold: Fold) -> None:
    """As many epochs as the minutes hold; what they take is measured once for each side."""
    epochs = fold.note("plan").get("epochs") or plan_epochs(fold)
    fold.keep("plan", {"epochs": epochs})
    if (fold.folder / "config.toml").is_file():
        used = run_here(fold.given, "-m", "tumorline", "train", "--resume", str(fold.folder))
    else:
        used = run_here(fold.given, *training_command(fold, fold.folder, epochs))
    history = list(csv.DictReader((fold.folder / "history.csv").open(newline="")))
    facts = json.loads((fold.folder / "environment.json").read_text())
    images = sum(float(row["images_per_second"]) * float(row["seconds"]) for row in history)
    settings = tomllib.loads((fold.folder / "config.toml").read_text())
    batch, size = settings["train"]["batch_size"], [settings["data"]["image_size"]] * 2
    fold.keep(
        "training",
        {
            "ended": True,
            "minutes": round(minutes_of(fold, len(history)), 2),
            "iterations": round(images / batch),
            "iteration_s": round(facts["seconds_of_training_steps"] / (images / batch), 3),
            "images": round(images),
            "batch": f"{batch} x {' x '.join(map(str, settings['data'].get('window', size)))}",
            "peak_mb": used["peak_mb"],
            "machine": machine(),
        },
    )


def minutes_of(fold: Fold, epochs: int) -> float:
    """What comes before the first epoch, from the trial, and so many epochs, whatever pauses lay between them."""
    trial = epoch_seconds(trial_of(fold))
    epoch = epoch_seconds(fold.folder)["epoch_s"] if epochs > 1 else trial["epoch_s"]
    return (trial["before_s"] + epochs * epoch) / 60


def trial_of(fold: Fold) -> Path:
    return fold.folder.with_name("trial")


def training_command(fold: Fold, output: Path, epochs: int) -> list[str]:
    recipe = HERE.parent / "configs" / f"{fold.side.recipe}.toml"
    changes = [
        "split.folds=0",
        f"train.epochs={epochs}",
        f"train.precision={fold.side.precision}",
        f"name={fold.name}",
        *fold.given.set,
    ]
    words = ["-m", "tumorline", "train", str(recipe), "--data", str(fold.dataset), "--output", str(output)]
    return [*words, *(word for change in changes for word in ("--set", change))]


def plan_epochs(fold: Fold) -> int:
    """From a trial without a test: what comes before the first epoch, and what the second one takes, validation too."""
    trial = trial_of(fold)
    if not (trial / "environment.json").is_file():
        shutil.rmtree(trial, ignore_errors=True)
        run_here(fold.given, *training_command(fold, trial, RATE_EPOCHS), "--no-test")
    facts, seconds = epoch_seconds(trial), 60 * fold.given.minutes
    epochs: int = max(1, math.floor((ALLOWANCE * seconds - facts["before_s"]) / facts["epoch_s"]))
    print(
        f"{fold.name}: {facts['epoch_s']:.1f} s an epoch: {epochs} epochs in {fold.given.minutes:g} minutes", flush=True
    )
    return epochs


def epoch_seconds(run: Path) -> dict[str, float]:
    """What an epoch takes with its validation, from the times at which the run's log was written to."""
    lines = (run / "log.txt").read_text().splitlines()
    stamps = [stamp_of(line) for line in lines]
    epochs = [stamp for line, stamp in zip(lines, stamps, strict=True) if line[20:26] == "epoch "]
    begun = next(stamp for stamp in stamps if stamp)
    epoch = median(later - earlier for earlier, later in pairwise(epochs))
    return {"epoch_s": epoch, "before_s": max(0.0, epochs[0] - begun - epoch)}


def stamp_of(line: str) -> float:
    """Seconds of the epoch of a line of a log; 0 of one that bears none."""
    try:
        return time.mktime(time.strptime(line[:19].replace("T", " "), "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        return 0.0


# -------------------------------------------------------------------------------------------------------- predict


def predict(fold: Fold) -> None:
    """From files to files, each way by itself; then every mask against the truth of the same grid."""
    for way in fold.side.masks:
        masks = fold.given.output / "masks" / fold.name / way / f"fold-{fold.number}"
        if not fold.note(way):
            shutil.rmtree(masks, ignore_errors=True)
            used = predict_masks(fold, masks, way)
            rows = [row for case in cases_of(fold.dataset) for row in score(fold, masks, case, way)]
            fold.keep(way, {**used, "cases": len(cases_of(fold.dataset)), "machine": machine(), "rows": rows})


def predict_masks(fold: Fold, masks: Path, way: str) -> dict[str, float]:
    given, images = fold.given, fold.dataset / "imagesTs"
    mirrored = way == "mirrored"
    if fold.side.tool == "monai":
        arguments = ["predict", str(images), str(fold.folder), str(masks), "--precision", fold.side.precision]
        return run_here(given, str(HERE / "monai_segresnet.py"), *arguments)
    if fold.side.tool == "tumorline":
        arguments = ["predict", str(images), "--model", str(fold.folder), "--output", str(masks), "--no-overlay"]
        more = ["--precision", fold.side.precision, *(["--tta", "flips"] if mirrored else [])]
        return run_here(given, "-m", "tumorline", *arguments, *more)
    command = ["nnUNetv2_predict", "-i", str(images), "-o", str(masks), "-d", fold.dataset.name[7:10], "-f", "all"]
    more = ["-c", fold.side.configuration, "-tr", "TimedTrainer", "-device", "cpu"]
    return run_nnunet(given, *command, *more, *([] if mirrored else ["--disable_tta"]))


def cases_of(dataset: Path) -> list[str]:
    return sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTs").glob("*.nii.gz"))


def score(fold: Fold, masks: Path, case: str, way: str) -> list[dict[str, Any]]:
    """Every side by Tumorline's own figures, at the resolution of the files."""
    from tumorline.metrics.case import score_case

    truth = nib.load(fold.dataset / "labelsTs" / f"{case}.nii.gz")
    spacing = [float(side) for side in truth.header.get_zooms()[:3]]
    true, drawn = np.asarray(truth.dataobj), read_mask(fold.side, masks, case)
    rows = []
    for region, values in REGIONS.items():
        scores = score_case(np.isin(true, values), np.isin(drawn, values), spacing)
        kept = ("dice", "nsd", "hd95", "truth_ml", "predicted_ml", "lesion_dice", "predicted_px")
        figures = {key: getattr(scores, key) for key in kept}
        rows.append({"side": fold.name, "way": way, "fold": fold.number, "case": case, "region": region, **figures})
    return rows


def read_mask(side: Side, masks: Path, case: str) -> npt.NDArray[np.uint8]:
    """In nnU-Net's labels; Tumorline writes BraTS's own."""
    (file,) = [path for path in masks.rglob("*.nii.gz") if path.name.startswith(case)]
    labels = np.asarray(nib.load(file).dataobj)
    return relabelled(labels) if side.tool == "tumorline" else labels.astype(np.uint8)


# ---------------------------------------------------------------------------------------------------------- table


def machine() -> str:
    from tumorline import environment as known

    described = known.machine()
    return f"{known.processor_kind(described)}, {described['cores']} cores"


def write_table(given: argparse.Namespace) -> None:
    found = [Fold(given, name, fold) for name in SIDES for fold in range(FOLDS)]
    done = [fold for fold in found if fold.note("training").get("ended")]
    rows = [row for fold in done for way in fold.side.masks for row in fold.note(way).get("rows", [])]
    keep_rows(rows, done)
    page = HERE / "nnunet.md"
    before, _, rest = page.read_text().partition(BEGIN)
    content = [
        table_of_times(done),
        *(tables_of_axes(rows, axes) for axes in (3, 2)),
        lines_of_configuration(given),
    ]
    page.write_text(f"{before}{BEGIN}\n\n" + "\n\n".join(filter(None, content)) + f"\n\n{END}{rest.partition(END)[2]}")


def keep_rows(rows: Sequence[dict[str, Any]], done: Sequence[Fold]) -> None:
    target = HERE / "results" / "nnunet"
    target.mkdir(parents=True, exist_ok=True)
    if rows:
        with (target / "rows.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    times = {
        f"{fold.name} fold {fold.number}": {
            name: {key: value for key, value in fold.note(name).items() if key != "rows"}
            for name in ("preprocessing", "training", *fold.side.masks)
        }
        for fold in done
    }
    (target / "times.json").write_text(json.dumps(times, indent=1))


def table_of_times(done: Sequence[Fold]) -> str:
    head = ("side", "fold", "precision", "minutes", "of them preprocessing", "iterations", "s an iteration", "batch")
    more = ("peak MB training", "s a case", "s a case, mirrored", "peak MB predicting", "machine")
    return "### Time and memory\n\n" + table([*head, *more], map(times_line, done))


def times_line(fold: Fold) -> list[str]:
    training, plain, mirrored = (fold.note(name) for name in ("training", "plain", "mirrored"))
    before = fold.note("preprocessing").get("seconds")
    each = [f"{used['seconds'] / used['cases']:.1f}" if used else "-" for used in (plain, mirrored)]
    return [
        fold.name,
        str(fold.number),
        fold.side.precision,
        f"{training['minutes']:.1f}",
        f"{before / 60:.1f}" if before else "-",
        str(training["iterations"]),
        f"{training['iteration_s']:.2f}",
        training["batch"],
        str(training["peak_mb"]),
        *each,
        str(plain.get("peak_mb", "-")),
        training["machine"],
    ]


def tables_of_axes(rows: Sequence[dict[str, Any]], axes: int) -> str:
    """For each region a line for each case, a column for each side; then median, range and who is ahead."""
    mine = [row for row in rows if SIDES[row["side"]].axes == axes]
    if not mine:
        return ""
    said = [f"## {axes}D, {'cases of 2 mm' if axes == 3 else 'cases as they are'}"]
    said += [region_table([row for row in mine if row["region"] == region], region) for region in REGIONS]
    return "\n\n".join(said)


def region_table(rows: Sequence[dict[str, Any]], region: str) -> str:
    columns = list(dict.fromkeys((row["side"], row["way"]) for row in rows))
    by_case = {(row["side"], row["way"], row["case"]): row for row in rows}
    cases = sorted({row["case"] for row in rows})
    head = ["case", "true ml", *(side if way == "plain" else f"{side}, {way}" for side, way in columns)]
    lines = [[case, true_ml(rows, case), *(cell(by_case.get((*column, case))) for column in columns)] for case in cases]
    for name, gather in (("median Dice", median), ("mean Dice", fmean)):
        lines.append([name, "", *(figure_of(rows, column, gather) for column in columns)])
    lines.append(["range", "", *(range_of(rows, column) for column in columns)])
    return "\n\n".join([f"### {region.replace('_', ' ')}", table(head, lines), *paired(rows, columns)])


def true_ml(rows: Iterable[dict[str, Any]], case: str) -> str:
    return shown(next(row["truth_ml"] for row in rows if row["case"] == case), 2)


def cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    return shown(row["dice"]) if row["dice"] is not None else f"none; {shown(row['predicted_ml'], 2)} ml drawn"


def dice_of(rows: Iterable[dict[str, Any]], column: tuple[str, str]) -> dict[str, float]:
    """By case, of those that have the region."""
    mine = [row for row in rows if (row["side"], row["way"]) == column]
    return {row["case"]: row["dice"] for row in mine if row["dice"] is not None}


def figure_of(rows: Sequence[dict[str, Any]], column: tuple[str, str], gather: Any) -> str:
    found = dice_of(rows, column)
    return shown(gather(found.values())) if found else "-"


def range_of(rows: Sequence[dict[str, Any]], column: tuple[str, str]) -> str:
    found = dice_of(rows, column).values()
    return f"{min(found):.3f} to {max(found):.3f}" if found else "-"


def paired(rows: Sequence[dict[str, Any]], columns: Sequence[tuple[str, str]]) -> list[str]:
    """Each of Tumorline's sides against each other tool's, predicted the same way: who is ahead in how many cases."""
    lines = []
    for own in (column for column in columns if SIDES[column[0]].tool == "tumorline"):
        for other in (column for column in columns if SIDES[column[0]].tool != "tumorline" and column[1] == own[1]):
            mine, theirs = dice_of(rows, own), dice_of(rows, other)
            both = [mine[case] - theirs[case] for case in mine.keys() & theirs.keys()]
            if both:
                ahead = sum(value >= 0 for value in both)
                spread = f"{min(both):+.3f} to {max(both):+.3f}, median {median(both):+.3f}"
                lines.append(
                    f"- {own[0]} minus {other[0]} ({own[1]}): {spread}; at least as good in {ahead} of {len(both)}"
                )
    return lines


def lines_of_configuration(given: argparse.Namespace) -> str:
    """What a user writes beside the data."""
    datasets = sorted((given.output / "raw").glob("*/dataset.json"))
    lines = len(datasets[0].read_text().splitlines()) if datasets else 0
    program = len((HERE / "monai_segresnet.py").read_text().splitlines())
    return (
        "### What a user writes\n\n"
        f"- nnU-Net: {lines} lines of dataset.json, three environment variables, files renamed, three commands "
        "(preprocess, train, predict); the trainer of this page is ours and not counted\n"
        f"- MONAI: a program ({program} lines here)\n"
        "- Tumorline: two commands (train, predict), no file: a recipe by name, BraTS's own files as they are"
    )


# ----------------------------------------------------------------------------------------------------------- main


def count_hours(given: argparse.Namespace) -> None:
    """Before anything is started: the minutes of training, and what was measured beside them."""
    folds = [Fold(given, name, fold) for name in given.side for fold in given.fold]
    waiting = [fold for fold in folds if not fold.note("training").get("ended")]
    hours = len(waiting) * given.minutes / 60
    print(f"{len(waiting)} of {len(folds)} trainings of {given.minutes:g} minutes are to come: {hours:.1f} hours,")
    print(f"and up to {AFTER_H * len(waiting):.1f} hours of trials, predictions and scores")


AFTER_H = 0.15
STEPS = ("environment", "prepare", "train", "predict", "table", "all", "hours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("--data", type=Path, help="folder of BraTS 2021 cases")
    parser.add_argument("--output", type=Path, default=Path("runs/nnunet"))
    parser.add_argument("--python", type=Path, default=Path("../nnunet"), help="folder of nnU-Net's environment")
    parser.add_argument("--side", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--fold", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of Tumorline's, for a trial")
    parser.add_argument("--minutes", type=float, default=60.0, help="of each training, preprocessing included")
    given = parser.parse_args()
    given.output, given.python = given.output.resolve(), given.python.resolve()
    if given.step in ("prepare", "all") and not given.data:
        parser.error("--data is needed")
    carry_out(given)


def carry_out(given: argparse.Namespace) -> None:
    if given.step in ("environment", "hours", "table"):
        {"environment": make_environment, "hours": count_hours, "table": write_table}[given.step](given)
        return
    if given.step in ("prepare", "all"):
        prepare(given)
    for fold in [Fold(given, name, number) for number in given.fold for name in given.side]:
        if given.step in ("train", "all"):
            train(fold)
        if given.step in ("predict", "all"):
            predict(fold)
        if given.step == "all":
            write_table(given)


if __name__ == "__main__":
    main()
