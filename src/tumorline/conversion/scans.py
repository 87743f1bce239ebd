"""Which DICOM series are the channels of which scan, and which segmentation is its truth."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.to_predict.gather import channel_meant
from tumorline.data.layouts.to_predict.series import Study, gather_studies, series_of_channel
from tumorline.data.layouts.to_predict.series_names import SeriesNames, is_meant, split_place
from tumorline.data.layouts.to_predict.series_words import describe_series, tell_left_out
from tumorline.data.layouts.tree import common_folder
from tumorline.data.layouts.volumes.scan_case import SEQUENCES, plain_word
from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom
from tumorline.formats.dicom_segmentation import Segmentation, is_segmentation, read_segmentation
from tumorline.formats.dicom_series import DicomSeries
from tumorline.progress import Notify
from tumorline.wording import some_of

FAVOURS_PROGRAM = "; a program has found all of it, as it says (AUTOMATIC): figures on it favour that program"


class Statement(NamedTuple):
    """A channel that is wanted, and where a series of it lies that the headers do not tell."""

    channel: str
    place: Path | None


@dataclass
class Scan:
    """The series of one study, which of them are channels, and its truth."""

    study: Study
    names: SeriesNames
    segmentation: Segmentation | None = None
    reference: DicomSeries | None = None
    """The series whose grid is that of the scan: that of the segmentation."""
    channels: dict[str, DicomSeries] = field(default_factory=dict)
    problem: str = ""
    """Why it is left out; empty where it is not."""

    @property
    def series(self) -> list[DicomSeries]:
        return [member.series for member in self.study.whole]

    @property
    def folder(self) -> Path:
        return common_folder(path for one in self.study.every for path in one.series.paths)

    @property
    def grid_series(self) -> DicomSeries:
        """That of the segmentation, else the channel of the smallest voxels."""
        return self.reference or min(self.channels.values(), key=lambda series: series.grid.voxel_ml or 0)

    @property
    def files(self) -> list[Path]:
        """All that is read of it."""
        series = [self.grid_series, *self.channels.values()]
        segmentation = [self.segmentation.path] if self.segmentation else []
        return list(dict.fromkeys([*(path for one in series for path in one.paths), *segmentation]))


Index = dict[str, dict[int, tuple[Scan, DicomSeries]]]
"""Series with their scans, each once, by an identifier."""


@dataclass
class Gathered:
    """The scans of all folders, their channels, and in one line each what is of no scan."""

    scans: list[Scan]
    channels: list[str]
    problems: list[str]


def gather(places: Sequence[Path], channels: Sequence[str], notify: Notify) -> Gathered:
    """Raises UserError where no series is there, and where it cannot be told what the channels are."""
    contents = {place: Contents(place) for place in places}
    scans, drawn = _scans_in(_pictures(contents), notify)
    if not scans:
        raise UserError(f"{places[0]}: no DICOM series here; give the folders of series and their segmentations")
    locked = [note.message for one in contents.values() for note in one.tree.findings if note.severity == "error"]
    index = _by_identifier(scans)
    problems = [str(error) for path in drawn if (error := _assign(path, index))]
    statements = [_read_statement(text, scans) for text in channels]
    wanted = list(dict.fromkeys(one.channel for one in statements)) or _common_sequences(scans, notify)
    for scan in scans:
        _choose(scan, wanted, statements, notify)
    return Gathered(scans, wanted, [*locked, *problems])


def _scans_in(pictures: Mapping[Path, Sequence[Path]], notify: Notify) -> tuple[list[Scan], list[Path]]:
    """The scans among the pictures of each place, and the segmentations."""
    drawn = {path: None for files in pictures.values() for path in files if is_dicom(path) and is_segmentation(path)}
    others = ((root, [path for path in files if path not in drawn]) for root, files in pictures.items())
    found, studies = gather_studies(others)
    for remark in found.remarks:
        notify(remark)
    return [Scan(study, found.names) for study in studies], [*drawn]


def _pictures(contents: Mapping[Path, Contents]) -> dict[Path, list[Path]]:
    """The pictures below each place that are below none before it."""
    seen: set[str] = set()
    pictures: dict[Path, list[Path]] = defaultdict(list)
    for place, below in contents.items():
        for path in below.pictures if place.is_dir() else (place,):
            if (absolute := os.path.abspath(path)) not in seen:
                seen.add(absolute)
                pictures[place].append(path)
    return pictures


def _by_identifier(scans: Sequence[Scan]) -> Index:
    """Series by what identifies them, their slices and the space that they lie in."""
    index: Index = defaultdict(dict)
    for scan in scans:
        for series in scan.series:
            own = {uid for one in series.slices for uid in (one.series, one.instance)}
            for uid in {*own, series.stated("FrameOfReferenceUID")} - {""}:
                index[uid][id(series)] = (scan, series)
    return index


def _assign(path: Path, index: Index) -> UserError | None:
    """Let a segmentation be the truth of its scan; what is wrong with it where it is of none."""
    try:
        segmentation = read_segmentation(path)
        scan, series = _drawn_on(segmentation, index)
    except UserError as error:
        return error
    frame = series.stated("FrameOfReferenceUID")
    if scan.segmentation:
        both = f"{scan.segmentation.path} and {path}"
        scan.problem = f"{both}: two segmentations of one scan; move one of them away"
    elif frame and segmentation.frame_of_reference not in ("", frame):
        scan.problem = f"{path}: has another frame of reference than {scan.names.name(series)}, to which it refers"
    scan.segmentation, scan.reference = segmentation, series
    return None


def _drawn_on(segmentation: Segmentation, index: Index) -> tuple[Scan, DicomSeries]:
    """By the series that it refers to, by their slices, or by the frame of reference. Raises UserError."""
    told = (segmentation.series, segmentation.instances, {segmentation.frame_of_reference})
    fitting = [{key: pair for uid in uids for key, pair in index.get(uid, {}).items()} for uids in told]
    pairs = list(min(filter(None, fitting), key=len, default={}).values())
    if len(pairs) == 1:
        return pairs[0]
    if pairs:
        names = some_of([scan.names.name(series) for scan, series in pairs])
        raise UserError(f"{segmentation.path}: may be of {len(pairs)} series ({names}); give the one that is meant")
    raise UserError(
        f"{segmentation.path}: its series is not among these volumes; give the folder of the series as well"
    )


def _read_statement(text: str, scans: Sequence[Scan]) -> Statement:
    """NAME, or NAME=PLACE, where PLACE is a folder, FOLDER#NUMBER or a file. Raises UserError."""
    word, equals, place = (part.strip() for part in text.partition("="))
    channel = channel_meant(word) or plain_word(word)
    if not channel or bool(equals) != bool(place):
        raise UserError(f"--channel {text}: expected NAME, or NAME=FOLDER for series of which the headers do not tell")
    if place and not any(_lies_at(series, Path(place)) for scan in scans for series in scan.series):
        names = some_of([scan.names.name(series) for scan in scans for series in scan.series])
        raise UserError(f"--channel {text}: no DICOM series is there; there are {names}")
    return Statement(channel, Path(place) if place else None)


