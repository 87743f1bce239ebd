"""Which DICOM series are the channels of which scan, and which segmentation is its truth."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tumorline.conversion.outlines import regions_by_segment
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.to_predict.gather import channel_meant
from tumorline.data.layouts.to_predict.series import Study, gather_studies, series_of_channel
from tumorline.data.layouts.to_predict.series_names import SeriesNames, is_meant, split_place
from tumorline.data.layouts.to_predict.series_words import describe_series, tell_left_out
from tumorline.data.layouts.tree import common_folder
from tumorline.data.layouts.volumes.scan_case import SEQUENCES, plain_word
from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom
from tumorline.formats.dicom_segmentation import Segmentation, modality_of, read_segmentation
from tumorline.formats.dicom_series import DicomSeries
from tumorline.progress import Notify
from tumorline.wording import some_of

FAVOURS_PROGRAM = "; a program has found all of it, as it says (AUTOMATIC): figures on it favour that program"


class Statement(NamedTuple):
    """A channel that is wanted, and where a series of it lies that the headers do not tell."""

    channel: str
    place: Path | None


class Truth(NamedTuple):
    """A segmentation, and the series that it is drawn on: several where they lie on one grid."""

    segmentation: Segmentation
    series: Sequence[DicomSeries]


@dataclass
class Scan:
    """The series of one study, which of them are channels, and its truths: segmentations of different regions."""

    study: Study
    names: SeriesNames
    truths: list[Truth] = field(default_factory=list)
    channels: dict[str, DicomSeries] = field(default_factory=dict)
    problem: str = ""
    """Why it is left out; empty where it is not."""

    @property
    def series(self) -> list[DicomSeries]:
        return [member.series for member in self.study.whole]

    @property
    def segmentations(self) -> list[Segmentation]:
        return [truth.segmentation for truth in self.truths]

    @property
    def references(self) -> list[DicomSeries]:
        """The series that the segmentations are drawn on."""
        return [series for truth in self.truths for series in truth.series]

    @property
    def folder(self) -> Path:
        return common_folder(path for one in self.study.every for path in one.series.paths)

    @property
    def grid_series(self) -> DicomSeries:
        """Of those that segmentations are drawn on, else of the channels, the one of the smallest voxels."""
        return min(self.references or self.channels.values(), key=lambda series: series.grid.voxel_ml or 0)

    @property
    def files(self) -> list[Path]:
        """All that is read of it."""
        series = [self.grid_series, *self.channels.values()]
        segmentations = [one.path for one in self.segmentations]
        return list(dict.fromkeys([*(path for one in series for path in one.paths), *segmentations]))


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
    files_there = (path for files in pictures.values() for path in files)
    drawn = {path: None for path in files_there if is_dicom(path) and modality_of(path) == "SEG"}
    others = ((root, [path for path in files if path not in drawn]) for root, files in pictures.items())
    found, studies = gather_studies(others)
    for remark in (*found.remarks, *_told_of_contours(found.objects)):
        notify(remark)
    return [Scan(study, found.names) for study in studies], [*drawn]


def _told_of_contours(objects: Iterable[Path]) -> list[str]:
    """One line for contours among objects that are no images; none where there are none."""
    contours = [path for path in sorted(objects) if modality_of(path) == "RTSTRUCT"]
    more = f" and {len(contours) - 1} more" if contours[1:] else ""
    cure = "outlines of radiotherapy (RTSTRUCT) are not read; save them as segmentations (SEG) with 3D Slicer"
    return [f"{path}{more}: {cure}" for path in contours[:1]]


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
    """Let a segmentation be a truth of its scan; what is wrong with it where it is of none."""
    try:
        segmentation = read_segmentation(path)
        scan, series = _drawn_on(segmentation, index)
    except UserError as error:
        return error
    twice, moved = _told_twice(segmentation, scan.segmentations), _told_moved(segmentation, scan, series)
    scan.problem = scan.problem or twice or moved
    scan.truths.append(Truth(segmentation, series))
    return None


def _told_twice(segmentation: Segmentation, others: Iterable[Segmentation]) -> str:
    """What is wrong where another segmentation of its scan outlines the same; empty where none does."""
    names = {*regions_by_segment(segmentation).values()}
    for other in others:
        if both := sorted(names & {*regions_by_segment(other).values()}):
            twice = f"two outlines of {both[0]} in one scan; move one of them away, or rename its segment"
            return f"{other.path} and {segmentation.path}: {twice}"
    return ""


def _told_moved(segmentation: Segmentation, scan: Scan, series: Iterable[DicomSeries]) -> str:
    """What is wrong where it lies in another space than the series that it refers to; empty where it does not."""
    for one in series:
        frame = one.stated("FrameOfReferenceUID")
        if frame and segmentation.frame_of_reference not in ("", frame):
            other = f"another frame of reference than {scan.names.name(one)}"
            return f"{segmentation.path}: has {other}, to which it refers"
    return ""


def _drawn_on(segmentation: Segmentation, index: Index) -> tuple[Scan, list[DicomSeries]]:
    """By the series that it refers to, by their slices, or by the frame of reference. Raises UserError.

    Of several those of its own raster; more than one where they lie on one grid, so that either gives the same.
    """
    told = (segmentation.series, segmentation.instances, {segmentation.frame_of_reference})
    fitting = [{key: pair for uid in uids for key, pair in index.get(uid, {}).items()} for uids in told]
    pairs = list(min(filter(None, fitting), key=len, default={}).values())
    pairs = [(scan, series) for scan, series in pairs if segmentation.is_in_raster(series.slices[0])] or pairs
    if pairs and _are_one_grid(pairs):
        return pairs[0][0], [series for _, series in pairs]
    if pairs:
        names = some_of([scan.names.name(series) for scan, series in pairs])
        raise UserError(f"{segmentation.path}: may be of {len(pairs)} series ({names}); give the one that is meant")
    cure = "give the folder of the series as well, or mend it where it was left out"
    raise UserError(f"{segmentation.path}: its series is not among these volumes; {cure}")


def _are_one_grid(pairs: Sequence[tuple[Scan, DicomSeries]]) -> bool:
    """Whether series are of one scan and on one grid."""
    (first_scan, first), *others = pairs
    return all(scan is first_scan and not first.grid.difference(series.grid) for scan, series in others)


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
        named = f"--channel NAME={scans[0].names.form(scans[0].series)}"
        cure = f"there are {', '.join(others)}; choose with --channel NAME" if others else f"say what they are: {named}"
        raise UserError(f"{scans[0].folder}: no sequence was recognised in every scan; {cure}")
    if others:
        notify(f"left out are sequences that some scans lack: {', '.join(others)}; --channel NAME chooses")
    return common


def _choose(scan: Scan, wanted: Sequence[str], statements: Iterable[Statement], notify: Notify) -> None:
    """The series of each channel, or the problem."""
    by_sequence = _by_sequence(scan, statements)
    for lost in scan.study.broken:
        notify(tell_left_out(lost.series))
    try:
        if not scan.series:
            raise UserError(scan.study.broken[0].series.problem)
        scan.channels = {name: _series_of(name, by_sequence, scan) for name in wanted}
        for name, series in (*(("segmented", one) for one in scan.references), *scan.channels.items()):
            _require_one_frame(scan, name, series)
    except UserError as error:
        scan.problem = scan.problem or str(error)


def _series_of(channel: str, by_sequence: Mapping[str, Sequence[DicomSeries]], scan: Scan) -> DicomSeries:
    """Raises UserError where there is none, or more than one."""
    lost = [lost.series.problem for lost in scan.study.broken if lost.series.sequence == channel]
    if lost and channel not in by_sequence:
        raise UserError(lost[0])
    return series_of_channel(channel, by_sequence, scan.folder, scan.names)


def _by_sequence(scan: Scan, statements: Iterable[Statement]) -> Mapping[str, Sequence[DicomSeries]]:
    """By what is stated, else by what headers tell; of several those that segmentations are drawn on."""
    stated: dict[str, list[DicomSeries]] = defaultdict(list)
    for channel, place in statements:
        if place:
            stated[channel] += [series for series in scan.series if _lies_at(series, place)]
    others = [series for series in scan.series if not any(series in some for some in stated.values())]
    told: dict[str, list[DicomSeries]] = defaultdict(list)
    for series in others:
        told[series.sequence.lower()].append(series)
    every = {**told, **{channel: some for channel, some in stated.items() if some}}
    return {name: [one for one in some if one in scan.references] or some for name, some in every.items()}


def _require_one_frame(scan: Scan, name: str, series: DicomSeries) -> None:
    """Raise UserError where nothing says that two series are of one head in one place."""
    first = scan.grid_series
    if series.stated("FrameOfReferenceUID") != first.stated("FrameOfReferenceUID"):
        names = f"{scan.names.name(series)} ({name}) and {scan.names.name(first)}"
        cure = "register them and save them as NIfTI, or choose others with --channel"
        raise UserError(f"{names}: have not the same frame of reference, the head may have moved; {cure}")


def remarks_on(scan: Scan) -> list[str]:
    """As what each series of a scan is written, and what is its truth."""
    taken = {id(series): f"taken as {channel}" for channel, series in scan.channels.items()}
    name = scan.names.name
    remarks = [f"{name(one)}: {describe_series(one)}; {taken.get(id(one), 'not used')}" for one in scan.series]
    return [*remarks, *(remark for truth in scan.truths for remark in _remarks_on_truth(truth, scan.names))]


def _remarks_on_truth(truth: Truth, names: SeriesNames) -> list[str]:
    """Of what it is the truth, whose it is by its header, and which of its segments are one region by their labels."""
    drawn, on = truth.segmentation, some_of([names.name(series) for series in truth.series])
    numbers: dict[str, list[str]] = defaultdict(list)
    for number, region in regions_by_segment(drawn).items():
        numbers[region].append(str(number))
    joined = [(region, some) for region, some in numbers.items() if len(some) > 1]
    is_of_another = any(drawn.patient and one.stated("PatientID") not in ("", drawn.patient) for one in truth.series)
    return [
        f"{drawn.path}: the truth of {on}{FAVOURS_PROGRAM if drawn.by_program else ''}",
        *([f"{drawn.path}: is of another patient than {on}, by its PatientID"] if is_of_another else []),
        *(f"{drawn.path}: its segments {some_of(some)} are all {region}, one region" for region, some in joined),
    ]
