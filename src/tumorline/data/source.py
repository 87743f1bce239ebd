"""A source is a folder or table in a supported layout, recognised by its content."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tumorline.config import Config, DataConfig
from tumorline.data.case import Case
from tumorline.data.corrections import correct_cases, stranger_findings
from tumorline.data.finding import Finding, Severity
from tumorline.data.layouts import (
    brats,
    coco,
    figshare,
    folders,
    labelme,
    lgg,
    loose_volumes,
    nnunet,
    pairs,
    table,
    tumour_free,
    volumes,
)
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import stated_part
from tumorline.data.layouts.unread import colour_masks, mask_beside_images, sign_of_truth, unread_kind
from tumorline.data.patients import collection_patient_of_file, patient_in_name, patient_meant, spelling
from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom
from tumorline.formats.nifti import is_volume
from tumorline.regions import NESTED
from tumorline.user_folders import default_folder
from tumorline.user_text import written_path
from tumorline.wording import numbered

__all__ = [
    "LAYOUTS",
    "Finding",
    "Layout",
    "Severity",
    "Source",
    "channel_names",
    "open_picture",
    "open_source",
]

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
    """The sequence that was read, in the words of `data.channel`, or several; empty where it is unknown."""
    label: str = ""
    """What the masks outline, or several names; empty where it is unknown."""
    strangers: tuple[Path, ...] = ()
    """Corrected masks that are of no case here."""

    @property
    def name(self) -> str:
        return self.known_as or self.path.stem

    @property
    def patients_unknown(self) -> bool:
        return any(case.patient is None for case in self.cases)


Names = Callable[[Contents], tuple[str, ...]]


def _no_names(_: Contents) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Layout:
    """One way in which people keep pictures and masks."""

    accepted: str
    """The layout in words, for error messages."""
    find: Callable[[Contents], str]
    """What of the layout is there, in words; empty where nothing is."""
    read: Callable[[Contents, DataConfig], Listing]
    channels: Names = _no_names
    """Names for `data.channel` and `data.channels`, the default first; none where a picture is one sequence."""
    regions: tuple[str, ...] = ()
    """Names for `data.regions`; none where a mask is one region, or where that is asked while it is read."""
    asks_itself: bool = False
    """Whether reading checks `data.label` and `data.regions`."""
    label: str = ""
    """What the masks outline; empty where that is not known."""


LAYOUTS: dict[str, Layout] = {
    "images/masks": Layout(
        "images/ and masks/ with files of the same names", folders.find_folders, folders.read_folders
    ),
    "csv": Layout(
        "a CSV with id, patient, image, mask",
        table.find_table,
        table.read_table,
        table.channels_of_table,
        asks_itself=True,
    ),
    "suffix pairs": Layout("x.png beside x_mask.png", pairs.find_pairs, pairs.read_pairs),
    "lgg": Layout(
        "TCGA_... folders with X.tif and X_mask.tif",
        lgg.find_lgg,
        lgg.read_lgg,
        lambda _: tuple(lgg.PLANES),
        label=lgg.LABEL,
    ),
    "brats": Layout(
        "NIfTI volumes in the names of BraTS, UCSF-PDGM or UPENN-GBM",
        brats.find_brats,
        brats.read_brats,
        lambda _: volumes.CHANNELS,
        NESTED,
        label=volumes.LABEL,
    ),
    "nnunet": Layout(
        "imagesTr/ and labelsTr/ with NIfTI volumes and a dataset.json",
        nnunet.find_nnunet,
        nnunet.read_nnunet,
        lambda _: volumes.CHANNELS,
        NESTED,
        label=volumes.LABEL,
    ),
    "images/masks of volumes": Layout(
        "images/ and masks/ with NIfTI volumes of the same names",
        loose_volumes.find_volume_folders,
        loose_volumes.read_volume_folders,
        asks_itself=True,
    ),
    "suffix pairs of volumes": Layout(
        "x.nii.gz beside x_mask.nii.gz",
        loose_volumes.find_volume_pairs,
        loose_volumes.read_volume_pairs,
        asks_itself=True,
    ),
    "coco": Layout("images with COCO annotations", coco.find_coco, coco.read_coco),
    "labelme": Layout("x.png beside x.json of LabelMe", labelme.find_labelme, labelme.read_labelme),
    "figshare": Layout("N.mat files of figshare 1512427", figshare.find_figshare, figshare.read_figshare),
}


def open_source(path: Path, settings: DataConfig = DEFAULTS, called: str = "") -> Source:
    """List the cases of a folder or CSV; of the pictures only headers are read.

    `called` is its name among several sources, whose corrections may lie in one folder: those of no case here are then
    left to whoever joins them. Raises UserError where the path is missing, where it is of no known layout or of more
    than one, where no pair is found, and where `data.channel` is none of the layout's.
    """
    contents = Contents(path)
    if settings.tumour_free:
        return _tumour_free(contents, settings.keep_identifiers)
    name = _recognise(contents)
    layout = LAYOUTS[name]
    _check_channels(contents, layout, settings)
    if not layout.asks_itself:
        _check_regions(path, layout, settings)
    cases, findings = layout.read(contents, settings)
    if not cases:
        worst = sorted(findings, key=lambda finding: finding.severity != "error")
        why = f"; {worst[0].message}" if worst else ""
        raise UserError(f"{path}: no pair of image and mask was found in this {name} source{why}")
    source = _as_source(contents, name, cases, findings, settings.keep_identifiers)
    channel = settings.channel or ", ".join(filter(None, source.cases[0].channels))
    label = settings.label or ", ".join(settings.regions) or layout.label
    return _corrected(replace(source, channel=channel, label=label), settings, called)


def _corrected(source: Source, settings: DataConfig, called: str) -> Source:
    """The source with the corrections of its masks, where there are any."""
    if not settings.corrections:
        return source
    found = correct_cases(source.path, source.cases, settings, filter(None, {called, source.name}))
    strange = [] if called else stranger_findings(found.strangers, str(source.path))
    findings = (*source.findings, *found.findings, *strange)
    return replace(source, cases=found.cases, findings=findings, strangers=found.strangers)


def _as_source(
    contents: Contents,
    layout: str,
    cases: Sequence[Case],
    findings: Sequence[Finding],
    keep_identifiers: bool = False,
) -> Source:
    path = contents.path
    stated = _with_stated_parts(contents, cases)
    cases = _in_one_spelling(with_patient(_with_header(case, keep_identifiers)) for case in stated)
    return Source(
        path,
        layout,
        tuple(sorted(cases, key=_natural)),
        (*contents.tree.findings, *_joined(findings)),
        simulated=(path / "simulated.json").is_file(),
    )


def _joined(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, with one for all files that are resampled."""
    resampled = [finding for finding in findings if finding.code == "resampled"]
    if len(resampled) < 2:
        return list(findings)
    message = f"{resampled[0].message}; {len(resampled) - 1} more files are resampled"
    files = tuple(file for finding in resampled for file in finding.files)
    others = [finding for finding in findings if finding.code != "resampled"]
    return [*others, Finding("resampled", "warning", message, files)]


