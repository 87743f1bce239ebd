"""What a set of DICOM series will hold: its scans by name, their channels and regions, and what is left out."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from tumorline.conversion.outlines import Outlines, choose_outlines
from tumorline.conversion.scans import Scan, gather, remarks_on
from tumorline.data.patients.names import one_name
from tumorline.formats.dicom import read_identifiers
from tumorline.output.journal import hash_inputs, hash_settings
from tumorline.output.place import shorten_name
from tumorline.output.purpose import Purpose
from tumorline.progress import Notify


@dataclass(frozen=True)
class Wanted:
    """What of the scans is written; see `convert`."""

    channels: Sequence[str] = ()
    regions: Sequence[str] = ()
    keep_identifiers: bool = False


@dataclass(frozen=True)
class NamedScan:
    """A scan, what it is called in the set, and whose it is; empty where that is unknown."""

    id: str
    patient: str
    scan: Scan

    @property
    def ending(self) -> str:
        """Of nnU-Net's folders of its files."""
        return "Tr" if self.scan.truths else "Ts"


@dataclass(frozen=True)
class Plan:
    """What is to be written, and in one line each what is not."""

    scans: Sequence[NamedScan]
    channels: Sequence[str]
    outlines: Outlines
    problems: Sequence[str]

    @property
    def purpose(self) -> Purpose:
        files = {named.id: named.scan.files for named in self.scans}
        inputs = hash_settings(files={name: [*map(str, paths)] for name, paths in files.items()})
        regions = {region: sorted(segments) for region, segments in self.outlines.segments.items()}
        settings = hash_settings(channels=[*self.channels], regions=regions)
        contents = {name: hash_inputs(paths) for name, paths in files.items()}
        return Purpose("data convert", {"inputs": inputs, "settings": settings}, contents=contents)


def plan_set(places: Sequence[Path], wanted: Wanted, notify: Notify) -> Plan:
    """`notify` hears as what each series was taken. Raises UserError where nothing is there, or not what is wanted."""
    gathered = gather(places, wanted.channels, notify)
    for remark in (remark for scan in gathered.scans for remark in remarks_on(scan)):
        notify(remark)
    scans = [scan for scan in gathered.scans if not scan.problem]
    outlines = choose_outlines(wanted.regions, [one for scan in scans for one in scan.segmentations])
    problems = [*gathered.problems, *(scan.problem for scan in gathered.scans if scan.problem)]
    return Plan(_name_scans(scans, wanted.keep_identifiers), gathered.channels, outlines, problems)


def _name_scans(scans: Sequence[Scan], keep_identifiers: bool) -> list[NamedScan]:
    """By the series whose grid they have, as tables of predictions name it; none bears the name of another."""
    named: dict[str, NamedScan] = {}
    for scan in scans:
        whose = read_identifiers(scan.grid_series.paths[0], one_name, keep_identifiers)
        stem = shorten_name(whose.series) or "scan"
        numbered = (f"{stem}-{number}" for number in count(2))
        name = next(name for name in chain([stem], numbered) if name not in named)
        named[name] = NamedScan(name, whose.patient, scan)
    return [*named.values()]
