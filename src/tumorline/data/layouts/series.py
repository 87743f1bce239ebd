"""Which DICOM files of a folder are slices of series, and which channels of a scan the series are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom

if TYPE_CHECKING:
    from tumorline.formats.dicom_series import DicomSeries


@dataclass(frozen=True)
class SeriesScan:
    """The series of one scan in the order of the channels that were asked for."""

    name: Path
    """Relative to where it was looked for."""
    series: "tuple[DicomSeries, ...]"
    files: tuple[Path, ...]
    """All that belong to it, whether they can be read or not."""
    problem: str = ""
    """Why it cannot be predicted; empty where it can."""


@dataclass
class SeriesFound:
    """What the DICOM files of a folder are."""

    scans: list[SeriesScan] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)
    """Files that are no pictures by themselves."""
    remarks: list[str] = field(default_factory=list)
    """How each series was understood, to be confirmed by whoever knows."""


def gather_series(root: Path, pictures: Iterable[Path], channels: Sequence[str]) -> SeriesFound:
    """The scans among the pictures below a folder; slices that lie alone stay pictures."""
    found = SeriesFound()
    folders = _folders_of_slices(pictures)
    if not folders:
        return found
    from tumorline.formats.dicom_series import open_series

    studies: dict[tuple[str, Path], list[DicomSeries]] = defaultdict(list)
    for place, files in folders.items():
        found.used.update(files)
        name = place.relative_to(root) if place != root else Path(root.resolve().name or "series")
        try:
            for series in open_series(files):
                found.remarks.append(f"{place}: {describe_series(series)}")
                studies[(series.study, name if len(channels) == 1 else Path())].append(series)
        except UserError as error:
            found.scans.append(SeriesScan(name, (), tuple(files), str(error)))
    for (_, name), members in studies.items():
        found.scans += _scans_of(members, name, root, channels)
    return found


def series_in(folder: Path) -> "DicomSeries":
    """The one series of a folder. Raises UserError where there is none, or more than one."""
    from tumorline.formats.dicom_series import open_series

    files = [path for path in sorted(folder.iterdir()) if path.is_file() and is_dicom(path)]
    found = open_series(files) if files else []
    if len(found) != 1:
        raise UserError(
            f"{folder}: holds {len(found) or 'no'} DICOM series; expected one, give each a folder of its own"
        )
    return found[0]


def describe_series(series: "DicomSeries") -> str:
    """What a person may confirm."""
    what = f"read as {series.sequence}" if series.sequence else "of an unknown sequence"
    said = f"{len(series.slices)} slices {what} ({series.reason})"
    return f"{said}; {series.note}" if series.note else said


def _folders_of_slices(pictures: Iterable[Path]) -> dict[Path, list[Path]]:
    """Folders in which a series has slices enough for a volume, with the files of such series and what strayed in."""
    by_folder: dict[Path, list[Path]] = defaultdict(list)
    for path in pictures:
        if is_dicom(path):
            by_folder[path.parent].append(path)
    chosen = {place: _slices_of_volumes(files) for place, files in by_folder.items()}
    return {place: files for place, files in chosen.items() if files}


def _slices_of_volumes(files: Sequence[Path]) -> list[Path]:
    """Slices at fewer places than a volume needs are strays where they are few beside one, else pictures."""
    from tumorline.formats.dicom_series import FEWEST, read_slice_place

    by_series: dict[str, list[Path]] = defaultdict(list)
    places: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for path in files:
        place = read_slice_place(path)
        by_series[place.series].append(path)
        places[place.series] |= place.places
    by_series.pop("", None)
    volumes = [name for name in by_series if len(places[name]) >= FEWEST]
    largest = max((len(places[name]) for name in volumes), default=0)
    strays = [path for name in by_series if name not in volumes for path in by_series[name]]
    slices = [path for name in volumes for path in by_series[name]]
    return slices if len(strays) >= largest else [*slices, *strays]


def _scans_of(members: "Sequence[DicomSeries]", name: Path, root: Path, channels: Sequence[str]) -> list[SeriesScan]:
    if len(channels) == 1:
        return [_single_scan(series, name, channels[0], alone=len(members) == 1) for series in members]
    return [_scan_of_channels(members, root, channels)]


def _single_scan(series: "DicomSeries", name: Path, channel: str, alone: bool) -> SeriesScan:
    """Of a model of one channel. A series of another sequence is one line, not an answer."""
    name = name if alone else name / series.paths[0].stem
    problem = ""
    if channel and series.sequence and series.sequence != channel:
        problem = (
            f"{series.paths[0].parent}: {describe_series(series)}; the model takes {channel}. "
            f"Where that is what it is, give --channel {channel}={series.paths[0].parent}"
        )
    return SeriesScan(name, (series,), series.paths, problem)


def _scan_of_channels(members: "Sequence[DicomSeries]", root: Path, channels: Sequence[str]) -> SeriesScan:
    files = tuple(path for series in members for path in series.paths)
    by_sequence: dict[str, list[DicomSeries]] = defaultdict(list)
    for series in members:
        by_sequence[series.sequence].append(series)
    place = _common_folder(members)
    name = place.relative_to(root) if place != root else Path(root.resolve().name or "scan")
    try:
        return SeriesScan(name, tuple(_series_of(channel, by_sequence, place) for channel in channels), files)
    except UserError as error:
        return SeriesScan(name, (), files, str(error))


def _series_of(channel: str, by_sequence: "Mapping[str, Sequence[DicomSeries]]", place: Path) -> "DicomSeries":
    """Raises UserError where no series, or more than one, is of a channel."""
    of_channel = by_sequence.get(channel, ())
    if len(of_channel) == 1:
        return of_channel[0]
    folders = ", ".join(series.paths[0].parent.name for series in of_channel)
    what = (
        f"{len(of_channel)} series are {channel} ({folders})"
        if of_channel
        else f"no series was recognised as {channel}"
    )
    raise UserError(f"{place}: {what}; give --channel NAME=FOLDER for each channel")


def _common_folder(members: "Sequence[DicomSeries]") -> Path:
    first, *others = [series.paths[0].parent for series in members]
    while not all(other.is_relative_to(first) for other in others):
        first = first.parent
    return first
