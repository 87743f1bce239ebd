"""What a DICOM series is called where `--channel` takes it: its folder, or FOLDER#NUMBER where that holds others."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.data.layouts.tree import common_folder

if TYPE_CHECKING:
    from tumorline.formats.dicom_series import BrokenSeries, DicomSeries

MARK = "#"
"""Between a folder and the SeriesNumber of one of its series, or one of that series' files."""


def split_place(place: Path) -> tuple[Path, str]:
    """A folder and which series of it is meant; the place itself and "" where all of it is."""
    folder, mark, word = str(place).rpartition(MARK)
    return (Path(folder), word) if mark and not place.exists() and Path(folder).is_dir() else (place, "")


def is_meant(series: "DicomSeries | BrokenSeries", folder: Path, word: str) -> bool:
    """Whether a series of a folder is the one that a word means."""
    is_number = series.number is not None and (word.lstrip("0") or "0") == str(series.number)
    return is_number or folder / word in series.paths


class SeriesNames:
    """What each of the series that were found together is called."""

    def __init__(self, series: "Iterable[DicomSeries | BrokenSeries]") -> None:
        self._below: dict[Path, list[DicomSeries | BrokenSeries]] = defaultdict(list)
        for one in series:
            folders = {path.parent for path in one.paths}
            for folder in {above for below in folders for above in (below, *below.parents)}:
                self._below[folder].append(one)

    def name(self, series: "DicomSeries | BrokenSeries") -> str:
        """Where others lie in its folder too, its number tells it, or a file where they share that."""
        folder, file = common_folder(series.paths), series.paths[0]
        numbers = {one.number for one in self._below[folder] if one is not series}
        if len(series.paths) == 1 or not numbers:
            return str(file if numbers else folder)
        if series.number not in {None, *numbers}:
            return f"{folder}{MARK}{series.number}"
        word = file.relative_to(folder).as_posix()
        return f"{folder}{MARK}{'./' if word.isdecimal() else ''}{word}"

    def form(self, series: "Sequence[DicomSeries | BrokenSeries]") -> str:
        """How another of the series is given."""
        return f"FOLDER{MARK}NUMBER" if any(MARK in Path(self.name(one)).name for one in series) else "FOLDER"
