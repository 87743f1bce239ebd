"""A source is a folder or table in a supported layout, recognised by its content."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tumorline.config import Config, DataConfig
from tumorline.data.case import Case
from tumorline.data.corrections import CORRECTION, correct_cases
from tumorline.data.finding import Finding
from tumorline.data.known_layouts import LAYOUTS, Layout, check_channels, check_regions, recognise_layout
from tumorline.data.labels.values import named_region, with_label_values
from tumorline.data.layouts import figshare, lgg, tumour_free
from tumorline.data.layouts.annotations.legends import with_legends
from tumorline.data.layouts.classes import refuse_tumours
from tumorline.data.layouts.contents import Contents
from tumorline.data.layouts.names import name_below, stated_part
from tumorline.data.layouts.patient_tables import refuse_unread_tables
from tumorline.data.layouts.tcga import is_triple
from tumorline.data.layouts.unread import mask_beside_images, unread_kind
from tumorline.data.layouts.volumes import scan_case
from tumorline.data.left_out import leave_out
from tumorline.data.masks_by_case import stranger_findings
from tumorline.data.memory import cache_folder
from tumorline.data.patients.names import one_name, patient_meant, patients_in_names, spelling
from tumorline.data.patients.public_collections import collection_patient_of_file
from tumorline.errors import UserError
from tumorline.formats.decode import is_dicom
from tumorline.formats.nifti import is_volume
from tumorline.regions import REGION
from tumorline.user_text import written_path

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


def open_source(path: Path, settings: DataConfig = DEFAULTS, called: str = "") -> Source:
    """List the cases of a folder or CSV; of the pictures only headers are read.

    `called` is its name among several sources, whose corrections may lie in one folder: those of no case here are then
    left to whoever joins them. Raises UserError where the path is missing, where it is of no known layout or of more
    than one, where no pair is found, where `data.channel` is none of the layout's, and where a case of
    `data.leave_out` is not there.
    """
    source = _read_source(path, settings, called)
    case_ids = {case.id for case in source.cases}
    names = [
        name if name in case_ids else name.removeprefix(f"{called or source.name}/") for name in settings.leave_out
    ]
    cases, findings = leave_out(path, source.cases, source.findings, names)
    return replace(source, cases=cases, findings=findings)


def _read_source(path: Path, settings: DataConfig, called: str) -> Source:
    contents = Contents(path)
    if settings.tumour_free:
        return _tumour_free(contents, settings)
    name = recognise_layout(contents)
    layout = LAYOUTS[name]
    check_channels(contents, layout, settings)
    if not layout.asks_itself:
        check_regions(path, layout, settings)
    cases, findings = layout.read(contents, settings)
    cases = with_label_values(path, with_legends(contents, cases), settings)
    cases, notes = lgg.with_sequences(path, cases, settings)
    if not cases:
        worst = sorted(findings, key=lambda finding: finding.severity != "error")
        why = f"; {worst[0].message}" if worst else ""
        raise UserError(f"{path}: no pair of image and mask was found in this {name} source{why}")
    source = _as_source(contents, name, cases, [*findings, *notes], settings.keep_identifiers)
    channel = settings.channel or _common_channels(cases)
    label = settings.label or ", ".join(settings.regions) or named_region(settings)
    label = label or _label_of(layout, cases) or lgg.label_of(cases)
    return _corrected(replace(source, channel=channel, label=label), settings, called)


def _label_of(layout: Layout, cases: Sequence[Case]) -> str:
    """What the masks of a layout outline; empty where `data.mask_threshold` makes one region of a label map."""
    labels = cases[0].labels if cases else None
    if labels and labels.outlines:
        return "" if labels.outlines == REGION else labels.outlines
    return "" if layout.label == scan_case.LABEL and cases and labels is None else layout.label


def _common_channels(cases: Sequence[Case]) -> str:
    """The sequences of all cases; empty where those of some are unknown."""
    return ", ".join(filter(None, cases[0].channels)) if all(case.channels for case in cases) else ""


def _corrected(source: Source, settings: DataConfig, called: str) -> Source:
    """The source with the corrections of its masks, where there are any."""
    if not settings.corrections:
        return source
    corrected = correct_cases(source.path, source.cases, settings, filter(None, {called, source.name}))
    strange = [] if called else stranger_findings(corrected.strangers, str(source.path), CORRECTION)
    findings = (*source.findings, *corrected.findings, *strange)
    return replace(source, cases=corrected.cases, findings=findings, strangers=corrected.strangers)


def _as_source(
    contents: Contents,
    layout: str,
    cases: Sequence[Case],
    findings: Sequence[Finding],
    keep_identifiers: bool = False,
) -> Source:
    path = contents.path
    stated = _with_stated_parts(contents, cases)
    cases = with_first_spellings(with_patients([_with_header(case, keep_identifiers) for case in stated]))
    refuse_unread_tables(contents, cases)
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
    other_findings = [finding for finding in findings if finding.code != "resampled"]
    return [*other_findings, Finding("resampled", "warning", message, files)]


def _with_stated_parts(contents: Contents, cases: Sequence[Case]) -> Sequence[Case]:
    """The cases with the parts of a split that their folders state, where they state more than one."""
    if not contents.path.is_dir():
        return cases
    parts = {case.id: case.part or stated_part(case.id) for case in cases}
    if not any(parts.values()):
        parts = {case.id: _part_of_folders(contents.path, case.images[0]) for case in cases}
    if len(set(parts.values()) - {""}) < 2:
        return cases
    return [replace(case, part=parts[case.id]) for case in cases]


def _part_of_folders(path: Path, image: Path) -> str:
    """The part that the folders of an image state, which many layouts leave out of the names of cases."""
    return stated_part(name_below(image, path)) if image.is_relative_to(path) else ""


def _tumour_free(contents: Contents, settings: DataConfig) -> Source:
    path = contents.path
    if not path.is_dir():
        raise UserError(f"{path}: data.tumour_free is set; give a folder of pictures without masks")
    mask = mask_beside_images(contents)
    seen = (*(layout.find(contents) for layout in LAYOUTS.values()), unread_kind(contents), mask and str(mask))
    if signs := [sign for sign in seen if sign]:
        raise UserError(f"{path}: data.tumour_free is set, but there are masks: {signs[0]}")
    refuse_tumours(contents)
    cases, findings = tumour_free.read_tumour_free(contents)
    cases, notes = lgg.with_sequences(path, cases, settings)
    source = _as_source(contents, tumour_free.LAYOUT, cases, [*findings, *notes], settings.keep_identifiers)
    return replace(source, channel=_common_channels(cases))


def open_picture(path: Path, channel: str = "", channels: tuple[str, ...] = ()) -> Case:
    """The case of one picture by itself, read as its layout would read it: one sequence, "all", or several by name.

    Raises UserError for a volume, and for a picture that lacks a sequence.
    """
    if is_volume(path):
        raise UserError(f"{path}: a volume, where an image of one slice is expected")
    if figshare.is_figshare_picture(path):
        return figshare.figshare_case(path)
    return lgg.lgg_case(path, channel, channels) if is_triple(path) else Case(path.stem, (path,))


def channel_names(path: Path) -> tuple[str, ...]:
    """The names that `data.channel` may take for a source. Raises UserError as `open_source`."""
    contents = Contents(path)
    return LAYOUTS[recognise_layout(contents)].channels(contents)


def _with_header(case: Case, keep_identifiers: bool) -> Case:
    """The case with what a DICOM header adds to what its layout knows."""
    if not is_dicom(case.images[0]):
        return case
    from tumorline.formats.dicom import read_dicom_header

    header = read_dicom_header(case.images[0], one_name, keep_identifiers)
    return replace(
        case,
        patient=case.patient or header.patient,
        patient_written=case.patient_written if case.patient else header.written,
        spacing_mm=case.spacing_mm or header.spacing_mm,
        identifier="" if case.patient else patient_meant(header.identifier),
    )


def with_patients(cases: Sequence[Case]) -> list[Case]:
    """The cases with the patients whom their stated names mean, or whom their own names bear where none is stated."""
    borne = patients_in_names([case.id for case in cases if not case.patient])
    return [_with_patient(case, borne.get(case.id)) for case in cases]


def _with_patient(case: Case, borne: str | None) -> Case:
    written = case.patient_written or case.patient or ""
    patient = patient_meant(case.patient) if case.patient else borne or collection_patient_of_file(case.images[0])
    return replace(case, patient=patient, patient_written=written or patient or "")


def with_first_spellings(cases: Sequence[Case]) -> list[Case]:
    """The cases with patients that files and folders write in several ways under the first of them."""
    first: dict[str, Case] = {}
    firsts = [first.setdefault(spelling(case.patient), case) if case.patient else case for case in cases]
    return [
        replace(case, patient=same.patient, identifier=case.identifier and same.identifier)
        for case, same in zip(cases, firsts, strict=True)
    ]


def _natural(case: Case) -> tuple[int, str]:
    return (int(case.id), "") if case.id.isdecimal() else (1 << 62, case.id)


def source_path(config: Config) -> Path:
    """Where the cases are; the simulated cohort is made on first use."""
    if config.data.source:
        return written_path(config.data.source)
    from tumorline.simulation import default_cohort  # slow to import

    return default_cohort(cache_folder(config.data))
