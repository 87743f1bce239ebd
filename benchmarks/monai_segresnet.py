"""MONAI's recipe for BraTS (SegResNet) within a number of minutes; called by benchmarks/nnunet.py.

    python benchmarks/monai_segresnet.py train DATASET OUTPUT --seconds 3600 --precision float32
    python benchmarks/monai_segresnet.py predict IMAGES OUTPUT MASKS --precision float32

Network, transforms, loss, optimiser, rate and inferer are those of MONAI's BraTS tutorial; its crop of 224 x 224 x 144
voxels of 1 mm is halved for cases of 2 mm. Its 300 epochs of 388 cases become the share of the seconds that are spent,
so that the cosine ends with them. There is nothing to choose on validation: the last weights are used, from 0.5 on.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch
from monai.inferers import sliding_window_inference
from monai.losses import DiceLoss
from monai.networks.nets import SegResNet
from monai.transforms import (
    Compose,
    NormalizeIntensity,
    NormalizeIntensityd,
    RandFlipd,
    RandScaleIntensityd,
    RandShiftIntensityd,
    RandSpatialCropd,
    SpatialPadd,
)

nib: Any = nibabel
"""Its types do not tell images with voxels from others."""

CROP = (112, 112, 72)
WINDOW = (120, 120, 80)
CHANNELS = 4
REGIONS = ((1, 2, 3), (2, 3), (3,))
"""Labels of whole tumour, core and enhancing tumour in nnU-Net's numbers."""
LABELS = (1, 2, 3)
"""What is written for each, the later over the earlier."""
RATE, DECAY = 1e-4, 1e-5
SAVE_EVERY_S = 120.0
TIMES_NAME, STATE_NAME, WEIGHTS_NAME = "times.json", "state.pt", "weights.pt"


def build() -> SegResNet:
    return SegResNet(
        spatial_dims=3,
        init_filters=16,
        in_channels=CHANNELS,
        out_channels=len(REGIONS),
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
        dropout_prob=0.2,
    )


def read_case(images: Path, name: str) -> np.ndarray:
    files = [images / f"{name}_{channel:04d}.nii.gz" for channel in range(CHANNELS)]
    return np.stack([nib.load(file).get_fdata(dtype=np.float32) for file in files])


def case_names(images: Path) -> list[str]:
    return sorted(path.name.removesuffix("_0000.nii.gz") for path in images.glob("*_0000.nii.gz"))


def read_training_cases(dataset: Path) -> list[dict[str, torch.Tensor]]:
    """Normalised once, as the tutorial's cache holds them."""
    normalise = NormalizeIntensityd(keys="image", nonzero=True, channel_wise=True)
    found = list[dict[str, torch.Tensor]]()
    for name in case_names(dataset / "imagesTr"):
        labels = np.asarray(nib.load(dataset / "labelsTr" / f"{name}.nii.gz").dataobj)
        regions = np.stack([np.isin(labels, values) for values in REGIONS]).astype(np.float32)
        image = read_case(dataset / "imagesTr", name)
        whole = normalise({"image": torch.from_numpy(image), "label": torch.from_numpy(regions)})
        found.append({key: torch.as_tensor(whole[key]) for key in ("image", "label")})
    return found


def augmentation() -> Compose:
    keys = ("image", "label")
    return Compose(
        [
            SpatialPadd(keys=keys, spatial_size=CROP),
            RandSpatialCropd(keys=keys, roi_size=CROP, random_size=False),
            *(RandFlipd(keys=keys, prob=0.5, spatial_axis=axis) for axis in range(3)),
            RandScaleIntensityd(keys="image", factors=0.1, prob=1.0),
            RandShiftIntensityd(keys="image", offsets=0.1, prob=1.0),
        ]
    )


def endless(number: int, seed: int) -> Iterator[int]:
    generator = np.random.default_rng(seed)
    while True:
        yield from generator.permutation(number).tolist()


def autocast(precision: str) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")


