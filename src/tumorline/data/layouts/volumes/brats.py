"""Volumes of BraTS, UCSF-PDGM and UPENN-GBM as cases: NIfTI files named by scan and sequence."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import NoReturn

from tumorline.config import DataConfig
from tumorline.data.case import Case
from tumorline.data.finding import Finding, unreadable
from tumorline.data.labels.convention import labels_of_set
from tumorline.data.layouts.contents import Contents, Listing
from tumorline.data.layouts.names import folder_words
from tumorline.data.layouts.patient_tables import with_patients_of_tables
from tumorline.data.layouts.volumes.scan_case import FILE_WORDS, list_each, list_scan, wanted_regions, wanted_sequences
from tumorline.data.layouts.volumes.scan_files import ScanFiles, scans_by_name
from tumorline.data.layouts.volumes.volume_names import TRUTHS, read_volume_name
from tumorline.data.patients.names import patients_of_scans
from tumorline.errors import UserError
from tumorline.formats.unread import unread_volume
from tumorline.regions import Labels
from tumorline.wording import numbered

PUBLIC_PARTS = {"validation", "val", "test", "testing"}
AUTOMATED = ("automated_approx_segm", "glistrboost")


def sequence_in_name(name: str, visits: Collection[str] = ()) -> str:
    """The sequence that the name of a volume states, or 'truth'; empty where it states neither."""
    word = read_volume_name(name, visits).word
    return "truth" if word in TRUTHS else next((key for key, words in FILE_WORDS.items() if word in words), "")


def find_brats(contents: Contents) -> str:
    scans = {name: scan for name, scan in scans_by_name(contents)[0].items() if len(scan.by_word) > 1}
    count = len(set(patients_of_scans(scans).values()))
    return f"{numbered(count, 'patient')} with NIfTI volumes (for example {next(iter(scans))})" if scans else ""


def read_brats(contents: Contents, settings: DataConfig) -> Listing:
    """One case for every scan; one that lacks a file is an error finding.

    Raises UserError where it cannot be told what the labels mean.
    """
    all_scans, adopted = scans_by_name(contents)
    scans, left_out = _without_public_parts(contents.path, all_scans)
    truths = {scan.truth: scan.by_word.keys() for scan in scans.values() if scan.truth}
    labels = labels_of_set(truths, wanted_regions(settings), settings)
    patients = patients_of_scans(scans)
    listed, findings = list_each(
        scans, lambda name: _case_of_names(name, patients[name], scans[name], labels, settings)
    )
    cases, notes = with_patients_of_tables(contents, listed, "the scans")
    return cases, [*adopted, *left_out, *_automated(scans), *findings, *notes]


def _without_public_parts(root: Path, scans: dict[str, ScanFiles]) -> tuple[dict[str, ScanFiles], list[Finding]]:
    """Without scans of validation and test, as they are published without truths; with a note where there are some."""
    left_out = [name for name, scan in scans.items() if not scan.truth and _is_of_public_part(root, name, scan)]
    if not left_out or len(left_out) == len(scans):
        return scans, []
    message = (
        f"{root}: {numbered(len(left_out), 'scan')} of validation or test left out, without a truth (for example "
        f"{left_out[0]})"
    )
    files = tuple(str(path) for name in left_out for path in scans[name].paths)
    kept = {name: scan for name, scan in scans.items() if name not in left_out}
    return kept, [Finding("without_truth", "info", message, files)]


def _is_of_public_part(root: Path, name: str, scan: ScanFiles) -> bool:
    folders = scan.paths[0].parent.relative_to(root).parts
    return any(PUBLIC_PARTS & {*folder_words(text)} for text in (name, *folders))


def _automated(scans: Mapping[str, ScanFiles]) -> Iterable[Finding]:
    truths = [scan.truth for scan in scans.values() if scan.truth and scan.truth in map(scan.by_word.get, AUTOMATED)]
    if truths:
        message = (
            f"{truths[0]}: the truth of {len(truths)} scans is what a program found (automated), nobody corrected it"
        )
        yield Finding("automated_truth", "warning", message, tuple(map(str, truths)))


def _case_of_names(name: str, patient: str, scan: ScanFiles, labels: Labels | None, settings: DataConfig) -> Listing:
    try:
        if scan.twice:
            raise UserError(f"{scan.twice[0]}: {name} has another file of this name elsewhere; keep one of them")
        channels = wanted_sequences(settings)
        images = tuple(_file_of(name, scan, key, FILE_WORDS[key]) for key in channels)
        mask = scan.truth or _lacking(name, scan, "truth", TRUTHS[:3])
    except UserError as error:
        return [], [unreadable(error, *scan.paths, stands_for=name)]
    return list_scan(Case(name, images, mask, patient, labels=labels, channels=channels, patient_written=name))


def _file_of(name: str, scan: ScanFiles, key: str, words: tuple[str, ...]) -> Path:
    return next((scan.by_word[word] for word in words if word in scan.by_word), None) or _lacking(
        name, scan, key, words
    )


def _lacking(name: str, scan: ScanFiles, key: str, words: Sequence[str]) -> NoReturn:
    """Raise UserError for a file of a scan that is not there, or there in another format."""
    folder = scan.paths[0].parent
    if message := next(filter(None, map(unread_volume, sorted(folder.glob(f"{escape(name)}[-_]*")))), ""):
        raise UserError(message)
    there = [
        sequence for sequence, sequence_words in FILE_WORDS.items() if not {*sequence_words}.isdisjoint(scan.by_word)
    ]
    cure = f"choose what all scans have as data.channels (one as data.channel), or leave it out: data.leave_out={name}"
    has = f"; it has {' and '.join(there)}: {cure}" if there and key != "truth" else ""
    raise UserError(f"{folder}: no {key} volume of {name} (a name that ends in {' or '.join(words)}){has}")