def _with_stated_parts(contents: Contents, cases: Sequence[Case]) -> Sequence[Case]:
    """The cases with the parts of a split that their folders state, where they state more than one."""
    if not contents.path.is_dir():
        return cases
    parts = {case.id: case.part or stated_part(case.id) for case in cases}
    if len(set(parts.values()) - {""}) < 2:
        return cases
    return [replace(case, part=parts[case.id]) for case in cases]


def _tumour_free(contents: Contents, keep_identifiers: bool) -> Source:
    path = contents.path
    if not path.is_dir():
        raise UserError(f"{path}: data.tumour_free is set; give a folder of pictures without masks")
    mask = mask_beside_images(contents)
    seen = (*(layout.find(contents) for layout in LAYOUTS.values()), unread_kind(contents), mask and str(mask))
    if found := [what for what in seen if what]:
        raise UserError(f"{path}: data.tumour_free is set, but there are masks: {found[0]}")
    return _as_source(contents, tumour_free.LAYOUT, *tumour_free.read_tumour_free(contents), keep_identifiers)


def open_picture(path: Path, channel: str = "", channels: tuple[str, ...] = ()) -> Case:
    """The case of one picture by itself, read as its layout would read it: one sequence, "all", or several by name.

    Raises UserError for a volume, and for a picture that lacks a sequence.
    """
    if is_volume(path):
        raise UserError(f"{path}: a volume, where an image of one slice is expected")
    if figshare.is_figshare_picture(path):
        return figshare.figshare_case(path)
    return lgg.lgg_case(path, channel, channels) if lgg.is_lgg_picture(path) else Case(path.stem, (path,))


def channel_names(path: Path) -> tuple[str, ...]:
    """The names that `data.channel` may take for a source. Raises UserError as `open_source`."""
    contents = Contents(path)
    return LAYOUTS[_recognise(contents)].channels(contents)


def _recognise(contents: Contents) -> str:
    """The name of the one layout that a path has."""
    path = contents.path
    if not path.exists():
        raise UserError(f"{path}: no such folder or file; give {_accepted()}")
    if unread := colour_masks(contents):
        raise UserError(unread)
    found = {name: seen for name, layout in LAYOUTS.items() if (seen := layout.find(contents))}
    if len(found) > 1:
        raise UserError(
            f"{path}: more than one layout, {' and '.join(found.values())}; keep one, or list them in a CSV"
        )
    if not found:
        _refuse_unread(contents)
        raise UserError(f"{path}: layout not recognised ({_seen(contents)}); accepted are {_accepted()}")
    return next(iter(found))


