"""Folders of nnU-Net and of the Medical Segmentation Decathlon: imagesTr/, labelsTr/ and a dataset.json of names."""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding, unreadable
from tumorline.data.labels.convention import makes_one_region
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.patient_tables import with_patients_of_tables
from tumorline.data.layouts.volumes.nnunet_legend import (
    EXAMPLE,
    TASK01,
    TASK01_CHANNELS,
    SetLegend,
    read_channels,
    read_description,
    read_legend,
)
from tumorline.data.layouts.volumes.scan_case import (
    CHANNELS,
    SEQUENCES,
    list_each,
    list_scan,
    wanted_regions,
    wanted_sequences,
)
from tumorline.data.patients.names import patients_of_scans
from tumorline.errors import UserError
from tumorline.formats.nifti import without_volume_suffix
from tumorline.regions import NESTED, REGION, Labels
from tumorline.wording import numbered

PARTS = {"Tr": "train", "Ts": "test"}
FOLDER = re.compile(r"(images|labels)(tr|ts)", re.IGNORECASE)
CHANNEL_FILE = re.compile(r"(?P<scan>.+)_(?P<channel>\d{4})")


@dataclass
class Scan:
    """A scan's channels by number, or its one file, and its truth."""

    names: tuple[str, ...]
    """The shortest first; its id is the first that no other scan has."""
    folder: Path
    """In which imagesTr lies."""
    ending: str
    """Of the folders of its files: Tr or Ts."""
    part: str
    channels: dict[int, Path] = field(default_factory=dict)
    whole: Path | None = None
    truth: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        return tuple(path for path in (self.whole, *self.channels.values(), self.truth) if path)


class Choice(NamedTuple):
    """What is read of a set: numbers and names of channels, whether there are others, and values of the masks."""

    channels: tuple[int, ...]
    sequences: tuple[str, ...]
    of_several: bool
    labels: Labels | None


def is_in_nnunet_folder(path: Path) -> bool:
    return FOLDER.fullmatch(path.parent.name) is not None


def find_nnunet(contents: Contents) -> str:
    scans = _scans(contents)
    return (
        f"{numbered(len(scans), 'scan')} in imagesTr/ and labelsTr/ (for example {scans[0].names[0]})" if scans else ""
    )


def scans_in_nnunet(contents: Contents) -> dict[str, Scan]:
    """Those that have an image."""
    return _by_id([scan for scan in _scans(contents) if scan.channels or scan.whole])


def files_of_channels(name: str, scan: Scan, channels: Sequence[str]) -> tuple[tuple[Path, ...], tuple[int, ...]]:
    """File and frame of each of the named channels of a scan, whose truth nobody asks for; no frames where it has none.

    Raises UserError where the set does not name its channels, or where one is not there.
    """
    file, stated, _ = read_description(scan.folder)
    sequences = read_channels(file, stated) if stated else TASK01_CHANNELS if TASK01.fullmatch(Path(name).name) else {}
    by_name = {sequence: number for number, sequence in reversed(list(sequences.items()))}
    if lacking := [channel for channel in channels if channel not in by_name]:
        there = f"it has {', '.join(sequences.values())}" if sequences else EXAMPLE
        raise UserError(f"{file}: names no {lacking[0]}; {there}")
    numbers = tuple(by_name[channel] for channel in channels)
    frames = numbers if len(sequences) > 1 and not scan.channels else ()
    return tuple(_file_of_channel(name, scan, number) for number in numbers), frames


def channels_of_nnunet(contents: Contents) -> tuple[str, ...]:
    """Names for `data.channel`: those that a dataset.json states, or else those of the Decathlon's first task."""
    folders = {path.parent.parent for path in contents.volumes if is_in_nnunet_folder(path)}
    described = map(read_description, sorted(folders))
    named = {name for file, stated, _ in described if stated for name in read_channels(file, stated).values()}
    if not named or named >= {*SEQUENCES}:
        return (*CHANNELS, *sorted(named - {*CHANNELS}))
    return (*(name for name in SEQUENCES if name in named), *sorted(named - {*SEQUENCES}))


def read_nnunet(contents: Contents, settings: DataConfig) -> Listing:
    """One case for every scan that has a truth; of imagesTs many have none, which is no error.

    Raises UserError where neither dataset.json nor names tell what channels and labels are.
    """
    found = _scans(contents)
    scans = _by_id([scan for scan in found if scan.ending == "Tr" or scan.truth])
    folders = {scan.folder for scan in scans.values()}
    names = {folder: [name for name, scan in scans.items() if scan.folder == folder] for folder in sorted(folders)}
    legends = {folder: read_legend(folder, names[folder], settings) for folder in names}
    choices = {folder: _choose(legends[folder], settings) for folder in names}
    patients = patients_of_scans(scans)
    listed, findings = list_each(
        scans, lambda name: _case_of_scan(name, patients[name], scans[name], choices[scans[name].folder])
    )
    notes = [note for legend in legends.values() for note in legend.notes] + _without_truth(found)
    cases, more = with_patients_of_tables(contents, listed, "the scans")
    return cases, [*notes, *findings, *more]


