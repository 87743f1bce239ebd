"""Which DICOM files of a folder are slices of series, and which channels of a scan the series are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tumorline.data.layouts.gather import channels_there
from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom, without_suffix
from tumorline.wording import is_or_are, numbered

if TYPE_CHECKING:
    from tumorline.formats.dicom_series import DicomSeries
    from tumorline.formats.dicom_slice import SlicePlace


@dataclass(frozen=True)
class SeriesScan:
    """The series of one scan in the order of the channels that were asked for."""

    root: Path
    """The folder that was given, or the first of several."""
    name: Path
    """Relative to the root."""
    series: "tuple[DicomSeries, ...]"
    files: tuple[Path, ...]
    """All that belong to it, whether they can be read or not."""
    problem: str = ""
    """Why it cannot be predicted; empty where it can."""
    channels: tuple[str, ...] = ()
    """Of which channels the series are, where it lacks some and may; empty where it has all."""


@dataclass
class SeriesFound:
    """What the DICOM files of folders are."""

    scans: list[SeriesScan] = field(default_factory=list)
    used: set[Path] = field(default_factory=set)
    """Files that are no pictures by themselves."""
    objects: set[Path] = field(default_factory=set)
    """Files that hold no image of a scan."""
    remarks: list[str] = field(default_factory=list)
    """How each series was understood, to be confirmed by whoever knows."""


class _Member(NamedTuple):
    """A series, and where it was found."""

    series: "DicomSeries"
    root: Path
    name: Path
    """Of its folder, relative to the root."""

    @property
    def folder(self) -> Path:
        return self.series.paths[0].parent


def gather_series(
    places: Iterable[tuple[Path, Iterable[Path]]], channels: Sequence[str], may_lack: bool = False
) -> SeriesFound:
    """The scans among the pictures below given folders; slices that lie alone stay pictures.

    For a model of several channels the series of one study are one scan, also where each lies in a folder of its own;
    where scans `may_lack` channels, one is enough.
    """
    found = SeriesFound()
    studies: dict[str, list[_Member]] = defaultdict(list)
    for root, pictures in places:
        slices, objects = _folders_of_slices(pictures)
        _leave_out(found, root, objects)
        for folder, files in slices.items():
            found.used.update(files)
            name = folder.relative_to(root) if folder.is_relative_to(root) else without_suffix(Path(root.name))
            name = name if name.parts else Path(root.resolve().name or "series")
            try:
                for series in _open_series(files):
                    studies[series.study].append(_Member(series, root, name))
            except UserError as error:
                found.scans.append(SeriesScan(root, name, (), tuple(files), str(error)))
    for members in studies.values():
        if len(channels) == 1:
            _add_single_scans(found, members, channels)
        else:
            _add_scan_of_channels(found, members, channels, may_lack)
    return found


def _leave_out(found: SeriesFound, root: Path, objects: Sequence[Path]) -> None:
    if objects:
        found.objects.update(objects)
        count = f"{is_or_are(len(objects))} {numbered(len(objects), 'DICOM file')}"
        found.remarks.append(f"{root}: left out {count} without an image of a scan (for example {objects[0].name})")


def _open_series(files: Sequence[Path]) -> "list[DicomSeries]":
    from tumorline.formats.dicom_series import open_series  # imports pydicom

    return open_series(files)


def series_at(place: Path) -> "DicomSeries":
    """The one series of a folder, or of a file of many frames. Raises UserError where there is none, or another."""
    listed = sorted(place.iterdir()) if place.is_dir() else [place]
    files = [path for path in listed if path.is_file() and is_dicom(path) and is_image_of_scan(path)]
    found = _open_series(files) if files else []
    if len(found) != 1:
        raise UserError(
            f"{place}: holds {len(found) or 'no'} DICOM series; expected one, give each a folder of its own"
        )
    return found[0]


def is_image_of_scan(path: Path) -> bool:
    """Whether a DICOM file is no report, presentation state or segmentation."""
    return _place_of(path).is_image


def holds_series(path: Path) -> bool:
    """Whether a file is DICOM of so many frames that it is a volume by itself."""
    if not is_dicom(path):
        return False
    from tumorline.formats.dicom_stack import FEWEST

    place = _place_of(path)
    return place.is_image and len(place.places) >= FEWEST


def describe_series(series: "DicomSeries") -> str:
    """What a person may confirm."""
    what = f"read as {series.sequence}" if series.sequence else "of an unknown sequence"
    said = f"{len(series.slices)} slices {what} ({series.reason})"
    return f"{said}; {series.note}" if series.note else said


def note_on_sequence(series: "DicomSeries", channel: str) -> str:
    """What is to be known of a series that is taken as a channel which its headers do not tell; else empty."""
    if not channel or series.sequence == channel:
        return ""
    told = f"its headers tell {series.sequence}" if series.sequence else "its headers do not tell the sequence"
    reason = "" if not series.sequence and "do not tell" in series.reason else f" ({series.reason})"
    return f"{series.paths[0].parent}: taken as {channel}, {told}{reason}"


def _place_of(path: Path) -> "SlicePlace":
    from tumorline.formats.dicom_slice import read_slice_place  # imports pydicom

    return read_slice_place(path)


def note_on_slice(path: Path, channel: str) -> str:
    """What is to be known of a DICOM slice whose header tells another sequence than it is taken as; else empty."""
    if not channel or not is_dicom(path):
        return ""
    from tumorline.formats.dicom_sequence import recognise_sequence  # imports pydicom
    from tumorline.formats.dicom_slice import read_slice_header

    sequence, reason = recognise_sequence(read_slice_header(path))
    return f"taken as {channel}, its header tells {sequence} ({reason})" if sequence not in ("", channel) else ""


def _folders_of_slices(pictures: Iterable[Path]) -> tuple[dict[Path, list[Path]], list[Path]]:
    """Folders in which a series has slices enough for a volume, with the files of such series and what strayed in.

    Beside them the DICOM files that hold no image.
    """
    by_folder: dict[Path, dict[Path, SlicePlace]] = defaultdict(dict)
    objects = []
    for path in filter(is_dicom, pictures):
        place = _place_of(path)
        if place.is_image:
            by_folder[path.parent][path] = place
        else:
            objects.append(path)
    chosen = {folder: _slices_of_volumes(files) for folder, files in by_folder.items()}
    return {folder: files for folder, files in chosen.items() if files}, objects


def _slices_of_volumes(files: "Mapping[Path, SlicePlace]") -> list[Path]:
    """Slices at fewer places than a volume needs are strays where they are few beside one, else pictures."""
    from tumorline.formats.dicom_stack import FEWEST

    by_series: dict[str, list[Path]] = defaultdict(list)
    places: dict[str, set[tuple[float, ...]]] = defaultdict(set)
    for path, place in files.items():
        by_series[place.series].append(path)
        places[place.series] |= place.places
    by_series.pop("", None)
    volumes = [name for name in by_series if len(places[name]) >= FEWEST]
    largest = max((len(places[name]) for name in volumes), default=0)
    strays = [path for name in by_series if name not in volumes for path in by_series[name]]
    slices = [path for name in volumes for path in by_series[name]]
    return slices if len(strays) >= largest else [*slices, *strays]


def _add_single_scans(found: SeriesFound, members: Sequence[_Member], channels: Sequence[str]) -> None:
    """Of a model of one channel. Where a study has a series of it, its others are left out."""
    (channel,) = channels
    has_channel = bool(channel) and any(member.series.sequence == channel for member in members)
    for member in members:
        what = f"{member.folder}: {describe_series(member.series)}"
        if has_channel and member.series.sequence != channel:
            found.remarks.append(f"{what}; left out, the model takes {channel}")
            continue
        alone = sum(other.folder == member.folder for other in members) == 1
        scan = _single_scan(member, channel, alone)
        found.scans.append(scan)
        if not scan.problem:
            found.remarks.append(f"{what}; where it is another, give --channel {channel or 'NAME'}=FOLDER")


def _single_scan(member: _Member, channel: str, alone: bool) -> SeriesScan:
    """A series of another sequence is one line, not an answer."""
    series, problem = member.series, ""
    if channel and series.sequence and series.sequence != channel:
        problem = (
            f"{member.folder}: {describe_series(series)}; the model takes {channel}. "
            f"Where that is what it is, give --channel {channel}={member.folder}"
        )
    name = member.name if alone else member.name / series.paths[0].stem
    return SeriesScan(member.root, name, (series,), series.paths, problem)


def _add_scan_of_channels(
    found: SeriesFound, members: Sequence[_Member], channels: Sequence[str], may_lack: bool
) -> None:
    files = tuple(path for member in members for path in member.series.paths)
    by_sequence: dict[str, list[DicomSeries]] = defaultdict(list)
    for member in members:
        by_sequence[member.series.sequence].append(member.series)
    root, place = members[0].root, _common_folder(members)
    below = place.relative_to(root) if place.is_relative_to(root) else Path()
    name = below if below.parts else Path(place.resolve().name or "scan")
    there = channels_there(channels, by_sequence, may_lack)
    try:
        chosen = tuple(_series_of(channel, by_sequence, place) for channel in there)
        scan = SeriesScan(root, name, chosen, files, channels=tuple(there) if len(there) < len(channels) else ())
    except UserError as error:
        scan = SeriesScan(root, name, (), files, str(error))
    found.scans.append(scan)
    found.remarks += _remarks_on(place, members, dict(zip(there, scan.series, strict=False)))


def _remarks_on(place: Path, members: Sequence[_Member], chosen: "Mapping[str, DicomSeries]") -> list[str]:
    """Which series was taken as which channel, what was left, and how to say it otherwise."""
    taken = {id(series): channel for channel, series in chosen.items()}
    said = [
        f"{member.folder}: {describe_series(member.series)}"
        + (f"; taken as {taken[id(member.series)]}" if id(member.series) in taken else "; not used" if taken else "")
        for member in members
    ]
    options = " ".join(f"--channel {channel}=FOLDER" for channel in chosen)
    return [*said, f"{place}: where one of these is wrong, give {options}"] if chosen else said


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


def _common_folder(members: Sequence[_Member]) -> Path:
    first, *others = [member.folder for member in members]
    while not all(other.is_relative_to(first) for other in others):
        first = first.parent
    return first
