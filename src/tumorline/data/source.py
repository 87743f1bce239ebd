"""A source is a folder or table in a supported layout, recognised by its content."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.decode import is_dicom
from tumorline.data.finding import Finding, Severity
from tumorline.data.layouts import brats, figshare, folders, lgg, pairs, table, tumour_free
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.errors import UserError

__all__ = ["LAYOUTS", "Finding", "Layout", "Severity", "Source", "channel_names", "open_picture", "open_source"]

DEFAULTS = DataConfig()


@dataclass(frozen=True)
class Source:
    """Cases of one folder or table. `known_as` names a public set that was recognised by its content."""

    path: Path
    layout: str
    cases: tuple[Case, ...]
    findings: tuple[Finding, ...] = ()
    known_as: str = ""
    simulated: bool = False
    patient_classes: Mapping[str, str] = field(default_factory=dict)
    """All patients of a recognised set, present or not, so that a part of the set is split as the whole."""
    channel: str = ""
    """The sequence that was read, in the words of `data.channel`; empty where it is unknown."""
    label: str = ""
    """What the masks outline; empty where it is unknown."""

    @property
    def name(self) -> str:
        return self.known_as or self.path.stem

    @property
    def patients_unknown(self) -> bool:
        return any(case.patient is None for case in self.cases)


@dataclass(frozen=True)
class Layout:
    """One way in which people keep pictures and masks."""

    accepted: str
    """The layout in words, for error messages."""
    find: Callable[[Contents], str]
    """What of the layout is there, in words; empty where nothing is."""
    read: Callable[[Contents, DataConfig], Listing]
    channels: tuple[str, ...] = ()
    """Names for `data.channel`, the default first; empty where a picture is one sequence."""
    label: str = ""
    """What the masks outline; empty where that is not known."""


LAYOUTS: dict[str, Layout] = {
    "images/masks": Layout("images/ and masks/ with files of the same names", folders.find, folders.read),
    "csv": Layout("a CSV with id, patient, image, mask", table.find, table.read),
    "suffix pairs": Layout("x.png beside x_mask.png", pairs.find, pairs.read),
    "lgg": Layout("TCGA_... folders with X.tif and X_mask.tif", lgg.find, lgg.read, tuple(lgg.PLANES), lgg.LABEL),
    "brats": Layout("BraTS folders with NIfTI volumes", brats.find, brats.read, brats.CHANNELS, brats.LABEL),
    "figshare": Layout("N.mat files of figshare 1512427", figshare.find, figshare.read),
}


def open_source(path: Path, settings: DataConfig = DEFAULTS) -> Source:
    """List the cases of a folder or CSV; of the pictures only headers are read.

    Raises UserError where the path is missing, where it is of no known layout or of more than one, where no pair
    is found, and where `data.channel` is none of the layout's.
    """
    contents = Contents(path)
    if settings.tumour_free:
        return _tumour_free(contents)
    name = _recognise(contents)
    layout = LAYOUTS[name]
    _check_choices(path, layout, settings)
    cases, findings = layout.read(contents, settings)
    if not cases:
        why = f"; {findings[0].message}" if findings else ""
        raise UserError(f"{path}: no pair of image and mask was found in this {name} source{why}")
    cases = [_with_header(case) for case in cases]
    channel = settings.channel or next(iter(layout.channels), "")
    return Source(
        path,
        name,
        tuple(sorted(cases, key=_natural)),
        tuple(findings),
        simulated=(path / "simulated.json").is_file(),
        channel=channel,
        label=settings.label or layout.label,
    )


def _tumour_free(contents: Contents) -> Source:
    if not contents.path.is_dir():
        raise UserError(f"{contents.path}: data.tumour_free is set; give a folder of pictures without masks")
    if found := [seen for layout in LAYOUTS.values() if (seen := layout.find(contents))]:
        raise UserError(f"{contents.path}: data.tumour_free is set, but there are masks: {found[0]}")
    cases, findings = tumour_free.read(contents)
    cases = [_with_header(case) for case in cases]
    return Source(contents.path, tumour_free.LAYOUT, tuple(sorted(cases, key=_natural)), tuple(findings))


def open_picture(path: Path, channel: str = "") -> Case:
    """The case of one picture by itself, read as its layout would read it."""
    if figshare.is_picture(path):
        return figshare.picture(path)
    return lgg.picture(path, channel) if lgg.is_picture(path) else Case(path.stem, (path,))


def channel_names(path: Path) -> tuple[str, ...]:
    """The names that `data.channel` may take for a source. Raises UserError as `open_source`."""
    return LAYOUTS[_recognise(Contents(path))].channels


def _recognise(contents: Contents) -> str:
    """The name of the one layout that a path has."""
    path = contents.path
    if not path.exists():
        raise UserError(f"{path}: no such folder or file; give {_accepted()}")
    found = {name: seen for name, layout in LAYOUTS.items() if (seen := layout.find(contents))}
    if len(found) > 1:
        raise UserError(
            f"{path}: more than one layout, {' and '.join(found.values())}; keep one, or list them in a CSV"
        )
    if not found:
        raise UserError(f"{path}: layout not recognised ({_seen(contents)}); accepted are {_accepted()}")
    return next(iter(found))


def _accepted() -> str:
    return "; ".join(layout.accepted for layout in LAYOUTS.values())


def _check_choices(path: Path, layout: Layout, settings: DataConfig) -> None:
    channel, label = settings.channel, settings.label
    if label and layout.read is not brats.read:
        raise UserError(f"{path}: data.label is '{label}', but the masks of this source have one label; leave it out")
    if channel and not layout.channels:
        raise UserError(
            f"{path}: data.channel is '{channel}', but pictures of this source are one sequence; leave it out"
        )
    if channel and channel not in layout.channels:
        raise UserError(f"{path}: data.channel is '{channel}'; this source has {', '.join(layout.channels)}")


def _with_header(case: Case) -> Case:
    """The case with what a DICOM header adds to what its layout knows."""
    if not is_dicom(case.images[0]):
        return case
    from tumorline.data.dicom import read_header  # pydicom is slow to import

    header = read_header(case.images[0])
    return replace(case, patient=case.patient or header.patient, spacing_mm=case.spacing_mm or header.spacing_mm)


def _natural(case: Case) -> tuple[int, str]:
    return (int(case.id), "") if case.id.isdecimal() else (1 << 62, case.id)


def _seen(contents: Contents) -> str:
    path = contents.path
    if path.is_file():
        return f"a file with suffix '{path.suffix}'"
    if contents.pictures:
        example = contents.pictures[0].relative_to(path)
        seen = f"seen: {len(contents.pictures)} pictures without any mask, for example {example}"
        return f"{seen}; where none shows a tumour, say --set data.tumour_free=true"
    entries = Counter("folders" if entry.is_dir() else entry.suffix or "no suffix" for entry in path.iterdir())
    return "seen: " + (", ".join(f"{count} {kind}" for kind, count in entries.most_common(4)) or "an empty folder")