def _without_truth(scans: Sequence[Scan]) -> list[Finding]:
    """A note for each set whose scans of imagesTs have no truth."""
    without: dict[Path, list[Scan]] = defaultdict(list)
    for scan in scans:
        if scan.ending == "Ts" and not scan.truth:
            without[scan.folder].append(scan)
    return [
        Finding(
            "without_truth",
            "info",
            f"{folder}: {numbered(len(lone), 'scan')} of imagesTs/ left out, without a truth in labelsTs/",
            tuple(str(file) for scan in lone for file in scan.files),
        )
        for folder, lone in without.items()
    ]


def _scans(contents: Contents) -> list[Scan]:
    files = [path for path in contents.volumes if is_in_nnunet_folder(path)]
    several = len({path.parent.parent for path in files}) > 1
    has_test = any(path.parent.name.lower() == "labelsts" for path in files)
    scans: dict[tuple[Path, str, str], Scan] = {}
    for path in files:
        role, ending = FOLDER.fullmatch(path.parent.name).groups()  # type: ignore[union-attr]
        role, ending = role.lower(), ending.capitalize()
        stem, folder = without_volume_suffix(path.name), path.parent.parent
        channel = CHANNEL_FILE.fullmatch(stem) if role == "images" else None
        name = channel["scan"] if channel else stem
        names = _names(contents.path, folder if several else Path(), ending, name)
        scan = scans.setdefault((folder, ending, name), Scan(names, folder, ending, PARTS[ending] if has_test else ""))
        if channel:
            scan.channels[int(channel["channel"])] = path
        elif role == "images":
            scan.whole = path
        else:
            scan.truth = path
    return list(scans.values())


def _names(root: Path, folder: Path, ending: str, name: str) -> tuple[str, ...]:
    """Of a scan of the set in this folder below the source, which is named where there are several."""
    prefix = f"{folder.name}/" if folder.name else ""
    full_name = (folder / ending / name).as_posix().removeprefix(f"{root.as_posix()}/")
    return f"{prefix}{name}", f"{prefix}{ending}/{name}", full_name


def _by_id(scans: Sequence[Scan]) -> dict[str, Scan]:
    count = Counter(name for scan in scans for name in set(scan.names))
    return {next((name for name in scan.names if count[name] == 1), scan.names[-1]): scan for scan in scans}


def _choose(legend: SetLegend, settings: DataConfig) -> Choice:
    """Raises UserError where the set lacks a sequence or a region that is asked for."""
    labels = _labels_of_legend(legend, settings)
    by_sequence = {sequence: number for number, sequence in reversed(list(legend.channels.items()))}
    sequences = wanted_sequences(settings)
    for sequence in sequences:
        if sequence not in by_sequence:
            there = ", ".join(legend.channels.values())
            raise UserError(f"{legend.file}: names no {sequence}; it has {there}, say data.channels=NAME")
    numbers = tuple(by_sequence[sequence] for sequence in sequences)
    return Choice(numbers, sequences, len(legend.channels) > 1, labels)


def _labels_of_legend(legend: SetLegend, settings: DataConfig) -> Labels | None:
    """None where `data.label_values` or `data.mask_threshold` say it. Raises UserError as `_choose`."""
    if settings.label_values:
        return None
    outlines = "" if settings.regions or settings.label else _own_region(legend)
    wanted = (outlines,) if outlines else wanted_regions(settings)
    for region in wanted:
        _require_region(legend, region, "data.regions" if settings.regions else "data.label")
    if makes_one_region(wanted, settings):
        return None
    values = tuple(legend.scheme.regions[region] for region in wanted)
    return Labels(values, legend.scheme.allowed, stated=f"{legend.file} names", outlines=outlines)


def _own_region(legend: SetLegend) -> str:
    """What is outlined in a set that names its tumour, or one region alone, and none of BraTS's; else empty."""
    named = [region for region, values in legend.scheme.regions.items() if values]
    if {*named} & {*NESTED}:
        return ""
    return REGION if REGION in named else named[0] if len(named) == 1 else ""


def _require_region(legend: SetLegend, region: str, key: str) -> None:
    regions = legend.scheme.regions
    if not regions.get(region):
        there = ", ".join(name for name, values in regions.items() if values)
        key = key if {*regions} <= {*NESTED} else "data.regions"
        raise UserError(f"{legend.file}: names no labels of {region}; there are {there}, say {key}=NAME")


def _case_of_scan(name: str, patient: str, scan: Scan, choice: Choice) -> Listing:
    try:
        if scan.truth is None:
            raise UserError(f"{scan.files[0]}: no truth of this name in labelsTr/")
        images = tuple(_file_of_channel(name, scan, number) for number in choice.channels)
    except UserError as error:
        return [], [unreadable(error, *scan.files, stands_for=name)]
    case = Case(
        name,
        images,
        scan.truth,
        patient,
        part=scan.part,
        planes=choice.channels if choice.of_several and not scan.channels else (),
        labels=choice.labels,
        channels=choice.sequences,
        patient_written=name,
    )
    return list_scan(case)


def _file_of_channel(name: str, scan: Scan, number: int) -> Path:
    file = scan.channels.get(number) if scan.channels else scan.whole
    if file is None:
        raise UserError(f"{scan.folder}: no channel {number:04d} of {name} in images{scan.ending}/")
    return file
