"""What is said of DICOM series: as what each was taken, against its headers or by them, and which was left out."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.data.layouts.tree import common_folder
from tumorline.escaping import for_shell
from tumorline.formats.decode import FEWEST_SLICES, is_dicom

if TYPE_CHECKING:
    from tumorline.formats.dicom_series import BrokenSeries, DicomSeries
    from tumorline.formats.dicom_slice import SlicePlace


def describe_series(series: "DicomSeries") -> str:
    """What a person may confirm."""
    sequence = f"read as {series.sequence}" if series.sequence else "of an unknown sequence"
    sentence = f"{len(series.slices)} slices {sequence} ({series.reason})"
    return f"{sentence}; {series.note}" if series.note else sentence


def tell_left_out(lost: "BrokenSeries") -> str:
    """What is said of a series that is no volume and need not be one."""
    sequence = f"read as {lost.sequence}" if lost.sequence else "of an unknown sequence"
    return (
        f"{common_folder(lost.paths)}: left out a series {sequence} ({lost.reason}), which is no volume: {lost.problem}"
    )


def tell_loose(files: "Mapping[Path, SlicePlace]", channels: Sequence[str]) -> str:
    """What is said of a folder's slices that may be a volume and are read as pictures; empty where they may not be."""
    if len(files) < FEWEST_SLICES:
        return ""
    opening = f"{common_folder(files)}: {len(files)} DICOM slices are read as pictures, as they"
    if _may_be_stacked(files.values()):
        channel = (channels[0] if len(channels) == 1 else "") or "NAME"
        option = for_shell("--channel", f"{channel}=FOLDER")
        return f"{opening} name no common series (SeriesInstanceUID); where they are one volume, give {option}"
    if not any(at.places for at in files.values()) and len({at.series for at in files.values()} | {""}) == 2:
        return (
            f"{opening} do not say where they lie (ImagePositionPatient); where they are one volume, save it as NIfTI"
        )
    return ""


def _may_be_stacked(slices: "Collection[SlicePlace]") -> bool:
    """Whether slices of one patient, size and orientation lie each at a place of its own."""
    of_one = len({(*at.kind[:1], *at.kind[3:]) for at in slices}) == 1
    return of_one and all(at.places for at in slices) and len({at.places for at in slices}) == len(slices)


def note_on_sequence(series: "DicomSeries", channel: str) -> str:
    """What is to be known of a series that is taken as a channel which its headers do not tell; else empty."""
    if not channel or series.sequence == channel:
        return ""
    evidence = f"its headers tell {series.sequence}" if series.sequence else "its headers do not tell the sequence"
    reason = "" if not series.sequence and "do not tell" in series.reason else f" ({series.reason})"
    return f"{series.paths[0].parent}: taken as {channel}, {evidence}{reason}"


def note_on_ends(series: "DicomSeries") -> str:
    """What is to be known of a series that seems to lack slices at an end; else empty."""
    return f"{common_folder(series.paths)}: {series.note}" if series.note else ""


def note_on_slice(path: Path, channel: str) -> str:
    """What is to be known of a DICOM slice whose header tells another sequence than it is taken as; else empty."""
    if not channel or not is_dicom(path):
        return ""
    from tumorline.formats.dicom_sequence import recognise_sequence  # imports pydicom
    from tumorline.formats.dicom_slice import read_slice_header

    sequence, reason = recognise_sequence(read_slice_header(path))
    return f"taken as {channel}, its header tells {sequence} ({reason})" if sequence not in ("", channel) else ""