def _accepted() -> str:
    return "; ".join(layout.accepted for layout in LAYOUTS.values())


def _check_channels(contents: Contents, layout: Layout, settings: DataConfig) -> None:
    wanted = settings.channels or ((settings.channel,) if settings.channel else ())
    if not wanted:
        return
    path, known = contents.path, layout.channels(contents)
    key = "data.channels" if settings.channels else "data.channel"
    if not known:
        given = ", ".join(wanted)
        raise UserError(f"{path}: {key} is '{given}', but pictures of this source are one sequence; leave it out")
    single = [name for name in known if name != "all"] if settings.channels else known
    if lacking := [name for name in wanted if name not in single]:
        says = "names" if settings.channels else "is"
        raise UserError(f"{path}: {key} {says} '{lacking[0]}'; this source has {', '.join(single)}")


def _check_regions(path: Path, layout: Layout, settings: DataConfig) -> None:
    """A source whose masks are one region may give it any name."""
    if settings.label and layout.label != volumes.LABEL:
        raise UserError(
            f"{path}: data.label is '{settings.label}', but the masks of this source have one label; leave it out"
        )
    lacking = [name for name in settings.regions if name not in layout.regions]
    if layout.regions and lacking:
        raise UserError(f"{path}: data.regions names '{lacking[0]}'; this source has {', '.join(layout.regions)}")
    if len(lacking) > 1:
        raise UserError(
            f"{path}: {', '.join(lacking)} are asked for (data.regions, or the model's), but the masks of this source "
            "have one label; keep one name, or list the masks in a CSV with a column mask_NAME for each"
        )


def _with_header(case: Case, keep_identifiers: bool) -> Case:
    """The case with what a DICOM header adds to what its layout knows."""
    if not is_dicom(case.images[0]):
        return case
    from tumorline.formats.dicom import read_dicom_header

    header = read_dicom_header(case.images[0], keep_identifiers)
    return replace(
        case,
        patient=case.patient or header.patient,
        spacing_mm=case.spacing_mm or header.spacing_mm,
        identifier="" if case.patient else header.identifier,
    )


def with_patient(case: Case) -> Case:
    """The case with the patient whom its stated name means, or whom its own name bears where none is stated."""
    written = case.patient_written or case.patient or ""
    borne = patient_in_name(case.id) or collection_patient_of_file(case.images[0])
    patient = patient_meant(case.patient) if case.patient else borne
    return replace(case, patient=patient, patient_written=written or patient or "")


def _in_one_spelling(cases: Iterable[Case]) -> list[Case]:
    """The cases with patients that files and folders write in several ways under the first of them."""
    first: dict[str, str] = {}
    return [
        replace(case, patient=first.setdefault(spelling(case.patient), case.patient)) if case.patient else case
        for case in cases
    ]


def _natural(case: Case) -> tuple[int, str]:
    return (int(case.id), "") if case.id.isdecimal() else (1 << 62, case.id)


def _seen(contents: Contents) -> str:
    path = contents.path
    if path.is_file():
        return f"a file with suffix '{path.suffix}'"
    if contents.pictures:
        return _seen_pictures(contents)
    entries = Counter("folders" if entry.is_dir() else entry.suffix or "no suffix" for entry in path.iterdir())
    return "seen: " + (", ".join(f"{count} {kind}" for kind, count in entries.most_common(4)) or "an empty folder")


def _seen_pictures(contents: Contents) -> str:
    """Pictures without a layout; that they show no tumour is only asked where nothing may hold a truth."""
    seen = f"seen: {numbered(len(contents.pictures), 'picture')}"
    if sign := sign_of_truth(contents):
        return f"{seen}, and what may be their truth: {sign.relative_to(contents.path)}"
    example = contents.pictures[0].relative_to(contents.path)
    return f"{seen} without any mask, for example {example}; where none shows a tumour, say --set data.tumour_free=true"


def _refuse_unread(contents: Contents) -> None:
    """Raise UserError for what is known and not read, and for a folder that could not be listed."""
    if locked := [finding for finding in contents.tree.findings if finding.severity == "error"]:
        raise UserError(locked[0].message)
    if unread := unread_kind(contents):
        raise UserError(unread)


def source_path(config: Config) -> Path:
    """Where the cases are; the simulated cohort is made on first use."""
    if config.data.source:
        return written_path(config.data.source)
    from tumorline.simulation import default_cohort  # slow to import

    return default_cohort(Path(config.data.cache or default_folder()))
