"""How well copies of volumes are told from other patients: the table "Volumes" of near_duplicates.md, printed.

    python benchmarks/near_volumes.py ../shared/data/brats2021

Each scan is changed as people change scans; a pair counts by the highest correlation over the sixteen ways of lying.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from refusals import said_in_one_line
from tumorline.data.near.volumes import LEAST, near_volumes, unpack_blocks, volume_block
from tumorline.formats import nifti
from tumorline.geometry.upright import upright

Volume = npt.NDArray[np.float32]
RANDOM = np.random.default_rng(0)


def head(volume: Volume) -> Volume:
    return volume[tuple(slice(where.min(), where.max() + 1) for where in np.nonzero(volume))]


def cut(volume: Volume, share: float) -> Volume:
    """The head without a share of its height at the bottom, as a shorter field of view has it."""
    box = head(volume)
    return box[int(share * len(box)) :]


def noisy(volume: Volume) -> Volume:
    return volume + RANDOM.normal(0, 0.1 * volume[volume > 0].mean(), volume.shape).astype(np.float32)


CHANGES: dict[str, Callable[[Volume], Volume]] = {
    "cropped to the head": head,
    "10 % noise": noisy,
    "gamma 0.6": lambda volume: volume.max() * (volume / volume.max()) ** np.float32(0.6),
    "bias field of 0.6 to 1.4": lambda volume: volume * np.linspace(0.6, 1.4, volume.shape[2], dtype=np.float32),
    "resampled to 2 mm": lambda volume: ndimage.zoom(volume, 0.5, order=1),
    "every fifth slice": lambda volume: volume[::5],
    "mirrored": lambda volume: volume[..., ::-1],
    "turned by 90 degrees": lambda volume: np.rot90(volume, 1, (1, 2)),
    "upside down": lambda volume: volume[::-1],
    "turned by 3 degrees": lambda volume: ndimage.rotate(volume, 3, axes=(1, 2), reshape=False, order=1),
    "moved by 3 to 4 voxels": lambda volume: ndimage.shift(volume, (3.4, 2.7, -4.1), order=1),
    "5 % of the head cut": lambda volume: cut(volume, 0.05),
    "10 % of the head cut": lambda volume: cut(volume, 0.1),
}


def read_scans(folder: Path, ending: str) -> list[Volume]:
    files = sorted(folder.rglob(f"*{ending}.nii.gz"))
    return [np.ascontiguousarray(upright(nifti.read_volume(path)), np.float32) for path in files]


def correlation(first: bytes, second: bytes) -> float:
    """The highest that two blocks reach; below what is looked at closely it is taken as 0."""
    pairs = near_volumes(unpack_blocks([first]), unpack_blocks([second]), least=0.0)
    return pairs[0].correlation if pairs else 0.0


def rows(volumes: list[Volume]) -> Iterator[str]:
    blocks = [volume_block(volume) for volume in volumes]
    others = [correlation(*pair) for pair in combinations(blocks, 2)]
    alike = sum(one >= LEAST for one in others)
    yield f"| other patients ({len(others)} pairs) | {alike} | {max(others):.2f} highest |"
    for name, change in CHANGES.items():
        changed = [volume_block(np.ascontiguousarray(change(volume))) for volume in volumes]
        found = [correlation(*pair) for pair in zip(blocks, changed, strict=True)]
        yield f"| {name} | {sum(one >= LEAST for one in found)} of {len(found)} | {min(found):.2f} lowest |"


def measure_scale(count: int) -> str:
    """Random blocks instead of scans: the search does not care what they show."""
    blocks = RANDOM.uniform(0, 255, (count, 32, 32, 32)).astype(np.float32)
    started = time.perf_counter()
    near_volumes(blocks)
    return f"{count} volumes among themselves: {time.perf_counter() - started:.0f} s"


if __name__ == "__main__":
    with said_in_one_line():
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("scans", type=Path)
        given = parser.parse_args()
        for ending in ("_t1ce", "_flair"):
            print(f"\n| {ending} | found | correlation |\n|---|---|---|")
            print("\n".join(rows(read_scans(given.scans, ending))))
        print("\n".join(f"- {measure_scale(count)}" for count in (100, 400)))
