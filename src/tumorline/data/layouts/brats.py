"""BraTS volumes as axial slices: a folder of NIfTI files for each scan, in the naming of 2021 or of 2023.

The labels are 1 necrotic core, 2 oedema, and as enhancing tumour 4 (to 2022) or 3 (from 2023, with t1c and t2w).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.patients import patients_of_scans
from tumorline.errors import UserError
from tumorline.formats import nifti
from tumorline.regions import Labels

NAME = re.compile(r"(.+)[-_](t1ce|t1c|t1n|t1|t2w|t2f|t2|flair|seg)\.nii(?:\.gz)?", re.IGNORECASE)
KINDS = {
    "post_contrast": ("t1ce", "t1c"),
    "pre_contrast": ("t1", "t1n"),
    "t2": ("t2", "t2w"),
    "flair": ("flair", "t2f"),
}
CHANNELS = (*KINDS, "all")
LATER_NAMES = {"t1c", "t1n", "t2w", "t2f"}
RESECTION_CAVITY = "the resection cavity of BraTS 2024 (after treatment), which is not read yet"
LABEL = "tumour_core"
"""Nearest to what is outlined on a picture after contrast, as in Cheng's set."""

Group = dict[str, Path]


def find_brats(contents: Contents) -> str:
    groups = {name: group for name, group in _groups(contents).items() if len(group) > 1}
    count = len(set(patients_of_scans(groups).values()))
    return f"{count} patients with NIfTI volumes (for example {next(iter(groups))})" if groups else ""


def read_brats(contents: Contents, settings: DataConfig) -> Listing:
    """One case for every `data.slice_step`-th slice; a scan that lacks a file is an error finding."""
    groups = _groups(contents)
    patients = patients_of_scans(groups)
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda name: _slices(name, patients[name], groups[name], settings), groups))
    return [case for cases, _ in found for case in cases], [finding for _, findings in found for finding in findings]


def _groups(contents: Contents) -> dict[str, Group]:
    """The files of each scan, which may be a patient's visit, by what they are."""
    groups: dict[str, Group] = defaultdict(dict)
    for path in contents.volumes:
        if named := NAME.fullmatch(path.name):
            groups[named[1]][named[2].lower()] = path
    return dict(groups)


def _slices(name: str, patient: str, group: Group, settings: DataConfig) -> Listing:
    wanted = list(KINDS) if settings.channel == "all" else [settings.channel or "post_contrast"]
    try:
        images = tuple(_one(name, group, kind, KINDS[kind]) for kind in wanted)
        mask = _one(name, group, "truth", ("seg",))
        header = nifti.read_volume_header(images[0])
    except UserError as error:
        return [], [Finding("unreadable", "error", str(error), tuple(str(path) for path in group.values()))]
    labels = _labels(group, settings.label or LABEL)
    whole = Case(name, images, mask, patient, spacing_mm=header.spacing_mm, labels=labels, patient_written=name)
    return list(_cases(whole, header.slices, settings.slice_step)), []


def _cases(whole: Case, slices: int, step: int) -> Iterator[Case]:
    for number in range(0, slices, step):
        yield replace(whole, id=f"{whole.id}/z{number:03d}", slice=number)


def _one(name: str, group: Group, kind: str, endings: tuple[str, ...]) -> Path:
    for ending in endings:
        if ending in group:
            return group[ending]
    at = next(iter(group.values())).parent
    beside = _other_truth(at) if kind == "truth" else ""
    raise UserError(f"{at}: no {kind} volume of {name} (a name that ends in {' or '.join(endings)}){beside}")


def _other_truth(folder: Path) -> str:
    """What is said of a segmentation beside the volumes whose name is not BraTS's."""
    found = sorted(
        path.name for path in folder.glob("*.nii*") if "seg" in path.name.lower() and not NAME.match(path.name)
    )
    if not found:
        return ""
    if found[0].lower().split(".nii")[0].endswith("_segm"):
        return f"; {found[0]} is not read under this name, rename it"
    return f"; {found[0]} is one of another maker, whose labels are not read yet"


def _labels(group: Group, label: str) -> Labels:
    """Which values are the tumour, and which may be there at all."""
    enhancing = 3 if LATER_NAMES & group.keys() else 4
    wanted = {
        "whole_tumour": (1, 2, enhancing),
        "tumour_core": (1, enhancing),
        "enhancing_tumour": (enhancing,),
    }
    other = ((4, RESECTION_CAVITY),) if enhancing == 3 else ()
    return Labels(wanted[label], (0, 1, 2, enhancing), other)
