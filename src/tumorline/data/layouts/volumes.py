"""From the volumes of a scan to its axial slices, which are the cases."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tumorline.data.case import Case
from tumorline.data.finding import Finding
from tumorline.data.layouts.contents import Listing
from tumorline.errors import UserError
from tumorline.formats.nifti import VolumeHeader, read_volume_header

SEQUENCES = ("post_contrast", "pre_contrast", "t2", "flair")
CHANNELS = (*SEQUENCES, "all")
"""What `data.channel` may be, the default first."""
LABEL = "tumour_core"
"""Nearest to what is outlined on a picture after contrast, as in Cheng's set."""


def wanted_sequences(channel: str) -> tuple[str, ...]:
    return SEQUENCES if channel == "all" else (channel or SEQUENCES[0],)


def list_slices(whole: Case, step: int) -> Listing:
    """One case for every `step`-th slice of a scan; an error where its volumes are unreadable or lie apart."""
    try:
        first = _common_header(whole)
    except UserError as error:
        return [], [Finding("unreadable", "error", str(error), tuple(map(str, whole.files)))]
    whole = replace(whole, spacing_mm=first.slice_spacing_mm)
    return list(_cases(whole, first.slices, step)), []


def _cases(whole: Case, slices: int, step: int) -> Iterator[Case]:
    for number in range(0, slices, step):
        yield replace(whole, id=f"{whole.id}/z{number:03d}", slice=number)


def _common_header(whole: Case) -> VolumeHeader:
    """The header of a scan's volumes. Raises UserError where they differ in geometry."""
    headers = {path: read_volume_header(path) for path in dict.fromkeys(whole.files)}
    (first_path, first), *others = headers.items()
    for path, header in others:
        if difference := first.grid.difference(header.grid):
            cure = "resample one onto the other, volumes of one scan must have one geometry"
            raise UserError(f"{first_path} and {path}: {difference}; {cure}")
    _require_frames(whole, headers)
    return first


def _require_frames(whole: Case, headers: dict[Path, VolumeHeader]) -> None:
    for path, header in headers.items():
        frames = [frame for image, frame in zip(whole.images, whole.planes, strict=False) if image == path]
        if header.frames > 1 and not frames:
            raise UserError(f"{path}: holds {header.frames} frames; expected one volume")
        if frames and max(frames) >= header.frames:
            raise UserError(f"{path}: holds {header.frames} frames; expected {max(frames) + 1} at least")
