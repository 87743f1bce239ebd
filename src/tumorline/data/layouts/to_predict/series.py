"""Which channels of a scan the DICOM series of folders are."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from tumorline.data.layouts.to_predict.gather import channels_there
from tumorline.data.layouts.to_predict.series_folders import folders_of_slices, may_be_slice
from tumorline.data.layouts.to_predict.series_names import SeriesNames, is_meant, split_place
from tumorline.data.layouts.to_predict.series_words import describe_series, tell_left_out, tell_loose
from tumorline.data.layouts.tree import common_folder
from tumorline.errors import UserError
from tumorline.escaping import for_shell
from tumorline.formats.decode import is_dicom, without_suffix
from tumorline.progress import Notify
from tumorline.wording import is_or_are, numbered, some_of

if TYPE_CHECKING:
    from tumorline.formats.dicom_series import BrokenSeries, DicomSeries

    _Opened = tuple[list[DicomSeries], list[BrokenSeries]]
    """Series that are whole, and those that are not."""


S = TypeVar("S", "DicomSeries", "BrokenSeries")


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
    names: SeriesNames = field(default_factory=lambda: SeriesNames(()))
    """What the series are called."""


class _Placed(NamedTuple, Generic[S]):
    """A series, and where it was found."""

    series: S
    root: Path
    name: Path
    """Of its folder, relative to the root, and of its first file where the folder holds several volumes."""


@dataclass
class Study:
    """Series of one study, and of one patient where they say whose they are."""

    whole: "list[_Placed[DicomSeries]]" = field(default_factory=list)
    broken: "list[_Placed[BrokenSeries]]" = field(default_factory=list)

    @property
    def every(self) -> "list[_Placed[DicomSeries] | _Placed[BrokenSeries]]":
        return [*self.whole, *self.broken]


def gather_series(
    places: Iterable[tuple[Path, Iterable[Path]]], channels: Sequence[str], may_lack: bool = False
) -> SeriesFound:
    """The scans among the pictures below given folders; slices that lie alone stay pictures.

    For a model of several channels the series of one study are one scan, also where each lies in a folder of its own;
    where scans `may_lack` channels, one is enough. A series that is no volume and not of a channel costs nothing.
    """
    series_found, studies = gather_studies(places, channels)
    for study in studies:
        if len(channels) == 1:
            _add_single_scans(series_found, study, channels)
        else:
            _add_scan_of_channels(series_found, study, channels, may_lack)
    return series_found


def gather_studies(
    places: Iterable[tuple[Path, Iterable[Path]]], channels: Sequence[str] = ("",)
) -> tuple[SeriesFound, list[Study]]:
    """The series among the pictures below given folders, by study and patient, with what was found and left beside."""
    series_found = SeriesFound()
    studies: dict[str, Study] = defaultdict(Study)
    for root, pictures in places:
        slices, objects, loose = folders_of_slices(pictures)
        _leave_out(series_found, root, objects)
        series_found.remarks += filter(None, (tell_loose(files, channels) for files in loose))
        for folder, files in slices:
            series_found.used.update(files)
            _add_members(studies, root, folder, files)
    for study in studies.values():
        study.whole = _beside_each_other(study)
    series_found.names = SeriesNames(member.series for study in studies.values() for member in study.every)
    return series_found, [patient_study for both in studies.values() for patient_study in _by_patient(both)]


def _add_members(studies: dict[str, Study], root: Path, folder: Path, files: Sequence[Path]) -> None:
    name = folder.relative_to(root) if folder.is_relative_to(root) else without_suffix(Path(root.name))
    name = name if name.parts else Path(root.resolve().name or "series")
    whole, broken = _open_each(files)
    for series in whole:
        series_name = name if len(whole) == 1 else name / series.paths[0].stem
        studies[series.study].whole.append(_Placed(series, root, series_name))
    for broken_series in broken:
        studies[broken_series.study].broken.append(_Placed(broken_series, root, name))


def _beside_each_other(study: Study) -> "list[_Placed[DicomSeries]]":
    from tumorline.formats.dicom_series import beside  # imports pydicom

    series = beside([member.series for member in study.whole], [lost.series for lost in study.broken])
    return [member._replace(series=one) for member, one in zip(study.whole, series, strict=True)]


def _by_patient(study: Study) -> list[Study]:
    """Whoever took the names out may have given one study to several patients; mostly it is one."""
    patients = {member.series.patient for member in study.every}
    if len(patients - {""}) < 2:
        return [study]
    return [
        Study(
            [member for member in study.whole if member.series.patient == patient],
            [member for member in study.broken if member.series.patient == patient],
        )
        for patient in sorted(patients)
    ]


def _leave_out(series_found: SeriesFound, root: Path, objects: Sequence[Path]) -> None:
    if objects:
        series_found.objects.update(objects)
        count = f"{is_or_are(len(objects))} {numbered(len(objects), 'DICOM file')}"
        series_found.remarks.append(
            f"{root}: left out {count} without an image of a scan (for example {objects[0].name})"
        )


def _open_each(files: Sequence[Path]) -> "_Opened":
    from tumorline.formats.dicom_series import open_each  # imports pydicom

    return open_each(files)


def series_of_channels(
    places: Sequence[Path], channels: Sequence[str], notify: Notify | None = None
) -> "tuple[DicomSeries, ...]":
    """The series at the place that was given for each channel; a folder of which several are chosen is opened once.

    `notify` hears which series of a folder is left out, as it is no volume and not of the channel.
    Raises UserError where there is none, or another.
    """
    from tumorline.formats.dicom_series import beside  # imports pydicom

    chosen_of = {folder for folder, word in map(split_place, places) if word}
    opened = {folder: _open_below(folder) for folder in chosen_of}
    pairs = zip(places, channels, strict=True)
    others = [series for both in opened.values() for some in both for series in some]
    return tuple(beside([_series_at(place, channel, opened, notify) for place, channel in pairs], others))


def _series_at(place: Path, channel: str, opened: "Mapping[Path, _Opened]", notify: Notify | None) -> "DicomSeries":
    """The one series of a folder, also where it lies in folders below; of a file of many frames; or FOLDER#NUMBER."""
    folder, word = split_place(place)
    if word:
        return _series_meant(place, folder, word, opened[folder])
    whole, broken = _open_each(_images_at(place))
    if of_channel := [broken_series for broken_series in broken if not whole or broken_series.sequence == channel]:
        raise UserError(max(of_channel, key=lambda broken_series: len(broken_series.paths)).problem)
    if len(whole) != 1:
        cure = f"give one of them: {_list_names([*whole, *broken])}" if whole else "expected one"
        raise UserError(f"{place}: holds {len(whole) or 'no'} DICOM series; {cure}")
    if notify:
        for broken_series in broken:
            notify(tell_left_out(broken_series))
    return whole[0]