class Training:
    """Steps until the seconds are over; goes on from its saved state, of which only the time up to it is charged."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.began = given, given.began or time.time()
        torch.manual_seed(given.seed)
        self.network = build()
        self.optimiser = torch.optim.Adam(self.network.parameters(), RATE, weight_decay=DECAY)
        self.loss = DiceLoss(smooth_nr=0, smooth_dr=1e-5, squared_pred=True, to_onehot_y=False, sigmoid=True)
        self.times: dict[str, Any] = {"iterations": 0, "step_seconds": [], "spent": 0.0}
        self.restore()

    def elapsed(self) -> float:
        spent: float = self.times["spent"]
        return spent + time.time() - self.began

    def restore(self) -> None:
        file = self.given.output / STATE_NAME
        if file.is_file():
            state = torch.load(file, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimiser.load_state_dict(state["optimiser"])
            self.times = state["times"]

    def save(self) -> None:
        times = {**self.times, "spent": self.elapsed()}
        state = {"network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(), "times": times}
        torch.save(state, self.given.output / "begun.pt")
        (self.given.output / "begun.pt").replace(self.given.output / STATE_NAME)

    def run(self) -> None:
        cases, change = read_training_cases(self.given.dataset), augmentation()
        change.set_random_state(self.given.seed + self.times["iterations"])
        saved = time.monotonic()
        for number in endless(len(cases), self.given.seed + self.times["iterations"]):
            if (share := self.elapsed() / self.given.seconds) >= 1:
                break
            self.step(change(cases[number]), share)
            if time.monotonic() - saved > SAVE_EVERY_S:
                self.save()
                saved = time.monotonic()
        self.finish()

    def step(self, sample: dict[str, torch.Tensor], share: float) -> None:
        began = time.perf_counter()
        for group in self.optimiser.param_groups:
            group["lr"] = RATE * (1 + math.cos(math.pi * share)) / 2
        self.network.train()
        self.optimiser.zero_grad(set_to_none=True)
        with autocast(self.given.precision):
            logits = self.network(torch.as_tensor(sample["image"])[None])
        self.loss(logits.float(), torch.as_tensor(sample["label"])[None]).backward()
        self.optimiser.step()
        self.times["iterations"] += 1
        self.times["step_seconds"].append(time.perf_counter() - began)

    def finish(self) -> None:
        self.save()
        torch.save(self.network.state_dict(), self.given.output / WEIGHTS_NAME)
        times = {**self.times, "spent": self.elapsed(), "batch_size": 1, "patch": list(CROP)}
        (self.given.output / TIMES_NAME).write_text(json.dumps(times))


@torch.inference_mode()
def predict(given: argparse.Namespace) -> None:
    network = build().eval()
    network.load_state_dict(torch.load(given.output / WEIGHTS_NAME, weights_only=True))
    normalise = NormalizeIntensity(nonzero=True, channel_wise=True)
    given.masks.mkdir(parents=True, exist_ok=True)
    for name in case_names(given.dataset):
        image = torch.as_tensor(normalise(torch.from_numpy(read_case(given.dataset, name))))[None]
        with autocast(given.precision):
            logits = sliding_window_inference(image, WINDOW, 1, network, overlap=0.5)[0].float()
        labels = np.zeros(logits.shape[1:], np.uint8)
        for value, region in zip(LABELS, logits, strict=True):
            labels[region.numpy() > 0] = value
        affine = nib.load(given.dataset / f"{name}_0000.nii.gz").affine
        nib.save(nib.Nifti1Image(labels, affine), given.masks / f"{name}.nii.gz")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("step", choices=("train", "predict"))
    parser.add_argument("dataset", type=Path, help="nnU-Net's folder of the fold; for predict its imagesTs")
    parser.add_argument("output", type=Path, help="folder of the weights")
    parser.add_argument("masks", type=Path, nargs="?")
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--began", type=float, default=0.0, help="when the command was started, in Unix time")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    if given.step == "predict":
        predict(given)
    else:
        Training(given).run()


if __name__ == "__main__":
    main()
