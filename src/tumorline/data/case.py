"""A case and its files: which they are, under which rules they are read, and its image."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tumorline.arrays import ImageArray
from tumorline.data.masks.legend import Legend
from tumorline.data.masks.outlines import Outlines
from tumorline.data.volumes import read_channels
from tumorline.errors import UserError
from tumorline.formats.boundary import decode_one
from tumorline.formats.decode import read_pixels
from tumorline.formats.grey import is_coloured, to_grey
from tumorline.geometry.grid import Grid
from tumorline.groups import group_of
from tumorline.progress import Progress
from tumorline.regions import Labels

T = TypeVar("T")
MOST_VOLUMES = 4
"""Whole volumes that are worked on at once: four channels of 240 x 240 x 155 voxels are 143 MB."""


@dataclass(frozen=True)
class Case:
    """One image with its truth. `images` has one path per channel; `patient` is None where unknown."""

    id: str
    images: tuple[Path, ...]
    mask: Path | None = None
    """The file of the truth; None where there is no tumour."""
    patient: str | None = None
    class_name: str = ""
    part: str = ""
    """Part of the split as the source states it; empty where it states none."""
    fold: str = ""
    """Fold of a cross-validation as the source states it; empty where it states none."""
    spacing_mm: tuple[float, ...] | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    planes: tuple[int, ...] = ()
    """For each path in `images` the colour channel, or of a volume the frame; empty: each file is one grey picture."""
    transposed: bool = False
    """Whether rows and columns are swapped when image and mask are read."""
    is_volume: bool = False
    """The files are volumes, and the whole of them is the case."""
    grid: Grid | None = None
    """Of a volume `(D, H, W)`: that of its first channel."""
    apart: Mapping[Path, Grid] = field(default_factory=dict)
    """Of a volume the files that lie on other grids, and are resampled onto its own."""
    labels: Labels | None = None
    """Which values of the mask make the regions; None: any but 0, of one kind."""
    correction: Path | None = None
    """A corrected mask, which is read in place of `mask`."""
    more_masks: tuple[Path, ...] = ()
    """Further masks of the same image: the tumour is what any of them marks, or each is a region."""
    mask_per_region: bool = False
    """Whether `mask` and `more_masks` are the regions, one each."""
    channels: tuple[str, ...] = ()
    """The sequence of each path in `images`, "" where one is unknown; empty where none is known."""
    outlines: Outlines | None = None
    """Polygons or runs that stood in `mask`, none for want of a file; None where the truth is pixels."""
    legend: Legend | None = None
    """What the colours of the masks mean; None: black is no tumour, and the other one is."""
    patient_written: str = ""
    """The name from which `patient` was read, as the source writes it: a visit may stand in it."""
    identifier: str = ""
    """The patient's id in a DICOM header, of which `patient` is the hash; empty unless identifiers are kept."""

    @property
    def group(self) -> str:
        """What counts as one patient: the patient, or the case itself where the patient is unknown."""
        return group_of(self.patient, self.id)

    @property
    def shown_patient(self) -> str | None:
        """The patient as tables show him; what is computed goes by `patient`."""
        return self.identifier or self.patient

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.images, *self._given_masks, *((self.correction,) if self.correction else ()))

    @property
    def masks(self) -> tuple[Path, ...]:
        """The files that are read as the truth."""
        return self._given_masks if self.correction is None else (self.correction,)

    @property
    def _given_masks(self) -> tuple[Path, ...]:
        return () if self.mask is None else (self.mask, *self.more_masks)

    @property
    def truth_file(self) -> Path | None:
        """The file that is read as the truth, or the first of them."""
        return self.correction or self.mask


def map_cases(work: Callable[[Case], T], cases: Sequence[Case], progress: Progress | None = None) -> Iterator[T]:
    """What `work` gives for each case, in their order, by a few threads; `progress` hears of each that is done."""
    with ThreadPoolExecutor(MOST_VOLUMES if any(case.is_volume for case in cases) else None) as pool:
        for done, result in enumerate(pool.map(work, cases), start=1):
            if progress:
                progress(done, len(cases))
            yield result


def read_image(case: Case) -> ImageArray:
    """Read a case's channels as float32 `(C, *space)` in the file's own grey values.

    Colour files are reduced to luminance, unless the case names planes of them. Raises UserError for an unreadable
    or truncated file, for more than one frame and for channels of different size.
    """
    return read_and_look(case)[0]


def read_and_look(case: Case) -> tuple[ImageArray, bool]:
    """`read_image`, and whether colours were mixed to grey for it."""
    if case.grid is not None:
        return read_channels(case.images, case.planes, case.grid, case.apart), False
    with decode_one(case.images[0]):
        planes = _planes(case)
        return _stack(case, planes), any(map(is_coloured, planes))


def _stack(case: Case, planes: Sequence[npt.NDArray[Any]]) -> ImageArray:
    channels = [
        to_grey(plane.T if case.transposed else plane, path) for path, plane in zip(case.images, planes, strict=True)
    ]
    shapes = {channel.shape for channel in channels}
    if len(shapes) > 1:
        raise UserError(f"{case.id}: the channels differ in size: {_sizes(shapes)}")
    return np.ascontiguousarray(channels[0])[None] if len(channels) == 1 else np.stack(channels)


def _planes(case: Case) -> list[npt.NDArray[Any]]:
    pixels = {path: read_pixels(path) for path in set(case.images)}
    return [_plane(path, pixels[path], plane) for path, plane in zip_longest(case.images, case.planes)]


def image_hash(image: ImageArray) -> str:
    """Content hash of a decoded image `(C, *space)`, the same for every lossless encoding of it."""
    if image.ndim == 4 and len(image) > 1:
        return joined_hash([image_hash(channel[None]) for channel in image])
    digest = hashlib.sha256(("x".join(str(side) for side in image.shape) + ":").encode())
    digest.update(np.ascontiguousarray(image, "<f4").data)
    return digest.hexdigest()[:16]


def is_constant(channel: npt.NDArray[Any]) -> bool:
    return not np.ptp(channel)


def holds_two_values(image: npt.NDArray[Any]) -> bool:
    """Whether it may be a mask."""
    low, high = image.min(), image.max()
    return bool(low < high and ((image == low) | (image == high)).all())


def joined_hash(hashes: Sequence[str]) -> str:
    """Content hash of a volume of several channels from theirs: a hundred megabytes need not be hashed twice."""
    return hashlib.sha256(":".join(hashes).encode()).hexdigest()[:16]


def _plane(path: Path, pixels: npt.NDArray[Any], plane: int | None) -> npt.NDArray[Any]:
    if plane is None:
        return pixels
    if pixels.ndim != 3:
        raise UserError(f"{path}: a grey picture; expected three colour channels, one for each sequence")
    return np.asarray(pixels[..., plane])


def _sizes(shapes: set[tuple[int, ...]]) -> str:
    return ", ".join(sorted(f"{width} x {height}" for height, width in shapes))