def _open_below(folder: Path) -> "_Opened":
    """Those of a folder and of folders below it."""
    pictures = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    opened = [_open_each(files) for _, files in folders_of_slices(pictures)[0]]
    return [one for whole, _ in opened for one in whole], [one for _, broken in opened for one in broken]


def _series_meant(place: Path, folder: Path, word: str, opened: "_Opened") -> "DicomSeries":
    """One of several of a folder. Raises UserError where none or several have this number or file, or it is broken."""
    whole, broken = opened
    if problems := [series.problem for series in broken if is_meant(series, folder, word)]:
        raise UserError(problems[0])
    meant = [series for series in whole if is_meant(series, folder, word)]
    if len(meant) != 1:
        count = f"{len(meant)} DICOM series of this number" if meant else "no DICOM series of this number or file"
        raise UserError(f"{place}: {count}; give one of {_list_names([*whole, *broken])}")
    return meant[0]


def _list_names(series: "Sequence[DicomSeries | BrokenSeries]") -> str:
    """What each is called, with the sequence that its headers tell."""
    names = SeriesNames(series)
    return some_of([f"{names.name(one)}{one.sequence and f' ({one.sequence})'}" for one in series])


def _images_at(root: Path) -> list[Path]:
    """Of a folder those that lie in it, or else below it."""
    if not root.is_dir():
        return [root]
    here = [path for path in sorted(root.iterdir()) if _may_be_image(path)]
    return here or [path for path in sorted(root.rglob("*")) if _may_be_image(path)]


def _may_be_image(path: Path) -> bool:
    return path.is_file() and is_dicom(path) and may_be_slice(path)


