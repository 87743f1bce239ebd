"""Volumes as a network of three axes sees them, decoded once: memory-mapped arrays for each case."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import ceil, prod
from pathlib import Path
from typing import Any, NamedTuple, TypedDict
from zlib import crc32

import numpy as np
import numpy.typing as npt

from tumorline.data.case import Case, map_cases
from tumorline.data.dataset import Dataset
from tumorline.data.memory import cache_folder
from tumorline.errors import UserError
from tumorline.files import read_json, require_space, write_json
from tumorline.network_input import fit
from tumorline.network_input.built_folder import create_array, open_built
from tumorline.network_input.patches import Places, region_places
from tumorline.network_input.spaced import SpacedPlacement, place_head, to_spaced, truth_to_spaced
from tumorline.progress import Progress

VERSION = 1
"""Of what stands in the cache of equal volumes and settings."""
INDEX = "cases.json"
USUAL_MM = (1.0, 1.0, 1.0)
"""Spacing of BraTS's volumes, which is no part of the key: a training that began before there was any goes on."""


class CachedVolume(NamedTuple):
    """One case at the network's spacing."""

    image: npt.NDArray[np.float16]
    """`(C, *spaced)`."""
    mask: npt.NDArray[np.uint8]
    """`(R, *spaced)` in {0, 1}."""
    places: Sequence[Places]
    """Voxels of each region, to draw patches around."""
    placement: SpacedPlacement


class CacheEntry(TypedDict):
    """What the index says of the arrays of one case."""

    native: list[int]
    box: list[list[int]]
    """Begin and end of the head along each axis."""
    checksums: dict[str, int]


@dataclass(frozen=True)
class VolumeCache:
    """In the data set's order."""

    cases: Sequence[CachedVolume]


def volume_cache_key(dataset: Dataset) -> str:
    """Hash over the content of all cases in order, their spacing and the network's, and the preprocessing's version."""
    settings: dict[str, object] = {"voxel_mm": dataset.settings.voxel_mm, "regions": dataset.regions}
    settings |= {"version": [VERSION, fit.VERSION]}
    spacings = {case.id: spacing for case in dataset.cases if (spacing := dataset.spacing_mm(case)) != USUAL_MM}
    settings |= {"spacings": spacings} if spacings else {}
    content = [[fact.case_id, fact.image_hash, fact.mask_hash] for fact in dataset.facts]
    return sha256(json.dumps([settings, content]).encode()).hexdigest()[:24]


def open_volume_cache(dataset: Dataset, progress: Progress | None = None) -> VolumeCache:
    """Map the volumes, building the cache first where it is not there or is damaged.

    Raises UserError for a picture among the cases, for a volume without spacing, and without space.
    """
    for case, facts in zip(dataset.cases, dataset.facts, strict=True):
        if len(facts.shape) != 4:
            raise UserError(f"{case.images[0]}: a picture; data.window is for volumes, leave it out for slices")
    target = cache_folder(dataset.settings) / volume_cache_key(dataset)
    return open_built(
        target, lambda folder: _read_volumes(dataset, folder), lambda folder: _fill(dataset, folder, progress)
    )


def _read_volumes(dataset: Dataset, folder: Path) -> VolumeCache | None:
    index: list[CacheEntry] = read_json(folder / INDEX)
    if len(index) != len(dataset.cases):
        return None
    cases = []
    for number, entry in enumerate(index):
        arrays = {kind: np.load(_array_path(folder, number, kind), mmap_mode="r", allow_pickle=False) for kind in KINDS}
        if {kind: crc32(array.data) for kind, array in arrays.items()} != entry["checksums"]:
            return None
        cases.append(_cached(arrays, entry))
    return VolumeCache(cases)


def _cached(arrays: dict[str, npt.NDArray[Any]], entry: CacheEntry) -> CachedVolume:
    placement = SpacedPlacement(
        tuple(entry["native"]), tuple(slice(*ends) for ends in entry["box"]), arrays["image"].shape[1:]
    )
    region, voxels = arrays["places"][:, 0], arrays["places"][:, 1:]
    places = [voxels[region == number] for number in range(len(arrays["mask"]))]
    return CachedVolume(arrays["image"], arrays["mask"], places, placement)


KINDS = ("image", "mask", "places")


def _array_path(folder: Path, number: int, kind: str) -> Path:
    return folder / f"{number:06d}-{kind}.npy"


def _fill(dataset: Dataset, folder: Path, progress: Progress | None) -> None:
    require_space(folder.parent, _most_bytes(dataset), f"for the decoded cache of {len(dataset.cases)} volumes")
    entries = map_cases(lambda case: _store(dataset, case, folder), dataset.cases, progress)
    write_json(folder / INDEX, list(entries))


def _most_bytes(dataset: Dataset) -> int:
    """As if no volume were cropped; their own spacing is known when they are read."""
    voxels = (
        prod(
            ceil(side * length / wanted)
            for side, length, wanted in zip(facts.shape[1:], spacing, dataset.settings.voxel_mm, strict=True)
        )
        for facts, spacing in zip(
            dataset.facts, (require_spacing(dataset, case) for case in dataset.cases), strict=True
        )
    )
    return sum(voxels) * (2 * dataset.channels + len(dataset.regions))


def require_spacing(dataset: Dataset, case: Case) -> Sequence[float]:
    """Between slices, rows and columns. Raises UserError where the volume states none."""
    spacing = dataset.spacing_mm(case)
    if spacing is None or len(spacing) != 3:
        raise UserError(f"{case.images[0]}: its voxels have no size; a network of volumes needs one")
    return spacing


def _store(dataset: Dataset, case: Case, folder: Path) -> CacheEntry:
    """Write the arrays of a case; gives its entry in the index."""
    sample = dataset.read(case)
    placement = place_head(sample.image, require_spacing(dataset, case), dataset.settings.voxel_mm)
    mask = truth_to_spaced(sample.truth, placement)
    places = [
        np.column_stack([np.full(len(some), region, np.int32), some]) for region, some in enumerate(region_places(mask))
    ]
    arrays: dict[str, npt.NDArray[Any]] = {
        "image": to_spaced(sample.image, placement).astype(np.float16),
        "mask": mask.astype(np.uint8),
        "places": np.concatenate(places).astype(np.int32),
    }
    for kind, values in arrays.items():
        array = create_array(_array_path(folder, dataset.index[case.id], kind), values.dtype, values.shape)
        array[...] = values
        array.flush()
    return {
        "native": list(placement.native),
        "box": [[along.start, along.stop] for along in placement.box],
        "checksums": {kind: crc32(np.ascontiguousarray(values).data) for kind, values in arrays.items()},
    }