def _lies_at(series: DicomSeries, place: Path) -> bool:
    folder, word = split_place(place)
    above = os.path.abspath(folder)
    is_below = all(Path(os.path.abspath(path)).is_relative_to(above) for path in series.paths)
    return is_below and (not word or is_meant(series, folder, word))


def _common_sequences(scans: Sequence[Scan], notify: Notify) -> list[str]:
    """The sequences that every scan has. Raises UserError where there is none."""
    whole = [scan for scan in scans if scan.series]
    counts = Counter(sequence for scan in whole for sequence in {series.sequence for series in scan.series})
    common = [sequence for sequence in SEQUENCES if counts[sequence] == len(whole)]
    others = [f"{name} ({counts[name]} of {len(whole)} scans)" for name in SEQUENCES if 0 < counts[name] < len(whole)]
    if not common:
        there = f"there are {', '.join(others)}; choose with" if others else "say what they are:"
        raise UserError(f"{scans[0].folder}: no sequence was recognised in every scan; {there} {_cure(scans, others)}")
    if others:
        notify(f"left out are sequences that some scans lack: {', '.join(others)}; --channel NAME chooses")
    return common


def _cure(scans: Sequence[Scan], others: Sequence[str]) -> str:
    return "--channel NAME" if others else f"--channel NAME={scans[0].names.form(scans[0].series)}"


def _choose(scan: Scan, wanted: Sequence[str], statements: Iterable[Statement], notify: Notify) -> None:
    """The series of each channel, or the problem."""
    by_sequence = _by_sequence(scan, statements)
    for lost in scan.study.broken:
        notify(tell_left_out(lost.series))
    try:
        if not scan.series:
            raise UserError(scan.study.broken[0].series.problem)
        scan.channels = {name: _series_of(name, by_sequence, scan) for name in wanted}
        for channel, series in scan.channels.items():
            _require_one_frame(scan, channel, series)
    except UserError as error:
        scan.problem = scan.problem or str(error)


def _series_of(channel: str, by_sequence: Mapping[str, Sequence[DicomSeries]], scan: Scan) -> DicomSeries:
    """Raises UserError where there is none, or more than one."""
    lost = [lost.series.problem for lost in scan.study.broken if lost.series.sequence == channel]
    if lost and channel not in by_sequence:
        raise UserError(lost[0])
    return series_of_channel(channel, by_sequence, scan.folder, scan.names)


def _by_sequence(scan: Scan, statements: Iterable[Statement]) -> Mapping[str, Sequence[DicomSeries]]:
    """By what is stated, else by what headers tell; of several that of the segmentation."""
    stated: dict[str, list[DicomSeries]] = defaultdict(list)
    for channel, place in statements:
        if place:
            stated[channel] += [series for series in scan.series if _lies_at(series, place)]
    others = [series for series in scan.series if not any(series in some for some in stated.values())]
    told: dict[str, list[DicomSeries]] = defaultdict(list)
    for series in others:
        told[series.sequence.lower()].append(series)
    every = {**told, **{channel: some for channel, some in stated.items() if some}}
    return {name: [scan.reference] if scan.reference in some else some for name, some in every.items()}


def _require_one_frame(scan: Scan, channel: str, series: DicomSeries) -> None:
    """Raise UserError where nothing says that two series are of one head in one place."""
    first = scan.grid_series
    if series.stated("FrameOfReferenceUID") != first.stated("FrameOfReferenceUID"):
        names = f"{scan.names.name(series)} ({channel}) and {scan.names.name(first)}"
        cure = "register them and save them as NIfTI, or choose others with --channel"
        raise UserError(f"{names}: have not the same frame of reference, the head may have moved; {cure}")


def remarks_on(scan: Scan) -> list[str]:
    """As what each series of a scan is written, and what is its truth."""
    taken = {id(series): f"taken as {channel}" for channel, series in scan.channels.items()}
    name, truth = scan.names.name, scan.segmentation
    remarks = [f"{name(one)}: {describe_series(one)}; {taken.get(id(one), 'not used')}" for one in scan.series]
    if truth and scan.reference:
        favours = FAVOURS_PROGRAM if truth.by_program else ""
        remarks.append(f"{truth.path}: the truth of {name(scan.reference)}{favours}")
    return remarks