def _add_single_scans(series_found: SeriesFound, study: Study, channels: Sequence[str]) -> None:
    """Of a model of one channel. Where a study has a series of it, its others are left out."""
    (channel,) = channels
    has_channel = bool(channel) and any(member.series.sequence == channel for member in study.whole)
    for lost in study.broken:
        if study.whole and channel and lost.series.sequence != channel:
            series_found.remarks.append(tell_left_out(lost.series))
        else:
            series_found.scans.append(SeriesScan(lost.root, lost.name, (), lost.series.paths, lost.series.problem))
    names = series_found.names
    form = names.form([member.series for member in study.every])
    for member in study.whole:
        description = f"{names.name(member.series)}: {describe_series(member.series)}"
        if has_channel and member.series.sequence != channel:
            series_found.remarks.append(f"{description}; left out, the model takes {channel}")
            continue
        scan = _single_scan(member, channel, names.name(member.series))
        series_found.scans.append(scan)
        if not scan.problem:
            option = for_shell("--channel", f"{channel or 'NAME'}={form}")
            series_found.remarks.append(f"{description}; where it is another, give {option}")


def _single_scan(member: "_Placed[DicomSeries]", channel: str, name: str) -> SeriesScan:
    """A series of another sequence is one line, not an answer."""
    series, problem = member.series, ""
    if channel and series.sequence and series.sequence != channel:
        problem = (
            f"{name}: {describe_series(series)}; the model takes {channel}. "
            f"Where that is what it is, give --channel {for_shell(f'{channel}={name}')}"
        )
    return SeriesScan(member.root, member.name, (series,), series.paths, problem)


def _add_scan_of_channels(series_found: SeriesFound, study: Study, channels: Sequence[str], may_lack: bool) -> None:
    files = tuple(path for one in study.every for path in one.series.paths)
    by_sequence: dict[str, list[DicomSeries]] = defaultdict(list)
    for member in study.whole:
        by_sequence[member.series.sequence].append(member.series)
    root, folder = study.every[0].root, common_folder(files)
    below = folder.relative_to(root) if folder.is_relative_to(root) else Path()
    name = below if below.parts else Path(folder.resolve().name or "scan")
    there = channels_there(channels, by_sequence, may_lack)
    try:
        _require_whole(study, channels)
        chosen = tuple(series_of_channel(channel, by_sequence, folder, series_found.names) for channel in there)
        scan = SeriesScan(root, name, chosen, files, channels=tuple(there) if len(there) < len(channels) else ())
    except UserError as error:
        scan = SeriesScan(root, name, (), files, str(error))
    series_found.scans.append(scan)
    series_found.remarks += [tell_left_out(lost.series) for lost in study.broken if lost.series.problem != scan.problem]
    series_found.remarks += _remarks_on(
        folder, study.whole, dict(zip(there, scan.series, strict=False)), series_found.names
    )


def _require_whole(study: Study, channels: Sequence[str]) -> None:
    """Raise UserError for a series of a channel that is no volume, and for any where none is."""
    for lost in study.broken:
        if lost.series.sequence in channels or not study.whole:
            raise UserError(lost.series.problem)


def _remarks_on(
    folder: Path, members: "Sequence[_Placed[DicomSeries]]", chosen: "Mapping[str, DicomSeries]", names: SeriesNames
) -> list[str]:
    """Which series was taken as which channel, what was left, and how to say it otherwise."""
    taken = {id(series): channel for channel, series in chosen.items()}
    remarks = [
        f"{names.name(member.series)}: {describe_series(member.series)}"
        + (f"; taken as {taken[id(member.series)]}" if id(member.series) in taken else "; not used" if taken else "")
        for member in members
    ]
    options = " ".join(for_shell("--channel", f"{channel}={names.name(series)}") for channel, series in chosen.items())
    return (
        [*remarks, f"{folder}: where one of these is wrong, give {options} with the right one"] if chosen else remarks
    )


def series_of_channel(
    channel: str, by_sequence: "Mapping[str, Sequence[DicomSeries]]", folder: Path, names: SeriesNames
) -> "DicomSeries":
    """Raises UserError where no series, or more than one, is of a channel."""
    of_channel = by_sequence.get(channel, ())
    if len(of_channel) == 1:
        return of_channel[0]
    listed = ", ".join(_name_below(folder, names.name(series)) for series in of_channel)
    problem = (
        f"{len(of_channel)} series are {channel} ({listed})" if of_channel else f"no series was recognised as {channel}"
    )
    form = names.form([series for several in by_sequence.values() for series in several])
    raise UserError(f"{folder}: {problem}; give --channel NAME={form} for each channel")


def _name_below(root: Path, name: str) -> str:
    """What a series is called, as seen from a folder above its own."""
    return Path(name).relative_to(root).as_posix() if root in Path(name).parents else name
