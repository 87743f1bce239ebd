"""The folders of nnunet.py's folds, in nnU-Net's layout; volumes of three axes at half the resolution."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from nnunet_folds import FOLDS, REGIONS, SIDES, dataset_folder

nib: Any = nibabel
"""Its types do not tell images with voxels from others."""

CHANNELS = {"FLAIR": "flair", "T1w": "t1", "T1gd": "t1ce", "T2w": "t2"}
"""As dataset.json calls them, and as BraTS 2021 names its files."""
FROM_BRATS = {1: 2, 2: 1, 4: 3}


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
