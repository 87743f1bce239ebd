"""Everything that the program writes for a few tiny sets: what a change of the code must leave as it is.

    python tests/golden/produce.py FOLDER        (with the package to be looked at on PYTHONPATH)

Only the command line is used, so that any two versions can be asked the same. The sets are made here.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from PIL import Image

nib: Any = nibabel

TRAINING = (
    "data.image_size=32",
    "data.cache=cache",
    "model.options.widths=[4, 8]",
    "train.epochs=20",
    "train.batch_size=4",
    "train.learning_rate=0.02",
    "train.precision=float32",
)
MOVING_SUM = '[{name="dice_ce"},{name="boundary",weight=[0,0.5]}]'
COMMANDS = {
    "check": "data check slices --json",
    "check-volumes": "data check volumes --json",
    "against": "data check slices --against others --json",
    "split": "data split slices --json",
    "train": "train --data slices --output run",
    "train-boundary": f"train --data slices --output boundary --set loss.sum={MOVING_SUM}",
    "train-volumes": "train --data volumes --output volumes-run --set data.label=whole_tumour",
    "folds": "folds --data slices --output folds --set split.folds=2 --set train.epochs=10",
    "evaluate": "evaluate run --data others --output evaluation --json",
    "evaluate-flips": "evaluate boundary --data others --output flips --tta flips --json",
    "stress": "evaluate run --data others --output stressed --stress --json",
    "matrix": "evaluate run boundary --data others --data slices --output matrix --json",
    "compare": "compare evaluation flips --output comparison --json",
    "predict": "predict others/images --model run --output predictions --json",
    "ensemble": "ensemble run boundary --output ensemble.safetensors",
    "evaluate-ensemble": "evaluate ensemble.safetensors --data others --output ensemble --json",
}
TRAINS = ("train", "train-boundary", "train-volumes", "folds")


def draw_head(size: int, random: np.random.Generator) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """A noisy disc on black with a brighter disc in it, `(size, size)`, and the labels 0, 1, 2, 4 of its rings."""
    rows, columns = np.ogrid[:size, :size]
    head = np.hypot(rows - size / 2, columns - size / 2) < 0.45 * size
    row, column = random.uniform(0.35 * size, 0.65 * size, 2)
    far = np.hypot(rows - row, columns - column) / random.uniform(0.8, 1.2)
    labels = np.select([far < 0.06 * size, far < 0.12 * size, far < 0.2 * size], [1, 4, 2], 0).astype(np.uint8)
    image = head * (60 + 10 * random.standard_normal((size, size)) + 60 * (labels > 0) + 40 * (labels == 4))
    return image.clip(0, 255).astype(np.uint8), labels


def write_slices(folder: Path, patients: int, seed: int) -> None:
    """Two slices of each patient in images/ and masks/, the last mask empty, with `patients.csv`."""
    random = np.random.default_rng(seed)
    table = ["id,patient,class_name"]
    for number in range(2 * patients):
        image, labels = draw_head(40, random)
        mask = (labels > 0) & (number != 2 * patients - 1)
        for kind, pixels in (("images", image), ("masks", mask.astype(np.uint8) * 255)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / kind / f"s{seed}{number:02d}.png")
        table.append(f"s{seed}{number:02d},P{seed}-{number // 2},{'abc'[number // 2 % 3]}")
    (folder / "patients.csv").write_text("\n".join(table) + "\n")


def write_volumes(folder: Path, patients: int, seed: int) -> None:
    """BraTS folders of four slices each."""
    random = np.random.default_rng(seed)
    for patient in range(patients):
        name = f"BraTS2021_{patient:05d}"
        images, labels = (
            np.stack(planes, -1) for planes in zip(*(draw_head(32, random) for _ in range(4)), strict=True)
        )
        (folder / name).mkdir(parents=True)
        for kind in ("t1", "t1ce", "t2", "flair", "seg"):
            voxels = labels if kind == "seg" else images.astype(np.int16)
            nib.Nifti1Image(voxels, np.diag([1.0, 1.0, 2.0, 1.0])).to_filename(folder / name / f"{name}_{kind}.nii.gz")


def main(folder: Path) -> None:
    folder.mkdir(parents=True)
    write_slices(folder / "slices", 12, 1)
    write_slices(folder / "others", 4, 2)
    write_volumes(folder / "volumes", 4, 3)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    for name, command in COMMANDS.items():
        words = [sys.executable, "-m", "tumorline", *command.split()]
        for setting in TRAINING if name in TRAINS else ():
            if setting.split("=")[0] not in command:
                words += ["--set", setting]
        done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        (folder / f"{name}.out").write_text(f"exit status {done.returncode}\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
