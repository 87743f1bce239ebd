"""The Cheng/Kaggle set, recognised by its masks whatever their encoding, gets its patients back.

The Kaggle copy of figshare 1512427 (Cheng et al., CC BY 4.0) has lost the patient ids. The table beside this file
holds, for each of the 3064 masks, its hash, its class and the number of its patient group: no ids.
"""

import csv
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

import numpy as np

from tumorline.arrays import MaskArray
from tumorline.data.masks.read import mask_hash

NAME = "cheng"
CHANNEL, LABEL = "post_contrast", "tumour_on_post_contrast"
ENOUGH = 0.95


class Entry(NamedTuple):
    class_name: str
    patient: str


def attribution(slices: int) -> str:
    """What a model says of the set, of which it was trained on data with so many of the slices."""
    return (
        "Trained on: Jun Cheng et al., Brain tumor dataset, figshare 1512427, doi:10.6084/m9.figshare.1512427, CC BY "
        f"4.0: {slices} of the {len(cheng_table())} contrast-enhanced T1-weighted slices that it has of 233 patients "
        "with meningioma, glioma or pituitary tumour. The images were resized and augmented for training; the authors "
        "of the data have no part in this model."
    )


@cache
def cheng_table() -> Mapping[str, Entry]:
    """Mask hash -> class and patient group, for all 3064 slices."""
    with resources.files(__package__).joinpath("cheng.csv").open(encoding="utf-8") as file:
        return {row["mask_hash"]: Entry(row["class_name"], row["patient_group"]) for row in csv.DictReader(file)}


def is_cheng(mask_hashes: list[str]) -> bool:
    """Whether at least 95 % of the masks are the set's own."""
    known = sum(name in cheng_table() for name in mask_hashes)
    return len(mask_hashes) > 0 and known >= ENOUGH * len(mask_hashes)


def patient_classes() -> dict[str, str]:
    """Class of each of the 209 patient groups."""
    return {entry.patient: entry.class_name for entry in cheng_table().values()}


def known_mask_hash(mask: MaskArray) -> str:
    """The hash under which the set holds a mask that was turned or mirrored since; empty where it does not."""
    turns = (np.rot90(turned, quarter) for turned in (mask, mask[:, ::-1]) for quarter in range(4))
    return next((turned_hash for turned in turns if (turned_hash := mask_hash(turned)) in cheng_table()), "")
